"""Replies of gpt-oss: several messages, each with the name of a channel, of which one is the answer.

The form is called harmony: `<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…<|return|>`.
Its marks are control tokens, so text that looks like one is text. The prompt ends with `<|start|>assistant`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

from engine.llm.llamacpp.text import Said, TextAssembler
from engine.llm.llamacpp.tokens import Token, Vocabulary

START, CHANNEL, MESSAGE, END = b"<|start|>", b"<|channel|>", b"<|message|>", b"<|end|>"

ASSISTANT_HEADER, FINAL_HEADER = "<|start|>assistant", "<|channel|>final<|message|>"
"""What a prompt ends with, and what goes between that and an answer."""

ANSWER_CHANNEL = "final"
"""For people to read. `analysis` is reasoning; `commentary` goes with calls of tools, of which there are none here."""


def has_channels(template: str | None) -> bool:
    """Whether a chat template is of a model that answers in channels."""
    return template is not None and CHANNEL.decode() in template and MESSAGE.decode() in template


def answer_begun(prompt: Sequence[Token], vocabulary: Vocabulary) -> bool:
    """Whether a prompt has the header of the answer already, so that the model goes on within that."""
    marks = (vocabulary.pieces[token] for token in reversed(prompt) if token in vocabulary.control_tokens)
    return next((mark == MESSAGE for mark in marks if mark in (START, MESSAGE)), False)


class _Part(Enum):
    """Where in a reply the next token stands."""

    BEGINNING = auto()
    HEADER = auto()
    REASONING = auto()
    ANSWER = auto()


class ChannelReader:
    """Takes the tokens of a reply; gives the texts of its reasoning and of its answer.

    A reply that does not begin with a mark is an answer as a whole: a fine-tuned model may have learned to leave the channels
    out. Stop texts end the answer, not the reasoning.
    """

    def __init__(self, stop: tuple[str, ...] = (), *, answering: bool = False) -> None:
        """Begin a reply.

        Args:
            stop: texts before which the answer ends.
            answering: whether the prompt has the answer's header already.
        """
        self._part = _Part.ANSWER if answering else _Part.BEGINNING
        self._channel: bytes | None = None
        """What of the channel's name came in; None outside of it."""
        self._thought = TextAssembler()
        self._answer = TextAssembler(stop)
        self._over = False

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._answer.text

    @property
    def reasoning(self) -> str:
        """The reasoning so far."""
        return self._thought.text

    @property
    def stopped(self) -> bool:
        """Whether the answer has ended."""
        return self._over or self._answer.stopped

    def feed(self, piece: bytes, *, special: bool = False) -> Said:
        """Take the bytes of one token; returns what is certain now. Of a `special` token nothing is shown."""
        if special:
            return self._read_mark(piece)
        if self._part is _Part.BEGINNING:
            self._part = _Part.ANSWER
        if self._part is _Part.ANSWER:
            return Said(text=self._answer.feed(piece))
        if self._part is _Part.REASONING:
            return Said(reasoning=self._thought.feed(piece))
        if self._channel is not None:
            self._channel += piece
        return Said()

    def finish(self) -> Said:
        """What was held back, at the end."""
        return Said(self._answer.finish(), self._thought.finish())

    def _read_mark(self, mark: bytes) -> Said:
        if mark == CHANNEL:
            self._part, self._channel = _Part.HEADER, b""
        elif mark == START:
            self._part, self._channel = _Part.HEADER, None
        elif mark == MESSAGE and self._part is not _Part.ANSWER:
            return self._begin_message()
        elif mark == END:
            self._over = self._part is _Part.ANSWER
            self._part, self._channel = _Part.HEADER, None
        return Said()

    def _begin_message(self) -> Said:
        name = (self._channel or ANSWER_CHANNEL.encode()).split()
        self._channel = None
        if name[:1] == [ANSWER_CHANNEL.encode()]:
            self._part = _Part.ANSWER
            return Said(reasoning=self._thought.finish())
        self._part = _Part.REASONING
        return Said(reasoning=self._thought.feed(b"\n\n") if self._thought.text else "")
