"""What a model's tokens cost: nothing on this machine, else by litellm's price list or by the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from engine.domain import Json, Usage
from engine.llm.cloud.access import Endpoint
from engine.llm.cloud.library import TokenCounts, load_litellm

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """US dollars per million tokens, of the prompt and of the answer."""

    prompt_usd: float
    completion_usd: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars of so many tokens."""
        return (self.prompt_usd * prompt_tokens + self.completion_usd * completion_tokens) / MILLION


FREE = TokenPrice(0.0, 0.0)


def listed(name: str) -> Mapping[str, Json]:
    """What litellm's list says of a `provider/model`: prices in US dollars per token, limits. Empty where it is not on it."""
    provider, _, model = name.partition("/")
    entries: Mapping[str, Mapping[str, Json]] = load_litellm().model_cost
    if name in entries:
        return entries[name]
    entry = entries.get(model, {})
    return entry if str(entry.get("litellm_provider", "")).startswith(provider) else {}


class Prices:
    """What one model costs."""

    def __init__(self, name: str, endpoint: Endpoint, own: TokenPrice | None = None) -> None:
        """Look nothing up yet.

        Args:
            name: `provider/model`.
            endpoint: where it is served; this machine's own servers cost nothing.
            own: the price of a model that is not on the list.
        """
        self._name = name
        self._endpoint = endpoint
        self._own = own

    @property
    def known(self) -> bool:
        """Whether there is a price to count with."""
        return self._price is not None

    @cached_property
    def _price(self) -> TokenPrice | None:
        if self._endpoint.loopback:
            return FREE
        entry = listed(self._name)
        prompt, completion = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
        if isinstance(prompt, int | float) and isinstance(completion, int | float):
            return TokenPrice(prompt * MILLION, completion * MILLION)
        return self._own

    def estimate(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars of so many tokens, none of them cached; 0 where the price is not known."""
        return (self._price or FREE).of(prompt_tokens, completion_tokens)

    def cost(self, usage: Usage, counts: TokenCounts | None) -> float:
        """US dollars of an answer. What the provider counted, cached tokens and tiers included, goes by litellm's own rules."""
        if counts is None or self._endpoint.loopback or not listed(self._name):
            return self.estimate(usage.prompt_tokens, usage.completion_tokens)
        prompt, completion = load_litellm().cost_per_token(model=self._name, usage_object=counts)
        return float(prompt) + float(completion)
