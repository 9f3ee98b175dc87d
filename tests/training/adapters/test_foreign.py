"""What is taken over of adapters that were made elsewhere."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import AdapterError, NexusError, NotFoundError
from engine.training.adapters import foreign
from engine.training.adapters.foreign import SETTINGS, WEIGHTS, take_over

MakePeft = Callable[..., Path]


@pytest.fixture
def peft(make_peft: MakePeft) -> Path:
    return make_peft("foreign", ("q_proj",))


def change(peft: Path, **settings: object) -> Path:
    file = peft / SETTINGS
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return peft


class TestTakeOver:
    def test_settings_are_written_anew(self, peft: Path, tmp_path: Path) -> None:
        hostile = {"target_modules": "(a+)+$", "auto_mapping": {"x": "os.system"}, "base_model_name_or_path": " some\n base "}
        found = take_over(change(peft, **hostile), tmp_path / "own")
        written = json.loads((tmp_path / "own" / "peft" / SETTINGS).read_text())
        assert (found.form, found.made_for) == ("peft", "some base")
        assert written["target_modules"] == [f"model.layers.{layer}.self_attn.q_proj" for layer in (0, 1)]
        assert (written["r"], written["lora_alpha"]) == (4, 12)
        assert "auto_mapping" not in written

    def test_names_in_an_archive_lead_nowhere(self, peft: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
            for file in peft.iterdir():
                archive.write(file, f"../../../{file.name}")
            archive.writestr("../../../evil.sh", "touch evil")
        take_over(tmp_path / "packed.zip", tmp_path / "a" / "b" / "own")
        assert sorted(file.name for file in (tmp_path / "a").rglob("*") if file.is_file()) == [SETTINGS, WEIGHTS]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "foreign", "packed.zip"]

    def test_no_more_is_unpacked_than_fits(self, peft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(foreign, "MAX_WEIGHTS", 1000)
        with pytest.raises(AdapterError, match="too large"):
            take_over(peft, tmp_path / "own")


class TestRefusals:
    def refuse(self, source: Path, message: str) -> None:
        with pytest.raises(AdapterError, match=message) as caught:
            take_over(source, source.parent / "own")
        assert caught.value.hint

    def test_pickle_is_not_read(self, peft: Path) -> None:
        (peft / WEIGHTS).rename(peft / "adapter_model.bin")
        self.refuse(peft, "pickle")

    def test_no_settings(self, peft: Path) -> None:
        (peft / SETTINGS).unlink()
        self.refuse(peft, f"no {SETTINGS}")

    @pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, " " * ((1 << 20) + 1)])
    def test_broken_settings(self, text: str, peft: Path) -> None:
        (peft / SETTINGS).write_text(text)
        self.refuse(peft, SETTINGS)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [({"lora_alpha": None}, "alpha"), ({"lora_alpha": 1e999}, "alpha"), ({"r": 5}, "rank"), ({"bias": "all"}, "biases")],
    )
    def test_settings_that_do_not_fit(self, settings: dict[str, object], message: str, peft: Path) -> None:
        self.refuse(change(peft, **settings), message)

    @pytest.mark.parametrize("data", [b"", b"nothing", b"\xff" * 100])
    def test_damaged_weights(self, data: bytes, peft: Path) -> None:
        (peft / WEIGHTS).write_bytes(data)
        self.refuse(peft, "cannot be read")

    def test_two_adapters_in_an_archive(self, peft: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
            for folder in ("a", "b"):
                archive.write(peft / SETTINGS, f"{folder}/{SETTINGS}")
        self.refuse(tmp_path / "packed.zip", "holds 2 adapters")

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError):
            take_over(tmp_path / "nowhere", tmp_path / "own")

    @pytest.mark.parametrize("start", [b"GGUF", b"PK\3\4", b""])
    @given(data=st.binary(max_size=200))
    def test_any_bytes_are_refused_in_words(self, tmp_path_factory: pytest.TempPathFactory, start: bytes, data: bytes) -> None:
        folder = tmp_path_factory.mktemp("any")
        (folder / "file").write_bytes(start + data)
        with pytest.raises(NexusError):
            take_over(folder / "file", folder / "own")
