"""Conversations that do not fit: what stays, what goes, and what is said about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import Message
from engine.errors import ContextOverflowError
from engine.llm.base import GenerationParams
from engine.llm.fake import FakeChatModel
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.trimming import fit, prompt_tokens

SYSTEM = Message("system", "Be kind.")


def talk(turns: int, words: int = 20) -> list[Message]:
    """Questions and answers, and a last question."""
    roles = ["user", "assistant"] * turns + ["user"]
    return [Message(role, f"message {at} " + "word " * words) for at, role in enumerate(roles)]  # type: ignore[arg-type]


def test_whole_turns_go_and_the_newest_stay() -> None:
    messages = [SYSTEM, *talk(4)]
    fitting = fit(messages, FakeChatModel(context_tokens=240), 40)
    assert fitting.messages[0] is SYSTEM
    assert fitting.messages[1:] == messages[-3:]
    assert fitting.left_out == 6
    assert fitting.notice == "The 6 oldest messages no longer fit and were left out."


def test_what_fits_is_left_alone() -> None:
    messages = [SYSTEM, *talk(2)]
    fitting = fit(messages, FakeChatModel(), 40)
    assert (fitting.messages, fitting.notice, fitting.max_tokens) == (messages, None, 40)


def test_an_answer_takes_no_more_than_half_of_a_small_context() -> None:
    assert fit(talk(0), FakeChatModel(context_tokens=300), 5000).max_tokens == 150


@pytest.mark.parametrize("messages", [talk(0, 300), [SYSTEM, *talk(3, 300)], [Message("system", "word " * 300), *talk(3)]])
def test_a_last_turn_that_does_not_fit_is_refused(messages: list[Message]) -> None:
    with pytest.raises(ContextOverflowError, match="room") as caught:
        fit(messages, FakeChatModel(context_tokens=200), 50)
    assert caught.value.hint


ROLES = st.sampled_from(["user", "assistant"])


@given(st.lists(st.tuples(ROLES, st.integers(0, 40)), min_size=1, max_size=12), st.booleans(), st.integers(120, 600))
def test_as_much_as_fits_stays(shape: list[tuple[str, int]], told: bool, context: int) -> None:
    messages = [Message(role, "word " * count) for role, count in shape]  # type: ignore[arg-type]
    messages = [*([SYSTEM] if told else []), *messages]
    model = FakeChatModel(context_tokens=context)
    try:
        fitting = fit(messages, model, 50)
    except ContextOverflowError:
        return
    head, kept = fitting.messages[: int(told)], fitting.messages[int(told) :]
    assert head == messages[: int(told)]
    assert kept == messages[len(messages) - len(kept) :]
    assert len(messages) - len(fitting.messages) == fitting.left_out
    assert prompt_tokens(fitting.messages, model) + fitting.max_tokens <= context
    if fitting.left_out:
        assert kept[0].role == "user" or all(message.role != "user" for message in kept)
        rest = messages[int(told) : len(messages) - len(kept)]
        last = max((at for at, message in enumerate(rest) if message.role == "user"), default=0)
        assert prompt_tokens([*head, *rest[last:], *kept], model) + fitting.max_tokens > context
    model.complete(fitting.messages, GenerationParams(max_tokens=fitting.max_tokens))


@pytest.mark.models
def test_the_local_runtime_counts_its_own_prompts(chat_gguf: Path) -> None:
    """To the token: the conversation that was kept is taken, and with one turn more it would not have been."""
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=1)
    messages: Sequence[Message] = [SYSTEM, *talk(20, 10)]
    fitting = fit(messages, model, 64)
    used = len(model.chat_prompt_tokens(fitting.messages))
    more = [SYSTEM, *messages[-len(fitting.messages) - 1 :]]
    assert used + 64 <= model.context_length < len(model.chat_prompt_tokens(more)) + 64
    assert fitting.left_out > 10
    model.close()
