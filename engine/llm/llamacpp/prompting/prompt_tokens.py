"""Rendered conversations to tokens, as the tokenizers of Transformers do it, and safe from what people type.

llama.cpp knows the words of a vocabulary, but a GGUF file does not say all that a tokenizer file does: which special tokens
take the white space beside them along, where a space is put before a text, and that text is normalised first. What is missing
is stated here for each family.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from engine.llm.llamacpp.tokens import Token, Vocabulary

_SPACE = r"[^\S\x1c-\x1f]"
"""White space as Unicode has it; Python counts four control characters more."""

_PRIVATE = range(0xE000, 0xF900)
"""Characters that no standard gives a meaning to."""

_MARKS = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")
"""What the marks of turns look like."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a tokenizer does beside splitting texts into words of its vocabulary.

    `strips_left` and `strips_right` are special tokens that take the white space beside them along. `prefix_everywhere`: a
    space goes before the text after every special token; otherwise before the very first text alone.
    """

    strips_left: frozenset[Token] = frozenset()
    strips_right: frozenset[Token] = frozenset()
    prefix_everywhere: bool = True


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Patterns for one mark. Each is None where the vocabulary has nothing to find."""

    protected: re.Pattern[str] | None
    """Where a name begins that people must not write."""
    protected_own: re.Pattern[str] | None
    """Where a name begins that the model must not have written."""
    special: re.Pattern[str] | None
    """A special token without a mark before it."""
    broken: re.Pattern[str] | None
    """The first character of a user-defined word with a mark before it."""


class PromptTokeniser:
    """Tokenises what a chat template has made, for one vocabulary. Safe to use from any thread.

    Only the template can make control tokens. `protect` marks their names in a message before it is rendered, with a character
    that occurs nowhere in the conversation, and `tokens` takes the marks out again after the special tokens were found: the
    names that people typed are tokenised as the ordinary text they are.
    """

    def __init__(self, vocabulary: Vocabulary, template: str) -> None:
        """Prepare for a vocabulary and the chat template that goes with it."""
        self._vocabulary = vocabulary
        special = {vocabulary.name_of(token): token for token in vocabulary.special_tokens}
        self._special = {name: token for name, token in special.items() if name}
        self._rules = _rules(vocabulary, self._special)
        # Words that a file only calls user-defined are marks of turns all the same where the template writes them.
        names = (vocabulary.name_of(token) for token in vocabulary.user_defined_tokens)
        self._written = [name for name in names if _MARKS.fullmatch(name) and name in template]
        self._patterns = lru_cache(maxsize=4)(self._compile)

    def mark_for(self, texts: Iterable[str]) -> str:
        """A character that occurs in none of the texts."""
        used = set().union(*texts)
        return next(chr(code) for code in _PRIVATE if chr(code) not in used)

    def protect(self, text: str, mark: str, *, keep_written: bool = False) -> str:
        """The text with the mark before every name of a special token.

        With `keep_written`, user-defined words that the template writes stay as they are: what the model itself has said may
        hold the marks of its reasoning, which templates look for.
        """
        patterns = self._patterns(mark)
        pattern = patterns.protected_own if keep_written else patterns.protected
        return text if pattern is None else pattern.sub(mark, text)

    def tokens(self, rendered: str, mark: str) -> list[Token]:
        """The tokens of a rendered conversation: special ones where a name has no mark before it."""
        result: list[Token] = []
        for part in self._parts(rendered, self._patterns(mark)):
            if isinstance(part, str):
                result += self._text(part, mark, first=not result)
            else:
                result.append(part)
        return result

    def _compile(self, mark: str) -> _Patterns:
        special, written = _any_of(self._special), _any_of(self._written)
        either = "|".join(filter(None, [special, written]))
        return _Patterns(
            protected=re.compile(f"(?={either})") if either else None,
            protected_own=re.compile(f"(?={special})") if special else None,
            special=re.compile(f"(?<!{mark})({special})") if special else None,
            broken=re.compile(f"{mark}(?={written})(.)", re.DOTALL) if written else None,
        )

    def _parts(self, rendered: str, patterns: _Patterns) -> Iterator[Token | str]:
        """Special tokens and the texts between them, without the white space that tokens take along."""
        pieces = patterns.special.split(rendered) if patterns.special else [rendered]
        tokens = [None, *(self._special[name] for name in pieces[1::2]), None]
        for text, before, after in zip(pieces[::2], tokens, tokens[1:], strict=False):
            if before in self._rules.strips_right:
                text = re.sub(f"^{_SPACE}+", "", text)
            if after in self._rules.strips_left:
                text = re.sub(f"{_SPACE}+$", "", text)
            if text:
                yield text
            if after is not None:
                yield after

    def _text(self, text: str, mark: str, *, first: bool) -> list[Token]:
        result: list[Token] = []
        for piece in self._broken(text, mark):
            prefixed = not result and (first or self._rules.prefix_everywhere)
            result += self._vocabulary.tokenise(piece) if prefixed else self._vocabulary.tokenise_inside(piece)
        return result

    def _broken(self, text: str, mark: str) -> list[str]:
        """The text without marks, cut within each user-defined word that has one, which llama.cpp would else find."""
        pattern = self._patterns(mark).broken
        cut = text if pattern is None else pattern.sub(rf"\1{mark}{mark}", text)
        return [piece.replace(mark, "") for piece in cut.split(mark + mark)]


def _any_of(names: Iterable[str]) -> str:
    """A pattern for any of the names, the longest that fits; empty for none."""
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


def _rules(vocabulary: Vocabulary, special: Mapping[str, Token]) -> _Rules:
    """The rules of a vocabulary's family, as published with its models."""
    if vocabulary.kind == "llama":
        if vocabulary.metadata("general.architecture") == "phi3":  # Phi-3, Phi-3.5
            plain = {"<unk>", "<s>", "<|endoftext|>"}
            return _Rules(strips_right=frozenset(token for name, token in special.items() if name not in plain))
        # Mistral from its second tokenizer on: [INST] is a token, and the template writes the spaces itself.
        return _Rules(prefix_everywhere="[INST]" not in special)
    if "<|im_sep|>" in special:  # Phi-4
        marks = frozenset(special.values())
        return _Rules(strips_left=marks, strips_right=marks)
    return _Rules()
