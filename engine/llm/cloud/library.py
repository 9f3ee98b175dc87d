"""litellm: its import, and the shapes of what it streams."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Protocol, cast


class LikelyToken(Protocol):
    """A token and the natural logarithm of its probability."""

    token: str
    logprob: float


class StreamedToken(LikelyToken, Protocol):
    """A token of the answer, and the likeliest ones at its place."""

    top_logprobs: Sequence[LikelyToken] | None


class _Logprobs(Protocol):
    content: Sequence[StreamedToken] | None


class _Delta(Protocol):
    content: str | None


class _ChunkChoice(Protocol):
    index: int
    delta: _Delta
    finish_reason: str | None
    logprobs: _Logprobs | None


class Chunk(Protocol):
    """A piece of a streamed answer, as litellm gives it; the last one also has `usage`."""

    choices: Sequence[_ChunkChoice]


class _TokenDetails(Protocol):
    cached_tokens: int | None


class TokenCounts(Protocol):
    """The tokens of a request, as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _TokenDetails | None


Response = Iterator[Chunk]
"""A streamed answer."""


def endings_of(provider: str) -> Sequence[bytes]:
    """What a whole answer of a provider has in it, of which litellm says with every piece that it is the last.

    These are names in JSON: in a text, the second quotation mark has a backslash before it.
    """
    return (b'"finishReason"', b'"blockReason"') if provider == "gemini" else ()


def was_finished(response: Iterable[Chunk]) -> bool:
    """Whether the provider said that its answer ends; litellm says `stop` also where the connection just ended."""
    return bool(getattr(response, "received_finish_reason", True) or getattr(response, "intermittent_finish_reason", None))


@lru_cache(maxsize=1)
def load_litellm() -> ModuleType:
    """litellm, kept from fetching its price list and tokenizers, and from reporting its use. The first call takes seconds."""
    import httpx

    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    from engine.llm.cloud.transport import ProviderTransport

    # The OpenAI-compatible providers take a client, all others a transport.
    litellm.sync_transport = ProviderTransport()
    litellm.client_session = httpx.Client(transport=litellm.sync_transport)
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    # It counts the tokens of an answer itself where the provider did not, for some names with a tokenizer from the hub.
    litellm.disable_hf_tokenizer_download = True
    # A model that repeats itself is not a server that failed; the limit on tokens ends it.
    litellm.REPEATED_STREAMING_CHUNK_LIMIT = sys.maxsize
    return cast(ModuleType, litellm)
