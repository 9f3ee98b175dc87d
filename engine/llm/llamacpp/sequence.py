"""A generation while it has a place in a context: its tokens, how far they are computed, and its text so far."""

from __future__ import annotations

import time

from engine.domain import FinishReason, TokenLogprob
from engine.errors import NexusError
from engine.llm.llamacpp.drafts import PromptLookup
from engine.llm.llamacpp.generation import Generation
from engine.llm.llamacpp.reasoning import reply_reader
from engine.llm.llamacpp.sampling import Logits, likeliest, log_probability, make_sampler
from engine.llm.llamacpp.tokens import Token, Vocabulary


class LiveSequence:
    """One sequence of a context. Used by the decode thread alone.

    A prompt that is being read and an answer that grows are the same thing here: `tokens[:computed]` are in the cache, the
    rest waits to be decoded, and the next token is sampled when none waits.
    """

    def __init__(self, slot: int, generation: Generation, vocabulary: Vocabulary) -> None:
        self.slot = slot
        self.generation = generation
        self.tokens: list[Token] = list(generation.prompt)
        self.computed = 0
        self.donor: LiveSequence | None = None
        """A sequence that is computing the beginning of this one's prompt; this one waits for it."""
        self.shared = 0
        """How many tokens the donor has in common with this sequence."""
        self._vocabulary = vocabulary
        self._sampler = make_sampler(generation.params, vocabulary.size, generation.prompt)
        constrained = generation.grammar is not None
        self._reply = reply_reader(generation.params.stop, generation.prompt, vocabulary, constrained=constrained)
        self._lookup = PromptLookup(generation.sources, len(generation.prompt)) if generation.sources else None
        self._logprobs: list[TokenLogprob] = []
        generation.started_at = time.monotonic()

    @property
    def waiting(self) -> int:
        """Tokens that are still to be decoded."""
        return len(self.tokens) - self.computed

    @property
    def produced(self) -> int:
        """Tokens of the answer so far."""
        return len(self.tokens) - len(self.generation.prompt)

    @property
    def reading(self) -> bool:
        """Whether the prompt is not computed yet."""
        return self.computed < len(self.generation.prompt)

    def begin(self) -> FinishReason | None:
        """Append what the constraint leaves no choice about; returns why the answer ends with that, if it does."""
        reason = self._append_forced()
        grammar = self.generation.grammar
        if reason is None and grammar is not None and grammar.complete:
            return FinishReason.STOP
        if reason is None and self.produced >= self.generation.params.max_tokens:
            return FinishReason.LENGTH
        return reason

    def advance(self, logits: Logits) -> bool:
        """Sample the next token and all that follow from it without the model. Returns whether the answer goes on.

        Raises:
            ModelError: the constraint admits nothing.
        """
        token = self._choose(logits)
        if self.generation.first_token_at is None:
            self.generation.first_token_at = time.monotonic()
        reason = self._take(token) or self.begin()
        if reason is not None:
            self.finish(reason)
        return reason is None

    def guess(self) -> list[Token]:
        """Tokens that may come next, to be decoded with the one that waits; not more than the answer may still have."""
        most = self.generation.params.max_tokens - self.produced - 1
        if self._lookup is None or most < 1:
            return []
        guessed = self._lookup.guess(self.tokens, most)
        grammar = self.generation.grammar
        return guessed if grammar is None else guessed[: grammar.admitted(guessed)]

    def learn(self, guessed: int, right: int) -> None:
        """What became of a guess."""
        if self._lookup is not None and guessed:
            self._lookup.learn(guessed, right, len(self.tokens))

    def finish(self, reason: FinishReason) -> None:
        """End the generation with the text so far."""
        self._sampler.close()
        said, reply = self._reply.finish(), self._reply
        self.generation.send(said.text, said.reasoning)
        self.generation.finish(reply.text, reason, self.produced, self._logprobs, reply.reasoning)

    def fail(self, error: NexusError) -> None:
        """End the generation with an error."""
        self._sampler.close()
        self.generation.fail(error)

    def _choose(self, logits: Logits) -> Token:
        grammar, count = self.generation.grammar, self.generation.params.logprobs
        scores = logits if count is None else logits.copy()  # a constraint changes them
        token = self._sampler.choose(logits) if grammar is None else grammar.choose(logits, self._sampler)
        if count is not None and token not in self._vocabulary.end_tokens:
            top = tuple((self._text_of(other), logprob) for other, logprob in likeliest(scores, count))
            self._logprobs.append(TokenLogprob(self._text_of(token), log_probability(scores, token), top))
        return token

    def _text_of(self, token: Token) -> str:
        return self._vocabulary.pieces[token].decode("utf-8", "replace")

    def _append_forced(self) -> FinishReason | None:
        """Append what the grammar leaves no choice about; saves a decode for each of these tokens.

        Not where log-probabilities are asked for: what is not decoded has none.
        """
        grammar = self.generation.grammar
        for token in grammar.forced() if grammar is not None and self.generation.params.logprobs is None else ():
            if self.produced >= self.generation.params.max_tokens:
                return FinishReason.LENGTH
            reason = self._take(token)
            if reason is not None:
                return reason
        return None

    def _take(self, token: Token) -> FinishReason | None:
        """Add a token to the answer; returns why the answer ends, if it does."""
        if token in self._vocabulary.end_tokens:
            return FinishReason.STOP
        self._sampler.accept(token)
        self.tokens.append(token)
        said = self._reply.feed(self._vocabulary.pieces[token], special=token in self._vocabulary.control_tokens)
        self.generation.send(said.text, said.reasoning)
        return FinishReason.STOP if self._reply.stopped else None
