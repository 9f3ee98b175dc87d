"""Fixtures for all tests: a fresh home, and the real default models."""

import os
from pathlib import Path

import hypothesis
import pytest

from engine.config import PROJECT_ROOT, Settings
from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.domain import Collection

# OpenMP reads this when a library loads it. Threads that spin at barriers take the cores from whatever else a machine does:
# with one other program beside, llama.cpp on two threads takes many times as long. The engine's children have it as well.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Speed is no property to be tested here: a busy machine must not fail a test.
hypothesis.settings.register_profile("nexus", deadline=None)
hypothesis.settings.load_profile("nexus")


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder of the real default models; skips where `make setup` has not put them."""
    folder = PROJECT_ROOT / "models"
    if not (folder / "SmolLM2-135M-Instruct.Q4_1.gguf").is_file() or not (folder / "all-MiniLM-L6-v2").is_dir():
        pytest.skip("the default models are not in models/; run `make setup`")
    return folder


@pytest.fixture(scope="session")
def chat_gguf(models_dir: Path) -> Path:
    """The default chat model's file."""
    return models_dir / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a home of their own."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def repositories(settings: Settings) -> Repositories:
    """The database of that home."""
    return Repositories.over(Database(settings.database))


@pytest.fixture
def shop(repositories: Repositories) -> Collection:
    """An empty collection in it."""
    return repositories.collections.ensure("shop")
