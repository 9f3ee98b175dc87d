"""What people ask of the engine, validated. A request for long work is also the payload of its job.

Lives here: the pydantic models of all inputs, and `checked`, which turns a validation error into an `InputError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, ParamSpec, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError, model_validator

from engine.domain import Preset, Strategy
from engine.errors import InputError

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f/\\<>|*?\"]+$")
]
"""A name that a person gives to something: no control characters and nothing that a path could be made of."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16_000)]
"""A question or message."""

DEFAULT_FIELDS = ("name", "email", "phone", "company")
"""The lead fields of an agent when none are given."""

_HINTS = {
    **dict.fromkeys(("name", "collection"), 'A name has 1 to 80 characters, and none of / \\ < > | * ? ".'),
    **dict.fromkeys(("message", "question"), "Write something, of at most 16,000 characters."),
    "fields": "At least one field, each of small letters, digits and spaces, such as name or order number.",
    "instructions": "At most 8,000 characters.",
    "targets": "Name at least one target: base, rag or adapter:NAME.",
    "language": "Give a code of two letters, such as de; or none, for the document's own language.",
    "processes": "Choose a number from 1 to 64, or none.",
    "preset": "Choose quick, balanced or thorough.",
}
"""What is allowed, by the name of what was given."""

P = ParamSpec("P")
R = TypeVar("R")


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StagedFile(_Request):
    """A copy of an upload that waits in the home folder for its job. `path` is relative to the home folder."""

    name: str
    path: str


class ExtractionOptions(_Request):
    """Where extracted pairs go, and what makes them."""

    collection: Name
    model: str | None = None
    max_pairs: int | None = Field(None, ge=1, le=100_000)
    language: Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[A-Za-z]{2}$")] | None = None
    """That of the pairs, an ISO 639-1 code; None: the document's."""


class ExtractionRequest(ExtractionOptions):
    """Read files into a collection and extract FAQ pairs from them."""

    files: tuple[StagedFile, ...] = Field(min_length=1)


ColumnRole = Literal["question", "answer", "system", "context", "group"]
"""What a column of a dataset file can be; see `engine.training.datasets.columns`."""


class DataOptions(_Request):
    """What a fine-tune makes of the pairs of a collection, or of the rows of a file."""

    columns: dict[ColumnRole, Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]] = {}
    """Of a file: which column is what; the others are found by common names."""
    holdout: float = Field(0.1, ge=0.0, le=0.5, description="Share that is kept for evaluation, whole passages.")
    paraphrases: int = Field(10, ge=0, le=12, description="Other wordings of each question at most; 0: none.")
    """Those that people had, and for English questions some made by rules. Taught as well, so that a model understands who asks
    in words of their own."""
    follow_ups: float = Field(0.0, ge=0.0, le=1.0, description="Share that is also asked after another pair.")
    unanswerable: float = Field(0.0, ge=0.0, le=0.5, description="Questions without an answer, as a share of the pairs.")


class FinetuneRequest(DataOptions):
    """Fine-tune a model on the pairs of a collection or on a dataset file."""

    name: Name
    collection: Name | None = None
    dataset: StagedFile | None = None
    base: str | None = None
    preset: Preset = "quick"
    settings: dict[str, JsonValue] = {}
    """Changes over the preset, by their names on `TrainingConfig`."""
    strategy: Strategy = "auto"
    processes: int | None = Field(None, ge=1, le=64)
    """How many share the work, each on a GPU of its own; None: decided by the hardware."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.collection is None) == (self.dataset is None):
            raise ValueError("give either a collection or a dataset file")
        return self


class RehearsalRequest(FinetuneRequest):
    """Take three steps of a fine-tune, to see what they take."""

    name: Name = "rehearsal"


class EvaluationRequest(_Request):
    """Compare targets (`base`, `rag`, `adapter:NAME`) on held-out pairs of a collection, or on all rows of a dataset file."""

    collection: Name | None = None
    dataset: StagedFile | None = None
    targets: tuple[str, ...] = Field(("base", "rag"), min_length=1)
    model: str | None = None
    limit: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _known_targets(self) -> Self:
        if self.collection is None and self.dataset is None:
            raise ValueError("give a collection or a dataset file")
        for target in self.targets:
            if target not in ("base", "rag") and not target.startswith("adapter:"):
                raise ValueError(f"unknown target {target!r}: use base, rag or adapter:NAME")
        if "rag" in self.targets and self.collection is None:
            raise ValueError("the target rag needs a collection to search")
        return self


class IngestionRequest(_Request):
    """Bring the vector index of a collection up to date."""

    collection: Name


class OptimiseRequest(_Request):
    """Make and measure a copy of a model in another weight format; without one, in the fastest."""

    name: str
    form: str | None = None


class AddModelRequest(_Request):
    """Copy a GGUF file, or the folder of an encoder, into the models folder. `name` is that of the file."""

    name: str
    path: str


class ExportAdapterRequest(_Request):
    """Write an adapter as files for other programs into the folder `out`, or a merged model into the models folder."""

    name: str
    form: Literal["gguf", "peft", "merged"] = "gguf"
    quantisation: str = "Q8_0"
    out: str
    to_models: bool = False

    @model_validator(mode="after")
    def _only_models(self) -> Self:
        if self.to_models and self.form != "merged":
            raise ValueError("only a merged model can be put into the models folder")
        return self


class ImportAdapterRequest(_Request):
    """Take in an adapter that was made elsewhere: the path of a folder, archive or file, or an upload."""

    name: Name
    base: str | None = None
    path: str | None = None
    upload: StagedFile | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.upload is None):
            raise ValueError("give either a path or an upload")
        return self


class ChatRequest(_Request):
    """A message to a model."""

    message: Text
    model: str | None = None
    adapter: str | None = None
    allow_mismatch: bool = False
    """Also with an adapter that does not answer as it was trained."""
    conversation: str | None = None


class AskRequest(_Request):
    """A question to be answered from a collection."""

    question: Text
    collection: Name
    model: str | None = None
    adapter: str | None = None
    allow_mismatch: bool = False


class AgentRequest(_Request):
    """A smart agent to be created."""

    name: Name
    collection: Name
    instructions: Annotated[str, StringConstraints(strip_whitespace=True, max_length=8_000)] = ""
    fields: tuple[Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[a-z][a-z0-9_ ]{0,39}$")], ...] = Field(
        DEFAULT_FIELDS, min_length=1, max_length=20
    )
    model: str | None = None
    adapter: str | None = None
    allow_mismatch: bool = False


def checked(make: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a request's constructor.

    Raises:
        InputError: a value is not allowed; the message says which, the hint what is.
    """
    try:
        return make(*args, **kwargs)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = str(first["loc"][0]).replace("_", " ") if first["loc"] else ""
        problem = first["msg"].removeprefix("Value error, ")
        if first["type"] == "value_error":
            raise InputError(problem[:1].upper() + problem[1:] + ".", hint="See `--help` for what may be given.") from exc
        hint = _HINTS.get(where, f"Here: {problem}.")
        raise InputError(f"This {where or 'request'} cannot be used.", hint=hint) from exc
