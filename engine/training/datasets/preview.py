"""Data before they are learnt: examples as the model will see them, their lengths, and what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from engine.domain import Json
from engine.training.datasets.encoding import ChatEncoder, EncodedExample, Piece
from engine.training.datasets.examples import Dataset, ExampleKind, TrainingExample
from engine.training.datasets.split import LEAST_EXAMPLES

MOST_MEASURED = 2_000
"""Examples whose tokens are counted; more are sampled evenly."""
_BINS = 20
_NO_TEMPLATE = (
    "The base has no chat template: it was not made for conversations. ChatML is used, which it learns from these examples."
)


@dataclass(frozen=True, slots=True)
class ShownExample:
    """An example as the model sees it. `truncated` answers lost their end, which is not among the pieces."""

    pieces: tuple[Piece, ...]
    kind: ExampleKind
    tokens: int
    learnt_tokens: int
    truncated: bool = False

    def runs(self) -> tuple[Piece, ...]:
        """The pieces, with neighbours of one kind as one."""
        return tuple(_joined(self.pieces))


@dataclass(frozen=True, slots=True)
class DatasetPreview:
    """What is known of data before they are learnt.

    `kinds` counts the learnt examples by what they were made of. `lengths` are tokens of whole examples, before they are cut to
    `max_length`, sorted; of `measured` examples, evenly chosen where there are very many. `truncated` and `skipped` (no room
    for an answer) count among these. `notes` say in words what a person should know.
    """

    examples: tuple[ShownExample, ...]
    kinds: Mapping[str, int]
    learnt: int
    held_out: int
    groups: int
    duplicates: int
    conflicts: int
    measured: int
    truncated: int
    skipped: int
    lengths: tuple[int, ...]
    learnt_tokens: int
    max_length: int
    notes: tuple[str, ...] = ()

    def histogram(self) -> list[tuple[int, int]]:
        """(greatest length in tokens, examples) of bins of equal width."""
        if not self.lengths:
            return []
        width = max(1, -(-self.lengths[-1] // _BINS))
        counts = Counter((length - 1) // width for length in self.lengths)
        return [((index + 1) * width, counts[index]) for index in range(min(counts), max(counts) + 1)]

    def length_at(self, share: float) -> int:
        """The length that this share of the examples does not exceed, in tokens; 0 where there are none."""
        return self.lengths[min(len(self.lengths) - 1, int(share * len(self.lengths)))] if self.lengths else 0

    def to_json(self) -> dict[str, Json]:
        """All of it as plain data, with a histogram in place of the single lengths."""
        values: dict[str, Json] = {**asdict(self), "kinds": dict(self.kinds), "notes": list(self.notes)}
        shown: list[Json] = [
            {**asdict(example), "pieces": [asdict(piece) for piece in example.runs()]} for example in self.examples
        ]
        lengths: list[Json] = [{"up_to": up_to, "examples": count} for up_to, count in self.histogram()]
        quantiles: dict[str, Json] = {"median": self.length_at(0.5), "p95": self.length_at(0.95), "longest": self.length_at(1)}
        return {**values, "examples": shown, "lengths": lengths, "tokens": quantiles}


def preview_dataset(
    dataset: Dataset, encoder: ChatEncoder, max_length: int, *, shown: int = 5, notes: Sequence[str] = ()
) -> DatasetPreview:
    """Look at data as they will be learnt.

    Args:
        dataset: what is to be learnt and held out.
        encoder: that of the base model.
        max_length: tokens that an example may have.
        shown: how many examples to show, first one of each kind.
        notes: what is known of the data already.

    Raises:
        ModelError: the model's chat template refuses a conversation.
    """
    limit = encoder.limit(max_length)
    measured = [encoder.encode_example(example) for example in _evenly(dataset.train, MOST_MEASURED)]
    truncated = sum(item.prompt_length < limit < len(item.tokens) for item in measured)
    skipped = sum(item.prompt_length >= limit for item in measured)
    return DatasetPreview(
        examples=tuple(_shown(example, encoder, limit) for example in _of_each_kind(dataset.train, shown)),
        kinds=dict(Counter(example.kind for example in dataset.train)),
        learnt=len(dataset.train),
        held_out=len(dataset.held_out),
        groups=dataset.groups,
        duplicates=dataset.duplicates,
        conflicts=dataset.conflicts,
        measured=len(measured),
        truncated=truncated,
        skipped=skipped,
        lengths=tuple(sorted(len(item.tokens) for item in measured)),
        learnt_tokens=sum(max(0, min(len(item.tokens), limit) - item.prompt_length) for item in measured),
        max_length=limit,
        notes=(*notes, *([] if encoder.has_template else [_NO_TEMPLATE]), *_notes(dataset, truncated, skipped, limit)),
    )


def few_note(count: int) -> str | None:
    """What to say of very few examples; None where there are enough."""
    if count >= LEAST_EXAMPLES:
        return None
    noun = "example" if count == 1 else "examples"
    return f"Only {count} {noun}: the model learns little from so few, and none is kept back to measure with."


def _notes(dataset: Dataset, truncated: int, skipped: int, limit: int) -> Iterator[str]:
    if truncated:
        yield f"{_counted(truncated, 'answer')} will be cut: with the question it is over {limit} tokens. Shorten it."
    if skipped:
        yield f"{_counted(skipped, 'example')} will be left out: there is no room for an answer below {limit} tokens."
    if dataset.conflicts:
        yield f"{_counted(dataset.conflicts, 'question')} with different answers: the model cannot learn both. Keep one."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _shown(example: TrainingExample, encoder: ChatEncoder, limit: int) -> ShownExample:
    whole = encoder.encode_example(example)
    cut = EncodedExample(whole.tokens[:limit], min(whole.prompt_length, limit))
    return ShownExample(
        encoder.pieces(cut), example.kind, len(cut.tokens), cut.answer_length, len(whole.tokens) > len(cut.tokens)
    )


def _of_each_kind(examples: Sequence[TrainingExample], count: int) -> list[TrainingExample]:
    """The first example of each kind, then the other first ones."""
    first: dict[str, TrainingExample] = {}
    for example in examples:
        first.setdefault(example.kind, example)
    others = (example for example in examples if first[example.kind] is not example)
    return [*first.values(), *(example for _, example in zip(range(count), others, strict=False))][:count]


def _evenly(examples: Sequence[TrainingExample], most: int) -> Sequence[TrainingExample]:
    step = -(-len(examples) // most)
    return examples[:: max(1, step)]


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Neighbouring pieces of one kind as one; a control token stays by itself."""
    for (learnt, special), group in groupby(pieces, key=lambda piece: (piece.learnt, piece.special)):
        texts = [piece.text for piece in group]
        yield from (Piece(text, learnt, special) for text in (texts if special else ["".join(texts)]))
