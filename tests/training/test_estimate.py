"""What a fine-tune is said to take."""

import pytest

from engine.training.config import TrainingConfig
from engine.training.encoding import EncodedExample, EncodedExamples
from engine.training.estimate import START_SECONDS, estimate

CONFIG = TrainingConfig(batch_size=8, epochs=10)
DATA = EncodedExamples(tuple(EncodedExample(tuple(range(60)), 40) for _ in range(30)))
SMALL = (135_000_000, 576, 30)


def test_steps_and_a_measured_step() -> None:
    found = estimate(*SMALL, DATA, CONFIG, seconds_per_step=2.0)
    assert found.steps == 40
    assert found.seconds == pytest.approx(START_SECONDS + 80)


def test_a_larger_model_longer_examples_and_no_gpu_take_more() -> None:
    base = estimate(*SMALL, DATA, CONFIG)
    longer = EncodedExamples(tuple(EncodedExample(tuple(range(120)), 40) for _ in range(30)))
    for more in (estimate(1_000_000_000, 2048, 24, DATA, CONFIG), estimate(*SMALL, longer, CONFIG)):
        assert more.seconds > base.seconds
        assert more.memory_bytes > base.memory_bytes
    assert estimate(*SMALL, DATA, CONFIG, gpu=True).seconds < base.seconds


def test_the_weights_alone_fit_into_the_memory_that_is_named() -> None:
    full = estimate(*SMALL, DATA, CONFIG).memory_bytes
    half = estimate(*SMALL, DATA, TrainingConfig(batch_size=8, epochs=10, dtype="bfloat16")).memory_bytes
    assert full > 4 * SMALL[0]
    assert 2 * SMALL[0] < half < full
