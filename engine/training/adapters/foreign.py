"""Adapters that were made elsewhere: found in a folder, an archive or a GGUF file, and taken over without anything that acts.

A PEFT adapter is two files, settings and weights; the settings are written anew from what the weights are. Nothing is unpacked
by the name that an archive gives it, and nothing that Python would run (pickle) is read at all.
"""

from __future__ import annotations

import json
import math
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from engine.domain import Json
from engine.errors import AdapterError, InputError, ModelFileError, NotFoundError
from engine.model_registry.files import require_space
from engine.model_registry.gguf_file import MAGIC, read_gguf
from engine.training.adapters.gguf_adapter import INEXPRESSIBLE, PEFT_PREFIX

SETTINGS, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MAX_SETTINGS = 1 << 20
"""Largest settings file, in bytes."""
MAX_WEIGHTS = 8 << 30
"""Largest weights, in bytes."""
MAX_ENTRIES = 10_000
"""Most entries of an archive."""

_KEPT = ("peft_type", "lora_alpha", "use_rslora", "init_lora_weights", *INEXPRESSIBLE)
"""What is taken over of the settings; the converter refuses those that it cannot express."""
_BLOCK = 1 << 20

ForeignForm = Literal["peft", "gguf"]


@dataclass(frozen=True, slots=True)
class Foreign:
    """An adapter in a folder of our own: its form, its file of weights there, and for which base it says it was made."""

    form: ForeignForm
    weights: Path
    made_for: str


def take_over(source: Path, folder: Path) -> Foreign:
    """Copy a foreign adapter into `folder`: `peft/` of a PEFT folder or archive, `adapter.gguf` of a GGUF file.

    Raises:
        NotFoundError: there is nothing at that path.
        AdapterError: it is no adapter that can be used; the message says why.
        OSError: the disk refused.
    """
    if not source.exists():
        raise NotFoundError(f"There is no {source}.", hint="Check the path.")
    if source.is_dir():
        return _take_peft(_Folder(source), folder)
    if not source.is_file():
        raise InputError(f"{source.name} is no regular file.", hint="Give a PEFT folder, a ZIP archive of one, or a GGUF file.")
    with source.open("rb") as file:
        start = file.read(4)
    if start == MAGIC:
        return _take_gguf(source, folder)
    if zipfile.is_zipfile(source):
        try:
            with zipfile.ZipFile(source) as archive:
                return _take_peft(_Archive(archive), folder)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as exc:  # damaged, encrypted, odd compression
            raise AdapterError(f"{source.name} cannot be unpacked: {exc}", hint="Make the archive again.") from exc
    raise AdapterError(f"{source.name} is no adapter.", hint="Give a PEFT folder, a ZIP archive of one, or a GGUF file.")


class _Folder:
    """The files of a PEFT folder by their names."""

    def __init__(self, path: Path) -> None:
        self.names = frozenset(entry.name for entry in path.iterdir() if entry.is_file())
        self._path = path

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        with (self._path / name).open("rb") as file:
            yield file

    def size(self, name: str) -> int:
        """The bytes of a file."""
        return (self._path / name).stat().st_size


class _Archive:
    """The files of an archive that lie beside the settings of its only adapter."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES:
            raise AdapterError(f"The archive has {len(entries)} files.", hint="Pack the adapter's folder alone.")
        plain = [entry for entry in entries if not entry.is_dir() and not stat.S_ISLNK(entry.external_attr >> 16)]
        settings = [entry for entry in plain if PurePosixPath(entry.filename).name == SETTINGS]
        if len(settings) != 1:
            raise AdapterError(f"The archive holds {len(settings)} adapters.", hint="Pack the folder of one adapter.")
        place = PurePosixPath(settings[0].filename).parent
        self._entries = {PurePosixPath(e.filename).name: e for e in plain if PurePosixPath(e.filename).parent == place}
        self.names = frozenset(self._entries)
        self._archive = archive

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        with self._archive.open(self._entries[name]) as file:
            yield file

    def size(self, name: str) -> int:
        """The bytes of a file, unpacked, as the archive says; it gives no more than that."""
        return self._entries[name].file_size


def _take_peft(source: _Folder | _Archive, folder: Path) -> Foreign:
    if SETTINGS not in source.names:
        raise AdapterError(f"There is no {SETTINGS}.", hint="Give the folder that PEFT's save_pretrained wrote.")
    if WEIGHTS not in source.names:
        pickled = any(name.endswith((".bin", ".pt", ".pth", ".pkl")) for name in source.names)
        why = " Its weights are in a format that can run programs when it is read (pickle)." if pickled else ""
        raise AdapterError(f"There is no {WEIGHTS}.{why}", hint="Save the adapter as safetensors.")
    with source.open(SETTINGS) as file:
        settings = _parsed(file.read(MAX_SETTINGS + 1))
    target = folder / "peft"
    target.mkdir(parents=True)
    with source.open(WEIGHTS) as file:
        _copy(file, source.size(WEIGHTS), target / WEIGHTS)
    clean = _clean(settings, _ranks(target / WEIGHTS))
    (target / SETTINGS).write_text(json.dumps(clean, indent=1), "utf-8")
    return Foreign("peft", target / WEIGHTS, _name(settings.get("base_model_name_or_path")))


def _take_gguf(source: Path, folder: Path) -> Foreign:
    try:
        header = read_gguf(source)
    except ModelFileError as exc:
        raise AdapterError(f"The adapter cannot be used: {exc.message}", hint=exc.hint) from exc
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "adapter.gguf"
    with source.open("rb") as file:
        _copy(file, source.stat().st_size, target)
    named = " ".join(header.text(f"general.base_model.0.{part}") for part in ("organization", "name")).strip()
    return Foreign("gguf", target, _name(named or header.architecture))


def _parsed(data: bytes) -> Mapping[str, Json]:
    if len(data) > MAX_SETTINGS:
        raise AdapterError(f"{SETTINGS} is too large.", hint="Give the folder that PEFT's save_pretrained wrote.")
    try:
        settings = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise AdapterError(f"{SETTINGS} cannot be read: {exc}", hint="Save the adapter again.") from exc
    if not isinstance(settings, dict):
        raise AdapterError(f"{SETTINGS} holds no settings.", hint="Save the adapter again.")
    return settings


def _copy(source: IO[bytes], size: int, target: Path) -> None:
    """Copy a stream of so many bytes; whatever it holds beyond them is left."""
    if size > MAX_WEIGHTS:
        raise AdapterError("The adapter is too large.", hint=f"At most {MAX_WEIGHTS >> 30} GB are taken in.")
    require_space(target.parent, size)
    with target.open("xb") as out:
        while size > 0 and (block := source.read(min(size, _BLOCK))):
            size -= len(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())


def _ranks(weights: Path) -> dict[str, int]:
    """Module → the rank of its LoRA matrices, from the file's header."""
    from safetensors import SafetensorError, safe_open

    ranks: dict[str, int] = {}
    try:
        with safe_open(weights, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118  (no mapping)
                module, part, _ = name.removeprefix(PEFT_PREFIX).rpartition(".lora_A.weight")
                if part:
                    ranks[module] = file.get_slice(name).get_shape()[0]
    except (OSError, SafetensorError, IndexError) as exc:
        raise AdapterError(f"{WEIGHTS} cannot be read: {exc}", hint="Save the adapter again.") from exc
    if not ranks:
        raise AdapterError(f"{WEIGHTS} holds no LoRA matrices.", hint="Only LoRA adapters can be used.")
    return ranks


def _clean(settings: Mapping[str, Json], ranks: Mapping[str, int]) -> dict[str, Json]:
    """Settings that say what the weights are, with no pattern that a foreign author wrote."""
    rank, alpha = Counter(ranks.values()).most_common(1)[0][0], settings.get("lora_alpha")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise AdapterError("The adapter does not say its alpha.", hint="Save the adapter again.")
    if not settings.get("rank_pattern") and set(ranks.values()) != {settings.get("r")}:
        raise AdapterError("The adapter's rank is not the one that its settings say.", hint="Save the adapter again.")
    if settings.get("bias", "none") != "none":
        raise AdapterError("An adapter with biases cannot be used.", hint="Train with `bias='none'`.")
    others: dict[str, Json] = {module: one for module, one in ranks.items() if one != rank}
    kept = {name: settings[name] for name in _KEPT if name in settings}
    own: dict[str, Json] = {"task_type": "CAUSAL_LM", "inference_mode": True, "r": rank, "bias": "none"}
    return kept | own | {"rank_pattern": others, "target_modules": list(ranks), "base_model_name_or_path": None}


def _name(value: Json) -> str:
    """What an adapter calls its base, on one short line; empty where it says nothing."""
    return " ".join(str(value or "").split())[:200]
