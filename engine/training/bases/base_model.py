"""The training copy of a GGUF: the same model as a Transformers folder in a cache.

Its weights are those of the file, dequantised, or those of the matching Hugging Face folder beside the file where there is one
(`bases.originals` says when it matches).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.domain import Json
from engine.errors import ModelFileError, StorageError
from engine.llm.llamacpp.model_files.model_check import parts_by_name, require_checked
from engine.model_registry.file_hashes import HASHES, FileHashes
from engine.training.bases.copying import module_name, write_copy
from engine.training.bases.families import family_of
from engine.training.bases.gguf_base import GgufBase, open_base
from engine.training.bases.originals import Originals, candidates, difference
from engine.training.bases.settings import configuration

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

_FORMAT = 2
"""Part of the copies' names: raised when what is written changes."""
_SOURCE = "source.json"
_CONFIG = "config.json"
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


def require_trainable(gguf_path: Path) -> GgufBase:
    """Make sure that a file can be the base of a fine-tune, from its header alone.

    Raises:
        ModelFileError: it cannot; the message says why.
    """
    base = open_base(gguf_path)
    family = family_of(base)
    configuration(base)
    for tensor in base.tensors:
        module_name(base, family, tensor)
    require_checked(gguf_path)
    return base


def training_copy(gguf_path: Path, cache_dir: Path, *, long_positions: bool = False) -> Path:
    """The folder with the weights of a GGUF for training, made once and then found by the hash of the file's contents.

    Dequantised weights have four bytes each, those in 16 bits two. The copy
    appears whole or not at all; two processes may make it at the same time.

    Args:
        gguf_path: the model.
        cache_dir: the home's cache folder.
        long_positions: whether a LongRoPE model is to take its long factors for texts of any length, as it is served then
            (`engine.llm.llamacpp.long_rope`). Such a copy shares its weights with the other one.

    Raises:
        ModelFileError: the file is no GGUF, or of a kind that cannot be fine-tuned.
        StorageError: the copy could not be written.
    """
    base = require_trainable(gguf_path)
    name = _content_name(gguf_path, FileHashes(cache_dir / HASHES))
    passed_over: dict[str, Json] = {}
    try:
        for originals in candidates(base):
            found = cache_dir / "training" / f"{name}-{originals.stamp()}"
            reason = None if _is_complete(found) else difference(base, originals)
            if reason is None:
                made = _made(found, base, originals, {"weights": "originals", "folder": originals.folder.name})
                return _long(made) if long_positions else made
            passed_over[originals.folder.name] = reason
        source: dict[str, Json] = {"weights": "dequantised", "passed_over": passed_over}
        made = _made(cache_dir / "training" / name, base, None, source)
        return _long(made) if long_positions else made
    except OSError as exc:
        raise StorageError(
            f"The training copy of {gguf_path.name} could not be written: {exc}", hint="Free some disk space and try again."
        ) from exc


def copy_source(folder: Path) -> Mapping[str, Json]:
    """Where the weights of a training copy are from: `weights` is `dequantised`, or `originals` with the `folder`.

    `passed_over` has the folders that looked right when the copy was made, with what showed that they are not.
    """
    try:
        source = json.loads((folder / _SOURCE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return source if isinstance(source, dict) else {}


def base_notices(base: GgufBase, folder: Path) -> tuple[str, ...]:
    """What a person should know of a base and its training copy."""
    notices = []
    if not base.header.text("tokenizer.chat_template"):
        notices.append(f"{base.path.name} has no chat template. Conversations are written as ChatML, in training as in chat.")
    passed_over = copy_source(folder).get("passed_over")
    for name, reason in (passed_over if isinstance(passed_over, dict) else {}).items():
        notices.append(f"The folder {name} is not this model before quantisation ({reason}), so its weights were not used.")
    return tuple(notices)


def empty_base(folder: Path) -> PreTrainedModel:
    """The model of a training copy with everything but its weights, which take no memory; ready to predict in float32.

    Raises:
        ModelFileError: the copy is damaged.
    """
    from accelerate import init_empty_weights
    from transformers import AutoModelForCausalLM

    try:
        config, attention = _configured(folder)
        with init_empty_weights(include_buffers=False):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    except (OSError, ValueError, KeyError, RuntimeError) as exc:
        raise _damaged(folder, exc) from exc
    return model.eval()


def load_base(folder: Path, dtype: str) -> PreTrainedModel:
    """Load a training copy. `dtype` is `float32` or `bfloat16`.

    Raises:
        ModelFileError: the copy is damaged.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        config, attention = _configured(folder)
        model: PreTrainedModel
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            use_safetensors=True,
            attn_implementation=attention,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as exc:
        raise _damaged(folder, exc) from exc
    _require_all_weights(folder, report)
    return model


def _configured(folder: Path) -> tuple[PreTrainedConfig, str | None]:
    """A copy's configuration, and which implementation of attention it needs; None: any."""
    from transformers import AutoConfig

    config: PreTrainedConfig = AutoConfig.from_pretrained(folder, local_files_only=True)
    # Transformers' fused attention leaves out the soft cap that Gemma 2 puts on attention scores.
    capped = getattr(config, "attn_logit_softcapping", None) is not None
    return config, "eager" if capped else None


def _damaged(folder: Path, exc: Exception) -> ModelFileError:
    return ModelFileError(f"The training copy {folder.name} is damaged: {exc}", hint=f"Delete {folder}.")


def _require_all_weights(folder: Path, report: Mapping[str, Sequence[object]]) -> None:
    """Transformers gives weights that it does not find random values."""
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if names := sorted(map(str, report[kind])):
            raise ModelFileError(
                f"The training copy {folder.name} is not this model ({kind.partition('_')[0]}: {names[0]}).",
                hint=f"Delete {folder}, or choose another base model.",
            )


def _content_name(gguf_path: Path, known: FileHashes) -> str:
    """A name for what a model's files contain, whatever they are called."""
    hashes = [known.sha256(part) for part in parts_by_name(gguf_path) if part.is_file()] or [known.sha256(gguf_path)]
    digest = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return f"{digest[:32]}-v{_FORMAT}"


def _is_complete(folder: Path) -> bool:
    return (folder / _CONFIG).is_file()


def _made(folder: Path, base: GgufBase, originals: Originals | None, source: Mapping[str, Json]) -> Path:
    """The copy in a folder, written if it is not there."""

    def write(temporary: Path) -> None:
        (temporary / _SOURCE).write_text(json.dumps(source, indent=1), "utf-8")
        write_copy(base, originals, temporary)

    return _whole(folder, write)


def _long(copy: Path) -> Path:
    """The same copy with the long factors of LongRoPE for texts of any length; the weights are links to its own."""
    config = json.loads((copy / _CONFIG).read_text("utf-8"))
    rope = config["rope_parameters"]
    config["rope_parameters"] = rope | {"short_factor": rope["long_factor"]}

    def write(temporary: Path) -> None:
        for file in copy.iterdir():
            if file.name != _CONFIG:
                _link(file, temporary / file.name)
        (temporary / _CONFIG).write_text(json.dumps(config, indent=1), "utf-8")

    return _whole(copy.with_name(f"{copy.name}-long"), write)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # some file systems know no links
        shutil.copyfile(source, target)


def _whole(folder: Path, write: Callable[[Path], None]) -> Path:
    """A folder, written if it is not there; it appears whole or not at all."""
    if _is_complete(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_folder(folder.parent) as temporary:
        write(temporary)
        # Renaming onto a folder that another process put there in the meantime fails: theirs is as good.
        with contextlib.suppress(FileExistsError):
            _rename_unless_there(temporary, folder)
    return folder


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
