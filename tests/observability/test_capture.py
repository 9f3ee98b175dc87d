"""What is kept of inputs and outputs: bounded, harmless, without secrets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import FaqStatus, Message
from engine.observability.capture import captured, redact_text

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(object()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=60,
)


@given(values)
def test_any_value_becomes_strict_json(value: object) -> None:
    text = json.dumps(captured(value), allow_nan=False)
    text.encode("utf-8")


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_000_000,
        ["x" * 5000] * 1000,
        {f"key{number}": ["y" * 500] * 100 for number in range(1000)},
        [[[[[["deep"] * 30] * 30] * 30] * 30] * 30] * 30,
    ],
)
def test_the_picture_is_bounded(value: object) -> None:
    assert len(json.dumps(captured(value))) < 40_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (FaqStatus.APPROVED, "approved"),
        (Message("user", "Hi"), {"role": "user", "content": "Hi"}),
        (b"12345", "<5 bytes>"),
        (float("inf"), "inf"),
        (("a", 1), ["a", 1]),
    ],
)
def test_common_values(value: object, expected: object) -> None:
    assert captured(value) == expected


@pytest.mark.parametrize(
    "secret",
    [
        "sk-abcdefghijklmnop1234",
        "Authorization: Bearer abcdef1234567890",
        "hf_ABCDEFGHIJKLMNOPQRST",
        "api_key=verysecret99",
        "ghp_ABCDEFGHIJKLMNOPQRSTuvwx",
    ],
)
def test_secrets_are_replaced_in_texts(secret: str) -> None:
    cleaned = redact_text(f"before {secret} after")
    assert "[redacted]" in cleaned
    assert secret.split()[-1] not in cleaned
    assert cleaned.startswith("before")
    assert cleaned.endswith("after")


@pytest.mark.parametrize("text", ["The token count is 12.", "ask-me-anything@example.com", "Our password policy is strict."])
def test_ordinary_texts_stay(text: str) -> None:
    assert redact_text(text) == text


def test_secrets_are_replaced_under_telling_names() -> None:
    assert captured({"OPENAI_API_KEY": "abc", "nested": {"password": "p"}, "prompt_tokens": 3}) == {
        "OPENAI_API_KEY": "[redacted]",
        "nested": {"password": "[redacted]"},
        "prompt_tokens": 3,
    }
