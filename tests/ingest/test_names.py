"""File names from strangers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ingest import safe_name
from engine.ingest.names import MAX_NAME_BYTES


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("handbook.pdf", "handbook.pdf"),
        ("Größe & Preis (2025).pdf", "Größe & Preis (2025).pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.docx", "a.docx"),
        ("a\0b\n.txt", "ab.txt"),
        ('we<ir>d:"|?*.md', "we_ir_d_.md"),
        (".hidden.txt", "hidden.txt"),
        ("CON.txt", "_CON.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("", "document"),
        ("..", "document"),
        ("///", "document"),
        ("?.", "document"),
    ],
)
def test_examples(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_long_names_keep_their_ending() -> None:
    short = safe_name("ü" * 500 + ".pdf")
    assert short.endswith(".pdf")
    assert len(short.encode()) <= MAX_NAME_BYTES


@given(st.text(max_size=300) | st.text(st.sampled_from("./\\ _aé\u0301\0con"), max_size=300))
def test_always_harmless(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= MAX_NAME_BYTES
    assert not set(safe) & set('/\\:*?"<>|\0\n')
    assert not safe.startswith((".", " "))
    assert safe.isprintable()
    assert safe_name(safe) == safe
