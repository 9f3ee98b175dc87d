"""Settings from the environment."""

import pytest

from engine.config import PROJECT_ROOT, load_settings
from engine.errors import ConfigError


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("HOME", "MAX_PAGES", "DEFAULT_MODEL", "OPIK_URL")
    for name in names:
        monkeypatch.delenv(f"NEXUS_{name}", raising=False)
    unset = load_settings()
    for name in names:
        monkeypatch.setenv(f"NEXUS_{name}", "")
    assert load_settings() == unset
    assert unset.home == PROJECT_ROOT / "data"


def test_a_value_that_makes_no_sense_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_MAX_PAGES", "0")
    with pytest.raises(ConfigError, match="NEXUS_MAX_PAGES"):
        load_settings()
