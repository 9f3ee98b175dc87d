"""Examples as tokens, exactly as the runtime sees them.

The tokens come from llama.cpp and the GGUF's own vocabulary and chat template, not from a converted tokenizer: what the
model is trained on is then what it is asked when it is served. Text of a message is tokenised with special tokens off, so
that `<|im_end|>` in a document does not end a turn; only the template's own text may hold special tokens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.domain import Json, Message
from engine.errors import InputError, ModelFileError
from engine.training.data import TrainingExample

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Used where a model file has no chat template of its own."""


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
class EncodedExamples:
    """Encoded examples, and what did not fit.

    `truncated` answers lost their end; `skipped` examples had no room for an answer after their prompt.
    """

    items: tuple[EncodedExample, ...]
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
    """Turns conversations into the tokens of one GGUF. Loads the vocabulary only; use `open_encoder` to close it again."""

    def __init__(self, gguf_path: Path) -> None:
        import llama_cpp
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        with quiet_llama():
            self._model = llama_cpp.llama_model_load_from_file(str(gguf_path).encode(), params)
        if not self._model:
            raise ModelFileError(f"{gguf_path.name} is not a model that llama.cpp can read.", hint="Choose another GGUF file.")
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        source = llama_cpp.llama_model_chat_template(self._model, None)
        # A template is code from a model file: it runs in Jinja's sandbox. The options are those of Transformers.
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _raise_template_error
        try:
            self._template = environment.from_string(source.decode() if source else CHATML)
        except TemplateError as exc:
            self.close()
            raise ModelFileError(f"{gguf_path.name} has a broken chat template: {exc}") from exc

    def close(self) -> None:
        """Give the vocabulary's memory back."""
        import llama_cpp

        if self._model:
            llama_cpp.llama_model_free(self._model)
        self._model = None

    def encode(self, examples: Sequence[TrainingExample], max_length: int) -> EncodedExamples:
        """Encode examples, cutting each to `max_length` tokens.

        Raises:
            InputError: no example is short enough, or the template refuses a conversation.
        """
        items: list[EncodedExample] = []
        truncated = skipped = 0
        for example in examples:
            whole = self.encode_example(example)
            if whole.prompt_length >= max_length:
                skipped += 1
                continue
            truncated += len(whole.tokens) > max_length
            items.append(EncodedExample(whole.tokens[:max_length], whole.prompt_length))
        if examples and not items:
            raise InputError(
                f"Every example's prompt is longer than {max_length} tokens.", hint="Raise max_sequence_length or shorten them."
            )
        return EncodedExamples(tuple(items), truncated, skipped)

    def encode_example(self, example: TrainingExample) -> EncodedExample:
        """Tokens of a conversation, its answer and the end of the answer's turn."""
        prompt = self.prompt_tokens(example.prompt)
        answer = (*self._tokenise(example.answer, special=False), *self._answer_end(example.prompt))
        return EncodedExample((*prompt, *answer), len(prompt))

    def prompt_tokens(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Tokens of a conversation, up to where the answer begins."""
        import llama_cpp

        tokens: list[int] = []
        for text, special in self._pieces(messages, add_generation_prompt=True):
            tokens.extend(self._tokenise(text, special=special))
        bos = llama_cpp.llama_vocab_bos(self._vocab)
        if llama_cpp.llama_vocab_get_add_bos(self._vocab) and tokens[:1] != [bos]:
            tokens.insert(0, bos)
        return tuple(tokens)

    def _answer_end(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """What the template puts after an answer, up to the first token that ends a generation."""
        import llama_cpp

        whole = [*messages, Message("assistant", "")]
        tail, _ = list(self._pieces(whole, add_generation_prompt=False))[-1]
        tokens = self._tokenise(tail, special=True)
        for index, token in enumerate(tokens):
            if llama_cpp.llama_vocab_is_eog(self._vocab, token):
                return tokens[: index + 1]
        return (int(llama_cpp.llama_vocab_eos(self._vocab)),)

    def _pieces(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> Iterator[tuple[str, bool]]:
        """(text, whether it may hold special tokens): the template's text and the messages' in turn, in order."""
        from jinja2 import TemplateError

        marks = [f"\ue000{index}\ue001" for index in range(len(messages))]
        try:
            rest = self._template.render(
                messages=[{"role": m.role, "content": mark} for m, mark in zip(messages, marks, strict=True)],
                add_generation_prompt=add_generation_prompt,
                bos_token="",
                eos_token=self._text_of_eos(),
            )
        except TemplateError as exc:
            raise InputError(f"The model's chat template refuses this conversation: {exc}") from exc
        for message, mark in zip(messages, marks, strict=True):
            before, found, after = rest.partition(mark)
            if found:  # a template may leave out a system message
                yield before, True
                yield message.content, False
                rest = after
        yield rest, True

    def _text_of_eos(self) -> str:
        """The text of the end token, as templates write it."""
        import llama_cpp

        text: bytes = llama_cpp.llama_vocab_get_text(self._vocab, llama_cpp.llama_vocab_eos(self._vocab))
        return text.decode("utf-8", "replace")

    def _tokenise(self, text: str, *, special: bool) -> tuple[int, ...]:
        """Tokens of a piece of text."""
        import llama_cpp

        data = text.encode("utf-8", "replace")
        if not data:
            return ()
        room = len(data) + 8  # a token has at least one byte; some vocabularies add a space in front
        buffer = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self._vocab, data, len(data), buffer, room, False, special)
        return tuple(buffer[:count])


@contextlib.contextmanager
def open_encoder(gguf_path: Path) -> Iterator[ChatEncoder]:
    """An encoder that is closed at the end of the block.

    Raises:
        ModelFileError: the file has no usable vocabulary or template.
    """
    encoder = ChatEncoder(gguf_path)
    try:
        yield encoder
    finally:
        encoder.close()


@contextlib.contextmanager
def quiet_llama() -> Iterator[None]:
    """Keep llama.cpp's notes on a load off the standard error while the block runs."""
    from llama_cpp._logger import set_verbose

    set_verbose(False)
    yield


def _raise_template_error(message: str) -> None:
    """What templates call to refuse a conversation."""
    from jinja2 import TemplateError

    raise TemplateError(message)
