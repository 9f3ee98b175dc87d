"""Nobody waits for as long as others have work, nor when they have given up."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine.cancellation import CancelToken
from engine.domain import Message
from engine.errors import OutOfMemoryError
from engine.llm.base import GenerationParams, Request
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.llamacpp.context import DecodingContext, Row
from engine.llm.llamacpp.loading import open_context
from engine.llm.llamacpp.scheduler import Scheduler

pytestmark = pytest.mark.models

HELLO = (Message("user", "Hello"),)


class Arrivals:
    """People who ask something just before decodes begin, as many as may come; and what became of those decodes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor) -> None:
        self.most, self.ends = 0, list[bool]()
        self.ask: Callable[[], object] = lambda: None
        self.contexts: list[DecodingContext] = []
        self.decodes: list[tuple[DecodingContext, int]] = []
        submit, decode = Scheduler.submit, DecodingContext.decode
        handed_in = threading.Event()

        def watched(context: DecodingContext, rows: Sequence[Row]) -> bool:
            self.decodes.append((context, len(rows)))
            self.contexts += [context] if context not in self.contexts else []
            if context is not self.contexts[0] or len(self.ends) >= self.most:
                return decode(context, rows)
            handed_in.clear()
            pool.submit(self.ask)
            assert handed_in.wait(30)
            self.ends.append(decode(context, rows))
            return self.ends[-1]

        monkeypatch.setattr(DecodingContext, "decode", watched)
        monkeypatch.setattr(Scheduler, "submit", lambda *arguments: (submit(*arguments), handed_in.set()))


@pytest.fixture
def arrivals(monkeypatch: pytest.MonkeyPatch) -> Iterator[Arrivals]:
    with ThreadPoolExecutor(4) as pool:
        yield Arrivals(monkeypatch, pool)


TALK = GenerationParams(max_tokens=400, stop=("\0",))
TASK = GenerationParams(max_tokens=400, stop=("\0",), priority=10)
SHORT = GenerationParams(max_tokens=1)


def test_a_persons_answer_in_a_jobs_context_is_not_given_up_for_another_person(
    chat_gguf: Path, monkeypatch: pytest.MonkeyPatch, arrivals: Arrivals
) -> None:
    made: list[DecodingContext] = []

    def only_one(*arguments: Any, **named: Any) -> DecodingContext:
        if made:
            raise OutOfMemoryError("There is no memory for a second context.")
        made.append(open_context(*arguments, **named))
        return made[0]

    monkeypatch.setattr("engine.llm.llamacpp.lanes.open_context", only_one)
    model = LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=4)
    job, person = model.stream(HELLO, TASK), model.stream(HELLO, TALK)
    next(job)
    next(person)
    arrivals.ask = lambda: model.complete(HELLO, SHORT)
    arrivals.most = 4
    while len(arrivals.ends) < 4:
        next(person)
    assert arrivals.ends == [True] * 4
    person.close()
    job.close()
    model.close()


def test_a_job_gets_on_however_often_people_ask(chat_gguf: Path, arrivals: Arrivals) -> None:
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=2)
    arrivals.ask = lambda: model.complete(HELLO, SHORT)
    arrivals.most = 30
    answer = model.complete(HELLO, GenerationParams(max_tokens=4, stop=("\0",), priority=10))
    model.close()
    assert answer.usage.completion_tokens == 4
    assert len(arrivals.ends) < 30
    assert False in arrivals.ends


def test_a_job_gets_on_while_people_ask_without_a_pause(
    chat_gguf: Path, monkeypatch: pytest.MonkeyPatch, arrivals: Arrivals
) -> None:
    """The prompt of one person stands for those of many: about seven decodes during which jobs make way."""
    monkeypatch.setattr("engine.llm.llamacpp.lanes.PATIENCE_S", 0.0)
    model = LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=2, batch=64)
    job = model.stream(HELLO, TASK)
    next(job)
    model.complete((Message("user", "word " * 400),), SHORT)
    job.close()
    model.close()
    reading = [number for number, (_, rows) in enumerate(arrivals.decodes) if rows == 64]
    meanwhile = [context for context, _ in arrivals.decodes[reading[0] : reading[-1]] if context is arrivals.contexts[0]]
    assert len(reading) > 5
    assert len(meanwhile) > 3


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
