"""The models folder as a list of models: what is there, adding, removing, pulling."""

from __future__ import annotations

import difflib
import re
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.domain import ModelInfo
from engine.errors import ConflictError, InputError, ModelFileError, NotFoundError, OfflineError
from engine.model_registry.describe import (
    describe_chat_model,
    describe_encoder,
    is_chat_model,
    is_encoder_folder,
    is_encoder_part,
    plain_name,
)
from engine.model_registry.file_hashes import FileHashes
from engine.model_registry.files import Copied, copy_stream, disk_errors, incoming, prepare, put_in_place
from engine.model_registry.gguf_file import read_gguf
from engine.model_registry.hub import Hub, HuggingFaceHub
from engine.model_registry.pull import check_names, download, files_to_pull, pulled_name

_NAME = re.compile(r"[A-Za-z0-9][\w.+ -]{0,119}")

Check = Callable[[Path], object]
"""Raises a `ModelFileError` where a GGUF file is no model that can be used."""

Announce = Callable[[str, int], None]
"""Told the name and the size in bytes of what is about to be downloaded."""


def _say_nothing(_name: str, _size: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class DamagedModel:
    """A file in the models folder that looks like a model and cannot be used."""

    path: Path
    error: ModelFileError


class ModelRegistry:
    """Lists and changes a models folder. Safe to use from any thread; files that others add or remove are noticed."""

    def __init__(
        self,
        models_dir: Path,
        hub: Hub | None = None,
        *,
        defaults: Sequence[str] = (),
        check: Check = read_gguf,
        hashes: FileHashes | None = None,
    ) -> None:
        """Open a folder.

        Args:
            models_dir: the folder; made with the first model that is added.
            hub: where models are pulled from; by default the Hugging Face hub.
            defaults: the models that the settings name; they are not removed.
            check: what a GGUF file must pass before it is taken in.
            hashes: remembers the hashes of files; by default for as long as this registry lives.
        """
        self._defaults = frozenset(plain_name(name) for name in defaults)
        self._check = check
        self._folder = models_dir.absolute()
        self._hub = hub or HuggingFaceHub()
        self._hashes = hashes or FileHashes()
        self._seen: dict[Path, tuple[tuple[int, int], ModelInfo | ModelFileError | None]] = {}
        self._lock = threading.Lock()

    def list(self) -> list[ModelInfo]:
        """All usable models, chat models before encoders, by name. LoRA adapters and damaged files are left out."""
        found = [entry for _, entry in self._entries() if isinstance(entry, ModelInfo)]
        return sorted(found, key=lambda model: (model.kind, model.name.lower()))

    def damaged(self) -> Sequence[DamagedModel]:
        """The files that look like models and cannot be used, with the reason."""
        return [DamagedModel(path, entry) for path, entry in self._entries() if isinstance(entry, ModelFileError)]

    def info(self, name: str) -> ModelInfo:
        """What is known of a model. `sha256` is filled in where it has been computed before.

        Raises:
            NotFoundError: there is no such model; the hint names similar ones.
            ModelFileError: there is, but its file cannot be used.
        """
        wanted = plain_name(name)
        for path, entry in self._entries():
            if plain_name(path.name) == wanted and entry is not None:
                if isinstance(entry, ModelFileError):
                    raise ModelFileError(entry.message, hint=entry.hint)
                return replace(entry, sha256=self._hashes.known(_weights(entry)))
        raise self._not_found(name)

    def path(self, name: str) -> Path:
        """The file of a chat model or the folder of an encoder. Raises as `info` does."""
        return self.info(name).path

    def sha256(self, name: str) -> str:
        """The SHA-256 of a model's weights file, computed at need and then remembered. Raises as `info` does."""
        return self._hashes.sha256(_weights(self.info(name)))

    def check_addable(self, source: Path) -> ModelInfo:
        """What `add` would add. Raises as that does, but copies nothing and does not ask whether there is room."""
        source = source.expanduser().absolute()
        if not source.exists():
            raise NotFoundError(f"There is no file {source}.", hint="Check the path.")
        if not source.is_file() and not source.is_dir():  # opening a pipe would wait for ever
            raise ModelFileError(f"{source.name} is not a regular file.", hint="Give a GGUF file or an encoder's folder.")
        info = describe_encoder(source) if source.is_dir() else self._usable_chat_model(source)
        self._check_name(source.name)
        return info

    def add(self, source: Path, copied: Copied | None = None) -> ModelInfo:
        """Copy a GGUF file or an encoder folder into the models folder, whole or not at all.

        Args:
            source: the file or folder.
            copied: told of the bytes that were copied.

        Raises:
            NotFoundError: there is nothing at that path.
            ModelFileError: it is not a model that can be used.
            ConflictError: there is a model of that name already.
            StorageError: it does not fit on the disk or may not be written.
        """
        info = self.check_addable(source)
        source = info.path
        with disk_errors(f"{source.name} cannot be added"):
            prepare(self._folder, info.size)
            with incoming(self._folder) as unfinished:
                _copy(source, unfinished, copied)
                put_in_place(unfinished, self._folder / _target_name(source))
        return self.info(info.name)

    def remove(self, name: str) -> None:
        """Delete a model. Adapters that were made for it are left alone and cannot be used without it.

        Raises:
            NotFoundError: there is no such model.
            ConflictError: it is the default chat model or the default encoder.
            StorageError: it may not be deleted.
        """
        wanted = plain_name(name)
        if wanted in self._defaults:
            hint = "Name another one in NEXUS_DEFAULT_MODEL or NEXUS_DEFAULT_ENCODER first."
            raise ConflictError(f"{name} is a default model, so it is not removed.", hint=hint)
        path = next((path for path, entry in self._entries() if plain_name(path.name) == wanted and entry is not None), None)
        if path is None:
            raise self._not_found(name)
        with disk_errors(f"{path.name} cannot be removed"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def pull(self, repo: str, file: str | None = None, *, offline: bool, announce: Announce = _say_nothing) -> ModelInfo:
        """Download a model from the Hugging Face hub: the only thing in the product that downloads models.

        Args:
            repo: `OWNER/NAME`.
            file: a GGUF file in it; None: its only GGUF file, or the whole encoder where it is one.
            offline: whether the network is forbidden.
            announce: told what is downloaded, and its size in bytes, when that begins.

        Raises:
            OfflineError: it is.
            InputError: the repository or file makes no sense, or there are several GGUF files to choose from.
            NotFoundError, ProviderError: the hub does not have it or cannot be reached.
            ModelFileError: what came is not what the hub describes, or not a usable model.
            ConflictError, StorageError: as for `add`.
        """
        check_names(repo, file)
        if offline:
            hint = "Set NEXUS_OFFLINE=false for this one command."
            raise OfflineError("Offline mode is on, so nothing is downloaded.", hint=hint)
        files = files_to_pull(self._hub, repo, file)
        name = pulled_name(repo, files)
        self._check_name(name)
        with disk_errors(f"{name} cannot be stored"):
            size = sum(entry.size for entry in files)
            prepare(self._folder, size)
            announce(name, size)
            with incoming(self._folder) as unfinished:
                finished = download(self._hub, repo, files, unfinished)
                _ = describe_encoder(finished) if finished.is_dir() else self._usable_chat_model(finished)
                put_in_place(finished, self._folder / name)
        return self.info(name)

    def _entries(self) -> Sequence[tuple[Path, ModelInfo | ModelFileError | None]]:
        try:
            paths = sorted(self._folder.iterdir())
        except OSError:
            return []
        return [(path, self._entry(path)) for path in paths if _looks_like_model(path)]

    def _entry(self, path: Path) -> ModelInfo | ModelFileError | None:
        """What a file is: a model, a damaged one, or None: a sound file that is no model, such as an adapter."""
        weights = path / "model.safetensors" if path.is_dir() else path
        try:
            status = weights.stat()
        except OSError:
            return None
        stamp = (status.st_size, status.st_mtime_ns)
        with self._lock:
            seen = self._seen.get(path)
        if seen is not None and seen[0] == stamp:
            return seen[1]
        entry = _read_entry(path)
        with self._lock:
            self._seen[path] = (stamp, entry)
        return entry

    def _usable_chat_model(self, path: Path) -> ModelInfo:
        """What a GGUF file says of itself that may be taken in."""
        header = read_gguf(path)
        if header.text("general.type") == "adapter":
            hint = "Adapters belong to their base model; fine-tuning makes and lists them."
            raise ModelFileError(f"{path.name} is a LoRA adapter, not a model.", hint=hint)
        if not is_chat_model(header):
            raise ModelFileError(
                f"{path.name} is not a chat model (architecture {header.architecture or 'unknown'}).",
                hint="Add a GGUF file of a model that generates text.",
            )
        if (parts := header.integer("split.count")) > 1:
            hint = f"Copy them all into {self._folder} yourself, or add the model in one file."
            raise ModelFileError(f"{path.name} is one of {parts} parts of a model.", hint=hint)
        self._check(path)
        return describe_chat_model(path, header)

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} cannot be the name of a model.",
                hint="Use letters, digits, dots, dashes and underscores, at most 120.",
            )
        if any(plain_name(path.name) == plain_name(name) for path, _ in self._entries()):
            raise ConflictError(f"There is a model named {name} already.", hint="Remove it first, or rename the file.")

    def _not_found(self, name: str) -> NotFoundError:
        names = [model.name for model in self.list()]
        plain = {plain_name(known): known for known in names}
        near = [plain[match] for match in difflib.get_close_matches(plain_name(name), plain, n=3, cutoff=0.4)]
        if near:
            hint = f"Did you mean {' or '.join(near)}?"
        else:
            hint = f"There are: {', '.join(names)}." if names else "The models folder is empty; run `make setup`."
        return NotFoundError(f"There is no model {name!r}.", hint=hint)


def _read_entry(path: Path) -> ModelInfo | ModelFileError | None:
    try:
        if path.is_dir():
            return describe_encoder(path)
        header = read_gguf(path)
        return describe_chat_model(path, header) if is_chat_model(header) else None
    except ModelFileError as exc:
        return exc


def _looks_like_model(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    return path.suffix.lower() == ".gguf" or (path.is_dir() and is_encoder_folder(path))


def _weights(info: ModelInfo) -> Path:
    return info.path / "model.safetensors" if info.kind == "encoder" else info.path


def _target_name(source: Path) -> str:
    """The name in the models folder: GGUF files always end in `.gguf`, by which they are found."""
    return source.name if source.is_dir() or source.suffix.lower() == ".gguf" else f"{source.name}.gguf"


def _copy(source: Path, target: Path, copied: Copied | None) -> None:
    if not source.is_dir():
        with source.open("rb") as stream:
            copy_stream(stream, target, copied)
        return
    for file in sorted(source.rglob("*")):
        part = file.relative_to(source)
        if file.is_file() and is_encoder_part(part.as_posix()):
            (target / part).parent.mkdir(parents=True, exist_ok=True)
            with file.open("rb") as stream:
                copy_stream(stream, target / part, copied)
