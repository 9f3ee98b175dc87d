"""The other side: one chunk at a time through `llama_cpp.Llama.create_chat_completion`, held to a JSON schema."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.domain import Chunk, Json

TASK = (
    "Write three questions that a customer may ask about this text, each with its answer and the sentence of the text that "
    "proves it, as JSON with a list `pairs`."
)
_TEXT: Json = {"type": "string", "minLength": 10, "maxLength": 160}
SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {
        "pairs": {
            "type": "array",
            "minItems": 3,
            "maxItems": 3,
            "items": {
                "type": "object",
                "properties": {"question": _TEXT, "answer": _TEXT, "quote": _TEXT},
                "required": ["question", "answer", "quote"],
            },
        }
    },
    "required": ["pairs"],
}


@dataclass(frozen=True)
class Asked:
    """Pairs that were valid JSON, those of them whose quote is in its chunk, and the time that it took."""

    pairs: int
    proved: int
    seconds: float


def ask(model_path: Path, chunks: Sequence[Chunk], threads: int) -> Asked:
    """Ask for three pairs of each chunk. Loading the model is not counted."""
    from llama_cpp import Llama

    model = Llama(str(model_path), n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
    pairs = proved = 0
    started = time.perf_counter()
    for chunk in chunks:
        answer = model.create_chat_completion(
            [{"role": "user", "content": f"{TASK}\n\n{chunk.text}"}],
            response_format={"type": "json_object", "schema": SCHEMA},
            max_tokens=700,
            temperature=0.0,
        )
        for pair in _pairs(answer["choices"][0]["message"]["content"]):
            pairs += 1
            proved += pair["quote"] in chunk.text
    seconds = time.perf_counter() - started
    model.close()
    return Asked(pairs, proved, seconds)


def _pairs(text: str) -> list[dict[str, str]]:
    try:
        return json.loads(text)["pairs"]
    except (json.JSONDecodeError, KeyError):
        return []  # cut off at the limit
