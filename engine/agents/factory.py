"""From an agent's configuration to what it thinks with: model, adapter, or the default model when those cannot be had.

Keys of providers come from the environment at the moment of use; nothing here keeps one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine.db.repositories import AdapterRepository
from engine.domain import AgentConfig
from engine.errors import AdapterError
from engine.llm.base import ChatModel
from engine.llm.cloud.access import Endpoint
from engine.llm.fallback import REPLACEABLE, FallbackChatModel, fallen_back, must_raise
from engine.training.adapters.offering import Offering

ModelFor = Callable[[str | None], ChatModel]
"""Gives the chat model of a name; the default local one for None."""


@dataclass(frozen=True, slots=True)
class Mind:
    """What an agent thinks with. `notice` says why it is not what was configured."""

    chat: ChatModel
    model: str | None = None
    adapter: Path | None = None
    notice: str | None = None

    @property
    def is_default(self) -> bool:
        """Whether there is nothing to fall back to."""
        return self.model is None and self.adapter is None


@dataclass(frozen=True, slots=True)
class Parts:
    """What minds are made of."""

    model_for: ModelFor
    adapters: AdapterRepository
    offline: bool
    offering: Offering = field(default_factory=Offering)


def _local(config: AgentConfig, parts: Parts) -> Mind:
    """A model of this machine, with its adapter."""
    adapter = None if config.adapter is None else parts.adapters.by_name(config.adapter)
    if adapter is not None:
        parts.offering.require(adapter, allow_mismatch=True)  # asked for when the agent was made
    name = config.model or (adapter.base_model if adapter else None)
    chat = parts.model_for(name)
    if adapter is not None and adapter.base_model != chat.name:
        raise AdapterError(f"the adapter {adapter.name!r} belongs to {adapter.base_model}, not to {chat.name}")
    return Mind(chat, name, None if adapter is None else adapter.path)


def _remote(config: AgentConfig, parts: Parts) -> Mind:
    """A provider's model: its key must be in the environment, and remotes must be allowed."""
    name = config.model or config.provider
    endpoint = Endpoint.of(name, None)
    endpoint.check_allowed(parts.offline)
    endpoint.key()
    if config.adapter is not None:
        raise AdapterError(f"{name} takes no adapters", hint="Adapters belong to local models.")
    return Mind(FallbackChatModel(parts.model_for(name), parts.model_for(None)), name)


Strategy = Callable[[AgentConfig, Parts], Mind]

PROVIDERS: dict[str, Strategy] = {
    "local": _local,
    "fake": _local,
    "openai": _remote,
    "anthropic": _remote,
    "mistral": _remote,
    "gemini": _remote,
    "hosted_vllm": _remote,
}
"""How a provider's agents are made. Any other provider is tried as a remote one."""


def provider_of(model: str | None) -> str:
    """The provider in a model's name: `openai` of `openai/gpt-4o`; `local` where there is none."""
    provider, slash, _ = (model or "").partition("/")
    return provider if slash else "local"


def make_mind(config: AgentConfig, parts: Parts) -> Mind:
    """What an agent thinks with, as configured, or the default model with a notice when that cannot be had.

    Raises:
        NexusError: the default model cannot be had either.
    """
    try:
        return PROVIDERS.get(config.provider, _remote)(config, parts)
    except REPLACEABLE as exc:
        if must_raise(exc) or (config.model is None and config.adapter is None):
            raise
        chat = parts.model_for(None)
        return Mind(chat, notice=fallen_back(exc, config.model or f"the adapter {config.adapter}", chat.name))
