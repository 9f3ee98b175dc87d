"""litellm's exceptions as the engine's, without secrets, and with how long a provider asks to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ConfigError, ContextOverflowError, NexusError, ProviderError
from engine.llm.cloud.access import redact
from engine.llm.cloud.patience import retry_after

if TYPE_CHECKING:
    from httpx import HTTPError
    from openai import OpenAIError

_SHOWN_CHARACTERS = 300
_PASSING = frozenset({408, 409, 425, 429})
"""Client errors that may pass: timeout, conflict, too early, too many requests."""

_LATER = "Try again later, or use a local model."


class RemoteFailure(ProviderError):
    """A failure with the server's status (None where it sent none), and the seconds that it asks to wait."""

    def __init__(
        self, message: str, *, hint: str, retryable: bool = True, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, hint=hint, retryable=retryable)
        self.status = status
        self.retry_after_s = retry_after_s


def translate(exc: OpenAIError | HTTPError, provider: str) -> NexusError:
    """The engine's error for a provider's. litellm derives all of its own from the OpenAI client's."""
    import litellm

    exc = getattr(exc, "original_exception", None) or exc
    reason = redact(str(exc))[:_SHOWN_CHARACTERS]
    said = f"{exc} {getattr(exc, 'body', None)}"
    status = getattr(exc, "status_code", None)
    if isinstance(exc, litellm.ContextWindowExceededError) or "context_length_exceeded" in said:
        return ContextOverflowError(f"{provider}: {reason}", hint="Shorten the conversation.")
    if status in (401, 403):
        return ConfigError(f"{provider} refuses the key: {reason}", hint="Check the key in the environment.")
    if status == 402 or "insufficient_quota" in said:
        hint = "Add credit with the provider, or use a local model."
        return RemoteFailure(f"{provider} wants to be paid: {reason}", hint=hint, retryable=False, status=status)
    if isinstance(status, int) and 400 <= status < 500 and status not in _PASSING:
        hint = "Check the model's name."
        return RemoteFailure(f"{provider} refuses the request: {reason}", hint=hint, retryable=False, status=status)
    asked = retry_after(getattr(exc, "litellm_response_headers", None) or {})
    hint = _LATER if asked is None else f"It asks to wait {asked:.0f} s. {_LATER}"
    return RemoteFailure(f"{provider} failed: {reason}", hint=hint, status=status, retry_after_s=asked)
