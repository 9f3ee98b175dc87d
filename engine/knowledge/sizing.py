"""In whose tokens passages are sized."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import ConfigError, InputError, ModelError, NotFoundError, ProviderError
from engine.ingest import TokenCounter, estimate_tokens
from engine.llm.base import ChatModel

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sizing:
    """What counts tokens: the tokenizer of a model of this machine, by the model's name; without a name, an estimate."""

    model: str
    count: TokenCounter


ESTIMATED = Sizing("", estimate_tokens)
"""For models whose tokenizer is not on this machine."""

Sizings = Callable[[str | None], Sizing]
"""The sizing of a name; of the default model for None."""


def estimated(_name: str | None) -> Sizing:
    """No tokenizer, whatever the model."""
    return ESTIMATED


class ModelSizings:
    """Sizings by the tokenizers of chat models, whose vocabularies are loaded when they are first used and shared with chats.

    Weights are not loaded, and a chat waits for no longer than it takes to count the tokens of a passage.
    """

    def __init__(self, models: Callable[[str | None], ChatModel]) -> None:
        """`models` gives the chat model of a name, the default one for None; see `engine.wiring.Wiring.model`."""
        self._models = models

    def __call__(self, name: str | None) -> Sizing:
        """The sizing by a model; of one that is gone, by the default model; where that has no tokenizer here, the estimate."""
        if name == ESTIMATED.model:
            return ESTIMATED
        try:
            model = self._models(name)
            if not model.capabilities.local:
                return ESTIMATED
            model.count_tokens("word")  # what is wrong with its file comes out here
        except (ModelError, NotFoundError, ProviderError, ConfigError, InputError) as exc:
            log.info("No tokens of %s to size passages in: %s", name or "the default model", exc)
            return ESTIMATED if name is None else self(None)
        return Sizing(model.name, model.count_tokens)
