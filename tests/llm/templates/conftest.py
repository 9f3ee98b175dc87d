"""Small tokenizers of the families of chat models, each made twice: for Transformers, and as a GGUF file.

Vocabularies are trained here on a few sentences. What belongs to a family is how its tokenizer splits text and treats spaces,
its special tokens, and the form of its chat template, which is written here after the published descriptions.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from engine.domain import Message
from engine.llm.llamacpp.prompting.template import ChatTemplate
from engine.llm.llamacpp.tokens import Vocabulary

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

os.environ.setdefault("HF_HUB_OFFLINE", "1")

CORPUS = [
    "The kettle boils water in three minutes, and the lid opens when the button is pressed.",
    "You are a helpful assistant. Please answer the question of the user in a short sentence.",
    "I don't know what we'll do; they've said it isn't ours, but he's sure that it's 12345 or 67890!",
    "Der Wasserkocher ist geöffnet. Où est le café ? ¿Dónde está? Привет, мир. 日本語のテキスト。",
    "def function(value):\n    return value + 1\n\n\nclass Name:\n\tpass\n",
    "[INST] <<SYS>> <|im_start|>user system assistant model <start_of_turn> think /think",
] * 4

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


@dataclass(frozen=True)
class Special:
    """A special token and what it does with the white space beside it. One that is not `control` is user-defined."""

    name: str
    lstrip: bool = False
    rstrip: bool = False
    control: bool = True


@dataclass(frozen=True)
class Family:
    """What a family of models has in common."""

    name: str
    template: str
    specials: tuple[Special, ...]
    bos: str | None
    eos: str
    pre: str = "default"
    pattern: str = ""
    """How byte-level BPE splits text into words; empty for SentencePiece."""
    digits: bool = False
    composes: bool = False
    spaces: Literal["prepend", "first", "never"] = "never"
    """SentencePiece: a space before every text between special tokens, before the very first one, or none."""
    architecture: str = "llama"
    add_bos: bool = False
    alphabet: list[str] = field(default_factory=list)


def specials(*names: str, control: bool = True, lstrip: bool = False, rstrip: bool = False) -> tuple[Special, ...]:
    return tuple(Special(name, lstrip, rstrip, control) for name in names)


CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a small model.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

QWEN3 = """
{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(last=messages|length - 1, searching=true) %}
{%- for message in messages[::-1] %}
    {%- if ns.searching and message.role == 'user' and message.content is string %}
        {%- set ns.searching = false %}
        {%- set ns.last = messages|length - 1 - loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == 'assistant' %}
        {%- set said = message.content %}
        {%- if '</think>' in said %}
            {%- set said = said.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\\n' + said + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if tools %}{{- raise_exception('no tools here') }}{% endif %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""

LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set talk = messages[1:] %}{% set told = messages[0]['content'] %}"
    "{% else %}{% set talk = messages %}{% set told = false %}{% endif %}"
    "{% for message in talk %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('user and assistant must take turns') }}{% endif %}"
    "{% if loop.index0 == 0 and told != false %}{% set said = '<<SYS>>\\n' + told + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set said = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + said.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + said.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)

MISTRAL1 = (
    "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('user and assistant must take turns') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ message['content'] + eos_token + ' ' }}{% endif %}{% endfor %}"
)

MISTRAL3 = """
{%- if messages[0]["role"] == "system" %}
    {%- set told = messages[0]["content"] %}
    {%- set talk = messages[1:] %}
{%- else %}
    {%- set talk = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in talk %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and told is defined %}
            {{- "[INST] " + told + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- else %}
        {{- " " + message["content"]|trim + eos_token }}
    {%- endif %}
{%- endfor %}
"""

GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)

PHI3 = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)

PHI4 = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + message['content'] + '<|im_end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
)

LLAMA31 = (
    "{{- bos_token }}{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{% if messages[0]['role'] == 'system' %}{% set told = messages[0]['content']|trim %}{% set messages = messages[1:] %}"
    "{% else %}{% set told = '' %}{% endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\n' + 'Today Date: ' + date_string + '\n\n' + told + '<|eot_id|>' }}"
    "{% for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)

THINKING = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '<|User|>' + m.content }}"
    "{% elif m.role == 'assistant' %}{{ '<|Assistant|>' + m.content + eos_token }}{% else %}{{ m.content }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|Assistant|><think>\n' }}{% endif %}"
)

HARMONY = """
{{- '<|start|>system<|message|>Reasoning: ' + (reasoning_effort or 'medium') + '<|end|>' }}
{%- if messages[0].role == 'system' %}
    {{- '<|start|>developer<|message|># Instructions\\n\\n' + messages[0].content + '<|end|>' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' %}
        {{- '<|start|>user<|message|>' + message.content + '<|end|>' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|start|>assistant<|channel|>final<|message|>' + message.content + '<|end|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant' }}
{%- endif %}
"""

HARMONY_MARKS = ("<|constrain|>", "<|channel|>", "<|start|>", "<|end|>", "<|message|>")

GEMMA4 = (
    "{{ bos_token }}{% for m in messages %}{{ '<|turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}"
    "{% if m.role == 'system' and enable_thinking %}{{ '<|think|>\n' }}{% endif %}"
    "{{ m.content | trim + '<turn|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|turn>model\n' }}"
    "{% if not enable_thinking %}{{ '<|channel>thought\n<channel|>' }}{% endif %}{% endif %}"
)

SENTENCEPIECE = specials("<unk>", "<s>", "</s>")
PHI3_MARKS = specials("<|assistant|>", "<|system|>", "<|end|>", "<|user|>", rstrip=True)
PHI4_MARKS = specials("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", lstrip=True, rstrip=True)
THINK = specials("<think>", "</think>", control=False)

FAMILIES = [
    Family("llama2", LLAMA2, SENTENCEPIECE, "<s>", "</s>", spaces="prepend", add_bos=True),
    Family("mistral1", MISTRAL1, SENTENCEPIECE, "<s>", "</s>", spaces="prepend", add_bos=True),
    Family("mistral3", MISTRAL3, SENTENCEPIECE + specials("[INST]", "[/INST]"), "<s>", "</s>", spaces="first", add_bos=True),
    Family(
        "gemma",
        GEMMA,
        specials("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"),
        "<bos>",
        "<eos>",
        add_bos=True,
    ),
    Family(
        "phi3",
        PHI3,
        (*specials("<unk>", "<s>", "<|endoftext|>"), Special("</s>", rstrip=True), *PHI3_MARKS),
        "<s>",
        "<|endoftext|>",
        spaces="prepend",
        architecture="phi3",
        add_bos=True,
    ),
    Family("phi4", PHI4, PHI4_MARKS, "<|endoftext|>", "<|im_end|>", "dbrx", LLAMA3, architecture="phi3"),
    Family(
        "llama3",
        LLAMA31,
        specials("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "<|begin_of_text|>",
        "<|eot_id|>",
        "llama-bpe",
        LLAMA3,
        add_bos=True,
    ),
    Family(
        "qwen3",
        QWEN3,
        specials("<|endoftext|>", "<|im_start|>", "<|im_end|>") + THINK,
        None,
        "<|im_end|>",
        "qwen2",
        QWEN2,
        composes=True,
    ),
    Family(
        "deepseek",
        THINKING,
        specials("<|begin|>", "<|end|>", "<|User|>", "<|Assistant|>") + THINK,
        "<|begin|>",
        "<|end|>",
        "llama-bpe",
        LLAMA3,
        add_bos=True,
    ),
    Family(
        "gpt-oss",
        HARMONY,
        specials("<|startoftext|>", "<|endoftext|>", "<|return|>", *HARMONY_MARKS, "<|call|>"),
        "<|startoftext|>",
        "<|return|>",
        "llama-bpe",
        LLAMA3,
    ),
    Family(
        "gemma4",
        GEMMA4,
        specials("<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", "<|think|>", "<|channel>", "<channel|>"),
        "<bos>",
        "<turn|>",
        add_bos=True,
    ),
    Family(
        "smollm",
        CHATML,
        specials("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        "<|im_start|>",
        "<|im_end|>",
        "smollm",
        GPT2,
        digits=True,
    ),
]


class TinyTokenizer:
    """A family's tokenizer in Transformers and in llama.cpp, over the same small vocabulary."""

    def __init__(self, family: Family, folder: Path, says: str | None = None) -> None:
        """Write the file. The model answers with `says`, whose tokens are all different; by default with nothing sensible."""
        self.family = family
        self._says = says
        train = _byte_level if family.pattern else _sentencepiece
        self._tokens, self._merges = train(family)
        path = folder / f"{family.name}.gguf"
        self._write(path)
        self.vocabulary = Vocabulary(path)
        self.template = ChatTemplate(self.vocabulary)
        self.path = path

    @cached_property
    def transformers(self) -> PreTrainedTokenizerFast:
        from transformers import PreTrainedTokenizerFast

        marks = {"bos_token": self.family.bos, "eos_token": self.family.eos}
        fast = PreTrainedTokenizerFast(tokenizer_object=self._fast(), **{key: name for key, name in marks.items() if name})
        fast.chat_template = self.family.template
        return fast

    @cached_property
    def plain(self) -> Tokenizer:
        """Knows no control tokens, and is given texts that follow a special token."""
        later = replace(self.family, spaces="never" if self.family.spaces == "first" else self.family.spaces)
        return TinyTokenizer._fast(self, later, [special for special in self.family.specials if not special.control])

    def expected(self, messages: list[Message], **options: bool) -> list[int]:
        """What Transformers makes of a conversation, with what else its template is given."""
        plain = [{"role": message.role, "content": message.content} for message in messages]
        made = self.transformers.apply_chat_template(
            plain, add_generation_prompt=True, tokenize=True, return_dict=False, **options
        )
        return list(made)

    @property
    def names(self) -> list[str]:
        """The names of its control tokens."""
        return [special.name for special in self.family.specials if special.control]

    def parts(self, messages: list[Message]) -> list[tuple[str, bool]]:
        """The rendered conversation, cut at the template's own control tokens; with each part whether it is one."""
        stand_ins = {name: chr(0xF0000 + index) for index, name in enumerate(self.names)}
        hidden = [{"role": message.role, "content": _replaced(message.content, stand_ins)} for message in messages]
        text = self.transformers.apply_chat_template(hidden, add_generation_prompt=True, tokenize=False)
        assert isinstance(text, str)
        parts = re.split("(" + "|".join(map(re.escape, self.names)) + ")", text)
        flags = {special.name: special for special in self.family.specials}
        for at in range(1, len(parts), 2):
            parts[at - 1] = parts[at - 1].rstrip() if flags[parts[at]].lstrip else parts[at - 1]
            parts[at + 1] = parts[at + 1].lstrip() if flags[parts[at]].rstrip else parts[at + 1]
        back = {stand_in: name for name, stand_in in stand_ins.items()}
        return [(_replaced(part, back), at % 2 == 1) for at, part in enumerate(parts) if part]

    def apart(self, messages: list[Message]) -> list[int]:
        """The tokens of a conversation whose parts are tokenised one by one, all but the template's marks as plain text."""
        tokens: list[int] = []
        for part, special in self.parts(messages):
            tokens += [self._tokens.index(part)] if special else self.plain.encode(part, add_special_tokens=False).ids
        return tokens

    def _chain(self) -> list[int]:
        """The tokens that follow one another, from the end of a prompt to the end of the answer."""
        if self._says is None:
            return []
        prompt = self.expected([Message("user", "Hi")])
        chain = [prompt[-1], *self._fast().encode(self._says).ids, self._tokens.index(self.family.eos)]
        assert len({*chain}) == len(chain)
        return chain

    def _fast(self, family: Family | None = None, added: list[Special] | None = None) -> Tokenizer:
        from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

        family = family or self.family
        vocabulary = {token: index for index, token in enumerate(self._tokens)}
        if family.pattern:
            fast = Tokenizer(models.BPE(vocabulary, self._merges))
            fast.pre_tokenizer = _splitter(family)
            if family.composes:
                fast.normalizer = normalizers.NFC()
        else:
            fast = Tokenizer(models.BPE(vocabulary, self._merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
            replaced = normalizers.Replace(" ", "▁")
            if family.spaces == "first":
                fast.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
            elif family.spaces == "prepend":
                fast.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replaced])
            else:
                fast.normalizer = replaced
        for special in family.specials if added is None else added:
            token = AddedToken(
                special.name, lstrip=special.lstrip, rstrip=special.rstrip, normalized=False, special=special.control
            )
            (fast.add_special_tokens if special.control else fast.add_tokens)([token])
        return fast

    def _write(self, path: Path) -> None:
        from gguf import GGUFWriter, TokenType

        family = self.family
        kinds = {special.name: TokenType.CONTROL if special.control else TokenType.USER_DEFINED for special in family.specials}
        kinds |= {f"<0x{byte:02X}>": TokenType.BYTE for byte in range(256)} if not family.pattern else {}
        kinds |= {"<unk>": TokenType.UNKNOWN} if "<unk>" in kinds else {}
        writer = GGUFWriter(path, family.architecture)
        writer.add_name(family.name)
        _write_weights(writer, len(self._tokens), self._chain(), fused=family.architecture == "phi3")
        writer.add_tokenizer_model("gpt2" if family.pattern else "llama")
        writer.add_tokenizer_pre(family.pre)
        writer.add_token_list(self._tokens)
        writer.add_token_types([kinds.get(token, TokenType.NORMAL) for token in self._tokens])
        if family.pattern:
            writer.add_token_merges([" ".join(merge) for merge in self._merges])
        else:
            writer.add_token_scores([float(-index) for index in range(len(self._tokens))])
            writer.add_add_space_prefix(family.spaces != "never")
            writer.add_unk_token_id(self._tokens.index("<unk>"))
        if family.bos is not None:
            writer.add_bos_token_id(self._tokens.index(family.bos))
        writer.add_eos_token_id(self._tokens.index(family.eos))
        writer.add_add_bos_token(family.add_bos)
        writer.add_chat_template(family.template)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _write_weights(writer: GGUFWriter, words: int, chain: list[int], *, fused: bool) -> None:
    """One layer that adds nothing; each token of the chain makes the next one likely."""
    import numpy as np

    width = 16
    writer.add_context_length(512)
    writer.add_block_count(1)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(width)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_rope_dimension_count(width)
    writer.add_layer_norm_rms_eps(1e-5)
    apart = dict.fromkeys(["attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up"], width)
    names = {"attn_qkv": 3 * width, "ffn_up": 2 * width} if fused else apart
    shapes = {name: (rows, width) for name, rows in (names | {"attn_output": width, "ffn_down": width}).items()}
    shapes |= {"attn_norm": (width,), "ffn_norm": (width,)}
    shapes = {f"blk.0.{name}": shape for name, shape in shapes.items()}
    weights = {name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()}
    weights |= {"output_norm": np.ones(width, dtype=np.float32)}
    weights |= {name: np.zeros((words, width), dtype=np.float32) for name in ("token_embd", "output")}
    for at, (token, following) in enumerate(pairwise(chain)):
        weights["token_embd"][token, at] = weights["output"][following, at] = 1.0
    for name, weight in weights.items():
        writer.add_tensor(f"{name}.weight", weight)


def _replaced(text: str, names: dict[str, str]) -> str:
    for name, other in names.items():
        text = text.replace(name, other)
    return text


def _splitter(family: Family):
    from tokenizers import Regex, pre_tokenizers

    digits = [pre_tokenizers.Digits(individual_digits=True)] if family.digits else []
    words = pre_tokenizers.Split(Regex(family.pattern), "isolated")
    return pre_tokenizers.Sequence([*digits, words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _byte_level(family: Family) -> tuple[list[str], list[tuple[str, str]]]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _splitter(family)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=256 + 250, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    learned = sorted(model["vocab"], key=model["vocab"].get)
    return [*learned, *(special.name for special in family.specials)], [tuple(merge) for merge in model["merges"]]


def _sentencepiece(family: Family) -> tuple[list[str], list[tuple[str, str]]]:
    """Words with their place as score. Any two neighbours that make a word may be merged, the best word first."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first")
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=400, show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    known = {word for word in model["vocab"] if not {"\n", "\t"} & {*word}}  # these are bytes
    words = sorted((word for word in known if len(word) > 1), key=model["vocab"].get)
    characters = sorted(word for word in known if len(word) == 1)
    spaces = ["▁▁", "▁▁▁▁"]
    has = {*words, *characters, *spaces}
    merges = [
        (word[:cut], word[cut:])
        for word in [*spaces, *words]
        for cut in range(1, len(word))
        if word[:cut] in has and word[cut:] in has
    ]
    head = [special.name for special in family.specials]
    return [*head, *(f"<0x{byte:02X}>" for byte in range(256)), *spaces, *words, *characters], merges


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], TinyTokenizer]:
    """Makes the tokenizer of a family, once."""
    folder = tmp_path_factory.mktemp("families")
    made: dict[str, TinyTokenizer] = {}
    families = {family.name: family for family in FAMILIES}

    def make(name: str) -> TinyTokenizer:
        if name not in made:
            made[name] = TinyTokenizer(families[name], folder)
        return made[name]

    return make


@pytest.fixture
def saying(tmp_path: Path) -> Callable[[str, str], Path]:
    """Makes a model of a family that answers "Hi" with a given text; gives its file."""
    families = {family.name: family for family in FAMILIES}
    return lambda name, says: TinyTokenizer(families[name], tmp_path, says).path


@pytest.fixture(params=[family.name for family in FAMILIES])
def family(request: pytest.FixtureRequest, tiny: Callable[[str], TinyTokenizer]) -> TinyTokenizer:
    """Each family in turn."""
    return tiny(request.param)
