"""Review of stored pairs by a person: what they may decide, and what stays provable whatever they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from engine.db.repositories import Repositories
from engine.domain import FaqPair, FaqStatus
from engine.errors import ConflictError, InputError, NotFoundError
from engine.ingest import locate_quote
from engine.knowledge.support import numbers, pair_objection

MAX_QUESTION, MAX_ANSWER = 500, 4000
"""Longest question and answer, in characters."""


def _nobody(status: str, count: int) -> None:
    """Decisions that nobody counts."""


class FaqReview:
    """Decisions about pairs. An approved pair's quote is always on its page."""

    def __init__(self, repositories: Repositories, decided: Callable[[str, int], None] = _nobody) -> None:
        """Review the pairs of a home. `decided` is told a status and how many pairs a reviewer gave it, to count them."""
        self._faqs = repositories.faqs
        self._documents = repositories.documents
        self._decided = decided

    def approve(self, ids: Sequence[str]) -> int:
        """Approve pairs, all or none. Returns how many.

        Raises:
            NotFoundError: one of them is gone.
            ConflictError: one of them has a quote that is not on its page, or an answer with a number that the quote lacks.
        """
        page_text = cache(self._page_text)
        for pair in map(self._faqs.get, ids):
            if pair.document_id is not None and locate_quote(page_text(pair.document_id, pair.page), pair.quote) is None:
                raise ConflictError(
                    f"the quote of {pair.question!r} is not on its page", hint="Correct the quote before you approve the pair."
                )
            missing = unsupported_numbers(pair)
            if missing:
                raise ConflictError(
                    f"the quote of {pair.question!r} does not hold {', '.join(missing)}",
                    hint="Correct the answer, or choose a quote that has the number, before you approve the pair.",
                )
        return self._set(ids, FaqStatus.APPROVED)

    def reject(self, ids: Sequence[str], reason: str = "Rejected in review.") -> int:
        """Reject pairs. Returns how many.

        Raises:
            NotFoundError: one of them is gone.
        """
        for faq_id in ids:
            self._faqs.get(faq_id)
        return self._set(ids, FaqStatus.REJECTED, reason)

    def reopen(self, ids: Sequence[str]) -> int:
        """Let pairs wait for review again. Returns how many."""
        return self._set(ids, FaqStatus.PENDING)

    def edit(self, faq_id: str, *, question: str | None = None, answer: str | None = None, quote: str | None = None) -> FaqPair:
        """Change a pair. An answer that its quote does not support is kept, waits for review and says so.

        Supported is what stands in the quote, or has no number or name and few words that the quote and the question lack.
        A person may still approve another wording, as long as its numbers are in the quote.

        Args:
            faq_id: the pair.
            question: the new question; None leaves it.
            answer: the new answer; None leaves it.
            quote: the new quote, which must be on the pair's page; None leaves it.

        Raises:
            NotFoundError: the pair is gone.
            InputError: a text is empty or too long, or the quote is not on the page.
        """
        pair = self._faqs.get(faq_id)
        changed = replace(
            pair,
            question=_text("question", question, pair.question, MAX_QUESTION),
            answer=_text("answer", answer, pair.answer, MAX_ANSWER),
            quote=pair.quote if quote is None else self._verbatim(pair, quote),
        )
        if (changed.answer, changed.quote) == (pair.answer, pair.quote):
            return self._faqs.edit(changed)
        problem = _problem(changed)
        if problem:
            return self._faqs.edit(replace(changed, status=FaqStatus.PENDING, reason=problem))
        return self._faqs.edit(replace(changed, reason="" if pair.status is not FaqStatus.REJECTED else pair.reason))

    def _set(self, ids: Sequence[str], status: FaqStatus, reason: str = "") -> int:
        count = self._faqs.set_status(ids, status, reason)
        self._decided(status.value, count)
        return count

    def _verbatim(self, pair: FaqPair, quote: str) -> str:
        if pair.document_id is None:
            raise InputError("this pair was not made from a document, so it cannot have a quote")
        text = self._page_text(pair.document_id, pair.page)
        found = locate_quote(text, quote)
        if found is None:
            raise InputError(
                f"the quote is not on page {pair.page} of {pair.document}", hint="Copy it from the page, word for word."
            )
        return text[found[0] : found[1]]

    def _page_text(self, document_id: str, number: int | None) -> str:
        try:
            return self._documents.page(document_id, number or 0).text
        except NotFoundError:
            return ""


def unsupported_numbers(pair: FaqPair) -> list[str]:
    """The numbers of a pair's answer that its quote does not hold; none for a pair without a document."""
    if pair.document_id is None:
        return []
    return sorted(numbers(pair.answer) - numbers(pair.quote))


def _problem(pair: FaqPair) -> str:
    """What a reviewer should know of an answer that its quote does not prove, as a sentence; empty where it does."""
    missing = unsupported_numbers(pair)
    if missing:
        return f"The quote does not hold {', '.join(missing)}."
    problem = pair_objection(pair)
    return f"The quote does not prove the answer: {problem}." if problem else ""


def _text(name: str, given: str | None, current: str, limit: int) -> str:
    if given is None:
        return current
    text = given.strip()
    if not text or len(text) > limit:
        raise InputError(f"the {name} must have 1 to {limit} characters")
    return text
