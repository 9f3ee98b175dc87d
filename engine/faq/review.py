"""Review of stored pairs by a person: what they may decide, what stays provable whatever they do, and undoing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from engine.db.repositories import Repositories
from engine.domain import ASKED_TWICE, FaqPair, FaqStatus, Page
from engine.errors import ConflictError, InputError, NotFoundError
from engine.faq.figures_across import strange_figures
from engine.faq.types import Origin
from engine.ingest import locate_quote, place_of
from engine.knowledge.figures import unsupported
from engine.knowledge.support import pair_objection

MAX_QUESTION, MAX_ANSWER = 500, 4000
"""Longest question and answer, in characters."""

IN_ANOTHER_LANGUAGE = "Answer and quote are in different languages: compare what they say."

_DOING = {"approve": "approving", "reject": "rejecting", "reopen": "reopening", "edit": "editing"}
_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Undone:
    """An action that was taken back: `approve`, `reject`, `reopen` or `edit`, and its pairs as they are now."""

    action: str
    pairs: tuple[FaqPair, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The pairs' identifiers."""
        return tuple(pair.id for pair in self.pairs)

    def __str__(self) -> str:
        """What was taken back, in words."""
        doing = _DOING.get(self.action, self.action)
        if len(self.pairs) != 1:
            return f"Undone: {doing} {len(self.pairs):,} pairs."
        question = self.pairs[0].question
        shown = question if len(question) <= _LONGEST_SHOWN else f"{question[:_LONGEST_SHOWN].rstrip()}…"
        return f"Undone: {doing} “{shown}”."


def _nobody(status: str, count: int) -> None:
    """Decisions that nobody counts."""


def _nobody_asks(_pair: FaqPair) -> None:
    """Questions that are compared with no others."""


class FaqReview:
    """Decisions about pairs. An approved pair's quote is always on its page and holds all figures of its answer.

    Each call is one action, all or none of its pairs, and `undo` takes the newest one back.
    """

    def __init__(
        self,
        repositories: Repositories,
        decided: Callable[[str, int], None] = _nobody,
        *,
        asks_the_same: Callable[[FaqPair], FaqPair | None] = _nobody_asks,
    ) -> None:
        """Review the pairs of a home.

        Args:
            repositories: where they are.
            decided: is told a status and how many pairs a reviewer gave it, to count them.
            asks_the_same: finds the stored pair, not rejected, that asks what a changed one asks.
        """
        self._faqs = repositories.faqs
        self._documents = repositories.documents
        self._decided = decided
        self._asks_the_same = asks_the_same

    def approve(self, ids: Sequence[str]) -> int:
        """Approve pairs, all or none; also rejected ones, which a person may overrule. Returns how many.

        Raises:
            NotFoundError: one of them is gone.
            ConflictError: one of them has a quote that is not on its page, or an answer with a number, date or unit that
                the quote lacks.
        """
        page_text = cache(self._page_text)
        # Checked before the write, which others wait for, and again only where a pair has changed in between.
        checked: Mapping[str, FaqPair] = {pair.id: _provable(pair, page_text) for pair in self._faqs.get_all(ids)}

        def approved(pair: FaqPair) -> FaqPair:
            if checked[pair.id] != pair:
                _provable(pair, page_text)
            return replace(pair, status=FaqStatus.APPROVED, reason="", duplicate_of=None)

        return self._decide(ids, "approve", FaqStatus.APPROVED, approved)

    def reject(self, ids: Sequence[str], reason: str = "Rejected in review.") -> int:
        """Reject pairs. Returns how many.

        Raises:
            NotFoundError: one of them is gone.
        """
        return self._decide(
            ids, "reject", FaqStatus.REJECTED, lambda pair: replace(pair, status=FaqStatus.REJECTED, reason=reason)
        )

    def reopen(self, ids: Sequence[str]) -> int:
        """Let pairs wait for review again, with a remark where the quote does not prove the answer. Returns how many.

        Raises:
            NotFoundError: one of them is gone.
        """

        def reopened(pair: FaqPair) -> FaqPair:
            return replace(pair, status=FaqStatus.PENDING, reason=problem_of(pair), duplicate_of=None)

        return self._decide(ids, "reopen", FaqStatus.PENDING, reopened)

    def edit(self, faq_id: str, *, question: str | None = None, answer: str | None = None, quote: str | None = None) -> FaqPair:
        """Change a pair. An answer that its quote does not support is kept, waits for review and says so.

        Supported is what stands in the quote, or has no figure or name and few words that the quote and the question lack.
        A person may still approve another wording, as long as its numbers, dates and units are in the quote. A question that
        another pair asks already waits for review too, linked to that one. A rejected pair stays rejected.

        Args:
            faq_id: the pair.
            question: the new question; None leaves it.
            answer: the new answer; None leaves it.
            quote: the new quote, which must be on the pair's page; None leaves it.

        Raises:
            NotFoundError: the pair is gone.
            InputError: a text is empty or too long, or the quote is not on the page.
        """

        asked_by = self._asked_by(faq_id, question)  # before the write, which others wait for

        def edited(pair: FaqPair) -> FaqPair:
            changed = replace(
                pair,
                question=_text("question", question, pair.question, MAX_QUESTION),
                answer=_text("answer", answer, pair.answer, MAX_ANSWER),
            )
            if quote is not None and quote != pair.quote:
                changed = self._requoted(changed, quote)
            if pair.status is FaqStatus.REJECTED:
                return changed
            if changed.question != pair.question:
                changed = replace(changed, duplicate_of=asked_by)
            return _remarked(pair, changed)

        return self._faqs.change([faq_id], "edit", edited)[0]

    def put_aside_for(self, ids: Sequence[str]) -> Sequence[FaqPair]:
        """The pairs that were rejected because these ask the same and are better; `reopen` lets them wait for review again."""
        return self._faqs.put_aside_for(ids)

    def undo(self, collection_id: str) -> Undone | None:
        """Take back the newest action on pairs of a collection that was not taken back yet; None where there is none.

        A pair that was approved and is not provable any more, because its document has changed, waits for review.
        """
        page_text = cache(self._page_text)

        def restored(pair: FaqPair) -> FaqPair:
            problem = _obstacle(pair, page_text) if pair.status is FaqStatus.APPROVED else ""
            return replace(pair, status=FaqStatus.PENDING, reason=problem) if problem else pair

        taken = self._faqs.take_back(collection_id, restored)
        return None if taken is None else Undone(taken[0], tuple(taken[1]))

    def _decide(self, ids: Sequence[str], action: str, status: FaqStatus, change: Callable[[FaqPair], FaqPair]) -> int:
        count = len(self._faqs.change(ids, action, change))
        self._decided(status.value, count)
        return count

    def _asked_by(self, faq_id: str, question: str | None) -> str | None:
        """The pair that asks a pair's new question already; None where it is asked by none, or not new."""
        pair = self._faqs.get(faq_id)
        asked = _text("question", question, pair.question, MAX_QUESTION)
        if asked == pair.question or pair.status is FaqStatus.REJECTED:
            return None
        found = self._asks_the_same(replace(pair, question=asked))
        return None if found is None else found.id

    def _requoted(self, pair: FaqPair, quote: str) -> FaqPair:
        """The pair with another quote, as the page has it, its place and the passage that it is in."""
        if pair.document_id is None:
            raise InputError("this pair was not made from a document, so it cannot have a quote")
        page = self._page(pair.document_id, pair.page)
        place = place_of(page, quote, near=pair.place.start if pair.place else 0)
        if place is None:
            raise InputError(
                f"the quote is not on page {pair.page} of {pair.document}", hint="Copy it from the page, word for word."
            )
        chunk_id = self._chunk_at(pair.document_id, page.number, place.start)
        return replace(pair, quote=page.text[place.start : place.end], place=place, chunk_id=chunk_id)

    def _chunk_at(self, document_id: str, number: int, offset: int) -> str | None:
        """The passage that an offset into a page is in; None where it is in none."""
        chunks = self._documents.chunks([document_id])
        return next((chunk.id for chunk in chunks if chunk.page == number and chunk.start <= offset < chunk.end), None)

    def _page_text(self, document_id: str, number: int | None) -> str:
        return self._page(document_id, number).text

    def _page(self, document_id: str, number: int | None) -> Page:
        try:
            return self._documents.page(document_id, number or 0)
        except NotFoundError:
            return Page(0, "")


def unsupported_figures(pair: FaqPair) -> list[str]:
    """The numbers, dates and units of a pair's answer that its quote does not hold; none for a pair without a document."""
    if pair.document_id is None:
        return []
    if pair.origin == Origin.TRANSLATED:
        return strange_figures(pair.answer, pair.language, pair.quote, "")
    return unsupported(pair.answer, pair.quote)


def problem_of(pair: FaqPair) -> str:
    """What a reviewer should know of an answer that its quote does not prove, as a sentence; empty where it does."""
    missing = unsupported_figures(pair)
    if missing:
        return f"The quote does not hold {', '.join(missing)}."
    if pair.origin == Origin.TRANSLATED:
        return IN_ANOTHER_LANGUAGE
    problem = pair_objection(pair)
    return f"The quote does not prove the answer: {problem}." if problem else ""


def _remarked(before: FaqPair, pair: FaqPair) -> FaqPair:
    """A pair that was changed, waiting for review with a remark where the change gives one."""
    retold = (pair.answer, pair.quote) != (before.answer, before.quote)
    problem = problem_of(pair) if retold else ""
    kept = "" if retold else before.reason.replace(ASKED_TWICE, "").strip()
    twice = "" if pair.duplicate_of is None else ASKED_TWICE
    status = FaqStatus.PENDING if problem or twice else pair.status
    return replace(pair, status=status, reason=" ".join(filter(None, (problem or kept, twice))))


def _obstacle(pair: FaqPair, page_text: Callable[[str, int | None], str]) -> str:
    """Why a pair cannot be approved, as a sentence; empty where it can."""
    if pair.document_id is not None and locate_quote(page_text(pair.document_id, pair.page), pair.quote) is None:
        return "The quote is not on its page."
    missing = unsupported_figures(pair)
    return f"The quote does not hold {', '.join(missing)}." if missing else ""


def _provable(pair: FaqPair, page_text: Callable[[str, int | None], str]) -> FaqPair:
    """The pair itself.

    Raises:
        ConflictError: it cannot be approved.
    """
    obstacle = _obstacle(pair, page_text)
    if obstacle:
        raise ConflictError(
            f"{pair.question!r} cannot be approved: {obstacle[0].lower()}{obstacle[1:-1]}",
            hint="Correct the answer, or choose a quote from the page that proves it.",
        )
    return pair


def _text(name: str, given: str | None, current: str, limit: int) -> str:
    if given is None:
        return current
    text = given.strip()
    if not text or len(text) > limit:
        raise InputError(f"the {name} must have 1 to {limit} characters")
    return text
