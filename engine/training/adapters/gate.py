"""The parity gate: what an adapter must pass before it is offered.

Lives here: which texts are compared, and whether the same chats give the same prompt tokens. The comparison itself is in
`parity`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.domain import Message
from engine.training.adapters.parity import (
    ParityReport,
    Predictions,
    PromptReport,
    ServedPredictor,
    check_parity,
    trained_predictions,
)
from engine.training.adapters.probes import probe_examples
from engine.training.bases.base_model import copy_source
from engine.training.datasets.encoding import ChatEncoder, EncodedExample, open_encoder
from engine.training.datasets.examples import TrainingExample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST_HELD_OUT = 8
"""Held-out answers that are compared; with the probes, a few hundred tokens."""
MOST_CHATS = 32
"""Chats whose prompts are compared."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: an adapter in both forms, what it was trained on, and what it is served with.

    `reference` is a Hugging Face folder with the base's tokenizer, where there is one. `long_positions`: which factors a
    LongRoPE base is served with; the base's folder has the same.
    """

    base_folder: Path
    peft_dir: Path
    served_gguf: Path
    adapter_gguf: Path
    reference: Path | None = None
    long_positions: bool = False


def reference_folder(base_gguf: Path, base_folder: Path) -> Path | None:
    """The Hugging Face folder with a base's tokenizer: the one that the training copy's weights are from, or one beside the
    file with its name without `.gguf`. None where there is none.
    """
    known = [base_gguf.parent / str(copy_source(base_folder).get("folder", "")), base_gguf.with_suffix("")]
    return next((folder for folder in known if (folder / "tokenizer.json").is_file()), None)


def run_gate(
    subject: Subject,
    held_out: Sequence[EncodedExample] = (),
    chats: Sequence[TrainingExample] = (),
    trained: Sequence[EncodedExample] = (),
) -> ParityReport:
    """Compare the served adapter with the trained one.

    Args:
        subject: the adapter.
        held_out: answers that it has not learnt; compared before the probes.
        chats: what it was trained on and measured with, as conversations.
        trained: the same as tokens.

    Raises:
        NexusError: one of the two cannot be loaded.
    """
    with open_encoder(subject.served_gguf) as encoder:
        texts = [*held_out[:MOST_HELD_OUT], *probe_examples(encoder)]
        prompts = compare_prompts(encoder, chats[:MOST_CHATS], trained, subject.reference)
    report = judge(subject, texts)
    return report if prompts is None else report.with_prompts(prompts)


def judge(subject: Subject, texts: Sequence[EncodedExample]) -> ParityReport:
    """Compare the predictions of both for some texts."""
    trained, plain = trained_predictions(subject.base_folder, subject.peft_dir)
    report = _compared(trained, subject, subject.adapter_gguf, texts)
    if copy_source(subject.base_folder).get("weights") != "originals":
        return report
    # Trained on the weights from before the quantisation: what the base alone loses by that is no fault of the adapter's.
    return report.with_base(_compared(plain, subject, None, texts))


def _compared(expected: Predictions, subject: Subject, adapter: Path | None, texts: Sequence[EncodedExample]) -> ParityReport:
    longest = max(len(example.tokens) for example in texts)
    threads, long = os.cpu_count() or 1, subject.long_positions
    served = ServedPredictor(subject.served_gguf, adapter, longest, threads, long_positions=long)
    try:
        return check_parity(expected(texts), map(served, texts))
    finally:
        served.close()


def compare_prompts(
    encoder: ChatEncoder, chats: Sequence[TrainingExample], trained: Sequence[EncodedExample], reference: Path | None
) -> PromptReport | None:
    """Whether chats get the prompt tokens that were trained on, and those that Transformers makes; None without chats.

    A chat that was left out of the training, because its prompt is too long, is not compared.
    """
    learnt = {item.tokens[: item.prompt_length] for item in trained}
    longest = max(map(len, learnt), default=0)
    prompts = {chat: prompt for chat in chats if len(prompt := _prompt(encoder, chat)) <= longest}
    if not prompts:
        return None
    same = [prompt in learnt for prompt in prompts.values()]
    return PromptReport(len(prompts), all(same), _equal_to_transformers(prompts, reference))


def _prompt(encoder: ChatEncoder, chat: TrainingExample) -> tuple[int, ...]:
    example = encoder.encode_example(chat)
    return example.tokens[: example.prompt_length]


def _equal_to_transformers(prompts: dict[TrainingExample, tuple[int, ...]], reference: Path | None) -> bool | None:
    """Whether Transformers makes the same tokens of the same chats; None where it has no tokenizer or no template for them."""
    if reference is None:
        return None
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(reference, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError):
        return None
    if not tokenizer.chat_template:
        return None
    return all(_as_transformers(tokenizer, chat.prompt) == prompt for chat, prompt in prompts.items())


def _as_transformers(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> tuple[int, ...]:
    """The prompt tokens that Transformers makes of a chat."""
    turns = [{"role": message.role, "content": message.content} for message in messages]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
