"""Ways to ask an English question, and others that ask the same, some of them only where the answer shows it."""

from __future__ import annotations

import re

from engine.training.datasets.synonyms import NUMBERS

FORMS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(rf"\b{pattern}\b", re.IGNORECASE), others)
    for pattern, others in (
        (r"how often", ("how frequently",)),
        (r"how many(?! times)", ("what number of",)),
        (r"how old", ("what age", "at what age")),
        (r"(?:at|from) what age", ("how old",)),
        (r"how heavy", ("what weight",)),
        (r"how (?:big|large)", ("what size",)),
        (r"how deep", ("what depth",)),
        (r"how wide", ("what width",)),
        (r"how (?:warm|hot|cold)", ("what temperature",)),
        (r"at what time", ("when", "what time")),
        (r"in (?:what|which) year", ("when", "what year")),
        (r"on (?:what|which) day", ("when", "what day")),
        (r"in (?:what|which) month", ("when",)),
        (r"what kind of", ("what type of", "which type of")),
        (r"is it possible to", ("can I",)),
        (r"am I allowed to", ("may I", "can I")),
        (r"do I have to", ("must I", "do I need to")),
        (r"how do I", ("how can I", "how to")),
        (r"how can I", ("how do I", "how to")),
        (r"where is", ("in which place is", "what is the location of")),
        (r"made of", ("made from", "built of")),
        (r"made from", ("made of",)),
        (r"in charge of", ("responsible for",)),
        (r"responsible for", ("in charge of",)),
        (r"which", ("what",)),
    )
)
"""Ways to ask, and others that ask the same."""

_DAY = r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b"
_CLOCK = r"\b\d{1,2}(?::\d\d|\s*[ap]\.?m\b)"

BY_ANSWER: tuple[tuple[re.Pattern[str], re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(rf"^{asked}\b", re.IGNORECASE), re.compile(answered, re.IGNORECASE), others)
    for asked, answered, others in (
        (r"when", r"\b(?:1[5-9]|20)\d\d\b", ("in what year", "what year", "which year")),
        (rf"when(?!.*{_DAY})", rf"^(?!.*{_CLOCK}).*{_DAY}", ("on which day", "on what day")),
        (r"when", rf"^(?!.*{_DAY}).*{_CLOCK}", ("at what time", "what time")),
        (rf"when(?=.*{_DAY})", _CLOCK, ("at what time", "what time")),
        (r"how long", r"\b(?:second|minute|hour|day|week|month|year)s?\b", ("how much time", "for how long")),
        (r"how far", r"\b(?:kilomet|met|mile)", ("what distance",)),
        (r"how fast", r"\b(?:kilomet|miles?|knots?)\b.*\b(?:hour|second)\b", ("at what speed",)),
        (r"who", r"", ("which person",)),
    )
)
"""Beginnings of questions that mean something narrower where the answer shows what: a year, a day, a span of time."""

AMOUNT = re.compile(r"^(?:for )?how (?:long|far|heavy|deep|wide|tall|high|much time|old)\b", re.IGNORECASE)
"""Beginnings of questions for a number of what the answer counts: "how long" with "45 days" is "how many days"."""
COUNTED = re.compile(
    rf"(?<![\w.,])(?:\d[\d.,]*|{'|'.join(sorted(NUMBERS - {'once', 'twice', 'single', 'double'}))}) ([a-z]+s)\b"
)
"""What is counted, in an answer."""
