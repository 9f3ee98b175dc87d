"""What a fine-tune learns: chosen once from a collection or a file, and kept with the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from engine.domain import Adapter, FaqPair, FaqStatus, Json
from engine.errors import ConflictError, InputError
from engine.handlers.finetuning_extras import Material, more_examples
from engine.handlers.parts import Parts
from engine.observability.tracing import span
from engine.requests import DataOptions, FinetuneRequest
from engine.training.config import TrainingConfig
from engine.training.datasets import dataset_files
from engine.training.datasets.augmentation import Fact
from engine.training.datasets.examples import TrainingExample, make_dataset, with_held_out
from engine.training.datasets.preview import DatasetPreview, few_note, preview_dataset
from engine.training.datasets.split import source_of
from engine.training.run_folder import write_whole

SELECTION_FILE = "selection.json"
"""In the run's folder: what the job learns and what it keeps back."""


@dataclass(frozen=True)
class FinetuneData:
    """What to learn, and which pairs of which collection were kept back.

    `rows` are examples as JSON, those that are kept back among them and marked as such. `held_out` are pairs by their
    identifiers. `notice` says what a person should know.
    """

    rows: tuple[dict[str, Json], ...]
    collection_id: str | None = None
    held_out: tuple[str, ...] = ()
    notice: str | None = None

    @cached_property
    def examples(self) -> tuple[TrainingExample, ...]:
        """The rows as examples."""
        return tuple(map(TrainingExample.from_json, self.rows))

    @property
    def learnt(self) -> int:
        """How many examples are learnt."""
        return sum(not example.held_out for example in self.examples)


def trained_questions(parts: Parts, adapter: Adapter) -> set[str]:
    """The questions that an adapter of this home was trained on; empty where that is not known."""
    file = parts.settings.runs_dir / (adapter.job_id or "unknown") / SELECTION_FILE
    return {example.question for example in _stored(file).examples if not example.held_out} if file.is_file() else set()


def frozen_data(parts: Parts, request: FinetuneRequest, run_dir: Path) -> FinetuneData:
    """The job's data, chosen at its first run: pairs that change later must not change what a resumed run learns.

    Raises:
        InputError: the file makes no sense.
        ConflictError: the collection has no pairs.
        EmbeddingError: the encoder failed.
    """
    file = run_dir / SELECTION_FILE
    if file.is_file():
        return _stored(file)
    with span("finetune.data"):
        try:
            path = None if request.dataset is None else parts.uploads.path(request.dataset)
            data = chosen_data(parts, request, request.collection, path)
        except InputError:
            _discard_upload(parts, request)
            raise
    write_whole(file, json.dumps(asdict(data), ensure_ascii=False))
    _discard_upload(parts, request)
    return data


def chosen_data(parts: Parts, options: DataOptions, collection: str | None, dataset: Path | None) -> FinetuneData:
    """What a fine-tune would learn of a file, or of a collection by its name.

    Raises:
        InputError: the file makes no sense.
        ConflictError: the collection has no pairs.
        NotFoundError: there is no such collection.
        EmbeddingError: the encoder failed.
    """
    material, ids, notice = (
        _of_collection(parts, cast(str, collection)) if dataset is None else (_of_file(dataset, options), (), None)
    )
    examples = with_held_out([fact.example for fact in material.facts], options.holdout)
    learnt = material.only([not example.held_out for example in examples])
    extras, remarks = more_examples(parts, options, material, learnt)
    held_out = tuple(pair_id for pair_id, example in zip(ids, examples, strict=False) if example.held_out)
    notices = [text for text in (notice, few_note(len(examples)), *remarks) if text]
    rows = tuple(example.to_json() for example in (*examples, *extras))
    return FinetuneData(rows, material.collection_id, held_out, " ".join(notices) or None)


def preview_data(
    parts: Parts,
    options: DataOptions,
    collection: str | None,
    dataset: Path | None,
    base: Path,
    config: TrainingConfig,
    shown: int,
) -> DatasetPreview:
    """What a fine-tune of `base` would learn, as the model sees it; see `engine.training.datasets.preview`.

    Raises:
        NexusError: as `chosen_data`, or the base has no usable vocabulary or template.
    """
    from engine.training.datasets.encoding import open_encoder

    data = chosen_data(parts, options, collection, dataset)
    made = make_dataset(data.examples, config.eval_fraction)
    with open_encoder(base) as encoder:
        notes = [data.notice] if data.notice else []
        return preview_dataset(made, encoder, config.max_sequence_length, shown=shown, notes=notes)


def trainable(pairs: Sequence[FaqPair]) -> tuple[list[FaqPair], str | None]:
    """The approved pairs; where nobody has approved any yet, those that wait for review, and a notice that says so."""
    approved = [pair for pair in pairs if pair.status is FaqStatus.APPROVED]
    if approved:
        return approved, None
    pending = [pair for pair in pairs if pair.status is FaqStatus.PENDING]
    return pending, "No pair was approved yet, so all pairs that wait for review were used." if pending else None


def _of_file(path: Path, options: DataOptions) -> Material:
    """The rows of a file."""
    examples = dataset_files.read_examples(path, options.columns)
    facts = tuple(Fact(example, is_english=_is_english(example.question)) for example in examples)
    return Material(facts, _language(facts))


def _of_collection(parts: Parts, name: str) -> tuple[Material, tuple[str, ...], str | None]:
    """The pairs of a collection with the questions that were put aside for theirs, their identifiers, and a notice."""
    collection = parts.repositories.collections.by_name(name)
    pairs, notice = trainable(parts.repositories.faqs.list(collection.id))
    if not pairs:
        raise ConflictError(f"the collection {name!r} has no pairs to learn", hint="Extract or approve some.")
    wordings = _wordings(parts, pairs)
    facts = tuple(_fact(pair, wordings.get(pair.id, ())) for pair in pairs)
    return Material(facts, _language(facts), collection.id), tuple(pair.id for pair in pairs), notice


def _fact(pair: FaqPair, wordings: tuple[str, ...]) -> Fact:
    group = source_of(pair.chunk_id, pair.document_id, pair.page)
    example = TrainingExample.from_pair(pair.question, pair.answer, group)
    if not example.question or not example.answer:
        raise InputError(f"The pair {pair.id} has no question or no answer.", hint="Complete or remove it.")
    is_english = pair.language == "en" if pair.language else _is_english(pair.question)
    return Fact(example, pair.document, wordings, is_english)


def _is_english(question: str) -> bool:
    from engine.faq.language import is_in

    return is_in(question, "en") is True


def _language(facts: Sequence[Fact]) -> str:
    """The language of most facts; a few short questions alone do not tell one from another."""
    from engine.faq.language import language_of

    if 2 * sum(fact.is_english for fact in facts) >= len(facts):
        return "en"
    return language_of(text for fact in facts for text in (fact.example.question, fact.example.answer))


def _wordings(parts: Parts, pairs: Sequence[FaqPair]) -> dict[str, tuple[str, ...]]:
    """Questions that were rejected only because a pair asks the same, by the pair that stands for them in the end."""
    owner = {pair.id: pair.id for pair in pairs}
    found: dict[str, tuple[str, ...]] = {}
    asked = list(owner)
    while asked:
        aside = [pair for pair in parts.repositories.faqs.put_aside_for(asked) if pair.id not in owner]
        for pair in aside:
            best = owner[pair.id] = owner[cast(str, pair.duplicate_of)]
            found[best] = (*found.get(best, ()), pair.question)
        asked = [pair.id for pair in aside]
    return found


def _stored(file: Path) -> FinetuneData:
    stored = json.loads(file.read_text(encoding="utf-8"))
    return FinetuneData(tuple(stored["rows"]), stored["collection_id"], tuple(stored["held_out"]), stored["notice"])


def _discard_upload(parts: Parts, request: FinetuneRequest) -> None:
    if request.dataset is not None:
        parts.uploads.discard(request.dataset)
