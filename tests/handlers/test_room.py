"""Served models give their memory back where a training needs it, and only there."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.config import Settings
from engine.container import Engine
from engine.domain import Message
from engine.handlers.room import make_room
from engine.llm.base import GenerationParams
from engine.machine import Gpu, Hardware
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample
from engine.training.planning.workload import Workload

CONFIG = TrainingConfig(dtype="float32", max_sequence_length=4096)
SHORT = Workload((EncodedExample(tuple(range(40)), 30),), 1)
LONG = Workload((EncodedExample(tuple(range(4000)), 30),), 1)
"""An example that takes gigabytes of activations."""


@pytest.mark.models
class TestRoom:
    @pytest.fixture
    def on_machine(self, tmp_path: Path, models_dir: Path) -> Callable[..., Engine]:
        """An engine on a machine of another kind."""

        def make(**changes: object) -> Engine:
            engine = Engine(Settings(home=tmp_path / "home", models_dir=models_dir))
            real = engine.machine()
            engine.made["machine"] = lambda: replace(real, **changes)
            return engine

        return make

    @pytest.mark.parametrize(
        ("changes", "work", "makes_room"),
        [
            ({"memory_available": 64 << 30, "gpus": ()}, SHORT, False),
            ({"memory_available": 1 << 30, "gpus": ()}, SHORT, True),
            ({"memory_available": 3 << 30, "gpus": ()}, SHORT, False),
            ({"memory_available": 3 << 30, "gpus": ()}, LONG, True),
            ({"memory_available": 64 << 30, "gpus": (Gpu("x", 8 << 30, 8 << 30, "1"),)}, SHORT, True),
        ],
    )
    def test_where_the_estimate_says_so(
        self, on_machine: Callable[..., Engine], chat_gguf: Path, changes: dict[str, object], work: Workload, makes_room: bool
    ) -> None:
        with on_machine(**changes) as engine:
            assert make_room(engine, chat_gguf, CONFIG, "peft", work) is makes_room

    def test_models_that_rested_answer_again(self, on_machine: Callable[..., Engine], chat_gguf: Path) -> None:
        ask = (Message("user", "Say hello."),), GenerationParams(max_tokens=3)
        with on_machine(memory_available=64 << 30, gpus=()) as engine:
            before = engine.model().complete(*ask).text
            roomy: Hardware = engine.machine()
            engine.made["machine"] = lambda: replace(roomy, memory_available=1 << 30)
            assert make_room(engine, chat_gguf, CONFIG, "peft", SHORT)
            assert engine.model().complete(*ask).text == before
