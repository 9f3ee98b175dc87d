"""What to download for a request to pull a model, and the checks on what came."""

from __future__ import annotations

import difflib
import hashlib
import re
import shutil
from pathlib import Path, PurePosixPath

from engine.errors import InputError, ModelFileError, NotFoundError
from engine.model_registry.describe import ENCODER_FILES, is_encoder_part
from engine.model_registry.hub import Hub, HubFile

_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def check_names(repo: str, file: str | None) -> None:
    """Refuse names that no repository and no model file can have.

    Raises:
        InputError: such a name.
    """
    if not _REPO.fullmatch(repo):
        raise InputError(f"{repo!r} is not the name of a repository.", hint="Name it as OWNER/NAME.")
    if file is not None and not file.lower().endswith((".gguf", ".safetensors")):
        raise InputError(f"{file} is not a model file.", hint="Only .gguf and .safetensors files are pulled.")


def files_to_pull(hub: Hub, repo: str, file: str | None) -> list[HubFile]:
    """The files of a repository that make up the model: one GGUF file, or all of a sentence encoder.

    Raises:
        InputError: there are several GGUF files to choose from, or no model.
        NotFoundError, ProviderError: the hub does not have it or cannot be reached.
    """
    available = [entry for entry in hub.files(repo) if _is_safe(entry.name)]
    if file is not None and file.lower().endswith(".gguf"):
        return [_named(repo, file, available)]
    models = [entry for entry in available if entry.name.lower().endswith(".gguf")]
    if file is None and models:
        return [_only(repo, models)]
    if set(ENCODER_FILES) <= {entry.name for entry in available}:
        return [entry for entry in available if is_encoder_part(entry.name)]
    raise InputError(f"{repo} holds neither a GGUF file nor a sentence encoder.", hint="Look for a repository with GGUF files.")


def pulled_name(repo: str, files: list[HubFile]) -> str:
    """The name in the models folder: the GGUF file's, or the repository's for an encoder."""
    first = PurePosixPath(files[0].name)
    return first.name if first.suffix.lower() == ".gguf" else repo.split("/")[1]


def download(hub: Hub, repo: str, files: list[HubFile], folder: Path) -> Path:
    """Download into a new folder and check hashes. Returns the GGUF file, or the folder of an encoder.

    Raises:
        ModelFileError: a file is not what the hub describes.
        NotFoundError, ProviderError: as the hub raises them.
    """
    folder.mkdir()
    for entry in files:
        path = hub.download(repo, entry.name, folder)
        if entry.sha256 is not None and _sha256(path) != entry.sha256:
            hint = "Try again; if it happens twice, do not use this file."
            raise ModelFileError(f"{entry.name} is not what the hub describes: its hash is another.", hint=hint)
    # huggingface_hub leaves its bookkeeping beside the files.
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    single = files[0].name.lower().endswith(".gguf")
    return folder / files[0].name if single else folder


def _named(repo: str, file: str, available: list[HubFile]) -> HubFile:
    for entry in available:
        if entry.name == file:
            return entry
    names = [entry.name for entry in available if entry.name.lower().endswith(".gguf")]
    near = difflib.get_close_matches(file, names, n=3, cutoff=0.3)
    raise NotFoundError(f"{repo} has no file {file}.", hint=f"It has: {', '.join(near or names[:8])}." if names else None)


def _only(repo: str, models: list[HubFile]) -> HubFile:
    if len(models) > 1:
        names = ", ".join(entry.name for entry in models[:8])
        raise InputError(f"{repo} has {len(models)} GGUF files.", hint=f"Name one of them: {names}.")
    return models[0]


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
