"""Which adapters may answer.

Not one that differs from what was trained, unless it is asked for; never one whose base has changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from engine.domain import Adapter, AdapterStatus, Json
from engine.errors import AdapterError, ConflictError, NexusError

HashOf = Callable[[str], str | None]
"""The SHA-256 of a base model by its name, None or a NexusError where there is no such file. `ModelRegistry.sha256` is one: it
reads a file once for each change."""

Standing = Literal["ready", "mismatch", "base changed"]


def status_of(card: Mapping[str, Json]) -> AdapterStatus:
    """What the parity gate found, as its report stands in a card. An adapter that never went through it is ready."""
    parity = card.get("parity")
    return "mismatch" if isinstance(parity, Mapping) and parity.get("ok") is False else "ready"


def mismatch(adapter: Adapter) -> str | None:
    """A warning when the served adapter did not answer as the trained one did; None when it did."""
    if adapter.status == "ready":
        return None
    return f"The adapter {adapter.name} does not answer here exactly as it was trained; fine-tune it again."


class Offering:
    """Judges adapters by their status and by the base's file as it is now."""

    def __init__(self, hash_of: HashOf = lambda _: None) -> None:
        """Take what knows the hashes of models."""
        self._hash_of = hash_of

    def standing(self, adapter: Adapter) -> Standing:
        """Whether an adapter is offered, offered when asked for, or not at all."""
        return "base changed" if self._base_changed(adapter) else adapter.status

    def require(self, adapter: Adapter, *, allow_mismatch: bool = False) -> None:
        """Make sure that an adapter may answer.

        Raises:
            AdapterError: the file of its base is not the one that it was trained on.
            ConflictError: it differs from what was trained, and nobody asked for it all the same.
        """
        standing = self.standing(adapter)
        if standing == "base changed":
            raise AdapterError(
                f"The model {adapter.base_model} has changed since the adapter {adapter.name!r} was trained on it.",
                hint="Put the file back that it was trained on, or fine-tune again.",
            )
        if standing == "mismatch" and not allow_mismatch:
            raise ConflictError(
                f"The adapter {adapter.name!r} does not answer here as it was trained.",
                hint="Fine-tune it again, or ask for it as it is with --allow-mismatch.",
            )

    def _base_changed(self, adapter: Adapter) -> bool:
        base = adapter.card.get("base")
        trained_on = base.get("sha256") if isinstance(base, Mapping) else None
        if not isinstance(trained_on, str):
            return False
        try:
            now = self._hash_of(adapter.base_model)
        except NexusError:  # what is gone or damaged says so itself when it is to answer
            return False
        return now is not None and now != trained_on
