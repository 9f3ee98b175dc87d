"""Our runtime."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]

from engine.domain import Completion, FinishReason, Json, Message
from engine.llm.base import Constraint, GenerationParams, JsonSchema, Request, Span
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.llamacpp.prefix_store import PrefixFolder
from scripts.inference_bench import workload

JOB = 10
"""Priority of a batch job; a person's is 0."""


def shared(model: LlamaCppModel, _given: argparse.Namespace) -> dict[str, Json]:
    """All conversations with a common beginning, at once; a first round and the same again."""
    rounds: list[Json] = [_round(model, _requests(workload.shared_conversations())) for _ in range(2)]
    return {"rounds": rounds, **_overhead(model)}


def pairs(model: LlamaCppModel, _given: argparse.Namespace) -> dict[str, Json]:
    """JSON for each passage, all at once."""
    return _json_round(model, workload.pair_conversations())


def constrained(model: LlamaCppModel, _given: argparse.Namespace) -> dict[str, Json]:
    """JSON, and free text of the same lengths, so that as many run together; in turns."""
    conversations = workload.pair_conversations()
    essays = workload.essay_conversations()
    free, held = [0.0, 0.0], [0.0, 0.0]
    ended = valid = 0
    for _ in range(2):
        requests = _requests(conversations, max_tokens=600, constraint=JsonSchema(workload.PAIRS))
        lengths = [0] * len(requests)
        started = time.perf_counter()
        for index, completion in model.generate_many(requests):
            lengths[index] = completion.usage.completion_tokens
            ended += completion.finish_reason is FinishReason.STOP
            valid += completion.finish_reason is FinishReason.STOP and _valid(completion)
        held = [held[0] + sum(lengths), held[1] + time.perf_counter() - started]
        texts = [
            Request(_messages(essay), GenerationParams(max_tokens=length))
            for essay, length in zip(essays, lengths, strict=True)
        ]
        found = _round(model, texts)
        free = [free[0] + _number(found, "tokens"), free[1] + _number(found, "seconds")]
    return {"free_per_s": free[0] / free[1], "json_per_s": held[0] / held[1], "ended": ended, "valid": valid}


def first_token(model: LlamaCppModel, _given: argparse.Namespace) -> dict[str, Json]:
    """The time to a chat's first token, alone and while a job of 200 requests runs."""
    number = iter(range(10_000))
    alone = [_chat(model, next(number)) for _ in range(20)]
    done = threading.Event()
    job = threading.Thread(target=_job, args=(model, done))
    job.start()
    while model.statistics.steps == 0 or not _job_is_running(model):
        time.sleep(0.01)
    busy = [_chat(model, next(number)) for _ in range(20) if not done.is_set()]
    finished_early = done.is_set()
    done.set()
    job.join()
    return {
        "alone_p50": statistics.median(alone),
        "alone_p95": _p95(alone),
        "busy_p50": statistics.median(busy),
        "busy_p95": _p95(busy),
        "chats_while_busy": len(busy),
        "job_ended_early": finished_early,
    }


def lookup(model: LlamaCppModel, _given: argparse.Namespace) -> dict[str, Json]:
    """One stream that copies from its passage, with guesses and without; in turns."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    tokens: dict[bool, int] = {False: 0, True: 0}
    same = 0
    for passage in workload.passages():
        texts = []
        for guess in (False, True):
            sources = (passage,) if guess else ()
            message = [{"role": "user", "content": f"Quote this text:\n\n{passage}"}]
            params = GenerationParams(max_tokens=96, constraint=Span((passage,)), draft_from=sources)
            model.complete(_messages(message), GenerationParams(max_tokens=1))  # the prompt is read before the clock starts
            started = time.perf_counter()
            completion = model.complete(_messages(message), params)
            seconds[guess].append(time.perf_counter() - started)
            tokens[guess] += completion.usage.completion_tokens
            texts.append(completion.text)
        same += texts[0] == texts[1]
    return {
        "plain_per_s": tokens[False] / sum(seconds[False]),
        "guessed_per_s": tokens[True] / sum(seconds[True]),
        "same_text": same,
        "tokens": tokens[True],
    }


def adapters(model: LlamaCppModel, given: argparse.Namespace) -> dict[str, Json]:
    """Base and adapter one after the other, and together; memory of the second context; time until it answers."""
    requests = workload.shared_conversations()[:8]
    base, adapted = _requests(requests), _requests(requests, adapter=given.adapter)
    _round(model, base)
    before = workload.peak_memory_mb()
    started = time.perf_counter()
    model.complete([Message("user", "Hi")], GenerationParams(max_tokens=1, adapter=given.adapter))
    attach = time.perf_counter() - started
    _round(model, adapted)
    memory = workload.peak_memory_mb() - before
    apart = _seconds(lambda: (_round(model, base), _round(model, adapted)))
    together = _seconds(lambda: _round(model, [*base, *adapted]))
    return {"apart_s": apart, "together_s": together, "attach_s": attach, "context_mb": memory}


def restore(model: LlamaCppModel, given: argparse.Namespace) -> dict[str, Json]:
    """The first token of a prompt whose beginning is on disk, and of one that is computed; each after loading the model."""
    conversations = workload.shared_conversations()
    list(model.generate_many(_requests(conversations[:3], max_tokens=2)))
    model.close()  # leaves the common beginning on disk
    with tempfile.TemporaryDirectory() as empty:
        computed = _first_after_loading(_model(given, Path(empty)), conversations[3])
    restored = _first_after_loading(_model(given, given.prefixes), conversations[3])
    return {"computed_s": computed, "restored_s": restored}


def _first_after_loading(model: LlamaCppModel, conversation: Sequence[dict[str, str]]) -> float:
    model.complete([Message("user", "Hi")], GenerationParams(max_tokens=1))
    completion = model.complete(_messages(conversation), GenerationParams(max_tokens=1))
    model.close()
    return completion.timings.first_token_s


def cold(model: LlamaCppModel, given: argparse.Namespace) -> dict[str, Json]:
    """From the start of the process's work to the first token."""
    next(iter(model.stream([Message("user", "Hello, who are you?")], GenerationParams(max_tokens=8))))
    return {"seconds": time.perf_counter() - given.started}


def sequences(model: LlamaCppModel, given: argparse.Namespace) -> dict[str, Json]:
    """Throughput with the requests that fit at once repeated, for scaling."""
    conversations = (workload.shared_conversations() * 8)[: max(given.sequences, 8)]
    return {"per_s": _rate(_round(model, _requests(conversations))), **_overhead(model)}


TASKS: dict[str, Callable[[LlamaCppModel, argparse.Namespace], dict[str, Json]]] = {
    "shared": shared, "pairs": pairs, "constrained": constrained, "first_token": first_token, "lookup": lookup,
    "adapters": adapters, "restore": restore, "cold": cold, "sequences": sequences,
}  # fmt: skip


def _messages(conversation: Sequence[dict[str, str]]) -> tuple[Message, ...]:
    return tuple(Message("system" if turn["role"] == "system" else "user", turn["content"]) for turn in conversation)


def _requests(
    conversations: Sequence[Sequence[dict[str, str]]],
    *,
    max_tokens: int = workload.ANSWER_TOKENS,
    constraint: Constraint | None = None,
    adapter: Path | None = None,
    priority: int = 0,
) -> list[Request]:
    params = GenerationParams(max_tokens=max_tokens, constraint=constraint, adapter=adapter, priority=priority)
    return [Request(_messages(conversation), params) for conversation in conversations]


def _round(model: LlamaCppModel, requests: Sequence[Request]) -> dict[str, Json]:
    started = time.perf_counter()
    tokens = sum(completion.usage.completion_tokens for _, completion in model.generate_many(requests))
    return {"seconds": time.perf_counter() - started, "tokens": tokens}


def _json_round(model: LlamaCppModel, conversations: Sequence[Sequence[dict[str, str]]]) -> dict[str, Json]:
    started = time.perf_counter()
    requests = [
        replace(request, params=replace(request.params, draft_from=(passage,)))
        for request, passage in zip(
            _requests(conversations, max_tokens=600, constraint=JsonSchema(workload.PAIRS)), workload.passages(), strict=True
        )
    ]
    completions = [completion for _, completion in model.generate_many(requests)]
    seconds = time.perf_counter() - started
    ended = [completion for completion in completions if completion.finish_reason is FinishReason.STOP]
    tokens = sum(completion.usage.completion_tokens for completion in completions)
    return {"seconds": seconds, "tokens": tokens, "ended": len(ended), "valid": sum(map(_valid, ended))}


def _valid(completion: Completion) -> bool:
    try:
        jsonschema.validate(json.loads(completion.text), workload.PAIRS)
    except (json.JSONDecodeError, jsonschema.ValidationError):
        return False
    return True


def _job(model: LlamaCppModel, stop: threading.Event) -> None:
    requests = _requests((workload.shared_conversations() * 9)[:200], priority=JOB)
    for _ in model.generate_many(requests):
        if stop.is_set():
            return
    stop.set()


def _job_is_running(model: LlamaCppModel) -> bool:
    before = model.statistics.steps
    time.sleep(0.5)
    return model.statistics.steps > before


def _chat(model: LlamaCppModel, number: int) -> float:
    started = time.perf_counter()
    pieces = model.stream(_messages(workload.chat_conversation(number)), GenerationParams(max_tokens=8))
    next(pieces)
    first = time.perf_counter() - started
    for _ in pieces:
        pass
    return first


def _overhead(model: LlamaCppModel) -> dict[str, Json]:
    """The part of the decode thread's time that is not llama.cpp's."""
    done = model.statistics
    return {"python_share": 1 - done.decode_s / done.step_s, "step_ms": 1000 * done.step_s / done.steps}


def _rate(figures: dict[str, Json]) -> float:
    return _number(figures, "tokens") / _number(figures, "seconds")


def _number(figures: dict[str, Json], name: str) -> float:
    value = figures[name]
    assert isinstance(value, int | float)
    return float(value)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def main() -> None:
    """Load, warm up, measure."""
    started = time.perf_counter()
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--gpu-layers", type=int, default=0)
    parser.add_argument("--sequences", type=int, default=workload.REQUESTS)
    parser.add_argument("--context", type=int, default=8192)
    parser.add_argument("--adapter", type=Path)
    given = parser.parse_args()
    given.started = started
    with tempfile.TemporaryDirectory() as folder:
        given.prefixes = Path(folder)
        model = _model(given, given.prefixes)
        try:
            if given.task != "cold":
                model.complete([Message("user", "Hi")], GenerationParams(max_tokens=1))
            workload.report({**TASKS[given.task](model, given), "peak_mb": workload.peak_memory_mb()})
        finally:
            model.close()


def _model(given: argparse.Namespace, prefixes: Path) -> LlamaCppModel:
    return LlamaCppModel(
        given.model,
        context_tokens=given.context,
        max_sequences=given.sequences,
        threads=given.threads,
        gpu_layers=given.gpu_layers,
        prefixes=PrefixFolder(prefixes, 256 << 20),
    )


if __name__ == "__main__":
    main()
