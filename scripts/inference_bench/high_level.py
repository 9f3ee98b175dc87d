"""`llama_cpp.Llama`, one request after another: what a program without a runtime of its own does."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
from llama_cpp import Llama

from scripts.inference_bench import workload


def shared(model: Llama) -> dict[str, object]:
    """All conversations with a common beginning; twice."""
    rounds = []
    for _ in range(2):
        started, tokens = time.perf_counter(), 0
        for messages in workload.shared_conversations():
            answer = model.create_chat_completion(messages, max_tokens=workload.ANSWER_TOKENS, temperature=0.0)
            tokens += answer["usage"]["completion_tokens"]
        rounds.append({"seconds": time.perf_counter() - started, "tokens": tokens})
    return {"rounds": rounds}


def pairs(model: Llama) -> dict[str, object]:
    """JSON for each passage, held to the schema by the built-in grammar."""
    form = {"type": "json_object", "schema": workload.PAIRS}
    started, tokens, ended, valid = time.perf_counter(), 0, 0, 0
    for messages in workload.pair_conversations():
        answer = model.create_chat_completion(messages, response_format=form, max_tokens=600, temperature=0.0)
        tokens += answer["usage"]["completion_tokens"]
        choice = answer["choices"][0]
        if choice["finish_reason"] == "stop":
            ended += 1
            valid += _valid(choice["message"]["content"])
    return {"seconds": time.perf_counter() - started, "tokens": tokens, "ended": ended, "valid": valid}


def _valid(text: str) -> bool:
    try:
        jsonschema.validate(json.loads(text), workload.PAIRS)
    except (json.JSONDecodeError, jsonschema.ValidationError):
        return False
    return True


def main() -> None:
    """Load, warm up, measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("shared", "pairs"))
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--gpu-layers", type=int, default=0)
    given = parser.parse_args()
    model = Llama(
        str(given.model),
        n_ctx=2048,
        n_threads=given.threads,
        n_threads_batch=given.threads,
        n_gpu_layers=given.gpu_layers,
        verbose=False,
    )
    model.create_chat_completion([{"role": "user", "content": "Hi"}], max_tokens=1)
    figures = shared(model) if given.task == "shared" else pairs(model)
    workload.report({**figures, "peak_mb": workload.peak_memory_mb()})


if __name__ == "__main__":
    main()
