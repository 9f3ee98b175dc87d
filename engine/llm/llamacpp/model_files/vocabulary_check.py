"""Whether the tokeniser in a GGUF file is whole: every list that llama.cpp reads beside the tokens, and the tokens' texts."""

from __future__ import annotations

from pathlib import Path

from engine.errors import ModelFileError
from engine.model_registry.gguf_cursor import HINT
from engine.model_registry.gguf_file import GgufArray, GgufHeader, array_strings

MAX_TOKENS = 1 << 20
"""Four times the largest vocabulary in use."""

WITH_MERGES = ("gpt2", "gemma4")
"""Tokenisers that put pairs of tokens together by a list of merges."""
WITHOUT_MERGES = ("kimi-k2",)
"""Ways of splitting text that do without that list."""
WITH_BYTES = ("llama",)
"""Tokenisers that fall back to a token for each byte; llama.cpp ends the process where it is not there."""
NO_TEXT = ("", "none", "no_vocab", "test")


def check_vocabulary(path: Path, header: GgufHeader) -> None:
    """Check a model's tokeniser.

    Raises:
        ModelFileError: a list is missing, too short or of a wrong type, or two tokens have the same text.
    """
    name = path.name
    for key in ("tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.chat_template"):
        if header.kinds.get(key, "string") != "string":
            raise _refusal(name, f"{key} is no text")
    model = header.text("tokenizer.ggml.model")
    if model in NO_TEXT:
        raise _refusal(name, "it has no tokeniser")
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, GgufArray) or tokens.kind != "string" or not 0 < tokens.length <= MAX_TOKENS:
        raise _refusal(name, "it has no list of tokens")
    _require_list(name, header, "tokenizer.ggml.scores", ("float32", "int32"), tokens.length)
    _require_list(name, header, "tokenizer.ggml.token_type", ("int32",), tokens.length)
    _require_list(name, header, "tokenizer.ggml.merges", ("string",), 0)
    needs_merges = model in WITH_MERGES and header.text("tokenizer.ggml.pre") not in WITHOUT_MERGES
    if needs_merges and "tokenizer.ggml.merges" not in header.metadata:
        raise _refusal(name, "its tokeniser has no list of merges")
    _check_texts(path, tokens, with_bytes=model in WITH_BYTES)


def _check_texts(path: Path, tokens: GgufArray, *, with_bytes: bool) -> None:
    # llama.cpp calls an empty token so, and asserts that no two are the same.
    texts = {text or b"[EMPTY_%d]" % number for number, text in enumerate(array_strings(path, tokens))}
    if len(texts) != tokens.length:
        raise _refusal(path.name, "two of its tokens have the same text")
    if with_bytes and any(b"<0x%02X>" % byte not in texts and bytes([byte]) not in texts for byte in range(256)):
        raise _refusal(path.name, "its tokeniser does not have a token for each byte")


def _require_list(name: str, header: GgufHeader, key: str, kinds: tuple[str, ...], length: int) -> None:
    value = header.metadata.get(key)
    if value is None:
        return
    if not isinstance(value, GgufArray) or value.kind not in kinds:
        raise _refusal(name, f"{key} is not a list of {kinds[0]}")
    if value.length < length:
        raise _refusal(name, f"{key} has {value.length} entries for {length} tokens")


def _refusal(name: str, what: str) -> ModelFileError:
    return ModelFileError(f"{name} cannot be used: {what}.", hint=HINT)
