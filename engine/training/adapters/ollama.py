"""A `Modelfile`, by which Ollama serves an exported model or adapter with the prompts that it was trained on.

Ollama writes prompts by templates of its own (in Go's language). They are known here for five families of prompts; which one a
model has is found by comparing what the model's own template makes of a chat.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.domain import Message
from engine.errors import ModelError
from engine.llm.llamacpp.prompting.template import ChatTemplate
from engine.llm.llamacpp.tokens import Vocabulary

_QUESTION = "Nexus asks."
_GREEDY = ("PARAMETER temperature 0", "PARAMETER repeat_penalty 1")
"""An adapter is to repeat what it was taught word for word."""


@dataclass(frozen=True, slots=True)
class PromptFamily:
    """A way to write prompts: as text with {system} and {prompt}, as Ollama's template, and what ends an answer."""

    name: str
    with_system: str
    without_system: str
    template: str
    stop: tuple[str, ...]


FAMILIES = (
    PromptFamily(
        "ChatML",
        "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n",
        "{{- if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
        '{{- range .Messages }}{{ if ne .Role "system" }}<|im_start|>{{ .Role }}\n'
        "{{ .Content }}<|im_end|>\n{{ end }}{{ end }}"
        "<|im_start|>assistant\n",
        ("<|im_start|>", "<|im_end|>"),
    ),
    PromptFamily(
        "Llama 3",
        "<|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
        "{prompt}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "<|start_header_id|>user<|end_header_id|>\n\n{prompt}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "{{- if .System }}<|start_header_id|>system<|end_header_id|>\n\n{{ .System }}<|eot_id|>{{ end }}"
        '{{- range .Messages }}{{ if ne .Role "system" }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n'
        "{{ .Content }}<|eot_id|>{{ end }}{{ end }}<|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    PromptFamily(
        "Gemma",
        "<start_of_turn>user\n{system}\n\n{prompt}<end_of_turn>\n<start_of_turn>model\n",
        "<start_of_turn>user\n{prompt}<end_of_turn>\n<start_of_turn>model\n",
        '{{- $said := false }}{{- range .Messages }}{{- if eq .Role "user" }}<start_of_turn>user\n'
        "{{ if and $.System (not $said) }}{{ $said = true }}{{ $.System }}\n\n{{ end }}{{ .Content }}<end_of_turn>\n"
        '{{ else if eq .Role "assistant" }}<start_of_turn>model\n{{ .Content }}<end_of_turn>\n{{ end }}{{ end }}'
        "<start_of_turn>model\n",
        ("<start_of_turn>", "<end_of_turn>"),
    ),
    PromptFamily(
        "Phi-3",
        "<|system|>\n{system}<|end|>\n<|user|>\n{prompt}<|end|>\n<|assistant|>\n",
        "<|user|>\n{prompt}<|end|>\n<|assistant|>\n",
        "{{- if .System }}<|system|>\n{{ .System }}<|end|>\n{{ end }}"
        '{{- range .Messages }}{{ if ne .Role "system" }}<|{{ .Role }}|>\n{{ .Content }}<|end|>\n{{ end }}{{ end }}'
        "<|assistant|>\n",
        ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    ),
    PromptFamily(
        "Mistral",
        "[INST] {system}\n\n{prompt} [/INST]",
        "[INST] {prompt} [/INST]",
        '{{- $said := false }}{{- range .Messages }}{{- if eq .Role "user" }}[INST] '
        "{{ if and $.System (not $said) }}{{ $said = true }}{{ $.System }}\n\n{{ end }}{{ .Content }} [/INST]"
        '{{ else if eq .Role "assistant" }} {{ .Content }}</s>{{ end }}{{ end }}',
        ("[INST]", "[/INST]"),
    ),
)


@dataclass(frozen=True, slots=True)
class Prompting:
    """How a model's prompts are written: the family, and the system message that its own template puts in by itself."""

    family: PromptFamily
    system: str = ""


def prompting_of(model: Path) -> Prompting | None:
    """How a model's own template writes a question; None where that is none of the known ways.

    Raises:
        ModelError: the model's vocabulary or template cannot be used.
    """
    vocabulary = Vocabulary(model)
    try:
        text = _prompt_text(vocabulary)
    finally:
        vocabulary.close()
    for family in FAMILIES:
        if text.strip() == family.without_system.format(prompt=_QUESTION).strip():
            return Prompting(family)
        before, after = family.with_system.format(system="\0", prompt=_QUESTION).split("\0")
        if text.startswith(before) and text.endswith(after):
            return Prompting(family, text[len(before) : len(text) - len(after)])
    return None


def _prompt_text(vocabulary: Vocabulary) -> str:
    """The prompt of a question with the names of special tokens, without the first token that Ollama adds by itself."""
    tokens = ChatTemplate(vocabulary).tokens([Message("user", _QUESTION)])
    if tokens and tokens[0] == vocabulary.bos and vocabulary.adds_bos:
        tokens = tokens[1:]
    return b"".join(vocabulary.pieces[token] for token in tokens).decode("utf-8", "replace")


def modelfile(model: Path, *, weights: str, adapter: str | None = None) -> str:
    """The text of a `Modelfile`.

    Args:
        model: a model file whose prompts are to be written.
        weights: the name of the file to serve.
        adapter: the name of the adapter's file, where the weights are the base's.
    """
    lines = [f"FROM ./{weights}"]
    lines += [f"ADAPTER ./{adapter}"] if adapter else []
    try:
        found = prompting_of(model)
    except ModelError:
        found = None
    if found is None:
        lines.append("# The model's prompts are written in no way that is known here: Ollama takes the template in the file.")
        return "\n".join(lines) + "\n"
    lines.append(f'# {found.family.name} prompts\nTEMPLATE """{found.family.template}"""')
    lines += [f'SYSTEM """{found.system}"""'] if found.system and '"""' not in found.system else []
    lines += [f'PARAMETER stop "{stop}"' for stop in found.family.stop]
    return "\n".join([*lines, *_GREEDY]) + "\n"
