"""Nobody waits for as long as others have work."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

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
