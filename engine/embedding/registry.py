"""Which embedders there are, and how to make one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.embedding.base import Embedder
from engine.embedding.fake import HashingEmbedder
from engine.embedding.sentence_transformer import SentenceTransformerEmbedder
from engine.errors import InputError

EMBEDDERS: dict[str, Callable[[Path, str], Embedder]] = {
    "sentence-transformer": SentenceTransformerEmbedder,
    "hashing": lambda _folder, name: HashingEmbedder(name),
}
"""Constructor of each kind of embedder, from the folder of the model and its name."""


def create_embedder(name: str, folder: Path) -> Embedder:
    """The embedder called `name`: `hashing`, or the encoder in the folder `folder / name`.

    Args:
        name: a kind of `EMBEDDERS` that needs no files, or the name of an encoder.
        folder: where model files are kept, such as `Settings.models_dir`.

    Raises:
        InputError: the name is not a plain folder name.
        ModelFileError: there is no usable encoder of that name.
    """
    if name == "hashing":
        return EMBEDDERS["hashing"](folder, name)
    if name != Path(name).name or name in {"", ".", ".."}:
        raise InputError(f"{name!r} is not the name of an encoder.", hint="`nexus models list` shows the encoders.")
    return EMBEDDERS["sentence-transformer"](folder / name, name)
