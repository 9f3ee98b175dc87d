"""CSV files: nothing in them runs, and nothing in them is lost."""

import csv
import io
from enum import StrEnum

import pytest

from engine.csv_export import leads_to_csv, to_csv
from engine.domain import Lead, utc_now


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋"])
@pytest.mark.parametrize("rest", ['HYPERLINK("http://evil")', "1+cmd|' /C calc'!A0", "SUM(A1)"])
def test_a_value_that_would_run_gets_an_apostrophe(begin: str, rest: str) -> None:
    assert read(to_csv(["name"], [[begin + rest]])) == [["name"], ["'" + begin + rest]]
    assert read(to_csv([begin + rest], [])) == [["'" + begin + rest]]


@pytest.mark.parametrize("value", ["+44 20 7946 0958", "+1 (555) 010-9999", "-5", "Ada, Lady", 'say "x"', "1=1", "a\nb"])
def test_any_other_value_is_left_as_it_is(value: str) -> None:
    assert read(to_csv(["name"], [[value]])) == [["name"], [value]]


def test_numbers_stay_numbers_and_nothing_is_an_empty_cell() -> None:
    class State(StrEnum):
        DONE = "done"

    assert to_csv(["a", "b", "c"], [[-0.5, None, State.DONE]]) == "a,b,c\r\n-0.5,,done\r\n"


def test_leads_have_a_column_for_every_field() -> None:
    now = utc_now()
    leads = [
        Lead("l1", "a1", "c1", {"name": "=HYPERLINK(1)"}, now, now),
        Lead("l2", "a2", "c2", {"phone": "+44 20 7946"}, now, now),
    ]
    assert read(leads_to_csv(leads, {"a1": "@Desk"})) == [
        ["agent", "conversation", "name", "phone", "created_at", "updated_at"],
        ["'@Desk", "c1", "'=HYPERLINK(1)", "", now.isoformat(), now.isoformat()],
        ["", "c2", "", "+44 20 7946", now.isoformat(), now.isoformat()],
    ]
