"""Nobody waits for as long as others have work, nor when they have given up."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.cancellation import CancelToken
from engine.domain import Message
from engine.llm.base import GenerationParams, Request
from engine.llm.llamacpp import LlamaCppModel

pytestmark = pytest.mark.models

HELLO = (Message("user", "Hello"),)


def test_a_job_with_an_adapter_makes_way_for_a_person_with_another(
    chat_gguf: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job hands in a request for each that ends, so that the only context there may be would never be idle."""
    monkeypatch.setattr("engine.llm.llamacpp.lanes.MAX_ADAPTER_LANES", 1)
    other = tmp_path / "other.gguf"
    other.write_bytes(adapter.read_bytes())
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=2)
    job = [Request(HELLO, GenerationParams(max_tokens=3, priority=10, adapter=adapter)) for _ in range(16)]
    before_the_person = 0
    with ThreadPoolExecutor(1) as pool:
        answers = model.generate_many(job)
        next(answers)
        person = pool.submit(model.complete, HELLO, GenerationParams(max_tokens=2, adapter=other))
        for _ in answers:
            before_the_person += not person.done()
        assert person.result().usage.completion_tokens == 2
    model.close()
    assert before_the_person < 12


def test_a_job_that_is_cancelled_ends_while_a_persons_prompt_is_read(chat_gguf: Path) -> None:
    model = LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=2, batch=64)
    cancel = CancelToken()
    job = model.stream(HELLO, GenerationParams(max_tokens=600, priority=10, cancel=cancel, temperature=1.0, stop=("\0",)))
    next(job)
    before = model.statistics.steps
    leave = CancelToken()
    with ThreadPoolExecutor(1) as pool:
        person = pool.submit(model.complete, (Message("user", "word " * 800),), GenerationParams(max_tokens=1, cancel=leave))
        while model.statistics.steps < before + 5:  # of about 13
            pass
        cancel.cancel()
        list(job)
        assert not person.done()
        leave.cancel()
    model.close()
