"""Whether and how a provider may be reached: keys, addresses, the offline switch."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.errors import ConfigError, OfflineError

KEY_VARIABLES = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
}
"""Environment variables with a provider's key, the first one that is set counts. Others: `<PROVIDER>_API_KEY`."""

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$")
_KEY_SHAPE = re.compile(r"\b(sk|pk|key|gsk|AIza)[-_A-Za-z0-9*]{6,}")
_SHORTEST_SECRET = 6


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests of a provider go: another address than its own, or None."""

    provider: str
    api_base: str | None

    @classmethod
    def of(cls, model: str, api_base: str | None) -> Endpoint:
        """The endpoint of a `provider/model` name; `<PROVIDER>_API_BASE` or `_BASE_URL` where no address is given."""
        provider = model.partition("/")[0]
        prefix = _variable_prefix(provider)
        base = api_base or os.environ.get(f"{prefix}_API_BASE") or os.environ.get(f"{prefix}_BASE_URL") or None
        return cls(provider, base)

    @property
    def loopback(self) -> bool:
        """Whether requests stay on this machine."""
        return is_loopback(urlsplit(self.api_base or "").hostname or "")

    def check_allowed(self, offline: bool) -> None:
        """Refuse what would leave this machine.

        Raises:
            OfflineError: no one has allowed that.
        """
        if offline and not self.loopback:
            hint = "Set NEXUS_OFFLINE=false to allow named remotes, or use a local model."
            raise OfflineError(f"The provider {self.provider} is not on this machine.", hint=hint)

    def key(self) -> str:
        """The provider's key, read now. A server of one's own may do without.

        Raises:
            ConfigError: there is none.
        """
        variables = KEY_VARIABLES.get(self.provider, (f"{_variable_prefix(self.provider)}_API_KEY",))
        for variable in variables:
            if value := os.environ.get(variable):
                return value
        if self.api_base is not None:
            return "none"
        raise ConfigError(f"There is no key for {self.provider}.", hint=f"Set the environment variable {variables[0]}.")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def redact(text: str) -> str:
    """The text without any secret of the environment, and without what looks like a key."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "[redacted]")
    return _KEY_SHAPE.sub("[redacted]", text)


def _variable_prefix(provider: str) -> str:
    return re.sub(r"\W", "_", provider).upper()
