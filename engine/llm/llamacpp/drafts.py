"""Guessing the next tokens of an answer that copies from a text (prompt lookup, Saxena 2023; no second model is needed).

A guess costs little: its tokens go through the model in the same batch as the token before them, and each is taken only if
the model then chooses it itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.llm.llamacpp.tokens import Token

FIRST, SHORTEST, LONGEST = 6, 2, 16
"""Tokens of the first guess, and of later ones: twice as many after one that was right, half after one that was not."""

PAUSE = 8
"""Tokens without a guess after two in a row of which nothing was right."""

NGRAM = 3
"""How many of the last tokens are looked up; if they are not in the text, fewer."""


class PromptLookup:
    """Guesses for one sequence. Used by the decode thread alone."""

    def __init__(self, sources: Iterable[Sequence[Token]], answer_from: int) -> None:
        """Index the texts that are probably copied from.

        Args:
            sources: their tokens.
            answer_from: where the answer begins in the sequence. It is looked into as well: form and phrases come again.
        """
        self._own: dict[tuple[Token, ...], int] = {}
        self._answer_from = self._indexed = answer_from
        self._tokens: list[Token] = []
        self._after: dict[tuple[Token, ...], int] = {}
        self._length = FIRST
        self._failed = 0
        self._pause_until = 0
        for source in sources:
            self._add(source)

    def guess(self, tokens: Sequence[Token], limit: int) -> list[Token]:
        """What may follow these tokens, `limit` of them at most; often nothing."""
        if len(tokens) < self._pause_until:
            return []
        self._index_answer(tokens)
        length = min(limit, self._length)
        for size in range(min(NGRAM, len(tokens)), 0, -1):
            ngram = tuple(tokens[-size:])
            if (start := self._own.get(ngram)) is not None:
                return list(tokens[start : start + length])
            if (start := self._after.get(ngram)) is not None:
                found = self._tokens[start : start + length]
                return found[: found.index(_END)] if _END in found else found
        return []

    def learn(self, guessed: int, right: int, length: int) -> None:
        """Guess longer or shorter next time, or not at all for a while. `length` is that of the sequence now."""
        self._failed = 0 if right else self._failed + 1
        if self._failed == 2:
            self._failed, self._pause_until = 0, length + PAUSE
        if right == guessed:
            self._length = min(2 * self._length, LONGEST)
        elif 2 * right < guessed:
            self._length = max(self._length // 2, SHORTEST)

    def _index_answer(self, tokens: Sequence[Token]) -> None:
        """Note what followed each run of two or more tokens of the answer; the last time counts."""
        for at in range(self._indexed, len(tokens)):
            for size in range(2, NGRAM + 1):
                if at - size >= self._answer_from:
                    self._own[tuple(tokens[at - size : at])] = at
        self._indexed = len(tokens)

    def _add(self, source: Sequence[Token]) -> None:
        base = len(self._tokens)
        self._tokens += [*source, _END]
        for size in range(1, NGRAM + 1):
            for start in range(len(source) - size):
                self._note(tuple(source[start : start + size]), base + start + size)

    def _note(self, ngram: tuple[Token, ...], follows: int) -> None:
        """A single token says little unless it is there only once; of longer runs the first one counts."""
        if len(ngram) == 1 and ngram in self._after:
            self._after[ngram] = len(self._tokens) - 1  # the end: nothing is guessed
        else:
            self._after.setdefault(ngram, follows)


_END: Token = -1
"""Stands between two texts."""
