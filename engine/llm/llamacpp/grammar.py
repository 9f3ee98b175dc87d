"""Constraints on the output, enforced token by token with llguidance.

The tokenizer that llguidance needs is built from the model's own vocabulary, once. A sampled token is checked first; only
when it is refused is the mask of all allowed tokens computed, which keeps constrained decoding as fast as free text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import InputError, ModelError
from engine.llm.base import Constraint
from engine.llm.constraints import grammar_text
from engine.llm.llamacpp.sampling import Logits, Sampler
from engine.llm.llamacpp.tokens import Token, Vocabulary

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer


class GrammarTokenizer:
    """The model's vocabulary in the form that llguidance asks for."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.eos_token_id = vocabulary.eos
        self.bos_token_id = vocabulary.bos if vocabulary.bos >= 0 else None
        self.tokens = vocabulary.pieces
        self.special_token_ids = sorted(vocabulary.control_tokens)

    def __call__(self, text: bytes) -> list[Token]:
        """The tokens of a text, special tokens off."""
        return self._vocabulary.tokenise_bytes(text)


class Grammar:
    """What one sequence may still say."""

    def __init__(self, matcher: LLMatcher, vocabulary_size: int, *, looks_ahead: bool) -> None:
        """Begin at the start of a grammar.

        Args:
            matcher: fresh, without an error.
            vocabulary_size: tokens in a mask.
            looks_ahead: refuse a token after which no other fits, because the grammar then asks for bytes that no token
                has. Costs a mask for each token.
        """
        self._matcher = matcher
        self._size = vocabulary_size
        self._looks_ahead = looks_ahead

    @property
    def complete(self) -> bool:
        """Whether nothing may follow."""
        return bool(self._matcher.is_stopped())

    def choose(self, logits: Logits, sampler: Sampler) -> Token:
        """Sample a token that the grammar admits, and take it.

        Args:
            logits: changed in place when the first choice is refused.
            sampler: chooses among what is left.

        Raises:
            ModelError: the grammar became too complex, or admits nothing.
        """
        token = sampler.choose(logits)
        if self._take(token):
            return token
        logits[~self._allowed()] = -np.inf
        while not np.isneginf(logits.max()):
            token = sampler.choose(logits)
            if np.isneginf(logits[token]):  # its probabilities are no numbers; it would choose the same again
                token = int(np.argmax(logits))
            if self._take(token):
                return token
            logits[token] = -np.inf
        raise self._error()

    def forced(self) -> list[Token]:
        """The tokens that must come next whatever the model says; they are taken."""
        tokens = [] if self.complete or self._looks_ahead else self._matcher.compute_ff_tokens()
        taken = self._matcher.try_consume_tokens(tokens) if tokens else 0
        return tokens[:taken]

    def admitted(self, tokens: Sequence[Token]) -> int:
        """How many of these tokens, from the first on, could come next. None is taken."""
        return int(self._matcher.validate_tokens(list(tokens))) if tokens and not self.complete else 0

    def _take(self, token: Token) -> bool:
        if self._matcher.try_consume_tokens([token]) != 1:
            return False
        if self._looks_ahead and not self.complete and not self._allowed().any():
            self._matcher.rollback(1)
            return False
        return True

    def _allowed(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        mask = self._matcher.compute_bitmask()
        if self._matcher.is_error():
            raise self._error()
        bits = np.unpackbits(np.frombuffer(mask, dtype=np.uint8), count=self._size, bitorder="little")
        return bits.astype(np.bool_)

    def _error(self) -> ModelError:
        reason = self._matcher.get_error() or "nothing is allowed to follow"
        return ModelError(f"The output cannot be held to its constraint: {reason}", hint="Use a simpler constraint.")


class GrammarCompiler:
    """Makes grammars for one model. Safe to use from any thread."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._size = vocabulary.size
        self._tokenizer = _build_tokenizer(vocabulary)
        self._unspeakable = set(range(256)) - {piece[0] for piece in vocabulary.pieces if len(piece) == 1}

    def compile(self, constraint: Constraint) -> Grammar:
        """A fresh grammar for one sequence.

        Raises:
            InputError: the constraint is not valid.
        """
        from llguidance import LLMatcher

        text = grammar_text(constraint)
        matcher = LLMatcher(self._tokenizer, text, log_level=0)
        if matcher.is_error():
            raise InputError(f"The constraint is not valid: {matcher.get_error()}")
        return Grammar(matcher, self._size, looks_ahead=not self._unspeakable.isdisjoint(text.encode()))


def _build_tokenizer(vocabulary: Vocabulary) -> LLTokenizer:
    from llguidance import LLTokenizer, TokenizerWrapper

    ends = [vocabulary.eos, *sorted(vocabulary.end_tokens - {vocabulary.eos})]
    return LLTokenizer(TokenizerWrapper(GrammarTokenizer(vocabulary)), eos_token=ends)
