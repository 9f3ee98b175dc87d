"""The answers that the pipeline can give, each made in one place, with checked citations only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.domain import Answer, Completion
from engine.knowledge.passages import Passage
from engine.knowledge.support import reviewed_objection
from engine.rag.evidence import Evidence, quotable
from engine.rag.grounding import cite, objection, supporters

NOT_FOUND = "The documents do not say."
"""The answer when nothing supports one."""


def not_found() -> Answer:
    """Nothing supports an answer."""
    return Answer(NOT_FOUND, found=False)


def reviewed_answer(pair: Passage) -> Answer:
    """The answer of an approved pair, word for word; see `provable`."""
    return Answer(pair.answer, found=True, citations=(cite(pair, pair.text or pair.answer, pair.score),))


def provable(pair: Passage) -> bool:
    """Whether a pair's quote proves its answer, or who approved it says so, where they are in different languages.

    An imported pair has no quote: its answer stands for itself.
    """
    return not pair.text or pair.vouched or not reviewed_objection(pair.question, pair.answer, pair.text)


def quoted_answer(evidence: Sequence[Evidence], notice: str | None = None) -> Answer:
    """What answers best in the documents, word for word."""
    quoted = quotable(evidence)
    citations = tuple(cite(item.passage, item.text, item.support) for item in quoted)
    return Answer(" ".join(item.text for item in quoted), found=True, citations=citations, notice=notice)


def checked_answer(question: str, evidence: Sequence[Evidence], completion: Completion) -> Answer:
    """What a model said, with the sentences that it rests on; or the best sentences themselves, where they do not cover it."""
    text = completion.text.strip()
    cited = [evidence[index] for index in supporters(text, [item.text for item in evidence])]
    problem = objection(text, [item.text for item in cited], question)
    if problem:
        answer = quoted_answer(evidence, f"The model's own answer was replaced by the document's words: {problem}.")
    else:
        citations = tuple(cite(item.passage, item.text, item.support) for item in cited)
        answer = Answer(text, found=True, citations=citations)
    return replace(
        answer,
        model=completion.model,
        adapter=completion.adapter,
        usage=completion.usage,
        notice=" ".join(filter(None, [completion.notice, answer.notice])) or None,
    )
