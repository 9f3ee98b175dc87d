"""What a model thought before its answer, kept apart from the answer while both come in.

Models that reason put marks around it. A mark may be one token or several, special or not; the chat template may have written
the opening one already, at the end of the prompt; and a thought that is cut off has no closing one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from engine.llm.llamacpp.channels import ASSISTANT_HEADER, FINAL_HEADER, ChannelReader, answer_begun, has_channels
from engine.llm.llamacpp.text import Said, TextAssembler
from engine.llm.llamacpp.tokens import Token, Vocabulary

_TAIL = 16
"""Tokens at the end of a prompt among which an opening mark is looked for."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What a model writes before and after its reasoning."""

    opening: bytes
    closing: bytes

    def opened_by(self, prompt: Sequence[Token], vocabulary: Vocabulary) -> bool:
        """Whether a prompt ends with the opening mark, so that the model goes on within the thought."""
        end = b"".join(vocabulary.pieces[token] for token in prompt[-_TAIL:])
        return end.rstrip().endswith(self.opening)


MARKS = (
    Marks(b"<think>", b"</think>"),
    Marks(b"[THINK]", b"[/THINK]"),
    Marks(b"<|channel>thought", b"<channel|>"),
)
"""Those of Qwen, DeepSeek and SmolLM, of Mistral, and of Gemma 4 (ai.google.dev/gemma/docs/core/prompt-formatting-gemma4)."""


def marks_of(template: str | None) -> Marks | None:
    """The marks of the model that a chat template belongs to; None where it knows none."""
    source = (template or "").encode()
    return next((marks for marks in MARKS if marks.opening in source or marks.closing in source), None)


def past_thought(prompt: str, template: str) -> str:
    """A rendered prompt so that the answer comes next: a thought that the template has begun is ended, empty."""
    if has_channels(template):
        return prompt + FINAL_HEADER if prompt.endswith(ASSISTANT_HEADER) else prompt
    marks = marks_of(template)
    if marks is None or not prompt.rstrip().endswith(marks.opening.decode()):
        return prompt
    return f"{prompt.rstrip()}\n\n{marks.closing.decode()}\n\n"


class _Part(Enum):
    """Where in a reply the next token stands."""

    START = auto()
    REASONING = auto()
    ANSWER = auto()


class ReplyReader:
    """Takes the tokens of a reply; gives the texts of its reasoning and of its answer.

    Reasoning is only looked for at the beginning of a reply. White space around it belongs to neither. Stop texts end the
    answer, not the reasoning.
    """

    def __init__(self, stop: tuple[str, ...] = (), marks: Marks | None = None, *, opened: bool = False) -> None:
        """Begin a reply.

        Args:
            stop: texts before which the answer ends.
            marks: those of the model; None where all is the answer.
            opened: whether the prompt has the opening mark already.
        """
        self._marks = marks or MARKS[0]
        self._part = _Part.ANSWER if marks is None else _Part.REASONING if opened else _Part.START
        self._held = bytearray()
        self._shown = bytearray()
        """For each held byte whether it is text; special tokens are not, but may be marks."""
        self._thought = TextAssembler()
        self._answer = TextAssembler(stop)
        self._begun = True
        """Whether white space at this place belongs to what is being read."""

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
        """Whether a stop text came."""
        return self._answer.stopped

    def feed(self, piece: bytes, *, special: bool = False) -> Said:
        """Take the bytes of one token; returns what is certain now. Of a `special` token nothing is shown."""
        if self._part is _Part.ANSWER:
            return Said() if special else Said(text=self._add_to(self._answer, piece))
        self._held += piece
        self._shown += bytes([not special]) * len(piece)
        if self._part is _Part.START:
            return self._read_start()
        return self._read_reasoning()

    def finish(self) -> Said:
        """What was held back, at the end."""
        if self._part is _Part.REASONING:
            end = self._add_to(self._thought, self._take(len(self._held.rstrip())))
            return Said(reasoning=end + self._thought.finish())
        return Said(text=self._add_to(self._answer, self._take(len(self._held))) + self._answer.finish())

    def _read_start(self) -> Said:
        beginning = bytes(self._held.lstrip())
        opening = self._marks.opening
        if beginning.startswith(opening):
            self._take(len(self._held) - len(beginning) + len(opening))
            self._part, self._begun = _Part.REASONING, False
            return self._read_reasoning()
        if opening.startswith(beginning):
            return Said()
        self._part = _Part.ANSWER
        return Said(text=self._add_to(self._answer, self._take(len(self._held))))

    def _read_reasoning(self) -> Said:
        at = self._held.find(self._marks.closing)
        if at < 0:
            certain = self._held[: len(self._held) - self._undecided()].rstrip()
            return Said(reasoning=self._add_to(self._thought, self._take(len(certain))))
        end = self._add_to(self._thought, self._take(at).rstrip()) + self._thought.finish()
        self._take(len(self._marks.closing))
        self._part, self._begun = _Part.ANSWER, False
        return Said(self._add_to(self._answer, self._take(len(self._held))), end)

    def _undecided(self) -> int:
        """Length of the longest end of the held bytes with which the closing mark begins."""
        closing = self._marks.closing
        longest = min(len(self._held), len(closing) - 1)
        return next((n for n in range(longest, 0, -1) if closing.startswith(self._held[-n:])), 0)

    def _take(self, count: int) -> bytes:
        """The text of so many of the held bytes, which are held no more."""
        text = bytes(byte for byte, shown in zip(self._held[:count], self._shown, strict=False) if shown)
        del self._held[:count], self._shown[:count]
        return text

    def _add_to(self, assembler: TextAssembler, data: bytes) -> str:
        if not self._begun:
            data = data.lstrip()
            self._begun = bool(data)
        return assembler.feed(data) if data else ""


def reply_reader(
    stop: tuple[str, ...], prompt: Sequence[Token], vocabulary: Vocabulary, *, constrained: bool
) -> ReplyReader | ChannelReader:
    """The reader for a reply to a prompt. What a constraint has formed is an answer from its first character on."""
    if not constrained and has_channels(vocabulary.chat_template):
        return ChannelReader(stop, answering=answer_begun(prompt, vocabulary))
    marks = None if constrained else marks_of(vocabulary.chat_template)
    return ReplyReader(stop, marks, opened=marks is not None and marks.opened_by(prompt, vocabulary))
