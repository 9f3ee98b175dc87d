"""Uploads: where they wait, and what is refused."""

import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Settings
from engine.errors import DocumentError, InputError, NotFoundError, StorageError
from engine.requests import StagedFile
from engine.uploads import Uploads


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_is_copied_and_can_be_discarded(settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "terms.md"
    source.write_text("# Terms")
    uploads = Uploads(settings)
    staged = uploads.stage_file(source)
    source.unlink()
    assert uploads.path(staged).read_text() == "# Terms"
    uploads.discard(staged)
    uploads.discard(staged)
    with pytest.raises(NotFoundError):
        uploads.path(staged)
    assert files_in(settings.home) == []


@given(st.text(max_size=40))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home")
        staged = Uploads(settings).stage("../../" + name, io.BytesIO(b"x"))
        assert Uploads(settings).path(staged).resolve().is_relative_to((settings.home / "uploads").resolve())


@pytest.mark.parametrize("path", ["/etc/hostname", "../outside", "uploads/../nexus.db", "uploads"])
def test_a_forged_path_is_not_found(settings: Settings, path: str) -> None:
    uploads = Uploads(settings)
    uploads.stage("a.txt", io.BytesIO(b"x"))
    with pytest.raises(NotFoundError):
        uploads.path(StagedFile(name="x", path=path))
    uploads.discard(StagedFile(name="x", path=path))
    assert len(files_in(settings.home)) == 1


@pytest.mark.parametrize(("size", "said"), [(0, "empty"), (2_000_001, "larger than 2 MB")])
def test_an_empty_or_too_large_file_leaves_nothing(tmp_path: Path, size: int, said: str) -> None:
    settings = Settings(home=tmp_path / "home", max_document_mb=2)
    with pytest.raises(DocumentError, match=said) as caught:
        Uploads(settings).stage("a.txt", io.BytesIO(b"x" * size))
    assert caught.value.hint
    assert files_in(settings.home) == []


def test_what_is_no_file_is_refused(settings: Settings, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.pdf"):
        with pytest.raises(InputError):
            Uploads(settings).stage_file(path)


def test_a_full_disk_is_named_and_leaves_nothing(settings: Settings) -> None:
    class Full(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        Uploads(settings).stage("a.txt", Full())
    assert files_in(settings.home) == []


def test_only_uploads_that_no_job_wants_are_swept(settings: Settings) -> None:
    uploads = Uploads(settings)
    wanted, unwanted = uploads.stage("a.txt", io.BytesIO(b"x")), uploads.stage("b.txt", io.BytesIO(b"x"))
    assert uploads.remove_leftovers({wanted.path}) == 0, "too young: its job may be about to be submitted"
    assert uploads.remove_leftovers({wanted.path}, older_than_s=0) == 1
    assert uploads.path(wanted).is_file()
    with pytest.raises(NotFoundError):
        uploads.path(unwanted)
