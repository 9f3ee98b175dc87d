"""Every error that the engine raises on purpose.

    NexusError
    ├── InputError               the person can put it right: a bad file, value or name
    │   ├── DocumentError        a document cannot be read: damaged, encrypted, empty, too large, not what it says
    │   ├── NotFoundError        a collection, document, agent, job, model … that does not exist
    │   └── ConflictError        a name that is taken, or a state that does not allow the request
    ├── ConfigError              a setting is missing or makes no sense
    ├── OfflineError             the request would need the network, and no one has allowed that
    ├── StorageError             the disk or the database refused: full, read-only, locked
    ├── ModelError               a local model cannot do what was asked
    │   ├── ModelFileError       the file is not a usable model: wrong magic, truncated, unknown architecture
    │   ├── OutOfMemoryError     memory does not suffice for it
    │   ├── ContextOverflowError the conversation does not fit into the model's context
    │   └── AdapterError         a LoRA adapter does not fit its base
    ├── ProviderError            a remote model failed (most often worth a retry)
    ├── BudgetError              a request could cost more than is left of the month's budget
    ├── GenerationTimeout        an answer did not come in time
    ├── CancelledError           someone asked for it to stop
    │   └── JobPaused            … for now; it can go on where it was
    ├── EmbeddingError           text could not be embedded
    ├── VectorStoreError         a vector collection is damaged or does not match its embedder
    ├── TrainingError            a fine-tune failed
    └── JobInterrupted           the process that ran a job went away

Adapters translate a library's exceptions into these with `raise … from exc`. Each carries a stable `code`, a message that
says what happened, a `hint` that says what to do about it, and whether trying again can help.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict


class ErrorInfo(TypedDict):
    """An error as stored in a job row and printed by `nexus --json`."""

    code: str
    message: str
    hint: str | None
    retryable: bool


class NexusError(Exception):
    """Base of all errors that are meant to be shown to a person."""

    code: ClassVar[str] = "error"
    retryable_by_default: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.retryable = self.retryable_by_default if retryable is None else retryable

    def info(self) -> ErrorInfo:
        """The error as plain data."""
        return ErrorInfo(code=self.code, message=self.message, hint=self.hint, retryable=self.retryable)


class InputError(NexusError):
    """The request itself is wrong, and the person who made it can put it right."""

    code = "invalid_input"


class DocumentError(InputError):
    """A document cannot be read."""

    code = "document_unreadable"


class NotFoundError(InputError):
    """The named thing does not exist."""

    code = "not_found"


class ConflictError(InputError):
    """The name is taken, or the current state does not allow the request."""

    code = "conflict"


class ConfigError(NexusError):
    """A setting is missing or makes no sense."""

    code = "configuration"


class OfflineError(NexusError):
    """The request would need the network, and no one has allowed that."""

    code = "offline"


class StorageError(NexusError):
    """The disk or the database refused a write or a read."""

    code = "storage"


class ModelError(NexusError):
    """A local model cannot do what was asked."""

    code = "model"


class ModelFileError(ModelError):
    """The file is not a usable model."""

    code = "model_file"


class OutOfMemoryError(ModelError):
    """Memory does not suffice for the model's context."""

    code = "out_of_memory"


class ContextOverflowError(ModelError):
    """The conversation does not fit into the model's context."""

    code = "context_overflow"


class AdapterError(ModelError):
    """A LoRA adapter does not fit its base model."""

    code = "adapter"


class ProviderError(NexusError):
    """A remote model failed."""

    code = "provider"
    retryable_by_default = True


class BudgetError(NexusError):
    """A request could cost more than is left of the month's budget."""

    code = "budget"


class GenerationTimeout(NexusError):
    """An answer did not come in time."""

    code = "timeout"
    retryable_by_default = True


class CancelledError(NexusError):
    """Someone asked for the work to stop."""

    code = "cancelled"


class JobPaused(CancelledError):
    """Someone asked for a pause: everything is kept, and it can go on where it was."""

    code = "paused"


class EmbeddingError(NexusError):
    """Text could not be embedded."""

    code = "embedding"


class VectorStoreError(NexusError):
    """A vector collection is damaged or does not match its embedder."""

    code = "vector_store"


class TrainingError(NexusError):
    """A fine-tune failed."""

    code = "training"


class JobInterrupted(NexusError):
    """The process that ran a job went away before the job ended."""

    code = "interrupted"
    retryable_by_default = True
