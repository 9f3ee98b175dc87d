"""The parameters of a generation as providers take them."""

from __future__ import annotations

from collections.abc import Mapping

from engine.domain import Json
from engine.llm.base import GenerationParams

MOST_ALTERNATIVES = 20
"""Likeliest tokens at a place that OpenAI's interface gives at most."""

_TOP_K = frozenset({"anthropic", "gemini"})
_ALL_SAMPLING = frozenset({"hosted_vllm"})
"""Servers that read more than OpenAI's parameters in the body of a request."""


def request_options(provider: str, params: GenerationParams, response_format: Mapping[str, Json] | None) -> dict[str, object]:
    """What differs from a provider's defaults. litellm leaves out what the provider does not take."""
    options: dict[str, object] = {
        "top_p": params.top_p if params.top_p < 1 else None,
        "frequency_penalty": params.frequency_penalty or None,
        "presence_penalty": params.presence_penalty or None,
        "seed": params.seed if params.temperature > 0 else None,
        "stop": list(params.stop) or None,
        "response_format": response_format,
        **_logprobs(params.logprobs),
        **_further_sampling(provider, params),
    }
    return {name: value for name, value in options.items() if value is not None}


def _logprobs(wanted: int | None) -> dict[str, object]:
    return {} if wanted is None else {"logprobs": True, "top_logprobs": min(wanted, MOST_ALTERNATIVES)}


def _further_sampling(provider: str, params: GenerationParams) -> dict[str, object]:
    if provider in _TOP_K:
        return {"top_k": params.top_k or None}
    if provider not in _ALL_SAMPLING:
        return {}
    penalty = params.repeat_penalty if params.repeat_penalty != 1 else None
    further = {"top_k": params.top_k or None, "min_p": params.min_p or None, "repetition_penalty": penalty}
    return {"extra_body": {name: value for name, value in further.items() if value is not None} or None}
