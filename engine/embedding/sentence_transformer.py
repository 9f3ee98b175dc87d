"""Sentence encoders in Sentence Transformers' folder layout, from the local disk only."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.embedding.base import Embedder, Vectors
from engine.errors import EmbeddingError, ModelFileError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_FRONT_MATTER = 20_000
"""Characters of a model card that may be its front matter."""
_LANGUAGE = re.compile(r"^language:[ \t]*(?P<inline>[^\n]*)\n(?P<listed>(?:[ \t]*-[ \t]*[^\n]*\n)*)", re.MULTILINE)
_WORD = re.compile(r"[^\W\d_]{3,}")
_KNOWN_MODULES = frozenset({"Transformer", "Pooling", "Normalize"})
"""What a folder's `modules.json` may name. Sentence Transformers would import any other class, local code included."""


class SentenceTransformerEmbedder(Embedder):
    """An encoder such as MiniLM-L6-v2, on the GPU where there is one.

    The weights are read at the first `embed`; until then only two small JSON files were. One batch runs at a time, because
    the tokeniser is not safe for concurrent calls and torch uses all cores for one batch anyway.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Look at the folder.

        Raises:
            ModelFileError: it is not an encoder that can be loaded safely.
        """
        self.name = name
        self._folder = folder
        _check_modules(folder)
        if not (folder / "model.safetensors").is_file():
            raise ModelFileError(
                f"{folder.name} has no model.safetensors.",
                hint="Run `make setup`, or convert the encoder: pickled weights (pytorch_model.bin) are not loaded.",
            )
        self.dimension = _read_dimension(folder)
        self.languages = _read_languages(folder)
        self._lock = threading.Lock()
        self._model: SentenceTransformer | None = None

    def words(self) -> Sequence[str]:
        """See `Embedder.words`: the entries of a WordPiece vocabulary that begin a word."""
        try:
            entries = (self._folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as exc:
            raise ModelFileError(f"{self._folder.name} has an unreadable vocabulary: {exc}.") from exc
        return [entry for entry in entries if _WORD.fullmatch(entry)]

    def _embed_batch(self, texts: list[str]) -> Vectors:
        with self._lock:
            model = self._loaded()
            try:
                vectors = model.encode(texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True)
            except (RuntimeError, ValueError, TypeError) as exc:
                raise EmbeddingError(f"{self.name} could not embed {len(texts)} texts: {exc}", retryable=True) from exc
        return np.asarray(vectors, dtype=np.float32)

    def _loaded(self) -> SentenceTransformer:
        """The model, read on first use. The caller holds the lock."""
        if self._model is None:
            self._model = self._load()
        return self._model

    def _load(self) -> SentenceTransformer:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # Read by huggingface_hub when it is imported.
        import torch
        from safetensors import SafetensorError
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # A bar for 0.1 s of work would garble the CLI's stderr.
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            model = SentenceTransformer(
                str(self._folder),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError, SafetensorError) as exc:
            raise ModelFileError(f"{self.name} could not be loaded: {exc}", hint="Run `make setup` to restore it.") from exc
        if model.get_embedding_dimension() != self.dimension:
            raise ModelFileError(
                f"{self.name} gives {model.get_embedding_dimension()} numbers; its folder says {self.dimension}."
            )
        return model


def _read_json(path: Path) -> object:
    """The contents of one of an encoder's JSON files."""
    try:
        parsed: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        hint = "Run `make setup` to put the default encoder in models/."
        raise ModelFileError(f"{path.parent.name} is not a sentence encoder: {path.name} is missing.", hint=hint) from exc
    except (OSError, ValueError) as exc:
        raise ModelFileError(f"{path.parent.name} is not a sentence encoder: {path.name} is unreadable ({exc}).") from exc
    return parsed


def _check_modules(folder: Path) -> None:
    """Refuse folders that would make Sentence Transformers import anything but its own plain modules."""
    modules = _read_json(folder / "modules.json")
    types = [str(entry.get("type")) for entry in modules if isinstance(entry, dict)] if isinstance(modules, list) else []
    for dotted in types:
        if not dotted.startswith("sentence_transformers.") or dotted.rsplit(".", 1)[-1] not in _KNOWN_MODULES:
            raise ModelFileError(
                f"{folder.name} asks for the module {dotted}, which is not allowed.", hint="Use a plain encoder."
            )
    if not types:
        raise ModelFileError(f"{folder.name} is not a sentence encoder: modules.json names no modules.")


def _read_dimension(folder: Path) -> int:
    """The length of the vectors: `hidden_size` of the transformer's own configuration."""
    config = _read_json(folder / "config.json")
    size = config.get("hidden_size") if isinstance(config, dict) else None
    if not isinstance(size, int) or size <= 0:
        raise ModelFileError(f"{folder.name} is not a sentence encoder: config.json has no hidden_size.")
    return size


def _read_languages(folder: Path) -> frozenset[str]:
    """The languages in the front matter of the model card (`language:` in README.md); none where it says nothing."""
    try:
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as card:
            text = card.read(_FRONT_MATTER)
    except OSError:
        return frozenset()
    front = text.partition("---\n")[2].partition("\n---")[0] if text.startswith("---\n") else ""
    found = _LANGUAGE.search(f"{front}\n")
    said = f"{found['inline']} {found['listed']}" if found else ""
    return frozenset(code.lower() for code in re.findall(r"[A-Za-z]{2,}", said))
