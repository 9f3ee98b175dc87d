"""From a model's name to the model: which strategy serves it, and one instance of each that is in use.

Each strategy is imported when a model of it is first asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from engine.config import Settings
from engine.db.repositories import SpendingRepository
from engine.errors import ConfigError, InputError, ModelError, ModelFileError
from engine.llm.base import ChatModel
from engine.machine import Hardware, inspect_hardware
from engine.model_registry.gguf_file import languages

Resolve = Callable[[str], Path]
"""The GGUF file of a local model's name; raises NotFoundError where there is none."""

Spending = SpendingRepository | None
"""Where it is written down what providers cost; None: nowhere."""

Look = Callable[[], Hardware]
"""Looks at the machine."""

Factory = Callable[[str, Settings, Resolve, Spending, Look], ChatModel]


def _local(name: str, settings: Settings, resolve: Resolve, _spending: Spending, machine: Look) -> ChatModel:
    from engine.llm.llamacpp import LlamaCppModel
    from engine.llm.llamacpp.fitting import plan_for
    from engine.llm.llamacpp.model_files.inspection import Inspection
    from engine.llm.llamacpp.model_files.known_files import RECORD, KnownFiles
    from engine.llm.llamacpp.prefix_store import PrefixFolder
    from engine.llm.llamacpp.weights.copies import WeightCopies

    path = resolve(name.removeprefix("local/"))
    plan = plan_for(path, settings, machine())
    copies = WeightCopies(settings.cache_dir, machine)
    known = KnownFiles(settings.cache_dir / RECORD)
    return LlamaCppModel(
        path,
        name=name,
        context_tokens=plan.context.value,
        max_sequences=plan.sequences.value,
        threads=plan.threads.value,
        gpu_layers=plan.gpu_layers.value,
        idle_unload_s=settings.idle_unload_s,
        batch=plan.batch.value,
        parked_bytes=plan.parked.value << 20,
        weights=lambda stop: copies.served(path, settings.weights, stop),
        prefixes=PrefixFolder(settings.cache_dir / "prefixes", settings.prefix_cache_mb << 20),
        inspection=Inspection(path, known, gpu_layers=plan.gpu_layers.value, threads=plan.threads.value),
        languages=_languages(path),
        long_positions=plan.long_positions,
    )


def _languages(path: Path) -> tuple[str, ...]:
    try:
        return languages(path)
    except ModelFileError:
        return ()  # the error comes when the file is used


def _cloud(name: str, settings: Settings, _resolve: Resolve, spending: Spending, _machine: Look) -> ChatModel:
    from engine.llm.cloud import Budget, LiteLlmModel, TokenPrice

    if spending is None and settings.budget_usd is not None:
        raise ConfigError("A budget needs a record of what is spent.", hint="Open the home, or unset NEXUS_BUDGET_USD.")
    prompt_usd, completion_usd = settings.price_input_per_mtok, settings.price_output_per_mtok
    return LiteLlmModel(
        name,
        offline=settings.offline,
        timeout_s=settings.answer_timeout_s,
        concurrency=settings.cloud_concurrency,
        price=None if prompt_usd is None or completion_usd is None else TokenPrice(prompt_usd, completion_usd),
        budget=None if spending is None else Budget(spending, settings.budget_usd),
    )


def _fake(name: str, _settings: Settings, _resolve: Resolve, _spending: Spending, _machine: Look) -> ChatModel:
    from engine.llm.fake import FakeChatModel

    return FakeChatModel(name=name)


PROVIDERS: dict[str, Factory] = {
    "local": _local,
    "fake": _fake,
    "openai": _cloud,
    "anthropic": _cloud,
    "mistral": _cloud,
    "gemini": _cloud,
    "hosted_vllm": _cloud,
}
"""Who serves `provider/model`. A name without a slash is local; any other provider is tried with litellm."""


def create_chat_model(
    name: str, *, settings: Settings, resolve: Resolve, spending: Spending = None, machine: Look = inspect_hardware
) -> ChatModel:
    """A chat model by its name. Nothing is loaded or connected yet.

    Args:
        name: a local model's name, or `provider/model`.
        settings: limits of the runtime, and whether remotes are allowed.
        resolve: gives a local model's file.
        spending: records what providers cost.
        machine: looks at the machine that a local model is fitted to.

    Raises:
        InputError: the name is empty, or lacks the provider or the model.
        NotFoundError: there is no such local model.
    """
    if not name.strip():
        raise InputError("A model needs a name.", hint="See `nexus models list`.")
    provider, slash, model = name.partition("/")
    if slash and not (provider.strip() and model.strip()):
        hint = "Name both, such as openai/gpt-4o, or a model of `nexus models list`."
        raise InputError(f"{name!r} is no PROVIDER/MODEL.", hint=hint)
    factory = PROVIDERS.get(provider, _cloud) if slash else _local
    return factory(name, settings, resolve, spending, machine)


class ChatModels:
    """The chat models in use, one of each name. Safe to use from any thread."""

    def __init__(
        self, settings: Settings, resolve: Resolve, spending: Spending = None, machine: Look = inspect_hardware
    ) -> None:
        self._settings = settings
        self._machine = machine
        self._resolve = resolve
        self._spending = spending
        self._lock = threading.Lock()
        self._models: dict[str, ChatModel] = {}
        self._closed = False

    def get(self, name: str | None = None) -> ChatModel:
        """The model of this name, by default the default model. See `create_chat_model`.

        Raises:
            ModelError: all models were closed.
        """
        wanted = name or self._settings.default_model
        with self._lock:
            if self._closed:
                raise ModelError("The models were closed.", hint="Start again.")
            if wanted not in self._models:
                self._models[wanted] = create_chat_model(
                    wanted,
                    settings=self._settings,
                    resolve=self._resolve,
                    spending=self._spending,
                    machine=self._machine,
                )
            return self._models[wanted]

    def discard(self, name: str) -> None:
        """Close a model whose file is about to go or to change; the next `get` makes it anew."""
        with self._lock:
            model = self._models.pop(name, None)
        if model is not None:
            model.close()

    def rest(self) -> bool:
        """Let local models give their weights back; who asks one again waits for it to be loaded. Returns whether all did."""
        from engine.llm.llamacpp import LlamaCppModel

        with self._lock:
            models = [model for model in self._models.values() if isinstance(model, LlamaCppModel)]
        rested = [model.rest() for model in models]
        return all(rested)

    def close(self) -> None:
        """Close all models. May be called again."""
        with self._lock:
            self._closed = True
            models, self._models = self._models, {}
        for model in models.values():
            model.close()
