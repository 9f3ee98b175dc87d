"""The committed sample documents are what the script writes, and hold enough to ask about."""

import runpy
from pathlib import Path

import pytest

from engine.config import PROJECT_ROOT
from engine.ingest import read_document, split_sentences

SAMPLES = PROJECT_ROOT / "data" / "samples"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    make_samples = runpy.run_path(str(PROJECT_ROOT / "scripts" / "make_samples.py"))["make_samples"]
    first: list[Path] = make_samples(tmp_path_factory.mktemp("first"))
    second: list[Path] = make_samples(tmp_path_factory.mktemp("second"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    return first


def test_the_script_writes_what_is_committed(made: list[Path]) -> None:
    assert {path.name for path in made} <= {path.name for path in SAMPLES.iterdir()}
    for path in made:
        assert read_document(path).pages == read_document(SAMPLES / path.name).pages


@pytest.mark.parametrize(("pattern", "facts"), [("*.pdf", 30), ("*.docx", 15), ("*.md", 15), ("*.html", 15)])
def test_there_is_enough_to_ask_about(pattern: str, facts: int) -> None:
    (path,) = SAMPLES.glob(pattern)
    texts = [page.text for page in read_document(path).pages]
    found = {text[start:end] for text in texts for start, end in split_sentences(text)}
    assert sum(any(map(str.isdigit, sentence)) for sentence in found) >= facts
