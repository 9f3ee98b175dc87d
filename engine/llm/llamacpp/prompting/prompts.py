"""What can be made of a model's vocabulary without its weights: prompts, token counts, grammars."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from engine.domain import Message
from engine.llm.base import Constraint
from engine.llm.llamacpp.grammar import Grammar, GrammarCompiler
from engine.llm.llamacpp.prompting.rendering import renderer
from engine.llm.llamacpp.prompting.template import ChatTemplate
from engine.llm.llamacpp.tokens import Token, Vocabulary


class PromptBuilder:
    """Turns conversations and constraints into tokens and grammars. Safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        """Load the vocabulary.

        Raises:
            ModelFileError: the file cannot be used.
        """
        renderer.start()  # a tenth of a second, while the vocabulary is loaded
        self.vocabulary = Vocabulary(path)
        self._template = ChatTemplate(self.vocabulary)
        self._lock = threading.Lock()
        self._compiler: GrammarCompiler | None = None

    def chat(self, messages: Sequence[Message], *, thinking: bool | None = None) -> list[Token]:
        """The prompt of a conversation. See `ChatTemplate.tokens`."""
        return self._template.tokens(messages, thinking=thinking)

    def text(self, text: str) -> list[Token]:
        """The tokens of plain text, special tokens off."""
        return self.vocabulary.tokenise(text) if text else []

    def grammar(self, constraint: Constraint | None) -> Grammar | None:
        """A fresh grammar for a constraint. The first call takes about 0.2 s more.

        Raises:
            InputError: the constraint is not valid.
        """
        if constraint is None:
            return None
        with self._lock:
            if self._compiler is None:
                self._compiler = GrammarCompiler(self.vocabulary)
        return self._compiler.compile(constraint)

    def close(self) -> None:
        """Give the vocabulary back. May be called again."""
        self.vocabulary.close()
