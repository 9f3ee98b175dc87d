"""How models are fitted to machines, and what happens when memory is short all the same."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import PROJECT_ROOT, Settings
from engine.llm.llamacpp.fitting import SMALLEST_CONTEXT, ModelFacts, Wishes, cells_within, fit, plan_for, read_facts
from engine.machine import Gpu, Hardware, inspect_hardware

SMALL = ModelFacts(30, 9, 11_520, 49_152, 8192, 134_515_008, 96_576_768)
LARGE = ModelFacts(32, 32, 65_536, 128_256, 131_072, 8_030_000_000, 4_900_000_000)
TWO_CORES = replace(
    inspect_hardware(),
    physical_cores=2,
    cpu_flags=("avx2", "avx512f"),
    memory_total=24 << 30,
    memory_available=22 << 30,
    gpus=(),
    llama_cpp_gpu=False,
)


def with_gpu(memory: int) -> Hardware:
    return replace(TWO_CORES, llama_cpp_gpu=True, gpus=(Gpu("X", memory, memory, "1"),))


@pytest.mark.models
def test_the_facts_are_what_llama_cpp_reports(chat_gguf: Path) -> None:
    facts = read_facts(chat_gguf)
    assert facts == SMALL
    assert facts.cell_bytes * 8192 == 180 << 20  # "KV buffer size = 180.00 MiB"


def test_a_small_model_on_two_cores() -> None:
    plan = fit(SMALL, TWO_CORES)
    assert (plan.sequences.value, plan.context.value, plan.threads.value, plan.gpu_layers.value) == (24, 12_288, 2, 0)
    assert plan.memory < 1 << 30


def test_a_large_model_on_two_cores_decodes_few_together() -> None:
    plan = fit(LARGE, TWO_CORES)
    assert plan.sequences.value == 4
    assert "large for this processor" in plan.sequences.reason


def test_short_memory_gives_a_smaller_context_and_says_so() -> None:
    plan = fit(SMALL, replace(TWO_CORES, memory_total=2 << 30, memory_available=1 << 30))
    assert SMALLEST_CONTEXT <= plan.context.value < 12_288
    assert "memory is short" in plan.context.reason
    assert plan.sequences.value <= plan.context.value // 256


def test_parked_conversations_are_part_of_the_plan() -> None:
    plan = fit(SMALL, TWO_CORES)
    context = SMALL.context_bytes(plan.context.value, 2 * plan.sequences.value, plan.batch.value)
    assert plan.parked.value == 256
    assert plan.memory == SMALL.weights_bytes + context + (256 << 20)
    assert ("parked_mb", plan.parked) in list(plan.rows())


@pytest.mark.parametrize(("available", "most"), [(2 << 30, 120), (600 << 20, 20), (1, 0)])
def test_short_memory_parks_less(available: int, most: int) -> None:
    parked = fit(SMALL, replace(TWO_CORES, memory_total=4 << 30, memory_available=available)).parked
    assert 0 <= parked.value <= most
    assert "memory is short" in parked.reason


def test_a_gpu_parks_in_ordinary_memory() -> None:
    assert fit(LARGE, replace(with_gpu(80 << 30), memory_available=6 << 30)).parked.value == 230


def test_layers_go_to_the_gpu_as_far_as_its_memory_reaches() -> None:
    assert fit(SMALL, with_gpu(80 << 30)).gpu_layers.value == -1
    assert fit(SMALL, with_gpu(80 << 30)).sequences.value == 64
    some = fit(LARGE, with_gpu(3 << 30)).gpu_layers
    assert 0 < some.value < LARGE.layers
    assert "GPU memory" in some.reason
    assert fit(LARGE, replace(with_gpu(80 << 30), llama_cpp_gpu=False)).gpu_layers.value == 0


@given(
    cores=st.integers(1, 128),
    total=st.integers(1 << 28, 1 << 40),
    used=st.floats(0, 1),
    facts=st.sampled_from([SMALL, LARGE, ModelFacts(0, 0, 0, 0, 0, 0, 0)]),
    gpu=st.integers(0, 1 << 37),
)
def test_every_machine_gets_a_plan_that_can_run(cores: int, total: int, used: float, facts: ModelFacts, gpu: int) -> None:
    base = with_gpu(gpu) if gpu else TWO_CORES
    machine = replace(base, physical_cores=cores, memory_total=total, memory_available=int(total * (1 - used)))
    plan = fit(facts, machine)
    assert plan.context.value >= SMALLEST_CONTEXT
    assert plan.context.value % 256 == 0
    assert 1 <= plan.sequences.value <= min(64, plan.context.value)
    assert plan.threads.value == cores
    assert -1 <= plan.gpu_layers.value <= facts.layers
    assert all(choice.reason for _, choice in plan.rows())


def test_what_a_person_sets_stays() -> None:
    plan = fit(LARGE, replace(TWO_CORES, memory_available=1), Wishes(65_536, 40, 7, 3))
    values = [choice.value for name, choice in plan.rows() if name not in ("batch", "parked_mb")]
    assert values == [3, 65_536, 40, 7]
    assert plan.context.reason == "set by NEXUS_CONTEXT_TOKENS"


@pytest.mark.parametrize(("available", "cells"), [(1 << 40, 8192), (200 << 20, 4096), (1, 1500)])
def test_cells_are_halved_until_they_fit(available: int, cells: int) -> None:
    assert cells_within(SMALL, 8192, 8, 512, available=available, least=1500) == cells


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEXUS_CONTEXT_TOKENS", "4096")
    monkeypatch.setenv("NEXUS_MAX_SEQUENCES", "auto")
    settings = Settings(home=tmp_path)
    assert (settings.context_tokens, settings.max_sequences) == (4096, None)
    assert plan_for(tmp_path / "none.gguf", settings, TWO_CORES).context.value == 4096


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
from engine.domain import Message
from engine.errors import ContextOverflowError, OutOfMemoryError
from engine.llm.base import GenerationParams
from engine.llm.llamacpp import LlamaCppModel

hello, few = [Message("user", "Hello")], GenerationParams(max_tokens=4)
first = LlamaCppModel(Path(sys.argv[1]), context_tokens=512)
first.complete(hello, few)
first.close()
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), -1))
model = LlamaCppModel(Path(sys.argv[1]), context_tokens=65536, max_sequences=4)
answer = model.complete(hello, few)
assert answer.text
print(answer.notice)
try:
    model.complete([Message("user", "Hello " * 7000)], few)
except (ContextOverflowError, OutOfMemoryError) as exc:
    print(exc.message, exc.hint)
model.close()
"""


@pytest.mark.models
@pytest.mark.skipif(sys.platform != "linux", reason="the system cannot limit a process's memory")
def test_short_memory_means_a_smaller_context_and_never_a_crash(chat_gguf: Path) -> None:
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(chat_gguf)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    notice, refusal = done.stdout.splitlines()
    assert "instead of 65536" in notice
    assert "memory" in refusal.lower()
