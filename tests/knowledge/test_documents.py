"""Taking documents in and giving them up: all or nothing."""

import errno
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pymupdf
import pytest

from engine.config import Settings
from engine.db.repositories import Repositories
from engine.domain import Collection
from engine.errors import CancelledError, ConflictError, DocumentError, NotFoundError, StorageError
from engine.knowledge import documents as documents_module
from engine.knowledge.documents import DocumentLibrary

TEXT = "# Opening hours\n\nThe museum opens at nine.\n\n# Tickets\n\nA day ticket costs 12 euros.\n"


@pytest.fixture
def library(repositories: Repositories, settings: Settings) -> DocumentLibrary:
    return DocumentLibrary(repositories, settings)


@pytest.fixture
def museum(repositories: Repositories) -> Collection:
    return repositories.collections.ensure("museum")


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    path = tmp_path / "handbook.md"
    path.write_text(TEXT)
    return path


def stored_files(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.documents_dir.glob("*")) if settings.documents_dir.exists() else []


class TestAdd:
    def test_keeps_text_chunks_original_and_link(
        self, library: DocumentLibrary, repositories: Repositories, settings: Settings, museum: Collection, handbook: Path
    ) -> None:
        document = library.add(handbook, museum.id)
        assert [stored.id for stored in repositories.documents.list(museum.id)] == [document.id]
        assert "The museum opens at nine." in repositories.documents.page(document.id, 1).text
        chunks = repositories.documents.chunks([document.id])
        assert any("12 euros" in chunk.text for chunk in chunks)
        assert (settings.documents_dir / f"{document.id}.md").read_text() == TEXT

    def test_same_content_twice_is_one_document(
        self, library: DocumentLibrary, repositories: Repositories, settings: Settings, museum: Collection, handbook: Path
    ) -> None:
        first = library.add(handbook, museum.id)
        other = repositories.collections.ensure("other")
        second = library.add(handbook, other.id, name="copy.md")
        assert (second.id, second.name) == (first.id, "handbook.md")
        assert len(repositories.documents.list()) == len(stored_files(settings)) == 1
        assert len(repositories.documents.list(other.id)) == 1

    def test_warnings_are_stored_with_the_document(
        self, library: DocumentLibrary, repositories: Repositories, museum: Collection, tmp_path: Path
    ) -> None:
        path = tmp_path / "prices.txt"
        path.write_bytes("Prix: un café crème coûte 4 € à la brasserie de l’hôtel, déjà réservée.".encode("cp1252"))
        document = library.add(path, museum.id)
        assert "encoding" in document.warnings[0]
        assert repositories.documents.get(document.id).warnings == document.warnings

    def test_name_is_made_harmless(
        self, library: DocumentLibrary, settings: Settings, museum: Collection, handbook: Path
    ) -> None:
        document = library.add(handbook, museum.id, name="../../etc/pass<wd>.md")
        assert "/" not in document.name
        assert "<" not in document.name
        assert stored_files(settings) == [f"{document.id}.md"]

    def test_a_document_that_takes_long_to_read_is_no_leftover(
        self,
        library: DocumentLibrary,
        repositories: Repositories,
        settings: Settings,
        museum: Collection,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Another process starts, and tidies up, at each page; hours lie between two of them."""
        monkeypatch.setattr(documents_module, "TOUCH_EVERY_S", 0.0)
        with pymupdf.open() as pdf:
            for words in ("The museum opens at nine.", "A day ticket costs 12 euros.", "Dogs stay outside."):
                pdf.new_page().insert_text((72, 72), words)
            pdf.save(tmp_path / "long.pdf")
        pages: list[tuple[int, int | None]] = []

        def hours_pass(number: int, of: int | None) -> None:
            pages.append((number, of))
            assert DocumentLibrary(repositories, settings).remove_leftovers() == 0
            for staged in settings.documents_dir.glob(".incoming-*"):
                os.utime(staged, (0, 0))

        document = library.add(tmp_path / "long.pdf", museum.id, on_page=hours_pass)
        assert pages[:3] == [(1, 3), (2, 3), (3, 3)]
        assert stored_files(settings) == [f"{document.id}.pdf"]

    def test_unknown_collection(self, library: DocumentLibrary, settings: Settings, handbook: Path) -> None:
        with pytest.raises(NotFoundError):
            library.add(handbook, "absent")
        assert stored_files(settings) == []

    def test_processes_at_once_make_one_document(
        self, repositories: Repositories, settings: Settings, museum: Collection, handbook: Path
    ) -> None:
        command = [sys.executable, "-c", ADD_IN_PROCESS, str(settings.home), str(handbook), museum.id]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(5)]
        ids = [process.communicate(timeout=60)[0].strip() for process in processes]
        assert len(set(ids)) == 1
        assert stored_files(settings) == [f"{ids[0]}.md"]
        assert len(repositories.documents.list(museum.id)) == 1


ADD_IN_PROCESS = """
import sys
from pathlib import Path
from engine.config import Settings
from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.knowledge.documents import DocumentLibrary

settings = Settings(home=Path(sys.argv[1]))
library = DocumentLibrary(Repositories.over(Database(settings.database)), settings)
print(library.add(Path(sys.argv[2]), sys.argv[3]).id)
"""


class TestFaults:
    """Whatever goes wrong, no file and no row stays behind."""

    @pytest.fixture(autouse=True)
    def _nothing_stays(self, repositories: Repositories, settings: Settings, museum: Collection) -> object:
        yield
        assert repositories.documents.list() == []
        assert repositories.documents.chunk_ids(museum.id) == set()
        assert stored_files(settings) == []

    def test_unreadable_file(self, library: DocumentLibrary, museum: Collection, tmp_path: Path) -> None:
        (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 nothing more")
        with pytest.raises(DocumentError):
            library.add(tmp_path / "broken.pdf", museum.id)

    def test_too_large(self, repositories: Repositories, settings: Settings, museum: Collection, handbook: Path) -> None:
        small = settings.model_copy(update={"max_document_mb": 0.00001})
        with pytest.raises(DocumentError, match="too large"):
            DocumentLibrary(repositories, small).add(handbook, museum.id)

    def test_no_room(
        self, library: DocumentLibrary, museum: Collection, handbook: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(documents_module, "SPACE_FACTOR", 10**15)
        with pytest.raises(StorageError, match="disk space"):
            library.add(handbook, museum.id)

    @pytest.mark.parametrize("name", ["fsync", "_move", "_copy"])
    def test_disk_fills_up_while_writing(
        self, library: DocumentLibrary, museum: Collection, handbook: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os if name == "fsync" else documents_module, name, full)
        with pytest.raises(StorageError, match="disk is full") as caught:
            library.add(handbook, museum.id)
        assert caught.value.retryable

    def test_database_refuses_the_commit(
        self, library: DocumentLibrary, settings: Settings, museum: Collection, handbook: Path
    ) -> None:
        """A deferred constraint fails at the commit: after the original was put in place."""
        with sqlite3.connect(settings.database) as connection:
            connection.execute("CREATE TABLE parent (id TEXT PRIMARY KEY)")
            connection.execute("CREATE TABLE guard (id TEXT REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED)")
            connection.execute("CREATE TRIGGER spoil AFTER INSERT ON document BEGIN INSERT INTO guard VALUES ('none'); END")
        with pytest.raises(ConflictError, match="refers to something"):
            library.add(handbook, museum.id)

    @pytest.mark.parametrize("name", ["handbook.md", "handbook.pdf"])
    def test_stopped_while_it_is_read(
        self, library: DocumentLibrary, museum: Collection, handbook: Path, tmp_path: Path, name: str
    ) -> None:
        with pymupdf.open() as pdf:
            pdf.new_page().insert_text((72, 72), TEXT)
            pdf.save(tmp_path / "handbook.pdf")

        def stop(number: int, of: int | None) -> None:
            raise CancelledError("the job was stopped")

        with pytest.raises(CancelledError):
            library.add(tmp_path / name, museum.id, on_page=stop)

    def test_file_changes_while_it_is_read(
        self, library: DocumentLibrary, museum: Collection, handbook: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def open_then_change(path: Path, **options: object) -> object:
            opened = original(path, **options)
            path.write_text(TEXT + "More.")
            return opened

        original = documents_module.open_document
        monkeypatch.setattr(documents_module, "open_document", open_then_change)
        with pytest.raises(DocumentError, match="changed"):
            library.add(handbook, museum.id)

    def test_removed_again(self, library: DocumentLibrary, museum: Collection, handbook: Path) -> None:
        library.remove(library.add(handbook, museum.id).id, museum.id)

    def test_leftovers_of_a_killed_process(self, library: DocumentLibrary, settings: Settings) -> None:
        settings.documents_dir.mkdir(parents=True)
        (settings.documents_dir / ".incoming-1").write_text("half")
        (settings.documents_dir / f"{'a' * 64}.md").write_text("no row")
        assert library.remove_leftovers() == 0, "another process may be at work on them"
        assert library.remove_leftovers(older_than_s=0) == 2


def test_a_document_stays_while_another_collection_holds_it(
    library: DocumentLibrary, repositories: Repositories, settings: Settings, museum: Collection, handbook: Path
) -> None:
    document = library.add(handbook, museum.id)
    other = repositories.collections.ensure("other")
    library.add(handbook, other.id)
    library.remove(document.id, museum.id)
    assert stored_files(settings) == [f"{document.id}.md"]
    assert repositories.documents.list(museum.id) == []
    assert library.remove_leftovers(older_than_s=0) == 0


def test_removing_what_is_not_there(library: DocumentLibrary, museum: Collection) -> None:
    with pytest.raises(NotFoundError):
        library.remove("0" * 64, museum.id)
