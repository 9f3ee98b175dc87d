"""Examples as tokens, exactly as the runtime sees them.

Prompts are made by the runtime's own vocabulary and chat template (`engine.llm.llamacpp`), not by a converted tokenizer: what
the model is trained on is then, token for token, what it is asked when it is served. The text of an answer is tokenised with
special tokens off, so that `<|im_end|>` in it does not end a turn.
"""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.domain import Json, Message, Role
from engine.errors import InputError
from engine.llm.llamacpp.prompting.template import ChatTemplate
from engine.llm.llamacpp.tokens import Vocabulary
from engine.training.datasets.examples import TrainingExample


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """Tokens of an example; those from `prompt_length` on are the answer, which alone is learnt."""

    tokens: tuple[int, ...]
    prompt_length: int

    @property
    def answer_length(self) -> int:
        """Number of tokens to learn."""
        return len(self.tokens) - self.prompt_length


@dataclass(frozen=True, slots=True)
class Piece:
    """The text of a token as the model sees it, or of several where a character takes several.

    `learnt` pieces are the answer; the loss of the others is masked. `special` ones are control tokens, shown by their names:
    what people typed never is.
    """

    text: str
    learnt: bool
    special: bool = False


@dataclass(frozen=True, slots=True)
class EncodedExamples:
    """Encoded examples, and what did not fit.

    `truncated` answers lost their end; `skipped` examples had no room for an answer after their prompt.
    """

    items: tuple[EncodedExample, ...] = ()
    truncated: int = 0
    skipped: int = 0

    def report(self) -> dict[str, Json]:
        """Token counts, for the card and for a person."""
        lengths = sorted(len(item.tokens) for item in self.items) or [0]
        return {
            "examples": len(self.items),
            "tokens": sum(lengths),
            "answer_tokens": sum(item.answer_length for item in self.items),
            "shortest": lengths[0],
            "median": lengths[len(lengths) // 2],
            "longest": lengths[-1],
            "truncated": self.truncated,
            "skipped": self.skipped,
        }


class ChatEncoder:
    """Turns conversations into the tokens of one GGUF. `open_encoder` makes one and closes it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._template = ChatTemplate(vocabulary)
        self._ends: dict[tuple[Role, ...], int] = {}

    def encode(self, examples: Sequence[TrainingExample], max_length: int, *, required: bool = True) -> EncodedExamples:
        """Encode examples, cutting each to `max_length` tokens, or to the model's context where that is shorter.

        Raises:
            InputError: no example is short enough, and some are `required`.
            ModelError: the model's chat template refuses a conversation.
        """
        max_length = self.limit(max_length)
        items: list[EncodedExample] = []
        truncated = skipped = 0
        for example in examples:
            whole = self.encode_example(example)
            if whole.prompt_length >= max_length:
                skipped += 1
                continue
            truncated += len(whole.tokens) > max_length
            items.append(EncodedExample(whole.tokens[:max_length], whole.prompt_length))
        if required and examples and not items:
            raise InputError(
                f"Every example's prompt has {max_length} tokens or more.", hint="Raise max_sequence_length or shorten them."
            )
        return EncodedExamples(tuple(items), truncated, skipped)

    @property
    def has_template(self) -> bool:
        """Whether the model file says how a conversation is written; else ChatML is used, in training as in answering."""
        return self._vocabulary.chat_template is not None

    def limit(self, max_length: int) -> int:
        """So many tokens, but no more than the model was made for."""
        context = self._vocabulary.trained_context
        return min(max_length, context) if context > 0 else max_length

    def encode_example(self, example: TrainingExample) -> EncodedExample:
        """Tokens of a conversation, its answer and the end of the answer's turn."""
        prompt = self._template.tokens(example.prompt)
        answer = self._vocabulary.tokenise(example.answer)
        return EncodedExample((*prompt, *answer, self._end_of_answer(example.prompt, len(prompt))), len(prompt))

    def pieces(self, encoded: EncodedExample) -> tuple[Piece, ...]:
        """An example as the model sees it, token by token."""
        prompt, answer = encoded.tokens[: encoded.prompt_length], encoded.tokens[encoded.prompt_length :]
        return (*self._pieces(prompt, learnt=False), *self._pieces(answer, learnt=True))

    def _pieces(self, tokens: Sequence[int], *, learnt: bool) -> Iterator[Piece]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        special = self._vocabulary.control_tokens | self._vocabulary.end_tokens
        for token in tokens:
            if token in special:
                if rest := decoder.decode(b"", final=True):
                    yield Piece(rest, learnt)
                decoder.reset()
                yield Piece(self._vocabulary.name_of(token), learnt, special=True)
            elif text := decoder.decode(self._vocabulary.pieces[token]):
                yield Piece(text, learnt)
        if rest := decoder.decode(b"", final=True):
            yield Piece(rest, learnt)

    def plain(self, text: str) -> tuple[int, ...]:
        """The tokens of a text that is no conversation."""
        return tuple(self._vocabulary.tokenise(text))

    def text_of(self, tokens: Sequence[int]) -> str:
        """The text of tokens, special ones left out."""
        return self._vocabulary.text_of(tokens)

    @property
    def end_tokens(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return frozenset(self._vocabulary.end_tokens)

    def _end_of_answer(self, prompt: Sequence[Message], length: int) -> int:
        """The token that the template puts after an answer; the vocabulary's end token where it puts none."""
        roles = tuple(message.role for message in prompt)
        if roles not in self._ends:  # what is said makes no difference to it
            whole = self._template.tokens([*prompt, Message("assistant", "-")])
            ends = (token for token in whole[length:] if token in self._vocabulary.end_tokens)
            self._ends[roles] = next(ends, self._vocabulary.eos)
        return self._ends[roles]


@contextlib.contextmanager
def open_encoder(gguf_path: Path) -> Iterator[ChatEncoder]:
    """An encoder for a model file, of which only the vocabulary is loaded; closed at the end of the block.

    Raises:
        ModelError: the file has no usable vocabulary or template.
    """
    vocabulary = Vocabulary(gguf_path)
    try:
        yield ChatEncoder(vocabulary)
    finally:
        vocabulary.close()
