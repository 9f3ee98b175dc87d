"""Which adapters may answer.

Not one that differs from what was trained, unless it is asked for; never one whose base has changed since, or is served with
other position factors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from engine.domain import Adapter, AdapterStatus, Json
from engine.errors import AdapterError, ConflictError, NexusError

IsLong = Callable[[str], bool]
"""Whether a base model, by its name, is served with the long one of two sets of position factors; a NexusError where there is
no such file. See `engine.llm.llamacpp.long_rope`."""

HashOf = Callable[[str], str | None]
"""The SHA-256 of a base model by its name, None or a NexusError where there is no such file. `ModelRegistry.sha256` is one: it
reads a file once for each change."""

Standing = Literal["ready", "mismatch", "base changed", "other positions"]


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
    """Judges adapters by their status, and by the base as its file is now and as it is served."""

    def __init__(self, hash_of: HashOf = lambda _: None, is_long: IsLong = lambda _: False) -> None:
        """Take what knows the hashes of models, and what knows how they are served."""
        self._hash_of = hash_of
        self._is_long = is_long

    def standing(self, adapter: Adapter) -> Standing:
        """Whether an adapter is offered, offered when asked for, or not at all."""
        if self._base_changed(adapter):
            return "base changed"
        return "other positions" if self._positions_differ(adapter) else adapter.status

    def require(self, adapter: Adapter, *, allow_mismatch: bool = False) -> None:
        """Make sure that an adapter may answer.

        Raises:
            AdapterError: the file of its base is not the one that it was trained on, or is served otherwise than then.
            ConflictError: it differs from what was trained, and nobody asked for it all the same.
        """
        standing = self.standing(adapter)
        if standing == "base changed":
            raise AdapterError(
                f"The model {adapter.base_model} has changed since the adapter {adapter.name!r} was trained on it.",
                hint="Put the file back that it was trained on, or fine-tune again.",
            )
        if standing == "other positions":
            raise AdapterError(
                f"The model {adapter.base_model} rotates positions by other factors now than when the adapter {adapter.name!r} "
                "was trained on it.",
                hint="Set NEXUS_CONTEXT_TOKENS as it was then, or fine-tune again.",
            )
        if standing == "mismatch" and not allow_mismatch:
            raise ConflictError(
                f"The adapter {adapter.name!r} does not answer here as it was trained.",
                hint="Fine-tune it again, or ask for it as it is with --allow-mismatch.",
            )

    def _positions_differ(self, adapter: Adapter) -> bool:
        trained = _base(adapter).get("long_positions") is True
        try:
            return self._is_long(adapter.base_model) != trained
        except NexusError:  # as below
            return False

    def _base_changed(self, adapter: Adapter) -> bool:
        trained_on = _base(adapter).get("sha256")
        if not isinstance(trained_on, str):
            return False
        try:
            now = self._hash_of(adapter.base_model)
        except NexusError:  # what is gone or damaged says so itself when it is to answer
            return False
        return now is not None and now != trained_on


def _base(adapter: Adapter) -> Mapping[str, Json]:
    """What the card says of the base."""
    base = adapter.card.get("base")
    return base if isinstance(base, Mapping) else {}
