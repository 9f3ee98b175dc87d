"""Traces: the same promises whether a span is written directly or comes out of Opik."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from engine.config import Settings
from engine.domain import Completion, Delta, FinishReason, Json, Usage
from engine.errors import NotFoundError
from engine.observability.recorder import Recorder
from engine.observability.span import Span
from engine.observability.trace_file import TraceFile, TraceRow, row_of_span
from engine.observability.traces import RecordedSpan, TraceLog
from engine.observability.tracing import Tracing, configure_tracing, in_current_trace, span, traced

DEADLINE_S = 30.0


def rows(settings: Settings) -> list[dict[str, object]]:
    return [json.loads(line) for path in settings.events_dir.glob("traces-*.jsonl") for line in path.read_text().splitlines()]


def wait_until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < limit, "the condition did not come true in time"
        time.sleep(0.02)


@dataclass
class Desk:
    """A traced method on an object."""

    greeting: str

    @traced("desk.greet")
    def greet(self, name: str, api_key: str = "") -> str:
        return f"{self.greeting} {name}"


class TracingContract:
    """What holds for every way in which a span reaches the record."""

    @pytest.fixture
    def tracing(self, settings: Settings) -> Iterator[Tracing]:
        raise NotImplementedError

    def spans(self, tracing: Tracing, settings: Settings, count: int) -> list[RecordedSpan]:
        """The spans of the newest trace, once `count` of them have been recorded."""
        tracing.close()
        log = TraceLog(settings.events_dir)
        recorded = log.spans(log.recent(1)[0].trace_id)
        assert len(recorded) == count
        return recorded

    def test_steps_are_children_of_the_step_around_them(self, tracing: Tracing, settings: Settings) -> None:
        with span("outer"):
            with span("first"), span("inside"):
                pass
            with span("second"):
                pass
        by_name = {s.name: s for s in self.spans(tracing, settings, 4)}
        assert by_name["outer"].parent_id is None
        assert by_name["first"].parent_id == by_name["second"].parent_id == by_name["outer"].span_id
        assert by_name["inside"].parent_id == by_name["first"].span_id

    def test_arguments_and_results_are_recorded_without_self_and_secrets(self, tracing: Tracing, settings: Settings) -> None:
        assert Desk("Good day").greet("Ada", api_key="sk-1234567890abcdefghij") == "Good day Ada"
        (recorded,) = self.spans(tracing, settings, 1)
        assert recorded.input == {"name": "Ada", "api_key": "[redacted]"}
        assert recorded.output == {"output": "Good day Ada"}

    def test_an_error_is_recorded_and_raised_on(self, tracing: Tracing, settings: Settings) -> None:
        @traced("lookup")
        def lookup() -> None:
            raise NotFoundError("There is no such thing.")

        with pytest.raises(NotFoundError):
            lookup()
        (recorded,) = self.spans(tracing, settings, 1)
        assert recorded.error == "NotFoundError: There is no such thing."
        assert TraceLog(settings.events_dir).recent(1)[0].error_count == 1

    def test_a_stream_lasts_until_its_last_item_and_carries_its_tokens(self, tracing: Tracing, settings: Settings) -> None:
        usage = Usage(prompt_tokens=11, completion_tokens=3)

        @traced("stream")
        def stream(question: str) -> Iterator[Delta]:
            with span("prompt"):
                yield Delta("Go")
            yield Delta("od", Completion("Good", FinishReason.STOP, "small", usage=usage))

        texts = []
        for delta in stream("How?"):
            with span("consumer"):
                texts.append(delta.text)
        assert texts == ["Go", "od"]
        tracing.close()
        log = TraceLog(settings.events_dir)
        traces = {trace.name: trace for trace in log.recent()}
        assert traces.keys() == {"stream", "consumer"}, "the consumer's code is outside the stream's span"
        by_name = {s.name: s for s in log.spans(traces["stream"].trace_id)}
        assert by_name.keys() == {"stream", "prompt"}
        assert by_name["prompt"].parent_id == by_name["stream"].span_id
        assert by_name["stream"].input == {"question": "How?"}
        assert (by_name["stream"].prompt_tokens, by_name["stream"].completion_tokens) == (11, 3)
        assert by_name["stream"].model == "small"

    def test_a_stream_that_is_closed_early_closes_the_function_and_is_no_error(
        self, tracing: Tracing, settings: Settings
    ) -> None:
        closed = threading.Event()

        @traced("stream")
        def stream() -> Iterator[int]:
            try:
                with span("inside"):
                    yield from range(100)
            finally:
                closed.set()

        items = stream()
        assert next(iter(items)) == 0
        items.close()  # type: ignore[attr-defined]
        assert closed.is_set()
        for recorded in self.spans(tracing, settings, 2):
            assert recorded.error is None
            assert recorded.attributes == {"closed_early": True}

    def test_work_in_another_thread_stays_in_the_trace(self, tracing: Tracing, settings: Settings) -> None:
        def side(name: str) -> None:
            with span(name):
                pass

        with ThreadPoolExecutor(2) as pool, span("compare"):
            list(pool.map(in_current_trace(side), ["base", "rag"]))
        by_name = {s.name: s for s in self.spans(tracing, settings, 3)}
        assert by_name["base"].parent_id == by_name["rag"].parent_id == by_name["compare"].span_id

    def test_no_token_is_counted_twice(self, tracing: Tracing, settings: Settings) -> None:
        @traced("model")
        def model() -> Completion:
            return Completion("Yes", FinishReason.STOP, "small", usage=Usage(7, 2))

        @traced("route")
        def route() -> Completion:
            return model()

        route()
        self.spans(tracing, settings, 2)
        trace = TraceLog(settings.events_dir).recent(1)[0]
        assert (trace.prompt_tokens, trace.completion_tokens) == (7, 2)

    def test_large_and_odd_values_are_recorded_small(self, tracing: Tracing, settings: Settings) -> None:
        loop: list[object] = []
        loop.append(loop)
        with span(
            "odd", text="x" * 100_000, many=list(range(100_000)), loop=loop, object=object(), nan=float("nan"), bad="\ud800"
        ):
            pass
        (recorded,) = self.spans(tracing, settings, 1)
        assert len(json.dumps(recorded.attributes)) < 10_000
        assert isinstance(recorded.attributes, dict)
        assert recorded.attributes["object"] == "<object>"

    def test_every_span_of_many_threads_is_recorded_once(self, tracing: Tracing, settings: Settings) -> None:
        def work(number: int) -> None:
            for step in range(50):
                with span("step", number=number, step=step):
                    pass

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        tracing.close()
        found = [(r["attributes"]["number"], r["attributes"]["step"]) for r in rows(settings)]  # type: ignore[index]
        assert sorted(found) == [(number, step) for number in range(8) for step in range(50)]

    def test_nothing_is_recorded_after_close(self, tracing: Tracing, settings: Settings) -> None:
        with span("before"):
            pass
        tracing.close()
        tracing.close()
        assert Desk("Hello").greet("Ada") == "Hello Ada"
        assert [r["name"] for r in rows(settings)] == ["before"]


class TestWrittenDirectly(TracingContract):
    """A process that ends before Opik is wanted."""

    @pytest.fixture
    def tracing(self, settings: Settings) -> Iterator[Tracing]:
        with configure_tracing(settings) as tracing:
            yield tracing


class TestThroughOpik(TracingContract):
    """A long-lived process, in which every span makes its way through Opik's client."""

    @pytest.fixture
    def tracing(self, settings: Settings) -> Iterator[Tracing]:
        with configure_tracing(settings) as tracing:
            assert tracing.warm_up(timeout_s=DEADLINE_S)
            yield tracing

    def spans(self, tracing: Tracing, settings: Settings, count: int) -> list[RecordedSpan]:
        wait_until(lambda: len(rows(settings)) >= count)
        return super().spans(tracing, settings, count)

    def test_spans_of_opiks_own_decorator_are_recorded_too(self, tracing: Tracing, settings: Settings) -> None:
        import opik

        @opik.track(name="metric")
        def metric(text: str) -> int:
            return len(text)

        assert metric("four") == 4
        opik.flush_tracker()
        wait_until(lambda: any(r["name"] == "metric" and r["output"] == {"output": 4} for r in rows(settings)))
        assert len({r["span_id"] for r in rows(settings)}) == 1


class TestSwitchedOff:
    def test_functions_work_and_nothing_is_written(self, settings: Settings) -> None:
        assert Desk("Hello").greet("Ada") == "Hello Ada"
        with span("quiet") as step:
            step.set_output("unseen")
            step.set(more=1)
        assert not settings.events_dir.exists()
        assert step.output is None

    def test_capture_can_be_left_out(self, settings: Settings) -> None:
        @traced("private", capture_input=False, capture_output=False)
        def private(text: str) -> str:
            return text

        with configure_tracing(settings):
            private("a diary")
        (row,) = rows(settings)
        assert (row["input"], row["output"]) == (None, None)

    def test_asynchronous_functions_are_refused_when_decorated(self) -> None:
        async def later() -> None: ...

        with pytest.raises(TypeError, match="later"):
            traced("later")(later)


class TestFaults:
    def test_a_record_that_cannot_be_written_costs_one_warning_and_no_call(
        self, settings: Settings, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.home.mkdir()
        settings.events_dir.write_text("in the way")
        with caplog.at_level(logging.WARNING), configure_tracing(settings):
            for _ in range(5):
                assert Desk("Hello").greet("Ada") == "Hello Ada"
        assert len([r for r in caplog.records if "traces cannot be written" in r.getMessage()]) == 1

    def test_configuring_again_closes_the_former(self, settings: Settings, tmp_path: Path) -> None:
        other = settings.model_copy(update={"home": tmp_path / "other"})
        with configure_tracing(settings), span("first"):
            pass
        with configure_tracing(other), span("second"):
            pass
        assert [r["name"] for r in rows(settings)] == ["first"]
        assert [r["name"] for r in rows(other)] == ["second"]


class OpikServer(HTTPServer):
    """Takes what an Opik server would take, on the loopback interface."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), OpikRequest)
        self.paths: list[str] = []


class OpikRequest(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.paths.append(self.path)  # type: ignore[attr-defined]
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[OpikServer]:
    with OpikServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class TestNamedServer:
    def named(self, settings: Settings, port: int, *, offline: bool) -> Settings:
        return settings.model_copy(update={"opik_url": f"http://127.0.0.1:{port}/api", "offline": offline})

    def test_gets_the_spans_besides_the_local_record(self, settings: Settings, server: OpikServer) -> None:
        with configure_tracing(self.named(settings, server.server_port, offline=False)), span("shared"):
            pass
        assert "/api/v1/private/spans/batch" in server.paths
        assert [r["name"] for r in rows(settings)] == ["shared"]

    def test_gets_nothing_in_offline_mode(self, settings: Settings, server: OpikServer) -> None:
        with configure_tracing(self.named(settings, server.server_port, offline=True)) as tracing:
            assert tracing.warm_up(timeout_s=DEADLINE_S)
            with span("kept"):
                pass
            wait_until(lambda: len(rows(settings)) == 1)
        assert server.paths == []

    def test_that_does_not_answer_costs_nothing_of_the_local_record(self, settings: Settings) -> None:
        with HTTPServer(("127.0.0.1", 0), OpikRequest) as closed:
            port = closed.server_port
        with configure_tracing(self.named(settings, port, offline=False)), span("kept"):
            pass
        assert [r["name"] for r in rows(settings)] == ["kept"]


def test_a_span_that_opik_gives_back_while_it_is_written_directly_is_not_lost(tmp_path: Path) -> None:
    """At the end both sides write what is left; each once left a span to the other."""

    written: list[str] = []

    class Interrupted(TraceFile):
        """Gets all rows from Opik in the middle of writing the first one."""

        def append(self, row: TraceRow | Mapping[str, Json]) -> None:
            written.append(str(row["span_id"]))
            if len(written) == 1:
                for late in spans:
                    recorder._write_row(row_of_span(late))

    recorder = Recorder(Interrupted(tmp_path))
    spans = [Span("step", "trace", str(number)) for number in range(5)]
    for one in spans:
        recorder.put(one)
    recorder.close()
    assert sorted(written) == ["0", "1", "2", "3", "4"]
