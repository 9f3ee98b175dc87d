"""Questions as people type them in a hurry: little words left out, parts in another order, other words for the same.

A small model that has learnt a question word for word answers that question alone. Where it sees the same question in many
rough forms, it learns which words matter. The forms need not be good English, but they must ask the same. So numbers, names,
negations and words like "before" or "without" always stay, and other words come from a list that was written by hand alone
(`synonyms`), or are a word's plural or singular. Whether a form is near enough to its question is for the caller to ask an
encoder, and `same_words` shows whether it could be another question cut short.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from engine.knowledge.terms import content_stems, stem, words
from engine.training.datasets.rewording import LONGEST
from engine.training.datasets.synonyms import (
    ASKING,
    BEFORE_VERBS,
    LITTLE,
    NOT_AFTER_VERBS,
    VERBS,
    WORDS,
    is_fixed,
)
from engine.training.datasets.ways_to_ask import AMOUNT, BY_ANSWER, COUNTED, FORMS

KnowsWord = Callable[[str], bool]
"""Whether there is such an English word."""

_TOKEN = re.compile(r"[^\W_](?:[\w'’.,:@/&+-]*[^\W_])?%?|[€$£%]")
"""A word, a number or an address, without the signs after it."""
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
_REPLACED, _INFLECTED, _KEPT_LITTLE, _LEFT_OUT, _OTHER_FORM, _SHUFFLED, _WITH_SIGNS = 0.5, 0.15, 0.3, 0.5, 0.5, 0.5, 0.5
"""Shares: of words that are replaced where another is known, of others that take another form, of little words that a query
keeps, of long queries that lack a word, of questions that are asked in another way, of queries in another order, of what is
written with the signs of a question."""
_MANY_WORDS = 4
"""Words with content of which one may be missing."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Words that stay together. `is_fixed` ones stay as they are."""

    words: tuple[str, ...]
    is_fixed: bool = False

    @property
    def is_little(self) -> bool:
        return self.words[0].lower() in LITTLE

    @property
    def is_asking(self) -> bool:
        return self.words[0] in ASKING


def query_wordings(
    question: str, answer: str, tries: int, seed: int = 0, knows: KnowsWord = lambda word: False
) -> Iterator[str]:
    """Rough forms of an English question, each once and of each seed the same ones; of what is no question of one line none.

    Args:
        question: what is asked.
        answer: shows what a question that begins with "When" asks for. What is left out of a question, the answer says.
        tries: how many are made; fewer come, since some are alike.
        seed: other forms for another one.
        knows: the words that may stand for others as their plural or singular; none: only the list's.
    """
    asked = " ".join(question.split())
    if len(asked) > LONGEST or "\n" in question.strip() or not asked.endswith("?"):
        return
    rng = random.Random(f"{seed}/{asked}")  # noqa: S311  # a choice, not a secret
    made = dict.fromkeys(_rough(asked, answer, rng, knows, is_query=number % 2 == 0) for number in range(tries))
    yield from (text for text in made if not LITTLE.issuperset(words(text)))


def _rough(asked: str, answer: str, rng: random.Random, knows: KnowsWord, *, is_query: bool) -> str:
    worded = _text(_replaced(_parts(asked), rng, knows))
    parts = _parts(_asked_in_another_way(worded, answer, rng))
    text = _text(_as_query(_shorter(parts, content_stems(answer), rng), rng) if is_query else parts)
    return f"{text[:1].upper()}{text[1:]}?" if rng.random() < _WITH_SIGNS else text


def same_words(question: str) -> frozenset[str]:
    """What a question asks of what, in any order: words that `synonyms` has for the same are the same here.

    A form whose words are all in another question could be that one, cut short.
    """
    little = LITTLE | {"what", "which", "how", "much", "many"}
    return frozenset(_one_for_all().get(word, stem(word)) for word in words(question) if word not in little)


def inflections(word: str) -> list[str]:
    """The plural or singular that a regular English word in lower case may have: "frame" frames, "fees" fee."""
    if len(word) < 4 or word.endswith("ss"):
        return []
    if word.endswith("ies"):
        return [f"{word[:-3]}y"]
    if word.endswith("s"):
        return [word[:-1], *([word[:-2]] if word.endswith("es") else [])]
    if word.endswith("y") and word[-2] not in "aeiou":
        return [f"{word[:-1]}ies"]
    return [f"{word}{'es' if word.endswith(('x', 'ch', 'sh')) else 's'}"]


def _asked_in_another_way(question: str, answer: str, rng: random.Random) -> str:
    if rng.random() >= _OTHER_FORM:
        return question
    ways = [(pattern, others) for pattern, others in FORMS if pattern.search(question)]
    ways += [(asked, others) for asked, given, others in BY_ANSWER if asked.search(question) and given.search(answer)]
    units = set(COUNTED.findall(answer))
    if len(units) == 1 and AMOUNT.search(question):
        ways.append((AMOUNT, (f"how many {units.pop()}",)))
    if not ways:
        return question
    pattern, others = rng.choice(ways)
    other = rng.choice(others)
    return pattern.sub(lambda _: other, question, count=1)


def _parts(question: str) -> list[_Part]:
    """A question's words; a name or a number with what belongs to it is one part, and "how" with the word after it."""
    parts: list[_Part] = []
    for place, token in enumerate(_TOKEN.findall(question)):
        lower = token.lower()
        word = lower if place == 0 and (lower in ASKING or lower in LITTLE) else token
        if parts and _belongs_to(parts[-1], word):
            parts[-1] = _Part((*parts[-1].words, word), is_fixed=True)
        else:
            parts.append(_Part((word,), is_fixed=is_fixed(lower) or not (_WORD.fullmatch(word) or word == "I")))
    return parts


def _belongs_to(previous: _Part, word: str) -> bool:
    """Words of a name stay together, a number with what is counted, "not" and "from" with what they are about."""
    last = previous.words[-1]
    if word.lower() in LITTLE or word in ASKING:
        return False
    if last == "how":
        return True
    is_name = not _WORD.fullmatch(last) and not last[:1].isdigit()
    return previous.is_fixed and previous.words[0] != "how" and (not is_name or not _WORD.fullmatch(word))


def _is_plain(part: _Part) -> bool:
    return not (part.is_fixed or part.is_little or part.is_asking)


def _replaced(parts: Sequence[_Part], rng: random.Random, knows: KnowsWord) -> list[_Part]:
    """The parts, some words replaced by others that mean the same."""
    found: list[_Part] = []
    place = 0
    while place < len(parts):
        pair = " ".join(part.words[0] for part in parts[place : place + 2])
        if pair in WORDS and _is_plain(parts[place]):
            found.append(_Part((rng.choice((pair, *WORDS[pair])),)))
            place += 2
        else:
            found.append(_other(parts, place, rng, knows))
            place += 1
    return found


def _other(parts: Sequence[_Part], place: int, rng: random.Random, knows: KnowsWord) -> _Part:
    """One part, maybe replaced."""
    part, word = parts[place], parts[place].words[0]
    before = parts[place - 1].words[-1].lower() if place else ""
    after = parts[place + 1] if place + 1 < len(parts) else None
    if not _is_plain(part):
        return part
    if before in BEFORE_VERBS and word in VERBS:
        others: Sequence[str] = () if after and after.words[0].lower() in NOT_AFTER_VERBS else VERBS[word]
    else:
        others = WORDS.get(word, ())
    if others:
        return _Part((rng.choice(others),)) if rng.random() < _REPLACED else part
    if before in BEFORE_VERBS or (after and _is_plain(after)) or rng.random() >= _INFLECTED:
        return part  # a verb, or the first of several words for one thing
    forms = [form for form in inflections(word) if knows(form)]
    return _Part((rng.choice(forms),)) if forms else part


def _shorter(parts: Sequence[_Part], said: set[str], rng: random.Random) -> list[_Part]:
    """Maybe without a word that the answer says as well: it tells what it is about, whatever was left out of the question."""
    heavy = sum(not part.is_little and not part.is_asking for part in parts)
    loose = [
        at
        for at, part in enumerate(parts)
        if _is_plain(part) and content_stems(part.words[0]) <= said and not (at and parts[at - 1].is_asking)
    ]
    if heavy < _MANY_WORDS or not loose or rng.random() >= _LEFT_OUT:
        return list(parts)
    gone = rng.choice(loose)
    return [part for at, part in enumerate(parts) if at != gone]


def _as_query(parts: Sequence[_Part], rng: random.Random) -> list[_Part]:
    """Without most little words; or without all of them and in another order, where no word says what comes with what."""
    if rng.random() >= _SHUFFLED or any(is_fixed(part.words[0].lower()) for part in parts):
        return [part for part in parts if not part.is_little or rng.random() < _KEPT_LITTLE]
    kept = [part for part in parts if not part.is_little]
    return rng.sample(kept, len(kept))


def _text(parts: Sequence[_Part]) -> str:
    return " ".join(word for part in parts for word in part.words)


@cache
def _one_for_all() -> dict[str, str]:
    """For each single word of the lists one that stands for all that mean the same."""
    chosen: dict[str, str] = {}
    for word, others in (*WORDS.items(), *VERBS.items()):
        group = {one for one in (word, *others) if " " not in one}
        known = {chosen[one] for one in group if one in chosen}
        first = min(known | {stem(word)})
        chosen.update(dict.fromkeys(group, first))
        for one, at in chosen.items():
            if at in known:
                chosen[one] = first
    return chosen
