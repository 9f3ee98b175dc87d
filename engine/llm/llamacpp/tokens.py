"""A model's vocabulary: text to tokens and back, and which tokens are special.

The vocabulary is loaded on its own, without the weights (about 0.2 s), so that any thread can count and tokenise while the
decode thread works, and before the weights are needed at all.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from engine.errors import ModelError, ModelFileError
from engine.llm.llamacpp.library import load_library
from engine.llm.llamacpp.long_runs import LONGEST_RUN, cut_long_runs
from engine.llm.llamacpp.model_files.model_check import require_checked

Token = int
"""An index into the vocabulary."""

_PIECE_BYTES = 1024
"""More than the longest token of any vocabulary in use; a longer one is asked for again with the size it needs."""

_COMPOSED = ("qwen2", "qwen35")
"""Pre-tokenizers of models whose tokenizer first composes characters (Unicode's normal form C); llama.cpp does not."""

HARMONY_MARKS = frozenset({b"<|start|>", b"<|channel|>", b"<|constrain|>", b"<|message|>", b"<|end|>"})
"""What gpt-oss writes around and in its messages."""


class Vocabulary:
    """The vocabulary and the metadata of a GGUF file. Safe to use from any thread until it is closed."""

    def __init__(self, path: Path) -> None:
        """Load the vocabulary.

        Raises:
            ModelFileError: the file is missing, damaged, or not a model.
        """
        self._lock = threading.Lock()
        self._model = _load_vocabulary_only(path)
        library = load_library()
        self._vocab: int = library.llama_model_get_vocab(self._model)
        self.size: int = library.llama_vocab_n_tokens(self._vocab)
        tokens = range(self.size)
        self.pieces: tuple[bytes, ...] = tuple(self._piece(token) for token in tokens)
        """The bytes of each token, special ones by their name."""
        self.end_tokens = frozenset(t for t in tokens if library.llama_vocab_is_eog(self._vocab, t))
        """Tokens that end an answer."""
        kinds = [library.llama_vocab_get_attr(self._vocab, t) for t in tokens]
        control = frozenset(t for t in tokens if kinds[t] & library.LLAMA_TOKEN_ATTR_CONTROL)
        user_defined = frozenset(t for t in tokens if kinds[t] & library.LLAMA_TOKEN_ATTR_USER_DEFINED)
        marks = self._demoted(control, user_defined)
        self.control_tokens = control | marks
        """Tokens with a meaning beyond their text, such as the marks around a turn."""
        self.user_defined_tokens = user_defined - marks
        """Words that are always one token, such as `<think>` in many models."""
        self._acting = self.control_tokens | (self.end_tokens & self.user_defined_tokens)
        unknown = frozenset(t for t in tokens if kinds[t] & library.LLAMA_TOKEN_ATTR_UNKNOWN)
        self.special_tokens = self._acting | unknown
        """Tokens that stand for their name only where special tokens are on."""
        self.bos: Token = library.llama_vocab_bos(self._vocab)
        self.eos: Token = library.llama_vocab_eos(self._vocab)
        self.adds_bos: bool = library.llama_vocab_get_add_bos(self._vocab)
        self.kind = self.metadata("tokenizer.ggml.model") or ""
        """The kind of tokenizer as the file names it: `gpt2` for byte-level BPE, `llama` for SentencePiece, and others."""
        self._normal_form: Literal["NFC"] | None = "NFC" if self.metadata("tokenizer.ggml.pre") in _COMPOSED else None
        self.chat_template: str | None = self._chat_template()
        self.trained_context: int = self._trained_context()

    def tokenise(self, text: str, *, special: bool = False) -> list[Token]:
        """The tokens of a text. With `special` off, the names of special tokens in it are ordinary text.

        Raises:
            ModelError: the vocabulary was closed.
        """
        return self.tokenise_bytes(self._encoded(text), special=special)

    def tokenise_inside(self, text: str) -> list[Token]:
        """As `tokenise` with special tokens off, for text with other text before it.

        SentencePiece vocabularies put a space before a text, but not in the middle of one.
        """
        tokens = self._inside(text)
        return tokens if self._acting.isdisjoint(tokens) else self._spelled_out(tokens)

    def tokenise_bytes(self, data: bytes, *, special: bool = False) -> list[Token]:
        """The tokens of a text in UTF-8. See `tokenise`."""
        tokens = self._split(data, special=special)
        return tokens if special or self._acting.isdisjoint(tokens) else self._spelled_out(tokens)

    def _split(self, data: bytes, *, special: bool) -> list[Token]:
        if self.kind == "llama":  # SentencePiece, which no run can harm and which puts a space before each piece
            return self._split_piece(data, special=special)
        pieces = cut_long_runs(data, self._names() if special and len(data) > LONGEST_RUN else None)
        return [token for piece in pieces for token in self._split_piece(piece, special=special)]

    def _names(self) -> re.Pattern[bytes]:
        """The names of tokens that are one token wherever they stand."""
        names = (self.pieces[token] for token in self.special_tokens | self.user_defined_tokens)
        return re.compile(b"|".join(re.escape(name) for name in sorted(names, key=len, reverse=True) if name) or b"(?!)")

    def _split_piece(self, data: bytes, *, special: bool) -> list[Token]:
        room = len(data) + 2
        buffer = (ctypes.c_int32 * room)()
        with self._lock:
            if not self._model:
                raise ModelError("The model was closed.", hint="Load it again.")
            count = load_library().llama_tokenize(self._vocab, data, len(data), buffer, room, False, special)
        if count < 0:
            raise ModelError("The text could not be split into tokens.", hint="Shorten the text.")
        return list(buffer[:count])

    def _inside(self, text: str) -> list[Token]:
        """The tokens of a text that others are before; a line break, which no word goes across, stands for those."""
        data = self._encoded(text)
        if self.kind != "llama":
            return self._split(data, special=False)
        before = self._split(b"\n", special=False)
        both = self._split(b"\n" + data, special=False)
        return both[len(before) :] if both[: len(before)] == before else self._split(data, special=False)

    def _encoded(self, text: str) -> bytes:
        composed = text if self._normal_form is None else unicodedata.normalize(self._normal_form, text)
        return composed.encode("utf-8", "replace")

    def _spelled_out(self, tokens: Sequence[Token]) -> list[Token]:
        """Tokens of a plain text without those that act: llama.cpp puts a name together from pieces where it can."""
        plain: list[Token] = []
        for token in tokens:
            plain += self._in_pieces(self.name_of(token)) if token in self._acting else [token]
        return plain

    def _in_pieces(self, name: str) -> list[Token]:
        """A name in two parts, if that helps, or in characters."""
        parts = [[name[:at], name[at:]] for at in range(1, len(name))]
        ways = [[token for part in way for token in self._inside(part)] for way in (*parts, list(name))]
        harmless = [way for way in ways if self._acting.isdisjoint(way)]
        return min(harmless, key=len) if harmless else []

    def text_of(self, tokens: Sequence[Token]) -> str:
        """The text of tokens, special ones left out."""
        visible = (self.pieces[token] for token in tokens if token not in self.control_tokens)
        return b"".join(visible).decode("utf-8", "replace")

    def name_of(self, token: Token) -> str:
        """A token as templates write it; empty where the vocabulary has no such token."""
        return self.pieces[token].decode("utf-8", "replace") if 0 <= token < self.size else ""

    def metadata(self, key: str) -> str | None:
        """A value of the file's metadata as text; None where the file does not have it."""
        buffer = ctypes.create_string_buffer(256)
        length = load_library().llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return None if length < 0 else buffer.value.decode("utf-8", "replace")

    def close(self) -> None:
        """Give the memory back. May be called again."""
        with self._lock:
            model, self._model = self._model, 0
            if model:
                load_library().llama_model_free(model)

    def _demoted(self, control: frozenset[Token], user_defined: frozenset[Token]) -> frozenset[Token]:
        """The marks of gpt-oss, which llama.cpp makes words that anybody may write, so that it can show them."""
        is_harmony = any(self.pieces[token] == b"<|return|>" for token in control)
        return frozenset(token for token in user_defined if is_harmony and self.pieces[token] in HARMONY_MARKS)

    def _piece(self, token: Token) -> bytes:
        library = load_library()
        buffer = ctypes.create_string_buffer(_PIECE_BYTES)
        length = library.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, True)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = library.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, True)
        return buffer.raw[: max(length, 0)]

    def _chat_template(self) -> str | None:
        template: bytes | None = load_library().llama_model_chat_template(self._model, None)
        return template.decode("utf-8", "replace") if template else None

    def _trained_context(self) -> int:
        value = self.metadata(f"{self.metadata('general.architecture')}.context_length") or ""
        return int(value) if value.isdecimal() else 0


def _load_vocabulary_only(path: Path) -> int:
    require_checked(path)
    library = load_library()
    params = library.llama_model_default_params()
    params.vocab_only = True
    params.n_gpu_layers = 0
    model: int | None = library.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        raise ModelFileError(f"{path.name} is damaged or of a kind that is not supported.", hint="Get the file again.")
    return model
