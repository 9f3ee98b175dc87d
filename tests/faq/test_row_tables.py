"""Rows of comparisons and timetables, lists of prices, and tables that stand below several headings."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import Chunk, FaqStatus
from engine.embedding.fake import HashingEmbedder
from engine.faq.curation import AMBIGUOUS, Curator
from engine.faq.row_rules import fact_cells, row_questions
from engine.faq.types import Candidate, Origin
from engine.faq.units import is_row
from engine.ingest import read_document


def asked(row: str, *headings: str) -> dict[str, str]:
    """The plain questions to a row, without those that name the place that a heading gives."""
    found = {}
    for one in row_questions(row, headings, row):
        found.setdefault(one.column, (one.question, one.answer))
    return dict(found.values())


@pytest.mark.parametrize(
    ("row", "heading", "questions"),
    [
        (
            "Price per month; Basic: 5 EUR; Pro: 19 EUR",
            "Compare our plans",
            {"How much does the Basic plan cost per month?": "5 EUR", "How much does the Pro plan cost per month?": "19 EUR"},
        ),
        (
            "Feature: API access; Basic: no; Pro: yes",
            "Plans",
            {"Does the Basic plan include API access?": "Basic: no", "Does the Pro plan include API access?": "Pro: yes"},
        ),
        (
            "Users; Basic plan: 1; Pro plan: unlimited",
            "Comparison",
            {
                "How many users does the basic plan include?": "Basic plan: 1",
                "How many users does the Pro plan include?": "unlimited",
            },
        ),
        (
            "Support; Basic: e-mail; Pro: e-mail and phone",
            "Plans",
            {
                "What support does the Basic plan include?": "e-mail",
                "What support does the Pro plan include?": "e-mail and phone",
            },
        ),
        (
            "Power (W); K100: 2200; K200: 2400",
            "",
            {"What is the power of the K100 in W?": "K100: 2200", "What is the power of the K200 in W?": "K200: 2400"},
        ),
        (
            "Max. load; Oslo shelf: 20 kg; Bergen shelf: -",
            "Shelves",
            {"What is the maximum load for the Oslo shelf?": "20 kg"},
        ),
        (
            "Parking; Lisbon hotel: 12 EUR per night; Porto hotel: free",
            "Facilities",
            {
                "How much does parking cost at the Lisbon hotel?": "12 EUR per night",
                "How much does parking cost at the Porto hotel?": "free",
            },
        ),
        (
            "Day ticket; Adults: 8 EUR; Children: 4 EUR",
            "Fares",
            {
                "How much does the day ticket cost for adults?": "8 EUR",
                "How much does the day ticket cost for children?": "4 EUR",
            },
        ),
        (
            "Standard; Germany: 4.90 EUR; United Kingdom: 12 EUR",
            "Delivery",
            {
                "How much does Standard delivery to Germany cost?": "4.90 EUR",
                "How much does Standard delivery to the United Kingdom cost?": "12 EUR",
            },
        ),
        (
            "Plus; Monthly: 9 EUR; Yearly: 90 EUR",
            "Subscriptions",
            {
                "How much does the Plus subscription cost per month?": "9 EUR",
                "How much does the Plus subscription cost per year?": "90 EUR",
            },
        ),
        (
            "Standard; Price: 4.90 EUR; Time: 3 days",
            "Delivery",
            {"How much does Standard delivery cost?": "4.90 EUR", "How long does Standard delivery take?": "3 days"},
        ),
    ],
)
def test_comparisons_are_asked_about_column_by_column(row: str, heading: str, questions: dict[str, str]) -> None:
    assert is_row(row)
    assert asked(row, heading) == questions


@pytest.mark.parametrize(
    ("row", "questions"),
    [
        (
            "Hours; Monday: 9:00–17:00; Tuesday to Friday: 9:00–20:00; Sunday: closed",
            {
                "What are the opening hours on Monday?": "9:00–17:00",
                "What are the opening hours from Tuesday to Friday?": "9:00–20:00",
                "What are the opening hours on Sunday?": "closed",
            },
        ),
        (
            "Monday; Main pool: 6:30–21:00; Sauna: closed",
            {
                "What are the opening hours of the main pool on Monday?": "6:30–21:00",
                "What are the opening hours of the sauna on Monday?": "closed",
            },
        ),
        (
            "Lisbon office; Monday: 9:00–17:00; Saturday: closed",
            {
                "What are the opening hours of the Lisbon office on Monday?": "9:00–17:00",
                "What are the opening hours of the Lisbon office on Saturday?": "closed",
            },
        ),
        (
            "Monday; Opens: 9:00; Closes: 17:00",
            {"When do you open on Monday?": "9:00", "When do you close on Monday?": "17:00"},
        ),
    ],
)
def test_timetables_are_asked_about_day_by_day(row: str, questions: dict[str, str]) -> None:
    assert asked(row) == questions


@pytest.mark.parametrize(
    ("row", "headings"),
    [
        ("18:00; Monday: Boxing; Wednesday: Yoga", ("Courses",)),
        ("First bus; Monday: 5:30; Saturday: 6:30", ("Bus routes",)),
        ("Heating; Tenant: no; Landlord: yes", ("Northline transport", "Responsibilities")),
        ("Fat; per 100 g: 5 g; per portion: 10 g", ("Nutrition",)),
        ("Can be cancelled monthly; Basic: yes; Pro: yes", ("Plans",)),
        ("Backups; Basic: daily; Pro: hourly", ("Plans",)),
        ("Checks; Explicit type: props; Gallery types: the id itself", ("Types",)),
        ("Preis; Basis: 5 EUR; Profi: 9 EUR", ("Tarife",)),
        ("Basic: yes; Pro: no", ("Plans",)),
    ],
)
def test_what_cannot_be_told_of_a_column_is_not_asked(row: str, headings: tuple[str, ...]) -> None:
    assert asked(row, *headings) == {}


@pytest.mark.parametrize("label", ["No.", "Nr.", "Pos", "Pos.", "Ref", "Ref.", "#", "ID"])
def test_what_only_tells_rows_apart_is_not_asked(label: str) -> None:
    assert asked(f"Product: Kettle A; {label}: 14; Weight: 2 kg") == {"What is the weight of Kettle A?": "2 kg"}


@pytest.mark.parametrize(
    "text",
    [
        "He came late; the reason: rain.",
        "It is open. Then; Monday: closed; Tuesday: open",
        "We went home; note: it rained; warning: it snowed.",
        "a; b: c",
        "Storage; Basic: 10 GB; more on request; Pro: 1 TB",
    ],
)
def test_prose_with_semicolons_is_no_row(text: str) -> None:
    assert not is_row(text) or asked(text) == {}


@pytest.mark.parametrize(
    ("line", "heading", "question"),
    [
        ("Standard: 4.90", "Delivery costs", "How much does Standard delivery cost?"),
        ("Standard: 4.90", "Delivery costs (EUR)", "How much does Standard delivery cost in EUR?"),
        ("Next day: 15 EUR", "Delivery", "How much does next day delivery cost?"),
        ("Express: 1 working day", "Delivery times", "How long does Express delivery take?"),
        ("Double: 110 EUR", "Room rates", "How much does the Double room cost?"),
        ("Children under 6: free", "Ticket prices", "How much does a ticket for children under 6 cost?"),
        ("Family ticket: 30 EUR", "Prices", "How much does the family ticket cost?"),
        ("Towels: 3 EUR", "Prices", "How much do towels cost?"),
        ("Parking: 12 EUR per night", "Prices", "How much does parking cost?"),
        ("Deposit: 50 EUR", "High season", "How much is the deposit in the high season?"),
        ("Monday: closed", "Opening hours of the reception", "What are the opening hours of the reception on Monday?"),
    ],
)
def test_lists_of_prices_and_times_are_asked_about_with_their_heading(line: str, heading: str, question: str) -> None:
    assert list(asked(line, heading)) == [question]


@pytest.mark.parametrize(
    ("line", "heading"),
    [("Beginners: 120 EUR", "Course fees"), ("Late check-out: 25 EUR", "Prices"), ("cache_tokens: 1024", "Costs")],
)
def test_a_line_whose_label_is_no_clear_thing_is_not_asked(line: str, heading: str) -> None:
    assert asked(line, "Silver Heron", heading) == {}


@pytest.mark.parametrize(
    ("row", "headings", "questions"),
    [
        (
            "Delivery: Standard; Price: {} EUR",
            ("Germany", "Delivery to Austria"),
            ("How much does Standard delivery to Germany cost?", "How much does Standard delivery to Austria cost?"),
        ),
        (
            "Room: Double; Price: {} EUR",
            ("Lisbon hotel", "Porto hotel"),
            (
                "How much does the Double room cost at the Lisbon hotel?",
                "How much does the Double room cost at the Porto hotel?",
            ),
        ),
        (
            "Account: Classic; Monthly fee: {} EUR",
            ("Business customers", "For students"),
            (
                "How much is the monthly fee for the Classic account for business customers?",
                "How much is the monthly fee for the Classic account for students?",
            ),
        ),
        (
            "Room: Double; Price: {} EUR",
            ("High season", "Winter"),
            ("How much does the Double room cost in the high season?", "How much does the Double room cost in winter?"),
        ),
        ("Plan: Basic; Price: {} EUR", ("First offer", "Second offer"), (None, None)),
    ],
)
def test_a_table_below_two_headings_is_asked_about_with_the_place_that_they_name(
    chunk_of: Callable[..., Chunk], row: str, headings: tuple[str, str], questions: tuple[str | None, str | None]
) -> None:
    rows = [row.format(price) for price in (5, 9)]
    chunks = [chunk_of(text, heading, index=at, page=at) for at, (text, heading) in enumerate(zip(rows, headings, strict=True))]
    candidates = [
        Candidate(one.question, one.answer, text, chunk, Origin.RULE, 0.9, f"0 column {one.column}", row=one.fact)
        for text, chunk in zip(rows, chunks, strict=True)
        for one in row_questions(text, chunk.heading_path, text)
    ]
    pairs = Curator(HashingEmbedder(), chunks, dict(enumerate(rows))).curate(candidates)
    shown = [pair.candidate.question if pair.status is FaqStatus.PENDING else None for pair in pairs]
    assert shown == list(questions)
    assert {pair.reason for pair in pairs if pair.status is FaqStatus.REJECTED} <= {AMBIGUOUS}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plans.csv", ",K100,K200\nWeight,1.2 kg,1.3 kg\n"),
        ("plans.md", "| | K100 | K200 |\n|---|---|---|\n| Weight | 1.2 kg | 1.3 kg |\n"),
        ("plans.html", "<table><tr><td><td>Oslo<td>Bergen<tr><td>Weight<td>1.2 kg<td>1.3 kg</table>"),
    ],
)
def test_a_table_whose_first_column_has_no_name_is_read_with_its_other_names(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    [page] = read_document(path).pages
    first, second = ("Oslo", "Bergen") if name.endswith("html") else ("K100", "K200")
    assert page.text == f"Weight; {first}: 1.2 kg; {second}: 1.3 kg"


def test_a_row_that_begins_with_an_empty_cell_names_no_columns_where_the_next_one_does_too(tmp_path: Path) -> None:
    path = tmp_path / "layout.html"
    path.write_text("<table><tr><td><td>Oslo<td>Bergen<tr><td><td>one<td>two</table>")
    assert [page.text for page in read_document(path).pages] == ["Oslo | Bergen\none | two"]


_CELLS = st.sampled_from(
    ("Monday", "Opens", "Basic", "Germany", "Adults", "Monthly", "5 EUR", "yes", "-", "9:00", "closed", "K100", "Lisbon office")
)
_HEADINGS = st.lists(
    st.sampled_from(("Plans", "Germany", "Delivery costs (EUR)", "Opening hours of the shop", "Winter", "", "For adults", "-")),
    max_size=3,
)


@given(_CELLS, st.lists(st.tuples(_CELLS, _CELLS), max_size=4), _HEADINGS)
def test_any_table_gives_whole_questions_whose_facts_are_told(
    first: str, cells: list[tuple[str, str]], headings: list[str]
) -> None:
    row = "; ".join((first, *(f"{label}: {value}" for label, value in cells)))
    told = dict(fact_cells(row, headings))
    for one in row_questions(row, headings, row):
        assert one.answer in row
        assert one.question.endswith("?")
        assert one.question.count("?") == 1
        assert one.fact in told
