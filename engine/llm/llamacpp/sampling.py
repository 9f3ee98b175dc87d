"""Choosing the next token from the logits of one sequence."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.llm.base import GenerationParams
from engine.llm.llamacpp.library import load_library
from engine.llm.llamacpp.tokens import Token

Logits = NDArray[np.float32]
"""The scores of all tokens at one position, shape (vocabulary,): a view of llama.cpp's memory, valid until the next decode."""

PENALTY_WINDOW = 64
"""Tokens that the penalties look back on; llama.cpp's default."""


class Sampler(Protocol):
    """Chooses tokens for one sequence. Used and closed by the decode thread alone."""

    def choose(self, logits: Logits) -> Token:
        """The next token. Does not take it: the same position may be sampled again with changed logits."""
        ...

    def accept(self, token: Token) -> None:
        """Take a token into the history that penalties look at."""
        ...

    def close(self) -> None:
        """Give memory back. May be called again."""
        ...


class GreedySampler:
    """The most likely token."""

    def choose(self, logits: Logits) -> Token:
        """The token with the highest score; the lower index of equal ones, as in llama.cpp."""
        return int(np.argmax(logits))

    def accept(self, token: Token) -> None:
        """Nothing to remember."""

    def close(self) -> None:
        """Nothing to give back."""


class ChainSampler:
    """A llama.cpp sampler chain: penalties, top-k, top-p, min-p, temperature, then a seeded draw (or the best token).

    The chain is applied to a candidate list of our own, never to "row i of the last batch": llama.cpp ends the process when
    that row has no logits.
    """

    def __init__(self, params: GenerationParams, vocabulary_size: int) -> None:
        self._candidates = np.zeros(vocabulary_size, dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        self._ids = np.arange(vocabulary_size, dtype=np.int32)
        self._chain = _build_chain(params, vocabulary_size)

    def choose(self, logits: Logits) -> Token:
        """Run the chain over these logits."""
        library = load_library()
        self._candidates["id"] = self._ids
        self._candidates["logit"] = logits
        array = library.llama_token_data_array(
            data=self._candidates.ctypes.data_as(library.llama_token_data_p),
            size=len(self._candidates),
            selected=-1,
            sorted=False,
        )
        library.llama_sampler_apply(self._chain, ctypes.byref(array))
        return int(array.data[max(array.selected, 0)].id)

    def accept(self, token: Token) -> None:
        """Take a token into the penalties' history."""
        load_library().llama_sampler_accept(self._chain, token)

    def close(self) -> None:
        """Free the chain and the samplers in it, once."""
        chain, self._chain = self._chain, 0
        if chain:
            load_library().llama_sampler_free(chain)


def make_sampler(params: GenerationParams, vocabulary_size: int, prompt: Sequence[Token]) -> Sampler:
    """The sampler that the parameters ask for; penalties look back into the prompt as well."""
    if params.temperature <= 0 and not _penalises(params):
        return GreedySampler()
    sampler = ChainSampler(params, vocabulary_size)
    for token in prompt[-PENALTY_WINDOW:]:
        sampler.accept(token)
    return sampler


def log_probability(logits: Logits, token: Token) -> float:
    """The natural logarithm of a token's probability."""
    return float(logits[token]) - _log_sum(logits)


def likeliest(logits: Logits, count: int) -> list[tuple[Token, float]]:
    """The most probable tokens with the logarithms of their probabilities, best first."""
    if count < 1:
        return []
    best = np.argpartition(logits, -count)[-count:]
    total = _log_sum(logits)
    return [(int(token), float(logits[token]) - total) for token in best[np.argsort(-logits[best], kind="stable")]]


def _log_sum(logits: Logits) -> float:
    highest = float(logits.max())
    return highest + float(np.log(np.exp(logits - highest, dtype=np.float64).sum()))


def _penalises(params: GenerationParams) -> bool:
    return params.repeat_penalty != 1.0 or params.frequency_penalty != 0.0 or params.presence_penalty != 0.0


def _build_chain(params: GenerationParams, vocabulary_size: int) -> int:
    library = load_library()
    chain: int = library.llama_sampler_chain_init(library.llama_sampler_chain_default_params())
    parts = []
    if _penalises(params):
        penalties = params.repeat_penalty, params.frequency_penalty, params.presence_penalty
        parts.append(library.llama_sampler_init_penalties(vocabulary_size, PENALTY_WINDOW, *penalties))
    if params.temperature <= 0:
        parts.append(library.llama_sampler_init_greedy())
    else:
        parts += [
            library.llama_sampler_init_top_k(params.top_k),
            library.llama_sampler_init_top_p(params.top_p, 1),
            library.llama_sampler_init_min_p(params.min_p, 1),
            library.llama_sampler_init_temp(params.temperature),
            library.llama_sampler_init_dist(params.seed & 0xFFFFFFFF),
        ]
    for part in parts:
        library.llama_sampler_chain_add(chain, part)
    return chain
