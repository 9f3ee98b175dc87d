"""Numbers, dates, times and units: what counts as the same, and what a text does not hold."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.knowledge.figures import numbers, unsupported


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,000 and 1000 and 1.000 and 1'000", {"1000"}),
        ("1,234.50 or 1.234,5", {"1234.5"}),
        ("12,5 % or 12.5 %", {"12.5"}),
        ("2.00 and 2", {"2"}),
        ("0.125", {"0.125"}),
        ("from 9:00 to 17:30", {"9:00", "17:30"}),
        ("release 1.2.3 at 192.168.0.1", {"1.2.3", "192.168.0.1"}),
        ("pages 1,2,3", {"1", "2", "3"}),
        ("five, twenty-five, two hundred and six", {"5", "25", "206"}),
        ("two or three; five six", {"2", "3", "5", "6"}),
        ("5 million and a hundred", {"5000000", "100"}),
        ("1.5 million", {"1500000"}),
        ("which one do you mean?", set()),
        ("one year", {"1"}),
        ("05 and 030", {"5", "030"}),
        ("٣ days", {"3"}),
        ("an area in m²", set()),
        ("no figures", set()),
    ],
)
def test_numbers_have_one_form(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


@pytest.mark.parametrize(
    ("answer", "quote"),
    [
        ("5 kg", "It weighs 5 kilograms."),
        ("5kg", "It weighs five kg."),
        ("5 kg", "Weight (kg): 5"),
        ("5 kg", "between 5 and 10 kg"),
        ("5 pounds", "It weighs 5 lb."),
        ("5 pounds", "It costs £5."),
        ("$5", "It costs 5 dollars."),
        ("EUR 5", "It costs 5.00 €."),
        ("5 %", "five per cent"),
        ("May 3", "It opens on 3 May 2024."),
        ("3 May", "from May 3rd, 2024"),
        ("3rd of May 2024", "03/05/2024"),
        ("2024-05-03", "3 May 2024"),
        ("3.5.2024", "on May 3, 2024"),
        ("May 2024", "on 3 May 2024"),
        ("3 May", "on 3 and 5 May"),
        ("3. Mai", "am 3. Mai 2024"),
        ("1000 items", "up to 1,000 items"),
        ("10000 people", "10 000 people"),
        ("10 000 people", "10,000 people"),
        ("at 9 am", "from 9:00 on"),
        ("at 9 a.m.", "from 9 to 5"),
        ("until 17:00", "until 5 p.m."),
        ("One of them takes 1 year.", "It takes one year."),
        ("14 days", "14 consecutive days"),
        ("a 30-day period", "within 30 days"),
        ("minus", "at −5 °C"),
        ("-5 degrees Celsius", "at −5 °C"),
        ("200 people", "On May 3 200 people came."),
        ("25", "twenty-five"),
        ("03/05", "03/05/2024"),
        ("in 2024", "on 3 May 2024"),
    ],
)
def test_the_same_in_another_form_is_supported(answer: str, quote: str) -> None:
    assert unsupported(answer, quote) == []


@pytest.mark.parametrize(
    ("answer", "quote", "missing"),
    [
        ("It weighs 5 kg.", "It weighs 5 lb.", ["5 kg"]),
        ("5 kg", "5 lb (2.3 kg)", ["5 kg"]),
        ("45 weeks", "for 45 days", ["45 weeks"]),
        ("5 days", "within 5 working days", ["5 days"]),
        ("$5", "5 €", ["$5"]),
        ("5 m²", "5 m", ["5 m²"]),
        ("60 days", "45 days", ["60 days"]),
        ("3 June", "3 May", ["3 June"]),
        ("June 2024", "3 May 2024", ["June 2024"]),
        ("3 May 2025", "3 May 2024", ["3 May 2025"]),
        ("4 May", "3 May 2024", ["4 May"]),
        ("9 pm", "from 9 am on", ["9 pm"]),
        ("18:00", "17:00", ["18:00"]),
        ("5 °C", "-5 °C", ["5 °C"]),
        ("one year", "two years", ["one year"]),
        ("45", "145", ["45"]),
        ("5", "5 million", ["5"]),
        ("5 days or 7 days", "5 days", ["7 days"]),
        ("0 rooms", "It opened on 3 May.", ["0"]),
        ("5 rooms", "It opened on 3 May 2024.", ["5"]),
    ],
)
def test_what_the_quote_does_not_hold_is_named_as_it_is_written(answer: str, quote: str, missing: list[str]) -> None:
    assert unsupported(answer, quote) == missing


@pytest.mark.parametrize(
    ("answer", "quote"),
    [
        ("1.5 kg", "It weighs 1500 g."),
        ("1500 grams", "one and a half, that is 1.5 kg"),
        ("1.5 kg", "Weight (g): 1500"),
        ("2200 W", "Power (W): 2200"),
        ("2.2 kW", "Power (W): 2200"),
        ("150 cm", "It is 1.5 m long."),
        ("1 foot", "12 inches"),
        ("33 cl", "a can of 330 ml"),
        ("0.5 l", "5 dl"),
        ("90 minutes", "It takes 1.5 hours."),
        ("2 weeks", "within 14 days"),
        ("5 GHz", "at 5000 MHz"),
        ("0.5 kWh", "a battery of 500 Wh"),
        ("1,500 mAh", "1.5 Ah"),
        ("1 hectare", "10,000 m²"),
        ("2 hours", "It takes 2–3 hours."),
        ("120 minutes", "It takes 2 to 3 hours."),
        ("300 mm", "30 x 20 x 10 cm"),
        ("$5", "$5–10 a month"),
        ("10 dollars", "$5–10 a month"),
        ("2 or 3 hours", "2 hours at 20 °C, 3 hours at 10 °C"),
        ("100 megabits per second", "up to 100 Mbit/s"),
        ("5 µm", "a filter of 5 μm"),
        ("-5 °C", "from -5 to 3 °C"),
    ],
)
def test_a_unit_may_be_converted_where_that_is_exact(answer: str, quote: str) -> None:
    assert unsupported(answer, quote) == []


@pytest.mark.parametrize(
    ("answer", "quote", "missing"),
    [
        ("5 GHz", "at 5 MHz", ["5 GHz"]),
        ("33 cl", "33 ml", ["33 cl"]),
        ("5 dl", "5 cl", ["5 dl"]),
        ("500 Wh", "500 W", ["500 Wh"]),
        ("500 Wh", "500 kWh", ["500 Wh"]),
        ("5 MW", "5 mW", ["5 MW"]),
        ("5 m/s", "5 m", ["5 m/s"]),
        ("100 Mbit/s", "100 MB", ["100 Mbit/s"]),
        ("1.6 kg", "1500 g", ["1.6 kg"]),
        ("1 day", "24 hours", ["1 day"]),
        ("30 days", "1 month", ["30 days"]),
        ("1000 kg", "1 ton", ["1000 kg"]),
        ("1000 MB", "1 GB", ["1000 MB"]),
        ("100 cents", "1 euro", ["100 cents"]),
        ("16 oz", "1 lb", ["16 oz"]),
        ("2 days", "It takes 2–3 hours, or 5 days.", ["2 days"]),
        ("2 days", "It takes between 2 and 3 hours, or 5 days.", ["2 days"]),
        ("2–3 hours", "2 days and 3 hours", ["2"]),
        ("$10", "$5–20", ["$10"]),
        ("5 °C", "from -5 to 3 °C", ["5 °C"]),
        ("5 kg", "€5–10 for up to 20 kg", ["5 kg"]),
    ],
)
def test_another_unit_is_not_supported_where_it_is_no_exact_conversion(answer: str, quote: str, missing: list[str]) -> None:
    assert unsupported(answer, quote) == missing


@given(
    st.decimals(0, 10**6, places=2), st.sampled_from(["mm cm", "g kg", "ml l", "kHz GHz", "W kW", "Wh kWh", "minutes hours"])
)
def test_a_converted_amount_is_supported_and_no_other(amount: Decimal, units: str) -> None:
    small, large = units.split()
    factor = {"mm": 10, "g": 1000, "ml": 1000, "kHz": 10**6, "W": 1000, "Wh": 1000, "minutes": 60}[small]
    assert unsupported(f"{amount * factor:f} {small}", f"{amount:f} {large}") == []
    assert unsupported(f"{amount * factor + 1:f} {small}", f"{amount:f} {large}") != []


@pytest.mark.parametrize(("answer", "missing"), [("18 Uhr", []), ("18 h 30", []), ("18 €", ["18 €"]), ("30 kg", ["30 kg"])])
def test_a_time_of_day_proves_no_amount_in_another_language(answer: str, missing: list[str]) -> None:
    assert unsupported(answer, "Open until 6:30 p.m.", across=True) == missing


def test_long_numbers_are_compared_without_computing() -> None:
    digits = "9" * 50_000
    assert unsupported(f"{digits} kg", f"{digits}000 g") == [f"{digits} kg"]
    assert unsupported(f"{digits} kg", f"{digits} kg") == []
    assert unsupported(f"0.{digits} kg", f"0.{digits} kg or 5 g") == []


WORDS = "1 1,000 1.5 12 2024 kg lb days May June 3 03/05/2024 9:00 am pm $ € % one twenty five hundred million and - . : 5kg °C"
PIECES = st.sampled_from(WORDS.split())


@given(st.lists(PIECES | st.text(max_size=4), max_size=12).map(" ".join))
def test_a_text_supports_itself_and_nothing_ends_in_an_error(text: str) -> None:
    assert unsupported(text, text) == []


@given(st.lists(PIECES, max_size=8).map(" ".join), st.lists(PIECES, max_size=8).map(" ".join))
def test_more_proof_never_supports_less_of_a_plain_number(answer: str, quote: str) -> None:
    assert set(unsupported(answer, f"{answer}; {quote}")) == set()


@given(st.integers(0, 10**12))
def test_thousands_may_be_grouped_in_any_way(value: int) -> None:
    forms = [f"{value:,}", f"{value:,}".replace(",", "."), f"{value:,}".replace(",", "\u202f"), f"{value:,}".replace(",", "’")]
    assert {frozenset(numbers(form)) for form in forms} == {frozenset({str(value)})}


def test_endless_words_and_digits_are_no_error() -> None:
    assert numbers("hundred " * 5000) == {"100"}
    assert numbers("two million " * 5000) <= {"2000000", str(2000000 * 5000)}
    assert len(next(iter(numbers("1" * 50_000)))) == 50_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5 thouſand", {"5000"}), ("5 mıllion", {"5000000"}), ("5 mİllion", {"5000000"}), ("ſix or fıve", {"6", "5"})],
)
def test_letters_that_are_the_same_but_for_case_are_read_as_such(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


def test_months_may_have_a_long_s_or_a_dotless_i() -> None:
    assert unsupported("3 August 1780 and 5 April", "3 Auguſt 1780, 5 aprıl") == []
    assert unsupported("3 Auguſt 1780", "4 August 1780") == ["3 August 1780"]


LETTERS = {"s": "sSſ", "i": "iIıİ", "k": "kK\u212a", "a": "aA", "å": "åÅ\u212b"}
WORDS_OF_FIGURES = "August april six million thousand degrees kilos miles inches Kilograms billion pm 3 5 1780 of . ,"


@given(st.data())
def test_no_letter_that_stands_for_another_ends_in_an_error(data: st.DataObject) -> None:
    words = " ".join(data.draw(st.lists(st.sampled_from(WORDS_OF_FIGURES.split()), max_size=8)))
    text = "".join(data.draw(st.sampled_from(LETTERS.get(letter.lower(), letter))) for letter in words)
    assert unsupported(text, text) == []
    assert numbers(text) == numbers(words)
