"""What is done with model files besides listing them: copies in faster formats, and removal of a model with its copies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ConflictError, NexusError
from engine.wiring import Wiring

if TYPE_CHECKING:
    from engine.llm.llamacpp.weights.record import WeightRecord


class ModelFiles(Wiring):
    """The operations of an engine on the models folder."""

    def optimise_model(self, name: str, form: str | None = None) -> WeightRecord:
        """Make and measure a copy of a model in a format that is faster here; used from the next time it is loaded.

        Raises:
            NotFoundError: there is no such model.
            NexusError: as `WeightCopies.optimise` raises.
        """
        return self.weights.optimise(self._chat_file(name), form)

    def restore_model(self, name: str) -> WeightRecord:
        """Delete a model's copy and use it as it is from now on.

        Raises:
            NotFoundError: there is no such model.
            StorageError: the copy may not be deleted.
        """
        return self.weights.restore(self._chat_file(name))

    def remove_model(self, name: str) -> None:
        """Delete a model with its copies. Raises as `ModelRegistry.remove` does."""
        files = [model.path for model in self.registry.list() if model.name == self._known_name(name)]
        self.registry.remove(name)
        for file in files:
            self.models.discard(file.stem)
            self.weights.remove(file)

    def _chat_file(self, name: str) -> Path:
        info = self.registry.info(name)
        if info.kind != "chat":
            raise ConflictError(f"{info.name} is an encoder.", hint="Only chat models have copies in other formats.")
        return info.path

    def _known_name(self, name: str) -> str | None:
        """The name as the list shows it; None where the model is damaged or absent."""
        try:
            return self.registry.info(name).name
        except NexusError:
            return None
