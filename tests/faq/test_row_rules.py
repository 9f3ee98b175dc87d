"""Questions to table rows and to lines `label: value`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.faq.row_rules import MAX_QUESTIONS_OF_A_ROW, fact_cells, row_questions

DELIVERY = "Delivery: Standard; Time: 3 to 5 working days; Price: 4.90 euros; Tracking: yes"


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        (
            DELIVERY,
            {
                "How long does Standard delivery take?": "3 to 5 working days",
                "How much does Standard delivery cost?": "4.90 euros",
                "Does Standard delivery include tracking?": "Tracking: yes",
            },
        ),
        (
            "Model: K100; Power (W): 2200; Guarantee: 2 years; Keep-warm function: No",
            {
                "What is the power of the K100?": "Power (W): 2200",
                "How long is the guarantee of the K100?": "2 years",
                "Does the K100 have a keep-warm function?": "Keep-warm function: No",
            },
        ),
        (
            "Plan: Basic; Monthly price: 5 EUR; Users: 3; Projects: unlimited",
            {
                "How much does the Basic plan cost per month?": "5 EUR",
                "How many users does the Basic plan include?": "Users: 3",
                "How many projects does the Basic plan include?": "unlimited",
            },
        ),
        (
            "Country: India; Visa required: Yes; Maximum stay: 30 days; Fee: 80 USD",
            {
                "Is a visa required for India?": "Visa required: Yes",
                "How long is the maximum stay for India?": "30 days",
                "How much is the fee for India?": "80 USD",
            },
        ),
        ("Ticket: Adults; Price: 11 euros", {"How much does a ticket for adults cost?": "11 euros"}),
        ("Room: Family room; Rate: 180 euros", {"How much does the family room cost?": "180 euros"}),
        ("Room: Double; Max. guests: 2", {"What is the maximum number of guests for the Double room?": "Max. guests: 2"}),
        ("Day: Tuesday to Friday; Opening hours: 9 to 5", {"What are the opening hours from Tuesday to Friday?": "9 to 5"}),
        ("Service: Monthly account fee; Fee: 4.50 EUR", {"How much is a monthly account fee?": "4.50 EUR"}),
        ("Material: Car tyres; Accepted: Yes, 4 at most", {"Are car tyres accepted?": "Accepted: Yes, 4 at most"}),
        ("Date: 2025-03-01; Event: Spring market", {"When is the Spring market?": "2025-03-01"}),
        ("SKU: A-100; Product name: Oslo shelf; Colour: white", {"What is the colour of the Oslo shelf?": "white"}),
        ("Ticket: Family; Includes audio guide?: Yes", {"Does the Family ticket include an audio guide?": "Yes"}),
        ("Topic: Power bank; Can I bring it on board?: Yes", {"Can I bring a power bank on board?": "Yes"}),
        ("Room: Twin; Price (summer): 90 EUR", {"How much does the Twin room cost (summer)?": "90 EUR"}),
        ("Part: A1; Colours: red; blue", {"What are the colours of part A1?": "red; blue"}),
        ("Zone: 1; Day ticket: 8 EUR", {"What is the day ticket for zone 1?": "8 EUR"}),
        ("Age: 6 to 12; Price: 5 EUR", {"What is the price for age 6 to 12?": "5 EUR"}),
        ("Code: E1; Meaning: No water", {"What does code E1 mean?": "No water"}),
    ],
)
def test_a_row_is_asked_about_as_customers_ask(row: str, asked: dict[str, str]) -> None:
    assert {found.question: found.answer for found in row_questions(row)} == asked


@pytest.mark.parametrize(
    "row",
    [
        "Delivery: Pick-up; Tracking: -",
        "Country: Chad; Fee: n/a",
        "Departure: 07:30; Arrival: 08:45; Days: daily",
        "Kids and Parents: This Service is not intended for use by children under 13",
        "Produkt: Lampe; Preis: 5 EUR",
        "Step 1: 5 minutes",
        "Policy: Returns; Last updated: 5 May 2024",
        "They are: two exceptions",
        "column 1: a; column 2: 5",
    ],
)
def test_what_is_not_understood_or_says_nothing_is_not_asked(row: str) -> None:
    assert list(row_questions(row)) == []


@pytest.mark.parametrize(
    ("line", "headings", "question"),
    [
        ("Phone: +351 21 000 000", ("Lisbon office", "Contact details"), "What is the phone number of the Lisbon office?"),
        ("Manager: Rita Gomes", ("Lisbon office",), "Who is the manager of the Lisbon office?"),
        ("Opening hours: 9:00 to 17:00", (), "What are your opening hours?"),
        ("Tel.: +351 21 000 000", ("Contact",), "What is your telephone number?"),
        ("Max. weight: 20 kg", ("Aurora bike rack",), "What is the maximum weight of the Aurora bike rack?"),
        ("Min. order value: 10 EUR", ("Aurora shop",), "What is the minimum order value for the Aurora shop?"),
        ("Monday: closed", ("Riverside Library", "Opening hours"), "What are the opening hours on Monday?"),
        ("Property: Weight; Value: 1.2 kg", ("K100 kettle", "Technical data"), "What is the weight of the K100 kettle?"),
    ],
)
def test_a_line_is_asked_about_with_the_heading_that_names_its_subject(
    line: str, headings: tuple[str, ...], question: str
) -> None:
    found, *_ = row_questions(line, headings)
    assert found.question == question
    assert found.answer == line.rpartition(": ")[2]


def test_rows_with_one_subject_are_told_apart_by_their_second_column() -> None:
    rows = ["Country: Germany; Service: Standard; Price: 5 EUR", "Country: Germany; Service: Express; Price: 9 EUR"]
    asked = [found.question for row in rows for found in row_questions(row, context="\n".join(rows))]
    assert asked == ["What is the price for Germany (Standard)?", "What is the price for Germany (Express)?"]


def test_of_a_wide_row_prices_come_first() -> None:
    row = "Model: K100; " + "; ".join(f"Extra part {n}x: {n} kg" for n in range(20)) + "; Price: 5 EUR"
    found = list(row_questions(row))
    assert len(found) == MAX_QUESTIONS_OF_A_ROW
    assert found[-1].question == "How much does the K100 cost?"


_LABELS = (
    "Plan",
    "Model",
    "Price",
    "Price (EUR)",
    "Time",
    "Visa required",
    "Max. guests",
    "Is it new?",
    "No.",
    "Day",
    "Valid for",
    "x",
)
_VALUES = ("Basic", "5 EUR", "yes", "-", "3 days", "09:00", "2024", "Monday", "a; b", "“q” (", "K100", "free", "Tom Fox")


@given(st.lists(st.tuples(st.sampled_from(_LABELS), st.sampled_from(_VALUES)), max_size=6), st.text(max_size=20))
def test_any_table_gives_whole_questions_whose_answers_are_its_spans(cells: list[tuple[str, str]], heading: str) -> None:
    row = "; ".join(f"{label}: {value}" for label, value in cells)
    for found in row_questions(row, (heading,), row):
        assert found.answer in row
        assert found.question.endswith("?")
        assert found.question.count("?") == 1
        assert found.fact in dict(fact_cells(row, (heading,)))


@given(st.text(alphabet=st.sampled_from('aBs: ;1.?()-"\n'), max_size=80), st.text(max_size=30))
def test_odd_rows_raise_nothing(row: str, heading: str) -> None:
    assert all(found.answer in row for found in row_questions(row, (heading,), heading))
    assert all(value in row for _, value in fact_cells(row, (heading,)))


@pytest.mark.parametrize(
    "row", ["Plan: Basic; ?: yes; Price: 5 EUR", "Plan: Basic; ??: 5; Price: 5 EUR", "Price of 5; ", "Price 5; ."]
)
def test_columns_without_a_proper_name_raise_nothing(row: str) -> None:
    asked = {found.answer for found in row_questions(row, ("Shop",), row)}
    assert asked == ({"5 EUR"} if "EUR" in row else set())


@pytest.mark.parametrize("value", ["1." * 10_000, "1 " * 10_000 + "x", "1," * 10_000 + "EUR"])
def test_long_rows_of_figures_take_no_quadratic_time(value: str) -> None:
    row = f"Plan: Basic; Price: {value}"
    assert all(found.answer in row for found in row_questions(row, ("Prices",), row))
    assert {found for _, found in fact_cells(row)} == {value.strip(" .")}
