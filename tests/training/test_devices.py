"""How many processes train, by what there is and what is asked for."""

from dataclasses import replace

import pytest

from engine.errors import InputError
from engine.machine import Gpu, Hardware, inspect_hardware
from engine.training.config import TrainingConfig
from engine.training.devices import processes_for
from engine.training.planning import plan

CONFIG = TrainingConfig()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Hardware:
    """A machine with four GPUs, and a PyTorch that can use them; Unsloth is not installed."""
    monkeypatch.setattr(plan.importlib.metadata, "version", lambda name: "2.13.0+cu130")
    monkeypatch.setattr("engine.training.strategies.unsloth_trainer.unsloth_installed", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return replace(inspect_hardware(), gpus=(Gpu("H100", 80 << 30, 79 << 30, "580"),) * 4)


def test_one_for_each_gpu(machine: Hardware) -> None:
    assert processes_for(None, "auto", CONFIG, machine) == 4
    assert processes_for(2, "auto", CONFIG, machine) == 2
    assert processes_for(1, "peft", CONFIG, machine) == 1


@pytest.mark.parametrize(("visible", "expected"), [("0,2", 2), ("3", 1), ("", 1), ("0,1,2,3,4,5", 4)])
def test_only_gpus_that_pytorch_sees_count(
    visible: str, expected: int, machine: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert processes_for(None, "peft", CONFIG, machine) == expected


def test_one_without_a_gpu_unless_asked(machine: Hardware) -> None:
    bare = replace(machine, gpus=())
    assert processes_for(None, "auto", CONFIG, bare) == 1
    assert processes_for(2, "auto", CONFIG, bare) == 2


def test_more_than_there_are_gpus_are_refused(machine: Hardware) -> None:
    with pytest.raises(InputError, match="4 GPUs for 5") as caught:
        processes_for(5, "auto", CONFIG, machine)
    assert "at most 4" in (caught.value.hint or "")


def test_unsloth_takes_one(machine: Hardware, monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes_for(None, "unsloth", CONFIG, machine) == 1
    assert processes_for(None, "auto", replace(CONFIG, quantise_base=True), machine) == 1
    with pytest.raises(InputError, match="one process"):
        processes_for(2, "unsloth", CONFIG, machine)
    monkeypatch.setattr("engine.training.strategies.unsloth_trainer.unsloth_installed", lambda: True)
    assert processes_for(None, "auto", CONFIG, machine) == 1
    assert processes_for(4, "auto", CONFIG, machine) == 4
