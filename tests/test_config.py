"""Settings from the environment."""

import pytest

from engine.config import PROJECT_ROOT, load_settings
from engine.errors import ConfigError


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "MAX_SEQUENCES", "DEFAULT_MODEL", "OPIK_URL"):
        monkeypatch.setenv(f"NEXUS_{name}", "")
    settings = load_settings()
    assert settings.home == PROJECT_ROOT / "data"
    assert (settings.max_sequences, settings.opik_url) == (8, None)
    assert settings.default_model


def test_a_value_that_makes_no_sense_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_MAX_SEQUENCES", "0")
    with pytest.raises(ConfigError, match="NEXUS_MAX_SEQUENCES"):
        load_settings()
