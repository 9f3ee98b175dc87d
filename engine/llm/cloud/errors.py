"""litellm's exceptions as the engine's, and how long a provider asks to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ConfigError, ContextOverflowError, NexusError, ProviderError
from engine.llm.cloud.access import redact

if TYPE_CHECKING:
    from openai import OpenAIError

_SHOWN_CHARACTERS = 300


def translate(exc: OpenAIError, provider: str) -> NexusError:
    """The engine's error for a provider's. litellm derives all of its own from the OpenAI client's."""
    import litellm
    import openai

    reason = redact(str(exc))[:_SHOWN_CHARACTERS]
    if isinstance(exc, litellm.ContextWindowExceededError):
        return ContextOverflowError(f"{provider}: {reason}", hint="Shorten the conversation.")
    if isinstance(exc, openai.AuthenticationError | openai.PermissionDeniedError):
        return ConfigError(f"{provider} refuses the key: {reason}", hint="Check the key in the environment.")
    if isinstance(exc, openai.BadRequestError | openai.NotFoundError | openai.UnprocessableEntityError):
        return ProviderError(f"{provider} refuses the request: {reason}", hint="Check the model's name.", retryable=False)
    return ProviderError(f"{provider} failed: {reason}", hint="Try again later, or use a local model.")


def retry_after(exc: BaseException | None) -> float | None:
    """Seconds that the provider asks to wait, if it says so as a number."""
    headers = getattr(exc, "litellm_response_headers", None) or {}
    value = headers.get("retry-after", "")
    return float(value) if value.replace(".", "", 1).isdecimal() else None
