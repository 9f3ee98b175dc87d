"""Which adapters may answer."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from engine.domain import Adapter, AdapterStatus, new_id, utc_now
from engine.errors import AdapterError, ConflictError, NotFoundError
from engine.training.adapters.offering import Offering, mismatch, status_of

TRAINED_ON = "a" * 64


def adapter(status: AdapterStatus = "ready", sha256: str | None = TRAINED_ON) -> Adapter:
    base = {} if sha256 is None else {"base": {"sha256": sha256}}
    return Adapter(new_id(), "shop", "tiny", Path("a.gguf"), utc_now(), card=base, status=status)


def gone(name: str) -> str:
    raise NotFoundError(f"no model {name}")


class TestStatus:
    @pytest.mark.parametrize(
        ("card", "status"),
        [
            ({}, "ready"),
            ({"parity": None}, "ready"),
            ({"parity": {"ok": True}}, "ready"),
            ({"parity": {"ok": False}}, "mismatch"),
        ],
    )
    def test_from_the_card(self, card: dict[str, object], status: str) -> None:
        assert status_of(card) == status

    def test_only_a_mismatch_is_warned_of(self) -> None:
        assert mismatch(adapter()) is None
        assert "fine-tune it again" in str(mismatch(adapter("mismatch")))


class TestRequire:
    def test_ready(self) -> None:
        Offering(lambda _: TRAINED_ON).require(adapter())

    def test_mismatch_only_when_asked_for(self) -> None:
        offering = Offering(lambda _: TRAINED_ON)
        with pytest.raises(ConflictError, match="as it was trained") as caught:
            offering.require(adapter("mismatch"))
        assert "--allow-mismatch" in str(caught.value.hint)
        offering.require(adapter("mismatch"), allow_mismatch=True)

    @pytest.mark.parametrize("status", ["ready", "mismatch"])
    def test_another_base_under_the_same_name_never(self, status: AdapterStatus) -> None:
        offering = Offering(lambda _: "b" * 64)
        assert offering.standing(adapter(status)) == "base changed"
        with pytest.raises(AdapterError, match="tiny has changed") as caught:
            offering.require(adapter(status), allow_mismatch=True)
        assert caught.value.hint

    def test_a_base_with_other_position_factors_never(self) -> None:
        long = replace(adapter(), card={"base": {"sha256": TRAINED_ON, "long_positions": True}})
        for one, is_long in ((long, False), (adapter(), True)):
            offering = Offering(lambda _: TRAINED_ON, lambda _, answer=is_long: answer)
            assert offering.standing(one) == "other positions"
            with pytest.raises(AdapterError, match="other factors") as caught:
                offering.require(one, allow_mismatch=True)
            assert "NEXUS_CONTEXT_TOKENS" in str(caught.value.hint)
        Offering(lambda _: TRAINED_ON, lambda _: True).require(long)
        Offering(lambda _: TRAINED_ON, lambda name: bool(gone(name))).require(adapter())

    @pytest.mark.parametrize("hash_of", [gone, lambda _: None])
    def test_a_base_that_nobody_knows_is_for_the_model_list_to_say(self, hash_of: object) -> None:
        assert Offering(hash_of).standing(adapter()) == "ready"  # type: ignore[arg-type]

    def test_an_adapter_that_does_not_say_its_base(self) -> None:
        assert Offering(lambda _: "b" * 64).standing(adapter(sha256=None)) == "ready"


def test_the_hash_is_of_the_file_as_it_is_now(tmp_path: Path, tiny_gguf: Path) -> None:
    from engine.model_registry.registry import ModelRegistry

    registry = ModelRegistry(tmp_path)
    file = tmp_path / "tiny.gguf"
    file.write_bytes(tiny_gguf.read_bytes())
    trained = adapter(sha256=registry.sha256("tiny"))
    offering = Offering(registry.sha256)
    assert offering.standing(trained) == "ready"

    with file.open("r+b") as changed:  # another weight in the same place
        changed.seek(-4, 2)
        changed.write(b"\1\2\3\4")
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert offering.standing(trained) == "base changed"
