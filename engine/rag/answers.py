"""The answers that the pipeline can give, each made in one place, with checked citations only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.domain import Answer, Completion
from engine.knowledge.passages import Passage
from engine.rag.evidence import Evidence
from engine.rag.grounding import cite, objection, supporters

NOT_FOUND = "The documents do not say."
"""The answer when nothing supports one."""


def not_found() -> Answer:
    """Nothing supports an answer."""
    return Answer(NOT_FOUND, found=False)


def reviewed_answer(pair: Passage) -> Answer:
    """The answer of an approved pair, word for word."""
    return Answer(pair.answer, found=True, citations=(cite(pair, pair.text or pair.answer, pair.score),))


def best_sentence(evidence: Sequence[Evidence], notice: str | None = None) -> Answer:
    """The sentence that answers best, word for word."""
    best = evidence[0]
    text = best.passage.answer if best.passage.kind == "faq" and best.passage.answer else best.text
    return Answer(text, found=True, citations=(cite(best.passage, best.text, best.support),), notice=notice)


def checked_answer(question: str, evidence: Sequence[Evidence], completion: Completion) -> Answer:
    """What a model said, with the sentences that it rests on; or the best sentence, where they do not cover it."""
    text = completion.text.strip()
    cited = [evidence[index] for index in supporters(text, [item.text for item in evidence])]
    problem = objection(text, [item.text for item in cited], question)
    if problem:
        answer = best_sentence(evidence, f"The model's own answer was replaced by the document's words: {problem}.")
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
