"""A local runtime for all tests, an adapter for it, and a server that plays an OpenAI-compatible provider."""

import json
import threading
from collections.abc import Callable, Iterator
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

    Steps: `ok`, `429`, `500`, `401`, `400`, `garbage` (a stream that is not JSON), `page` (an HTML page), `breaks` (some
    text, then a broken stream), `hang` (no answer until the test ends).
    """

    def __init__(self) -> None:
        self.script = ["ok"]
        self.retry_after = "0.01"
        self.answer: Callable[[dict], str] = _echo
        self.requests: list[dict] = []
        self.keys: list[str] = []
        self.ended = threading.Event()
        self.url = ""

    def step(self) -> str:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def _handler(provider: PlayedProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            provider.requests.append(body)
            provider.keys.append(self.headers.get("authorization", ""))
            step = provider.step()
            if step == "hang":
                provider.ended.wait()
            elif step.isdecimal():
                self._send(
                    int(step), json.dumps({"error": {"message": f"no: {self.headers['authorization']}"}}), "application/json"
                )
            elif step == "page":
                self._send(200, "<html>", "text/html")
            elif step == "garbage":
                self._send(200, 'data: {"choi\n\n', "text/event-stream")
            else:
                self._stream(body, broken=step == "breaks")

        def _send(self, status: int, text: str, kind: str) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            if status == 429:
                self.send_header("retry-after", provider.retry_after)
            self.end_headers()
            self.wfile.write(text.encode())

        def _stream(self, body: dict, broken: bool) -> None:
            words = provider.answer(body).split(" ")
            said = words[: body["max_tokens"]]
            chunks = [_chunk({"content": word if index == 0 else f" {word}"}) for index, word in enumerate(said)]
            ending = "length" if len(said) < len(words) else "stop"
            usage = {"prompt_tokens": 3, "completion_tokens": len(said), "total_tokens": 3 + len(said)}
            chunks += [] if broken else [_chunk({}, ending), _chunk(None, usage=usage)]
            text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
            self._send(200, text + ('data: {"br\n\n' if broken else "data: [DONE]\n\n"), "text/event-stream")

    return Handler


def _chunk(delta: dict | None, ending: str | None = None, usage: dict | None = None) -> dict:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": ending}]
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "played", "choices": choices}
    return chunk | ({"usage": usage} if usage else {})


@pytest.fixture
def provider() -> Iterator[PlayedProvider]:
    played = PlayedProvider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(played))
    server.daemon_threads = True
    played.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield played
    played.ended.set()
    server.shutdown()
    server.server_close()
