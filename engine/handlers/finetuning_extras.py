"""What a fine-tune learns beside the pairs as they stand, if asked for: see `engine.training.datasets.augmentation`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress

from engine.domain import FaqStatus
from engine.errors import ModelFileError
from engine.handlers.parts import Parts
from engine.requests import DataOptions
from engine.training.datasets.augmentation import Fact, follow_ups, nearness_to, reworded, unanswerable
from engine.training.datasets.examples import TrainingExample
from engine.training.datasets.split import LEAST_EXAMPLES

MOST_ELSEWHERE = 1_000
"""Questions of other collections that are looked at."""
_NEAREST = 5
_UNKNOWN_LANGUAGE = "No unanswerable questions were made: the encoder does not know the language of the material."


@dataclass(frozen=True, slots=True)
class Material:
    """The facts of a file or a collection, and the language of most of them (ISO 639-1; empty: not known)."""

    facts: tuple[Fact, ...]
    language: str = ""
    collection_id: str | None = None

    def only(self, wanted: Sequence[bool]) -> Material:
        """Some of the facts, each once."""
        facts = {(fact.example.prompt, fact.example.answer): fact for fact in reversed(list(compress(self.facts, wanted)))}
        return replace(self, facts=tuple(reversed(facts.values())))


def more_examples(
    parts: Parts, options: DataOptions, material: Material, learnt: Material
) -> tuple[list[TrainingExample], list[str]]:
    """Examples made of what is learnt, and what a person should know of them.

    Args:
        parts: the encoder, the index and the other collections.
        options: how much of each kind is wanted.
        material: everything that is known, what is kept back included: none of it is unanswerable.
        learnt: what is learnt.

    Raises:
        EmbeddingError: the encoder failed.
    """
    made, remarks = _other_wordings(parts, options, material, learnt)
    made += follow_ups(learnt.facts, options.follow_ups)
    count = round(options.unanswerable * len(learnt.facts))
    if count == 0:
        return made, remarks
    if not parts.embedder.knows({material.language} - {"", "en"}):
        return made, [*remarks, _UNKNOWN_LANGUAGE]
    without = _without_answer(parts, material, count)
    if len(without) < count:
        remarks.append(
            f"Only {len(without)} of {count} unanswerable questions were found that the material has nothing near to."
        )
    return [*made, *without], remarks


def _other_wordings(
    parts: Parts, options: DataOptions, material: Material, learnt: Material
) -> tuple[list[TrainingExample], list[str]]:
    """What is learnt in other words; without an encoder to compare them none, and a remark."""
    if not options.paraphrases:
        return [], []
    measured = options.holdout if len(learnt.facts) >= LEAST_EXAMPLES else 0.0
    own = {fact.example.question for fact in learnt.facts}
    others = [fact.example.question for fact in material.facts if fact.example.question not in own]
    try:
        return reworded(learnt.facts, options.paraphrases, parts.embedder, measured, others), []
    except ModelFileError as exc:
        return [], [f"Questions are taught as they stand only, without other wordings: {exc.message}"]


def _without_answer(parts: Parts, material: Material, count: int) -> list[TrainingExample]:
    """Questions of other collections, and general ones for the other half and for what is missing."""
    from engine.rag import NOT_FOUND
    from engine.training.datasets.off_topic import OFF_TOPIC

    nearness = _nearness(parts, material)
    elsewhere = unanswerable(_asked_elsewhere(parts, material), count // 2, NOT_FOUND, nearness)
    return [*elsewhere, *unanswerable(OFF_TOPIC, count - len(elsewhere), NOT_FOUND, nearness)]


def _asked_elsewhere(parts: Parts, material: Material) -> list[str]:
    """Approved questions of other collections."""
    repositories = parts.repositories
    others = (other for other in repositories.collections.list() if other.id != material.collection_id)
    asked = [pair.question for other in others for pair in repositories.faqs.list(other.id, FaqStatus.APPROVED)]
    return asked[:MOST_ELSEWHERE]


def _nearness(parts: Parts, material: Material) -> Callable[[Sequence[str]], list[float]]:
    """The cosine of questions with the nearest question or answer of the material, or passage of its documents."""
    texts = [text for fact in material.facts for text in (fact.example.question, fact.example.answer)]
    to_facts = nearness_to(texts, parts.embedder)
    collection = material.collection_id
    if collection is None:
        return to_facts
    parts.index.sync(collection)

    def to_all(questions: Sequence[str]) -> list[float]:
        return [
            max(near, _to_passages(parts, collection, asked))
            for near, asked in zip(to_facts(questions), questions, strict=True)
        ]

    return to_all


def _to_passages(parts: Parts, collection: str, question: str) -> float:
    found = parts.index.search(collection, question, _NEAREST, kind="chunk", synchronise=False)
    return max((passage.score for passage in found), default=-1.0)
