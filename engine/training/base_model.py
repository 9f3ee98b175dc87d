"""The training copy of a GGUF: the same weights, dequantised, as a Transformers folder in a cache."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ModelFileError, StorageError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_TEMPORARY = ".tmp-"
_STALE_S = 24 * 3600.0
"""Writing a copy takes minutes at most."""


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises:
        ModelFileError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise ModelFileError(f"{path.name} cannot be read: {exc.strerror}.", hint="Check the path.") from exc


def training_copy(gguf_path: Path, cache_dir: Path) -> Path:
    """The folder with the dequantised weights of a GGUF, made once and then found by the file's hash and size.

    The copy has four bytes for each weight. It appears whole or not at all; two processes may make it at the same time.

    Raises:
        ModelFileError: the file is no GGUF, or of an architecture that Transformers does not read.
        StorageError: the copy could not be written.
    """
    digest = file_sha256(gguf_path)
    folder = cache_dir / "training" / f"{digest[:32]}-{gguf_path.stat().st_size}"
    if (folder / "config.json").is_file():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_folder(folder.parent) as temporary:
            _write_copy(gguf_path, temporary)
            # Renaming onto a folder that another process put there in the meantime fails: theirs is as good.
            with contextlib.suppress(FileExistsError):
                _rename_unless_there(temporary, folder)
    except OSError as exc:
        raise StorageError(
            f"The training copy of {gguf_path.name} could not be written: {exc}", hint="Free some disk space and try again."
        ) from exc
    return folder


def load_base(folder: Path, dtype: str) -> PreTrainedModel:
    """Load a training copy. `dtype` is `float32` or `bfloat16`.

    Raises:
        ModelFileError: the copy is damaged.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as exc:
        raise ModelFileError(f"The training copy {folder.name} is damaged: {exc}", hint=f"Delete {folder}.") from exc
    return model


def _write_copy(gguf_path: Path, folder: Path) -> None:
    """Dequantise with Transformers and save as safetensors."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        model = AutoModelForCausalLM.from_pretrained(
            gguf_path.parent, gguf_file=gguf_path.name, dtype=torch.float32, local_files_only=True
        )
    except (ValueError, KeyError, IndexError, NotImplementedError, RuntimeError) as exc:
        raise ModelFileError(
            f"{gguf_path.name} cannot be dequantised for training: {exc}",
            hint="Fine-tuning works with Llama, Mistral, Qwen2, Gemma and Phi-3 models in GGUF form.",
        ) from exc
    # What is saved is no longer quantised; left in place, these make `save_pretrained` refuse.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    try:
        model.save_pretrained(folder, safe_serialization=True)
    except SafetensorError as exc:  # how a full disk shows itself
        raise OSError(str(exc)) from exc


@contextlib.contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """A new folder beside its later place, gone at the end of the block unless it was renamed."""
    _remove_stale(parent)
    folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(parent: Path) -> None:
    """Remove the half-written copies of processes that were killed."""
    for folder in parent.glob(f"{_TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > _STALE_S:
                shutil.rmtree(folder, ignore_errors=True)


def _rename_unless_there(source: Path, target: Path) -> None:
    """Rename a folder.

    Raises:
        FileExistsError: the target is there.
    """
    if target.exists():
        raise FileExistsError(target)
    source.replace(target)
