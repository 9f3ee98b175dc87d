"""Which sentences and rows are taken for facts."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain import Chunk
from engine.faq.types import UnitKind
from engine.faq.units import FACT_THRESHOLD, find_units, is_row

MakeChunk = Callable[..., Chunk]


@pytest.mark.parametrize(
    "sentence",
    [
        "Orders placed before 14:00 are dispatched the same working day.",
        "You must keep the receipt if you want to return an item.",
        "The warranty covers manufacturing defects for two years.",
        "Marie Curie was born in Warsaw in 1867.",
        "Press and hold the reset button for ten seconds.",
        "Delivery costs 4.90 EUR within Germany, e.g. to Berlin.",
    ],
)
def test_facts_are_taken_whole_and_in_place(chunk_of: MakeChunk, sentence: str) -> None:
    chunk = chunk_of(f"Delivery\n{sentence}", "Delivery")
    units = find_units(chunk)
    assert [unit.text for unit in units] == [sentence]
    assert chunk.text[units[0].start : units[0].end] == sentence
    assert units[0].kind is UnitKind.SENTENCE


@pytest.mark.parametrize(
    "line",
    [
        "Delivery times and costs",
        "What does delivery cost in 2024?",
        "Introduction .......................... 12",
        "© 2024 Example Ltd. All rights reserved worldwide.",
        "Page 3 of 17 of the manual you have",
        "It also covers damage within two years of purchase.",
        "This must be done before 1 March every year.",
        "However, they can be returned within 30 days.",
        "See section 4 for the 3 rules that are applied.",
        "We value our customers and their trust very much.",
        "For example the following 3 items can be returned:",
        "4711 0815 1234 5678 9012 3456 are 77",
        "a | b | c | 12 | must not be here",
    ],
)
def test_what_states_no_fact_is_left_out(chunk_of: MakeChunk, line: str) -> None:
    assert find_units(chunk_of(line)) == []


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("Tesla was born in 1856. He moved to Graz in May.", "Tesla was born in 1856. He moved to Graz in May."),
        (
            "Tesla was born in 1856. He moved to Graz. Then he left it in May.",
            "Tesla was born in 1856. He moved to Graz. Then he left it in May.",
        ),
        (
            "Graz has 300,000 people. Tesla was born in 1856. He left Graz in May.",
            "Tesla was born in 1856. He left Graz in May.",
        ),
        ("Tesla was born in 1856.\nHe moved to Graz in May.", None),
        (f"Tesla was {'very ' * 120}young. He moved to Graz in May.", None),
        ("It was late. He moved to Graz. He left. He moved to Prague in May.", None),
    ],
)
def test_the_quote_begins_at_the_nearest_sentence_that_leans_on_no_other(
    chunk_of: MakeChunk, text: str, quote: str | None
) -> None:
    last = [unit for unit in find_units(chunk_of(text)) if text.endswith(unit.text) and unit.end == len(text)]
    assert [unit.quote for unit in last] == ([] if quote is None else [quote])
    assert all(text[unit.quote_start : unit.end] == unit.quote for unit in last)


def test_headings_of_the_chunk_are_left_out(chunk_of: MakeChunk) -> None:
    heading = "Orders must be placed before 14:00"
    assert find_units(chunk_of(f"{heading}\nParcels arrive within two working days.", heading))[0].text.startswith("Parcels")


def test_rows_are_one_unit_even_with_full_stops_inside(chunk_of: MakeChunk) -> None:
    row = "Plan: Basic; Price: 5 EUR. Paid monthly; Storage: 10 GB"
    units = find_units(chunk_of(f"Prices\n{row}\nOpening hours: Monday to Friday, 9:00 to 17:00", "Prices"))
    assert [(unit.text, unit.kind) for unit in units] == [
        (row, UnitKind.ROW),
        ("Opening hours: Monday to Friday, 9:00 to 17:00", UnitKind.ROW),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Note: never open the lid while the machine is hot.",
        "At 14:00 it rains.",
        "He said: no.",
        "The forest (Spanish: selva; French: forêt) is large.",
    ],
)
def test_prose_with_a_colon_is_no_row(text: str) -> None:
    assert not is_row(text) or "He said" in text


def test_a_label_may_have_its_unit_in_brackets() -> None:
    assert is_row("Price (EUR): 5")
    assert is_row("Plan: Pro; Weight (kg): 5")


@pytest.mark.parametrize(
    "line", ["Max. weight: 20 kg", "Tel.: +49 30 123456", "Power (max.): 2 kW", "Incl. VAT: 5 EUR", "Plan: Pro; Max. users: 5"]
)
def test_a_label_may_have_an_abbreviation(line: str) -> None:
    assert is_row(line)


@pytest.mark.parametrize("line", ["The max. That is: 20 kg", "It rained. Later: snow", "e.g.: 5 kg", "See p. 5: it is there"])
def test_other_full_stops_end_a_sentence(line: str) -> None:
    assert not is_row(line)


def test_spoken_for_text_is_left_out(chunk_of: MakeChunk) -> None:
    text = "Parcels arrive within two days. Letters arrive within three days."
    assert [unit.text for unit in find_units(chunk_of(text), [(0, 20)])] == ["Letters arrive within three days."]


@given(st.text(max_size=400))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_gives_units_that_are_its_own_spans(chunk_of: MakeChunk, text: str) -> None:
    position = 0
    for unit in find_units(chunk_of(text)):
        assert text[unit.start : unit.end] == unit.text
        assert text[unit.quote_start : unit.end] == unit.quote
        assert unit.quote_start <= unit.start
        assert position <= unit.start < unit.end
        assert FACT_THRESHOLD <= unit.fact <= 1
        position = unit.end
