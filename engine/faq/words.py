"""Words: splitting, content words, numbers. Shared by the rules, the prompts and the checks."""

from __future__ import annotations

import re

from engine.knowledge.figures import numbers
from engine.knowledge.unit_words import MULTIPLIERS, NUMBER_WORDS

__all__ = ["SPELLED_NUMBERS", "STOP_WORDS", "content_stems", "names", "numbers", "stem", "word_set", "words"]


def word_set(text: str) -> frozenset[str]:
    """The words of a text that lists them with spaces between."""
    return frozenset(text.split())


_WORD = re.compile(r"\w+(?:[.,:'’/-]\w+)*")
SPELLED_NUMBERS = frozenset({*NUMBER_WORDS, *MULTIPLIERS} - {"zero", "one"})
"""Words that are numbers."""
STOP_WORDS = word_set(
    "a about after all am an and any are as at be because been before being between both but by can could did do "
    "does doing done during each few for from had has have having he her here him his how i if in into is it its "
    "itself just many may me might more most much must my no nor not of off often on once one only or other our out "
    "over own same shall she should so some soon such than that the their them then there these they this those "
    "through time to too under until up upon use used very was we were what when where whether which while who whom "
    "whose why will with within would you your"
)
"""Words that say nothing of a text's subject."""


def words(text: str) -> list[str]:
    """The words of a text as they stand, numbers and hyphenated words in one piece."""
    return _WORD.findall(text)


def stem(word: str) -> str:
    """A crude stem in lower case, good enough to see that "returns" and "returned" are one word."""
    word = word.lower().removesuffix("'s").removesuffix("’s")
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "ers", "er", "es", "ed", "ly", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def content_stems(text: str) -> set[str]:
    """Stems of the words that carry meaning."""
    return {stem(word) for word in words(text) if word.lower() not in STOP_WORDS}


def names(text: str) -> set[str]:
    """Words that are capitalised or have capitals or digits inside, but for the first word of the text."""
    return {word for word in words(text)[1:] if word != "I" and (word[0].isupper() or any(c.isupper() for c in word[1:]))}
