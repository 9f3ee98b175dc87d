"""An engine without model files: a scripted chat model and a hashing encoder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import Settings
from engine.container import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    settings = Settings(
        home=tmp_path / "home", models_dir=tmp_path / "models", default_model="fake/echo", default_encoder="hashing"
    )
    with Engine(settings) as engine:
        yield engine
