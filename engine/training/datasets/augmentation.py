"""More examples from those that there are: questions in other words, questions in a conversation, questions without an answer.

Everything is chosen by hashes, so that the same data give the same examples on every machine. Whatever is made stays in the
group of what it was made from.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.domain import Message
from engine.embedding.base import Embedder
from engine.knowledge.terms import words
from engine.training.datasets.examples import TrainingExample
from engine.training.datasets.query_wordings import KnowsWord, query_wordings, same_words
from engine.training.datasets.rewording import rewordings

LEAST_NEAR = 0.75
"""Cosine (MiniLM) with its own question that what a rule made must have at least. What people and the extraction worded was
compared when it was put aside."""

FAR = 0.25
"""Cosine (MiniLM) below which a text has nothing to do with a question. Measured on the four sample documents: of 60 general
questions nine in ten stay below 0.2 and none is above 0.31; of ten that guests and customers ask none is below 0.29."""

LEAST_NEAR_QUERY, MARGIN = 0.6, 0.05
"""Cosine (MiniLM) with its own question that a rough form of it must have at least, and how much nearer it must be to that than
to every other question."""

_TRIES, _MOST_TRIED = 4, 8_000
"""Rough forms that are made for each one that is wanted, since some are alike and some too far from their question; and of all
questions together at most, but for as many as are wanted: the encoder takes a second for some hundreds."""

_LOOK_BACK = 9


@dataclass(frozen=True, slots=True)
class Fact:
    """An example to make others of: where it comes from, and other questions that it answers, as people worded them.

    `document` is empty where that is not known. `is_english` allows rules to reword the question.
    """

    example: TrainingExample
    document: str = ""
    wordings: tuple[str, ...] = ()
    is_english: bool = False


def reworded(
    facts: Sequence[Fact], most: int, embedder: Embedder, measured: float = 0.0, others: Sequence[str] = ()
) -> list[TrainingExample]:
    """Up to `most` other wordings of each fact that is no conversation.

    First those that were there, then forms by rules, then rough ones as people type them into a search box. None is what
    another question asks, could be another question cut short, or is nearer to that by embedding than to its own question.

    Args:
        facts: what is learnt.
        most: wordings of one fact.
        embedder: compares them with all questions.
        measured: for this share of the facts one wording more, which is held out: whether a question that nobody has taught is
            understood shows how far the training is.
        others: questions that are not learnt, such as those that are held out.

    Raises:
        EmbeddingError: the encoder failed.
    """
    if most <= 0:
        return []
    by_fact = _sound_wordings(facts, most + 1, embedder, others)
    drawn = sorted(by_fact, key=lambda index: _draw("measured", facts[index].example.question))
    is_measured = set(drawn[: round(measured * len(facts))])
    found: list[TrainingExample] = []
    for index, made in by_fact.items():
        first = [replace(made[0], held_out=True), *made[1:]] if index in is_measured else made[:most]
        found += first
    return found


def follow_ups(facts: Sequence[Fact], share: float) -> list[TrainingExample]:
    """A share of the facts, each asked after another one of its document, so that the model answers in a conversation too.

    Where a document has but one fact, nothing is made of it.
    """
    by_document: dict[str, list[TrainingExample]] = defaultdict(list)
    for fact in facts:
        if _is_single(fact.example):
            by_document[fact.document].append(fact.example)
    found: list[TrainingExample] = []
    for examples in by_document.values():
        ring = sorted(examples, key=lambda example: _draw("order", example.question))
        for place, example in enumerate(ring):
            previous = _previous(example, [ring[place - step] for step in range(1, min(len(ring), _LOOK_BACK))])
            if previous is not None and _draw("follow-up", example.question) < share:
                found.append(_after(example, previous))
    return found


def unanswerable(
    candidates: Sequence[str], count: int, answer: str, nearness: Callable[[Sequence[str]], Sequence[float]]
) -> list[TrainingExample]:
    """Questions that the material has no answer to, with the answer that says so.

    Args:
        candidates: questions about other things.
        count: how many are wanted; fewer where the material is too near to the rest.
        answer: what the model is to say.
        nearness: for each question its cosine with what is nearest to it in the material. From `FAR` on it is left out: what
            may have an answer must not be taught to have none.
    """
    drawn = sorted(dict.fromkeys(candidates), key=lambda question: _draw("unanswerable", question))
    looked_at = drawn[: 4 * count]
    near = nearness(looked_at) if looked_at else ()
    far = [question for question, cosine in zip(looked_at, near, strict=True) if cosine < FAR]
    return [
        replace(TrainingExample.from_pair(question, answer, f"unanswerable {_plain(question)}"), kind="unanswerable")
        for question in far[:count]
    ]


def nearness_to(texts: Sequence[str], embedder: Embedder) -> Callable[[Sequence[str]], list[float]]:
    """For `unanswerable`: the greatest cosine of a question with some texts."""
    vectors = embedder.embed(texts)

    def nearness(questions: Sequence[str]) -> list[float]:
        return [float(row.max(initial=-1.0)) for row in embedder.embed(questions) @ vectors.T]

    return nearness


@dataclass(frozen=True, slots=True)
class _Made:
    """A wording of a question of the fact with this index, and their cosine."""

    index: int
    asked: str
    example: TrainingExample
    near: float = 1.0


def _sound_wordings(
    facts: Sequence[Fact], most: int, embedder: Embedder, others: Sequence[str]
) -> dict[int, list[TrainingExample]]:
    """Wordings of each fact by its index, as far as it has any."""
    questions = [*(fact.example.question for fact in facts), *others]
    knows = frozenset(embedder.words()).__contains__
    tries = max(most, min(_TRIES * most, _MOST_TRIED // max(1, len(facts))))
    wanted = [
        _Made(index, fact.example.question, made) for index, fact in enumerate(facts) for made in _wordings(fact, tries, knows)
    ]
    used = {_plain(question): index for index, question in enumerate(questions)}
    found: dict[int, list[TrainingExample]] = defaultdict(list)
    for made in _in_turn(_faithful(questions, wanted, embedder), most):
        # As typed in a hurry, a question is the same but for its signs: that is no other fact's.
        free = used.setdefault(_plain(made.example.question), made.index) == made.index
        if free and len(found[made.index]) < most:
            found[made.index].append(made.example)
    return {index: made for index, made in sorted(found.items()) if made}


def _wordings(fact: Fact, tries: int, knows: KnowsWord) -> list[TrainingExample]:
    """The fact with other questions in place of its own."""
    example = fact.example
    if not _is_single(example):
        return []
    made = [replace(_asking(example, text), kind="wording") for text in fact.wordings]
    if fact.is_english:
        asked, answer = example.question, example.answer
        made += [replace(_asking(example, text), kind="rewording") for text in rewordings(asked, answer)]
        rough = query_wordings(asked, answer, tries, knows=knows)
        made += [replace(_asking(example, text), kind="query") for text in rough]
    unique = {example.question: example}
    return [other for other in made if unique.setdefault(other.question, other) is other]


def _in_turn(made: Sequence[_Made], most: int) -> list[_Made]:
    """The wordings that people had, half as many by rules as are wanted, rough ones that are furthest from it, and the rest.

    What has the same words as one before, in another order or with other signs, is the rest.
    """
    seen: set[tuple[int, frozenset[str]]] = {(one.index, frozenset(words(one.asked))) for one in made}
    rules: Counter[int] = Counter()

    def turn(one: _Made) -> tuple[int, float]:
        same = one.index, frozenset(words(one.example.question))
        if one.example.kind == "wording":
            return 0, 0.0
        if same in seen or same[1] > frozenset(words(one.asked)):
            return 3, 0.0
        seen.add(same)
        if one.example.kind == "query":
            return 2, one.near
        rules[one.index] += 1
        return (1, 0.0) if 2 * rules[one.index] <= most else (3, 0.0)

    return sorted(made, key=turn)


def _faithful(asked: Sequence[str], made: Sequence[_Made], embedder: Embedder) -> list[_Made]:
    """Those of the wordings that ask what their own question asks and nothing else."""
    if not made:
        return []
    questions = embedder.embed(asked)
    wordings = embedder.embed([one.example.question for one in made])
    cut_short = _CutShort(asked)
    found: list[_Made] = []
    for one, vector in zip(made, wordings, strict=True):
        cosines = questions @ vector
        own = float(cosines[one.index])
        cosines[one.index] = -1.0
        if _is_near(one.example, own, float(np.max(cosines))) and not (one.example.kind == "query" and cut_short(one)):
            found.append(replace(one, near=own))
    return found


def _is_near(example: TrainingExample, own: float, other: float) -> bool:
    """Whether a wording is near enough to its own question by embedding, and no nearer to another."""
    if example.kind == "query":
        return own >= LEAST_NEAR_QUERY and own >= other + MARGIN
    return (example.kind == "wording" or own >= LEAST_NEAR) and own >= other


class _CutShort:
    """Tells of a wording whether it has no word that some other question lacks: then it could be that one, cut short."""

    def __init__(self, asked: Sequence[str]) -> None:
        self._having: dict[str, set[int]] = defaultdict(set)
        """The questions that have a word, by their indices."""
        for index, question in enumerate(asked):
            for word in same_words(question):
                self._having[word].add(index)

    def __call__(self, made: _Made) -> bool:
        having = [self._having.get(word, set()) for word in same_words(made.example.question)]
        return not having or bool(set.intersection(*having) - {made.index})


def _asking(example: TrainingExample, question: str) -> TrainingExample:
    return replace(example, prompt=(*example.prompt[:-1], Message("user", question.strip())))


def _after(example: TrainingExample, previous: TrainingExample) -> TrainingExample:
    turns = (*previous.prompt, Message("assistant", previous.answer), example.prompt[-1])
    return replace(example, prompt=turns, kind="follow-up")


def _previous(example: TrainingExample, before: Sequence[TrainingExample]) -> TrainingExample | None:
    """The nearest of those before that is of another passage, else the nearest."""
    elsewhere = (other for other in before if not other.group or other.group != example.group)
    return next(elsewhere, before[0] if before else None)


def _is_single(example: TrainingExample) -> bool:
    """Whether there is one question alone, as Chat sends it first."""
    return len(example.prompt) == 1


def _draw(purpose: str, text: str) -> float:
    """A number in 0…1 that follows from a text, as good as drawn by lot."""
    digest = hashlib.sha256(f"{purpose}\0{text}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _plain(question: str) -> str:
    return " ".join(words(question)) or question
