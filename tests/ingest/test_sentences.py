"""Where sentences end, and where they only seem to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ingest import split_sentences


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Delivery takes 3.5 days on average.",
        "Ask Dr. Lind or Mr. Berg.",
        "Bring a document, e.g. a passport, i.e. something with a picture.",
        "See No. 5 of the terms.",
        "It opens at 9 a.m. on weekdays.",
        "J. R. Solberg founded it.",
        "In the U.S. South, many moved.",
        "It was Brown v. Board of Education.",
        "Aurora Ltd. makes kettles, lids etc. and sells them.",
        "Wait ... then go on.",
        "Visit www.aurora.example for more.",
        'Is it "free?" she asked.',
        "Version 2.0.1 is out.",
        "Press cancel!important in the sheet.",
    ],
)
def test_one_sentence(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We open at 9. We close at 5!", ["We open at 9.", "We close at 5!"]),
        ("Is it free? Yes. No. It depends.", ["Is it free?", "Yes.", "No.", "It depends."]),
        ("It closes at 6 p.m. The café stays open.", ["It closes at 6 p.m.", "The café stays open."]),
        ('He said "no." She left.', ['He said "no."', "She left."]),
        ("It is free.  2 bags are allowed.", ["It is free.", "2 bags are allowed."]),
        (
            "Delivery\nIt takes long\n\n- one item. Another.\n2. second",
            ["Delivery", "It takes long", "one item.", "Another.", "second"],
        ),
        ("営業時間は九時です。土曜は休みです。", ["営業時間は九時です。", "土曜は休みです。"]),
        ("So do I. They agree.", ["So do I.", "They agree."]),
        ("", []),
        ("He moved to the U.S. The town was small.", ["He moved to the U.S.", "The town was small."]),
        (" \n ", []),
    ],
)
def test_several(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(st.sampled_from("ab .!?\n-1。\"'Dr•\t\u2028"), max_size=200))
def test_spans_are_ordered_trimmed_and_lose_no_letter(text: str) -> None:
    position = 0
    for start, end in split_sentences(text):
        assert position <= start < end
        assert text[start:end] == text[start:end].strip()
        assert not text[position:start].strip(" \t\n\u2028-•abDr1.")  # markers, such as "a."
        position = end
    assert not text[position:].strip()


@pytest.mark.parametrize("run", ["." * 100_000, "?!" * 50_000, "." * 50_000 + ")" * 50_000])
def test_runs_of_marks_take_no_quadratic_time(run: str) -> None:
    assert sentences(f"{run}x") == [f"{run}x"]
