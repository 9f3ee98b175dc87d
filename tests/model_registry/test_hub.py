"""The real huggingface_hub client against a small hub on the loopback interface.

Each case runs in a process of its own: huggingface_hub reads its environment once, when it is imported.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.config import PROJECT_ROOT

PROGRAM = """
import json, sys
from pathlib import Path
from engine.errors import NexusError
from engine.model_registry.hub import HuggingFaceHub
from engine.model_registry.registry import ModelRegistry

registry = ModelRegistry(Path(sys.argv[1]), HuggingFaceHub(sys.argv[2]))
try:
    print(json.dumps({"name": registry.pull(sys.argv[3], sys.argv[4], offline=False).name}))
except NexusError as error:
    print(json.dumps(error.info()))
"""


class SmallHub(ThreadingHTTPServer):
    """One repository, `owner/name`, with one file."""

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.1", 0), HubRequest)
        self.data = data
        self.sha256 = hashlib.sha256(data).hexdigest()


class HubRequest(BaseHTTPRequestHandler):
    server: SmallHub

    def do_HEAD(self) -> None:
        self._file(body=False)

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/owner/name/tree/"):
            size, digest = len(self.server.data), self.server.sha256
            lfs = {"oid": digest, "size": size, "pointerSize": 100}
            self._send(
                200, json.dumps([{"type": "file", "oid": "a" * 40, "size": size, "path": "tiny.gguf", "lfs": lfs}]).encode()
            )
        elif self.path.startswith("/owner/name/resolve/"):
            self._file(body=True)
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _file(self, *, body: bool) -> None:
        headers = {"ETag": f'"{self.server.sha256}"', "X-Repo-Commit": "b" * 40}
        self._send(200, self.server.data, headers, body=body)

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None, *, body: bool = True) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(sound_gguf: bytes) -> Iterator[SmallHub]:
    with SmallHub(sound_gguf) as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


@pytest.fixture
def pull(tmp_path: Path) -> Callable[..., dict[str, object]]:
    """Pulls in a new process; gives the model's name or the error."""

    def run(port: int, repo: str = "owner/name", file: str = "tiny.gguf", **variables: str) -> dict[str, object]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | variables
        environment["HF_HOME"] = str(tmp_path / "hf")
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "models"), f"http://127.0.0.1:{port}", repo, file]
        done = subprocess.run(
            command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        result: dict[str, object] = json.loads(done.stdout)
        return result

    return run


def test_a_file_is_downloaded_and_checked(hub: SmallHub, pull: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    assert pull(hub.server_port) == {"name": "tiny"}
    assert (tmp_path / "models" / "tiny.gguf").read_bytes() == hub.data


def test_another_hash_is_refused(hub: SmallHub, pull: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    hub.sha256 = "0" * 64
    assert pull(hub.server_port)["code"] == "model_file"
    assert list((tmp_path / "models").iterdir()) == []


def test_an_unknown_repository_is_not_found(hub: SmallHub, pull: Callable[..., dict[str, object]]) -> None:
    assert pull(hub.server_port, repo="owner/other")["code"] == "not_found"


def test_a_hub_that_does_not_answer_is_a_provider_error(pull: Callable[..., dict[str, object]], sound_gguf: bytes) -> None:
    with SmallHub(sound_gguf) as closed:
        port = closed.server_port
    assert pull(port)["code"] == "provider"


def test_the_clients_own_offline_mode_is_told(hub: SmallHub, pull: Callable[..., dict[str, object]]) -> None:
    assert pull(hub.server_port, HF_HUB_OFFLINE="1")["code"] == "offline"
