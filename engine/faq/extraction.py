"""From chunks to candidate pairs, chunk by chunk, many sentences at a time.

The quote and the answer of every candidate are spans of the document, cut out by code: the model only ever words questions.
Where another language than the document's was chosen, it words answers too; see `engine.faq.translating`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from engine.cancellation import CancelToken
from engine.domain import Chunk, Completion
from engine.errors import CancelledError
from engine.faq.checks import rejection_of
from engine.faq.language import language_of
from engine.faq.prompts import AGAIN, FIRST, ONE_MORE, Openers, question_requests
from engine.faq.row_rules import row_questions
from engine.faq.sentence_rules import sentence_questions
from engine.faq.translating import check_language, knows_language, pair_request, read_pair, translation_of
from engine.faq.types import Candidate, Origin, Translation, Unit, UnitKind, Wording
from engine.faq.units import find_units
from engine.faq.written import WrittenPair, written_pairs
from engine.llm.base import ChatModel, Request

_WINDOW = 144
"""Requests that are given to the model together: several rounds of its batch, and a bound on what is kept in memory."""

_SPARE = 1.5
"""Units that are tried for each pair that is wanted, because some do not pass the checks."""

_ENGLISH = ("en", "")
"""Tables and short texts, whose language cannot be told, are taken for English."""


@dataclass(slots=True)
class _Plan:
    """The work on one chunk: what rules have found, and what the model is still asked."""

    index: int
    chunk: Chunk
    candidates: list[Candidate]
    grammar: bool
    english: bool
    translation: Translation | None = None
    requests: list[tuple[Unit, Origin, Request]] = field(default_factory=list)
    waiting: int = 0
    once_more: bool = True
    """Whether what has no good question yet may be asked about again."""

    def ask(self, unit: Unit, openers: Openers, cancel: CancelToken | None) -> None:
        """Have the model asked about a unit."""
        requests = question_requests(
            unit, self.chunk, openers=openers, grammar=self.grammar, english=self.english, cancel=cancel
        )
        self.requests += [(unit, origin, request) for origin, request in requests]

    def ask_again(self, cancel: CancelToken | None) -> None:
        """Have the model asked once more about the units that have no good question yet, with other first words."""
        asked = dict.fromkeys(unit for unit, _, _ in self.requests)
        self.requests = []
        once_more, self.once_more = self.once_more and self.grammar and self.english, False
        if not once_more:
            return  # without a grammar, or in another language, the same would come again
        good = {candidate.key for candidate in self.candidates if not rejection_of(candidate, self.chunk.text)}
        for unit in asked:
            if str(unit.start) not in good:
                self.ask(unit, AGAIN, cancel)


def extract_pairs(
    chunks: Sequence[Chunk],
    *,
    model: ChatModel,
    max_pairs: int | None = None,
    language: str | None = None,
    output_language: str | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[tuple[int, list[Candidate]]]:
    """Candidate pairs of each chunk, as they come.

    Each chunk comes exactly once, an empty list where it states nothing; the order may differ from that of the chunks. Pairs
    that the document has word for word are taken over without the model.

    Args:
        chunks: the passages.
        model: words the questions.
        max_pairs: how many pairs are wanted; the most factual units are then chosen, and half as many again as a reserve.
        language: of the chunks, an ISO 639-1 code; None: it is told from them. Where the model does not know it, only what the
            document has word for word is taken.
        output_language: that of the pairs, an ISO 639-1 code; None: that of the chunks. In another one the model writes
            answers as well, and only what the document has word for word stays as it is.
        cancel: stops the work.

    Yields:
        The chunk's position in `chunks`, and its candidates.

    Raises:
        CancelledError: `cancel` was set.
        InputError: pairs cannot be made in the output language, or the model does not know it.
        ModelError, ProviderError: the model failed.
    """
    if output_language is not None:
        check_language(model, output_language)
    language = language_of(chunk.text for chunk in chunks) if language is None else language
    english = language in _ENGLISH
    translation = translation_of(language, output_language)
    written = [written_pairs(chunk) for chunk in chunks]
    chosen: Sequence[Sequence[Unit]] = [()] * len(chunks)
    if knows_language(model, language):
        chosen = _choose(chunks, written, max_pairs, english=english)
    window: list[_Plan] = []
    for index, chunk in enumerate(chunks):
        _check(cancel)
        taken_over = [_taken_over(pair, chunk) for pair in written[index]]
        # Rules and examples are in English, and so would be what they make.
        plan = _Plan(index, chunk, taken_over, model.capabilities.grammars, english and translation is None)
        if translation is None:
            _ask(plan, chosen[index], cancel)
        else:
            _ask_translated(plan, chosen[index], translation, model, cancel)
        if not plan.requests:
            yield index, plan.candidates
            continue
        window.append(plan)
        if sum(len(plan.requests) for plan in window) >= _WINDOW:
            window = yield from _run(window, model, cancel)
    while window:
        window = yield from _run(window, model, cancel)


def _choose(
    chunks: Sequence[Chunk], written: Sequence[Sequence[WrittenPair]], max_pairs: int | None, *, english: bool
) -> list[list[Unit]]:
    """The units of each chunk that are worth asking about: not those that its written pairs have."""
    units = [
        find_units(chunk, [(pair.start, pair.end) for pair in pairs], english=english)
        for chunk, pairs in zip(chunks, written, strict=True)
    ]
    if max_pairs is None:
        return units
    room = max(0, math.ceil((max_pairs - sum(map(len, written))) * _SPARE))
    # The best unit of each passage first, then each one's second best: few pairs should cover the whole document.
    ranked = (
        (rank, -unit.fact, index, unit.start)
        for index, found in enumerate(units)
        for rank, unit in enumerate(sorted(found, key=lambda unit: -unit.fact))
    )
    kept = {(index, start) for _, _, index, start in heapq.nsmallest(room, ranked)}
    return [[unit for unit in found if (index, unit.start) in kept] for index, found in enumerate(units)]


def _ask(plan: _Plan, units: Sequence[Unit], cancel: CancelToken | None) -> None:
    """Rules first; the model about every sentence, more often where they have no good question."""
    for unit in units:
        found = list(_by_rule(unit, plan.chunk)) if plan.english else []
        plan.candidates += found
        if unit.kind is UnitKind.SENTENCE:
            has_good = any(not rejection_of(candidate, plan.chunk.text) for candidate in found)
            plan.ask(unit, ONE_MORE if has_good else FIRST, cancel)


def _ask_translated(
    plan: _Plan, units: Sequence[Unit], translation: Translation, model: ChatModel, cancel: CancelToken | None
) -> None:
    """One request for each unit."""
    plan.translation = translation
    plan.requests = [
        (unit, Origin.TRANSLATED, pair_request(unit, plan.chunk, translation, model=model, cancel=cancel)) for unit in units
    ]


def _taken_over(pair: WrittenPair, chunk: Chunk) -> Candidate:
    return Candidate(pair.question, pair.answer, pair.answer, chunk, Origin.WRITTEN, 1.0, f"written {pair.start}")


def _by_rule(unit: Unit, chunk: Chunk) -> Iterator[Candidate]:
    if unit.kind is UnitKind.SENTENCE:
        for question in sentence_questions(unit.text, chunk.text) if unit.quote_start == unit.start else ():
            yield _candidate(question, unit.quote, unit, chunk, Origin.RULE)
        return
    for asked in row_questions(unit.text, chunk.heading_path, chunk.text):
        found = _candidate(asked.question, asked.answer, unit, chunk, Origin.RULE, part=f" column {asked.column}")
        yield replace(found, row=asked.fact)


def _run(
    plans: Sequence[_Plan], model: ChatModel, cancel: CancelToken | None
) -> Generator[tuple[int, list[Candidate]], None, list[_Plan]]:
    """Ask the model for all plans together; each comes as soon as it is done.

    Returns those where nothing good came of a unit, to be asked once more together with what comes next: a batch that is not
    full takes nearly as long.
    """
    again = []
    for plan in _answered(plans, model, cancel):
        plan.ask_again(cancel)
        if plan.requests:
            again.append(plan)
        else:
            yield plan.index, plan.candidates
    return again


def _answered(plans: Sequence[_Plan], model: ChatModel, cancel: CancelToken | None) -> Iterator[_Plan]:
    """Each plan, with the candidates that its requests gave, as soon as its last answer is there."""
    tasks = [(plan, unit, origin, request) for plan in plans for unit, origin, request in plan.requests]
    for plan in plans:
        plan.waiting = len(plan.requests)
    for position, completion in model.generate_many([request for *_, request in tasks]) if tasks else ():
        _check(cancel)
        plan, unit, origin, _ = tasks[position]
        plan.candidates += _worded(plan, unit, origin, completion)
        plan.waiting -= 1
        if plan.waiting == 0:
            yield plan


def _worded(plan: _Plan, unit: Unit, origin: Origin, completion: Completion) -> Iterator[Candidate]:
    """What a model made of a unit: one candidate, or none where it said nothing that can be read."""
    if plan.translation is not None:
        if pair := read_pair(completion.text):
            found = _candidate(*pair, unit, plan.chunk, origin)
            yield replace(found, english=plan.english, translation=plan.translation)
    elif question := " ".join(completion.text.split()):
        candidate = _candidate(question, unit.quote, unit, plan.chunk, origin, wording=_wording(completion))
        yield replace(candidate, english=plan.english)


def _candidate(
    question: str, answer: str, unit: Unit, chunk: Chunk, origin: Origin, *, part: str = "", wording: Wording | None = None
) -> Candidate:
    return Candidate(question, answer, unit.quote, chunk, origin, unit.fact, f"{unit.start}{part}", unit.text, wording)


def _wording(completion: Completion) -> Wording | None:
    found = [token.logprob for token in completion.logprobs]
    return Wording(fmean(found), min(found)) if found else None


def _check(cancel: CancelToken | None) -> None:
    if cancel is not None and cancel.cancelled:
        raise CancelledError("The extraction was stopped.")
