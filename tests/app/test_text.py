"""Short forms of numbers and times, and Markdown that shows exactly a text."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.components.text import ago, counted, duration, plain, sentence, shortened, size
from engine.domain import utc_now


@given(st.text())
def test_plain_escapes_every_sign_that_markdown_knows(text: str) -> None:
    shown = plain(text)
    unescaped = re.sub(r"\\[!-/:-@\[-`{-~]", "", shown)
    assert not re.search(r"[!-/:-@\[-`{-~]", unescaped)
    assert "\n" not in shown


@given(st.text())
def test_plain_changes_nothing_that_is_seen(text: str) -> None:
    seen = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", plain(text)).replace("\u2060", "")
    assert seen == " ".join(text.split()).replace("\u2060", "")


@pytest.mark.parametrize("address", ["http://evil.example/a", "https://evil.example", "www.evil.example", "a@evil.example"])
def test_plain_breaks_what_would_become_a_link(address: str) -> None:
    seen = plain(address).replace("\\", "")
    assert not re.search(r"://|www\.|\w@", seen, re.IGNORECASE)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (12.3, "12 s"), (60, "1 min"), (185, "3 min 5 s"), (3720, "1 h 2 min")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (98_400_000, "98.4 MB"), (2e12, "2.0 TB")]
)
def test_size(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=1, hours=2), "1 day ago"),
    ],
)
def test_ago(before: timedelta, text: str) -> None:
    assert ago(utc_now() - before) == text


def test_ago_is_a_date_after_a_week() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", ago(utc_now() - timedelta(days=30)))


def test_counted_shortened_and_sentence() -> None:
    assert counted(1, "page") == "1 page"
    assert counted(1200, "page") == "1,200 pages"
    assert shortened("one  two\nthree", 9) == "one two…"
    assert sentence("the disk is full") == "The disk is full"
    assert sentence("scan.pdf is encrypted") == "scan.pdf is encrypted"
