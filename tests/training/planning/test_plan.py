"""What a training takes against what is free, and advice that is tried before it is given."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.machine import Gpu, Hardware, inspect_hardware
from engine.training.bases.model_shape import Linear, ModelShape
from engine.training.config import LINEAR_LAYERS, TrainingConfig
from engine.training.datasets.encoding import EncodedExample
from engine.training.planning.fit import MARGIN, Fit, fit_of
from engine.training.planning.plan import TrainingPlan, expected_strategy, plan_training
from engine.training.planning.rehearsal import Rehearsal
from engine.training.planning.workload import Workload

GB = 10**9
CONFIG = TrainingConfig(batch_size=4, max_sequence_length=2048, epochs=3, dtype="float32")
MEASURED = Rehearsal(memory=3 * GB, gpu_memory=None, tokens_per_s=100.0, step_s=2.0, around_s=10.0)


def llama(width: int, feed_forward: int, layers: int, vocabulary: int) -> ModelShape:
    block = [*[(name, width, width) for name in LINEAR_LAYERS[:4]], ("gate_proj", feed_forward, width)]
    block += [("up_proj", feed_forward, width), ("down_proj", width, feed_forward)]
    linears = tuple(Linear(*each) for each in block) * layers
    return ModelShape(
        architecture="llama",
        layers=layers,
        hidden=width,
        feed_forward=feed_forward,
        heads=width // 64,
        kv_heads=width // 64,
        head_width=64,
        vocabulary=vocabulary,
        parameters=sum(each.outputs * each.inputs for each in linears) + 2 * vocabulary * width,
        trained_context=4096,
        norms=2,
        head_norms=False,
        holds_scores=False,
        linears=linears,
    )


SMALL, LARGE = llama(512, 1536, 12, 32_000), llama(4096, 14_336, 32, 128_000)
LENGTHS = [*range(40, 120), 1500, 1600]
WORK = Workload(tuple(EncodedExample(tuple(range(length)), 20) for length in LENGTHS), len(LENGTHS))


MACHINE = replace(inspect_hardware(gpus=tuple), memory_available=64 * GB, disk_free=500 * GB, cpu_flags=("avx512f",))


@pytest.fixture
def machine() -> Hardware:
    return MACHINE


def plan(shape: ModelShape, machine: Hardware, free: int, config: TrainingConfig = CONFIG) -> TrainingPlan:
    return plan_training(shape, config, WORK, replace(machine, memory_available=free), "peft")


class TestFit:
    @given(st.integers(0, 100 * GB), st.integers(0, 100 * GB))
    def test_more_than_is_free_never_fits_and_what_fits_has_room_to_spare(self, needed: int, free: int) -> None:
        fit = fit_of(needed, free)
        assert (fit is Fit.DOES_NOT_FIT) == (needed > free)
        assert (fit is Fit.FITS) == (needed * (1 + MARGIN) <= free)


class TestAdvice:
    @given(st.sampled_from([SMALL, LARGE]), st.integers(GB // 2, 60 * GB))
    def test_each_change_takes_what_is_promised_when_it_is_made(self, shape: ModelShape, free: int) -> None:
        before = plan(shape, MACHINE, free)
        if before.fit is Fit.FITS:
            assert not before.advice
        for advice in before.advice:
            assert advice.needed < before.needed
            if advice.changes:
                changed = TrainingConfig.from_json(CONFIG.to_json() | dict(advice.changes))
                after = plan(shape, MACHINE, free, changed)
                assert (after.needed, after.fit) == (advice.needed, advice.fit)

    def test_the_least_harm_comes_first_and_only_few_examples_are_cut(self, machine: Hardware) -> None:
        tight = plan(SMALL, machine, plan(SMALL, machine, 64 * GB).needed)
        assert [set(advice.changes) for advice in tight.advice] == [
            {"max_sequence_length"},
            {"dtype"},
            {"rank", "alpha"},
        ]
        cut = TrainingConfig.from_json(CONFIG.to_json() | dict(tight.advice[0].changes))
        assert sum(length > cut.max_sequence_length for length in LENGTHS) == 2

    def test_what_no_settings_make_fit_needs_a_smaller_model(self, machine: Hardware) -> None:
        hopeless = plan(LARGE, machine, 4 * GB)
        assert hopeless.fit is Fit.DOES_NOT_FIT
        assert "smaller base model" in hopeless.advice[-1].text
        assert not hopeless.advice[-1].changes

    def test_changes_are_put_together_where_none_does_it_alone(self, machine: Hardware) -> None:
        alone = plan(LARGE, machine, 30 * GB, replace(CONFIG, rank=512, alpha=512))
        assert [advice.fit for advice in alone.advice[:-1]] == [Fit.DOES_NOT_FIT] * (len(alone.advice) - 1)
        assert alone.advice[-1].fit is not Fit.DOES_NOT_FIT
        assert {"dtype", "rank"} <= set(alone.advice[-1].changes)


class TestPlan:
    def test_activations_are_computed_again_before_anything_is_given_up(self, machine: Hardware) -> None:
        roomy = plan(SMALL, machine, 64 * GB)
        short = plan(SMALL, machine, roomy.needed - 1)
        assert short.memory.recomputed
        assert short.needed < roomy.needed
        assert any("twice" in notice for notice in short.notices)
        assert short.seconds is not None
        assert roomy.seconds is not None
        assert short.seconds > roomy.seconds

    def test_what_was_measured_counts_more_than_the_formula(self, machine: Hardware) -> None:
        found = plan_training(SMALL, CONFIG, WORK, machine, "peft", rehearsal=MEASURED)
        assert found.needed == MEASURED.memory
        assert found.seconds == pytest.approx(10 + sum(LENGTHS) * CONFIG.epochs / 100)

    def test_sequences_longer_than_the_context_are_cut_to_it(self, machine: Hardware) -> None:
        work = Workload((EncodedExample(tuple(range(9000)), 5), EncodedExample(tuple(range(6000)), 5000)), 2)
        found = plan_training(SMALL, replace(CONFIG, max_sequence_length=100_000), work, machine, "peft")
        assert found.config.max_sequence_length == SMALL.trained_context
        assert found.examples == 1  # the other's prompt alone is longer
        assert len(found.notices) == 2

    def test_nothing_left_to_learn_is_said(self, machine: Hardware) -> None:
        found = plan_training(SMALL, replace(CONFIG, max_sequence_length=16), WORK, machine, "peft")
        assert (found.examples, found.steps) == (0, 0)
        assert any("Nothing is left" in notice for notice in found.notices)

    def test_the_disk_counts_too(self, machine: Hardware) -> None:
        full = replace(machine, disk_free=GB // 100)
        assert any("disk" in notice for notice in plan_training(SMALL, CONFIG, WORK, full, "peft").notices)
        there = plan_training(SMALL, CONFIG, WORK, machine, "peft", has_copy=True)
        assert there.disk_needed < plan_training(SMALL, CONFIG, WORK, machine, "peft").disk_needed - 4 * SMALL.parameters + 1

    def test_matrix_units_decide_about_the_type_of_the_weights(self, machine: Hardware) -> None:
        with_units, automatic = replace(machine, cpu_flags=("amx_bf16",)), replace(CONFIG, dtype="auto")
        assert plan_training(SMALL, automatic, WORK, machine, "peft").config.dtype == "float32"
        assert plan_training(SMALL, automatic, WORK, with_units, "peft").config.dtype == "bfloat16"

    def test_four_bits_are_advised_where_they_work(self, machine: Hardware, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("engine.training.planning.plan.expected_device", lambda machine: "cuda")
        gpu = replace(machine, gpus=(Gpu("card", 24 * GB, 18 * GB, "1"),))
        found = plan_training(LARGE, CONFIG, WORK, gpu, "unsloth")
        assert (found.device, found.free, found.seconds) == ("cuda", 18 * GB, None)
        assert found.memory.recomputed
        by_change = {name: advice for advice in found.advice for name in advice.changes}
        assert by_change["quantise_base"].fit is Fit.FITS
        assert by_change["quantise_base"].needed < by_change["dtype"].needed

    def test_of_several_gpus_the_fullest_one_counts_where_all_train(
        self, machine: Hardware, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("engine.training.planning.plan.expected_device", lambda machine: "cuda")
        gpus = replace(machine, gpus=(Gpu("card", 24 * GB, 18 * GB, "1"), Gpu("card", 24 * GB, 6 * GB, "1")))
        found = plan_training(SMALL, CONFIG, WORK, gpus, "peft")
        assert found.free == 6 * GB
        assert any("Each GPU" in notice for notice in found.notices)
        alone = plan_training(SMALL, CONFIG, WORK, gpus, "unsloth")
        assert alone.free == 18 * GB
        assert not any("Each GPU" in notice for notice in alone.notices)

    def test_a_strategy_can_be_forced(self, machine: Hardware) -> None:
        assert [expected_strategy(strategy, machine) for strategy in ("auto", "peft", "unsloth")] == ["peft", "peft", "unsloth"]

    def test_goes_into_json(self, machine: Hardware) -> None:
        values = plan(LARGE, machine, 4 * GB).to_json()
        assert values["fit"] == "does not fit"
        memory = values["memory"]
        assert isinstance(memory, dict)
        total = memory.pop("total")
        assert total == sum(part for part in memory.values() if isinstance(part, int))


def test_what_is_too_long_is_told_before_it_is_cut(machine: Hardware) -> None:
    short = plan(SMALL, machine, 64 * GB, replace(CONFIG, max_sequence_length=512))
    assert any("Longer than 512 tokens, and cut to that: 2." in notice for notice in short.notices)
    assert not any("cut" in notice for notice in plan(SMALL, machine, 64 * GB).notices)
