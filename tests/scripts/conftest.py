"""Scripts are no package: they are loaded from their files."""

import importlib.util
import sys
from types import ModuleType

import pytest

from engine.config import PROJECT_ROOT


@pytest.fixture(scope="session")
def setup_script() -> ModuleType:
    """scripts/setup.py; loading it does nothing."""
    spec = importlib.util.spec_from_file_location("setup_script", PROJECT_ROOT / "scripts" / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["setup_script"] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module
