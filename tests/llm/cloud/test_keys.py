"""Keys and the offline switch: what is needed to reach a provider, and what must never show."""

import logging
import subprocess
import sys
import traceback

import pytest

from engine.domain import Message
from engine.errors import ConfigError, NexusError, OfflineError
from engine.llm.base import GenerationParams
from engine.llm.cloud import LiteLlmModel
from engine.llm.cloud.access import Endpoint, redact

HELLO = (Message("user", "say hello to me"),)
KEY = "very-secret-words"


@pytest.mark.parametrize("name", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "nobody/knows"])
def test_offline_nothing_leaves_the_machine(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(variable, "sk-there-is-a-key")
    with pytest.raises(OfflineError):
        LiteLlmModel(name, offline=True).complete(HELLO)


def test_without_a_key_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    with pytest.raises(ConfigError) as caught:
        LiteLlmModel("mistral/small", offline=False).complete(HELLO)
    assert "MISTRAL_API_KEY" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("http://10.0.0.5:8000", False),
        ("https://127.0.0.1.example.org", False),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1@example.org", False),
        ("not an address", False),
    ],
)
def test_only_loopback_addresses_are_this_machine(address: str, local: bool) -> None:
    assert Endpoint.of("openai/x", address).loopback is local


def test_an_address_from_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", "http://127.0.0.1:8000")
    assert Endpoint.of("hosted_vllm/x", None).loopback


ROUTINE = GenerationParams(max_tokens=5)


@pytest.mark.parametrize("step", ["ok", "401", "400", "429", "500", "402", "breaks", "garbage", "page", "refuses"])
def test_a_key_is_sent_but_never_shown(
    provider,
    model: LiteLlmModel,
    hello,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    step: str,
) -> None:
    """The server repeats the key in its errors, and everything is logged."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    provider.script, shown = [step], ""
    with caplog.at_level(logging.DEBUG):
        try:
            model.complete(hello, ROUTINE)
        except NexusError as exc:
            shown = f"{exc.info()} {exc!r} {''.join(traceback.format_exception(exc))}"
    assert provider.keys[0] == f"Bearer {KEY}"
    assert step == "ok" or shown
    printed = capfd.readouterr()
    for text in (shown, caplog.text, printed.out, printed.err, repr(model), str(vars(model))):
        assert KEY not in text


def test_what_looks_like_a_key_is_redacted() -> None:
    assert redact("Incorrect key sk-abc123DEF456 given") == "Incorrect key [redacted] given"
    assert redact("the risk-averse keep their keys") == "the risk-averse keep their keys"


def test_litellm_is_imported_with_the_first_request_only() -> None:
    heavy = ("litellm", "llama_cpp", "openai", "llguidance", "torch")
    code = f"import engine.llm.registry, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
