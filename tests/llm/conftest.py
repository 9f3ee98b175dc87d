"""A local runtime for all tests, an adapter for it, and a server that plays an OpenAI-compatible provider."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from engine.llm.llamacpp import LlamaCppModel


@pytest.fixture(scope="session")
def runtime(chat_gguf: Path) -> Iterator[LlamaCppModel]:
    model = LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=8)
    yield model
    model.close()


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter for the default model that pushes its first layers hard, so that the answers differ."""
    import gguf

    path = tmp_path_factory.mktemp("adapter") / "loud.gguf"
    random = np.random.default_rng(7)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for layer in range(4):
        name = f"blk.{layer}.attn_q.weight"
        writer.add_tensor(f"{name}.lora_a", random.normal(size=(8, 576)).astype(np.float32))
        writer.add_tensor(f"{name}.lora_b", random.normal(size=(576, 8)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _echo(body: dict) -> str:
    return body["messages"][-1]["content"]


class PlayedProvider:
    """What the server does with each request in turn; the last step of the script is played again and again.

    Steps: `ok`; a status such as `429`; `overflow` (a 400 that says the context is too long), `quota` (a 429 that does not
    pass), `redirects`; `garbage` (a stream that is not JSON), `page` (an HTML page), `whole` (JSON instead of a stream);
    `breaks` (some text, then a broken stream), `drops` (some text, then a lost connection), `ends` (some text, then nothing
    more), `refuses` (the connection is lost at once); `hang` (no answer until the test ends), `stalls` (some text, then
    comments until the client hangs up), `flood` (text until it does), `waits` (the answer when the test opens `gate`);
    `comments`, `unmeasured` (without usage), `cached`, `filtered`, `withheld`, `tools`, `empty`, `two` (choices), `thinks`,
    `broods` (thinks until the limit), `likely` (log-probabilities), `anthropic` and `gemini` (their forms), of which
    `gemini-ends` and `gemini-drops` are cut, and `gemini-blocks` is a refusal.
    """

    def __init__(self) -> None:
        self.script = ["ok"]
        self.headers = {"retry-after": "0.01"}
        """Of the steps that are a status."""
        self.answer: Callable[[dict], str] = _echo
        self.requests: list[dict] = []
        self.keys: list[str] = []
        self.paths: list[str] = []
        self.cookies: list[str] = []
        self.ended = threading.Event()
        self.gate = threading.Event()
        self.hung_up = threading.Event()
        self.most_at_once = 0
        self._at_once = 0
        self._changed = threading.Condition()
        self.url = ""

    def step(self) -> str:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._changed:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self._changed.notify_all()
        yield
        with self._changed:
            self._at_once -= 1
            self._changed.notify_all()

    def wait_for(self, number: int) -> None:
        """Until so many requests are being answered."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._at_once == number, timeout=20)


class Handler(BaseHTTPRequestHandler):
    """Plays one step of the script."""

    def log_message(self, *_args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.provider.requests.append(body)
        self.provider.paths.append(self.path)
        self.provider.cookies.append(self.headers.get("cookie", ""))
        self.provider.keys.append(self.headers.get("authorization", ""))
        with self.provider.counted(), suppress(BrokenPipeError, ConnectionResetError):
            self._play(self.provider.step(), body)

    @property
    def provider(self) -> PlayedProvider:
        return self.server.played  # type: ignore[attr-defined]

    def _play(self, step: str, body: dict) -> None:
        """A failure, or an answer."""
        if step.isdecimal():
            self._refuse(int(step), {"message": f"no: {self.headers['authorization']}"})
        elif step == "redirects":
            self.provider.headers = {"location": self.provider.url + "/elsewhere"}
            self._refuse(307, {})
        elif step == "anthropic":
            self._send("".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in ANTHROPIC_EVENTS))
        elif step == "gemini-drops":
            self._send_part(_gemini(GEMINI_ANSWERS["gemini-ends"]))
            self.connection.shutdown(socket.SHUT_RDWR)
        elif step in GEMINI_ANSWERS:
            self._send(_gemini(GEMINI_ANSWERS[step]))
        elif step in REFUSALS:
            self._refuse(*REFUSALS[step])
        elif step == "refuses":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif step == "hang":
            self.provider.ended.wait()
        elif step in ("stalls", "flood"):
            self._go_on(step)
        else:
            self._answer(step, self.provider.answer(body), body["max_tokens"])

    def _answer(self, step: str, text: str, most: int) -> None:
        if step == "page":
            self._send("<html>", "text/html")
        elif step == "whole":
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            self._send(json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]}), "application/json")
        elif step == "garbage":
            self._send('data: {"choi\n\n')
        elif step == "drops":
            self._send_part(_events(_pieces(text)))
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            assert step != "waits" or self.provider.gate.wait(20)
            self._send(played_stream(step, text, most))

    def _refuse(self, status: int, error: dict) -> None:
        self._send(json.dumps({"error": error}), "application/json", status)

    def _send(self, text: str, kind: str = "text/event-stream", status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        for name, value in self.provider.headers.items() if status != 200 else ():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def _send_part(self, text: str) -> None:
        """In a way that lets the client see that more should come."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._send_chunk(text)

    def _send_chunk(self, text: str) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text.encode()), text.encode()))

    def _go_on(self, step: str) -> None:
        self._send_part(_events(_pieces("well")))
        more = ": still there\n\n" if step == "stalls" else _events(_pieces("more " * 1000))
        try:
            while not self.provider.ended.wait(0 if step == "flood" else 0.01):
                self._send_chunk(more)
        except (BrokenPipeError, ConnectionResetError):
            self.provider.hung_up.set()


USED = {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1}

ANTHROPIC_EVENTS = [
    {
        "type": "message_start",
        "message": {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": USED},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "hello"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": " you"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
]
"""An answer in the form of Anthropic's interface."""


def _gemini_piece(text: str, **more: object) -> dict:
    return {"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **more}]}


GEMINI_USED = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}
GEMINI_PIECES = [_gemini_piece("hello"), _gemini_piece(' "finishReason"')]
GEMINI_ANSWERS: dict[str, list[dict]] = {
    "gemini": [*GEMINI_PIECES, _gemini_piece(" you", finishReason="STOP") | {"usageMetadata": GEMINI_USED}],
    "gemini-ends": GEMINI_PIECES,
    "gemini-blocks": [{"promptFeedback": {"blockReason": "SAFETY"}}],
}
"""Answers in the form of Gemini's interface; their text names what the last piece of a whole one has."""

REFUSALS = {
    "overflow": (400, {"message": "This model's maximum context length is 10 tokens", "code": "context_length_exceeded"}),
    "quota": (429, {"message": "You exceeded your current quota", "code": "insufficient_quota"}),
}


def played_stream(step: str, text: str, most: int) -> str:
    """An answer as the events of a stream."""
    words = text.split(" ")
    said = words[:most]
    ending = {"filtered": "content_filter", "withheld": "content_filter", "tools": "tool_calls"}.get(step)
    ending = ending or ("length" if len(said) < len(words) else "stop")
    usage: dict = {"prompt_tokens": 3, "completion_tokens": len(said), "total_tokens": 3 + len(said)}
    pieces = _pieces(" ".join(said))
    if step in ("breaks", "ends"):
        return _events(pieces) + ('data: {"br\n\n' if step == "breaks" else "")
    if step in ("withheld", "tools", "empty"):
        call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        pieces = [_chunk({"tool_calls": [call]})] if step == "tools" else []
        usage |= {"completion_tokens": 0}
    if step == "two":
        pieces = [piece for one in pieces for piece in (one, _chunk({"content": "other"}, index=1))]
    if step == "thinks":
        pieces = [_chunk({"reasoning_content": "hm "}), _chunk({"reasoning_content": "well"}), *pieces]
    if step == "broods":
        pieces, ending = [_chunk({"reasoning_content": "hm"})], "length"
    if step == "likely":
        pieces = [piece | {"choices": [piece["choices"][0] | _likely(piece)]} for piece in pieces]
    if step == "cached":
        usage |= {"prompt_tokens": 1000, "prompt_tokens_details": {"cached_tokens": 800}}
    events = _events([*pieces, _chunk({}, ending), *([] if step == "unmeasured" else [_chunk(None, usage=usage)])])
    if step == "comments":
        events = ": hello\n\n" + events.replace("\n\n", "\n\n: still there\n\n\n\n")
    return events + "data: [DONE]\n\n"


def _pieces(text: str) -> list[dict]:
    return [_chunk({"content": word if index == 0 else f" {word}"}) for index, word in enumerate(text.split(" "))]


def _events(chunks: list[dict]) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)


def _gemini(pieces: list[dict]) -> str:
    return "".join(f"data: {json.dumps(piece)}\r\n\r\n" for piece in pieces)


def _likely(piece: dict) -> dict:
    word = piece["choices"][0]["delta"]["content"]
    top = [{"token": word, "logprob": -0.1, "bytes": None}, {"token": "other", "logprob": -2.5, "bytes": None}]
    return {"logprobs": {"content": [top[0] | {"top_logprobs": top}]}}


def _chunk(delta: dict | None, ending: str | None = None, usage: dict | None = None, index: int = 0) -> dict:
    choices = [] if delta is None else [{"index": index, "delta": delta, "finish_reason": ending}]
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "played", "choices": choices}
    return chunk | ({"usage": usage} if usage else {})


@pytest.fixture
def provider() -> Iterator[PlayedProvider]:
    played = PlayedProvider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.played = played  # type: ignore[attr-defined]
    server.daemon_threads = True
    played.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield played
    played.ended.set()
    played.gate.set()
    server.shutdown()
    server.server_close()
