"""Every kind of job has a handler that can be imported."""

import inspect

import pytest

from engine.handlers import KINDS, handler_of


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_handled_by_a_function_of_parts_and_context(kind: str) -> None:
    assert list(inspect.signature(handler_of(kind)).parameters) == ["parts", "context"]
