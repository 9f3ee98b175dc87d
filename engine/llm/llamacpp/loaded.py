"""The weights and the adapters in memory, each freed exactly once and in the right order.

llama.cpp ends the process when something is freed twice, used after that, or freed before what depends on it. So a model
closes its adapters first and knows how many contexts still use it, and a closed handle refuses to give out its pointer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from engine.errors import AdapterError, CancelledError, ModelError, ModelFileError
from engine.llm.llamacpp.library import load_library
from engine.llm.llamacpp.long_rope import choosing, long_rope
from engine.llm.llamacpp.model_files.adapter_check import check_adapter_file
from engine.llm.llamacpp.model_files.model_check import require_checked
from engine.llm.llamacpp.page_cache import read_ahead


class LoadedModel:
    """The weights of a model. Used by the decode thread alone."""

    def __init__(
        self, path: Path, gpu_layers: int, stop: Callable[[], bool] = lambda: False, *, long_positions: bool = False
    ) -> None:
        """Load the weights; on a processor alone they are mapped, not copied.

        Args:
            path: a GGUF file.
            gpu_layers: layers on the GPU; -1 for all.
            stop: whether nobody waits any more; asked between any two tensors.
            long_positions: which factors a LongRoPE model takes, whatever the size of its contexts (`long_rope`).

        Raises:
            ModelFileError: the file is damaged, or of an architecture that llama.cpp does not know.
            CancelledError: it was given up.
        """
        require_checked(path)
        self.identity = _identity(path)
        """What tells these weights from all others. The file may be deleted while they are in use."""
        library = load_library()
        params = library.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        latch = Latch(stop)
        callback = library.llama_progress_callback(latch.goes_on)  # must live for as long as the load takes
        params.progress_callback = callback
        rope = long_rope(path)
        if rope is not None:
            params.kv_overrides = overrides = choosing(rope, long_positions=long_positions)  # must live as long, too
            self.identity += f" {overrides[0].value.val_i64}"
        self._users = self._pointer = 0
        if read_ahead(path, latch.stopped):
            self._pointer = library.llama_model_load_from_file(os.fsencode(path), params) or 0
        if not self._pointer and latch.thrown:
            raise CancelledError(f"{path.name} was not loaded to its end, since nobody waited for it.")
        if not self._pointer:
            hint = "Get the file again; if it is whole, memory may be short or its architecture is not supported."
            raise ModelFileError(f"{path.name} cannot be loaded.", hint=hint)
        self.on_gpu = bool(gpu_layers and library.llama_supports_gpu_offload())
        """Whether layers are computed by a GPU."""
        self.keeps_history = not (
            library.llama_model_is_recurrent(self._pointer) or library.llama_model_is_hybrid(self._pointer)
        )
        """Whether a part of a sequence's cache can be copied or cut off; not so in state-space models."""

    @property
    def pointer(self) -> int:
        """llama.cpp's handle.

        Raises:
            ModelError: the model was unloaded.
        """
        if not self._pointer:
            raise ModelError("The model was unloaded.")
        return self._pointer

    def borrow(self) -> int:
        """The handle, for something that must be given back (`give_back`) before the model can be closed."""
        pointer = self.pointer
        self._users += 1
        return pointer

    def give_back(self) -> None:
        """A context or an adapter of this model is gone."""
        self._users -= 1

    def close(self) -> None:
        """Free the weights. May be called again.

        Raises:
            RuntimeError: a context or an adapter still uses them.
        """
        if self._users:
            raise RuntimeError(f"{self._users} contexts or adapters still use the weights")
        pointer, self._pointer = self._pointer, 0
        if pointer:
            load_library().llama_model_free(pointer)


class LoadedAdapter:
    """A LoRA adapter in memory. It belongs to one context, which closes it after itself."""

    def __init__(self, model: LoadedModel, path: Path) -> None:
        """Load an adapter for these weights.

        Raises:
            AdapterError: missing, damaged, or made for another model.
        """
        check_adapter_file(path)
        self._model = model
        # A failed load is a pointer object that is not None but false, which would end the process when attached.
        self._pointer: int = load_library().llama_adapter_lora_init(model.borrow(), os.fsencode(path)) or 0
        if not self._pointer:
            model.give_back()
            hint = "An adapter works only with the model it was trained on."
            raise AdapterError(f"The adapter {path.name} is damaged or does not fit this model.", hint=hint)

    @property
    def pointer(self) -> int:
        """llama.cpp's handle.

        Raises:
            AdapterError: the adapter was unloaded.
        """
        if not self._pointer:
            raise AdapterError("The adapter was unloaded.")
        return self._pointer

    def close(self) -> None:
        """Free the adapter. May be called again. No context may have it attached."""
        pointer, self._pointer = self._pointer, 0
        if pointer:
            load_library().llama_adapter_lora_free(pointer)
            self._model.give_back()


class Latch:
    """Remembers that something is to be given up: whoever asks for it again meanwhile does not revive it."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        """Ask `stop`, which may take back its word."""
        self.thrown = False
        self._stop = stop

    def stopped(self) -> bool:
        """Whether it is to be given up."""
        self.thrown = self.thrown or self._stop()
        return self.thrown

    def goes_on(self, _progress: float, _data: int | None) -> bool:
        """llama.cpp's question between two tensors."""
        return not self.stopped()


def _identity(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as exc:
        raise ModelFileError(f"{path.name} cannot be read.", hint="Get the file again.") from exc
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"
