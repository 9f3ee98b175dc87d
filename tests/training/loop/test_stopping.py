"""When a training is looked at, what counts as its best, and when it stops."""

import math
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.training.config import BestBy, TrainingConfig
from engine.training.loop.stopping import (
    LEARNT_LOSS,
    LEAST_INTERVAL,
    Standing,
    is_look,
    judged,
    look_interval,
    low_enough,
    out_of_patience,
    window,
)

CONFIG = TrainingConfig()
Look = tuple[float, float | None, float | None]
"""Training loss, held-out loss, loss of held-out wordings of what is taught."""


def after(looks: list[Look], best_by: BestBy = "auto") -> Standing:
    standing = Standing()
    for step, look in enumerate(looks, start=1):
        standing = judged(standing, replace(CONFIG, best_by=best_by), step, *look)
    return standing


class TestLooks:
    @given(st.integers(1, 100_000))
    def test_about_ten_in_a_training_and_fewer_in_a_short_one(self, steps: int) -> None:
        interval = look_interval(steps, CONFIG)
        assert interval >= LEAST_INTERVAL
        assert min(steps // LEAST_INTERVAL, 5) <= steps // interval <= 10

    def test_as_often_as_the_settings_say(self) -> None:
        often = replace(CONFIG, eval_every=7)
        assert look_interval(1000, often) == 7
        assert [step for step in range(1, 20) if is_look(step, 7, often)] == [7, 14]

    def test_the_first_one_comes_early(self) -> None:
        assert [step for step in range(1, 201) if is_look(step, 100, CONFIG)] == [LEAST_INTERVAL, 100, 200]

    def test_the_training_loss_is_that_of_an_epoch_at_least(self) -> None:
        assert window([9, 9, 1, 2, 3], per_epoch=3, interval=1) == 2
        assert window([9, 1, 1, 2, 3, 3], per_epoch=1, interval=5) == 2
        assert window([4, 2], per_epoch=3, interval=1) == 3


class TestBest:
    def test_held_out_loss_where_the_settings_say_so(self) -> None:
        standing = after([(3, 3, None), (2, 2, None), (1, 2.5, None), (0.5, 2.6, None)], "held_out")
        assert (standing.best_step, standing.without_gain) == (2, 2)

    def test_facts_go_on_to_be_learnt_while_the_loss_of_other_facts_rises(self) -> None:
        standing = after([(3, 3, None), (2, 2, None), (1, 3, None), (0.1, 4, None), (0.01, 5, None)])
        assert (standing.best_step, standing.without_gain) == (5, 0)

    def test_first_learnt_then_in_other_words(self) -> None:
        learnt = LEARNT_LOSS / 2
        looks: list[Look] = [(3, 3, 3), (1, 1, 1), (0.1, 1.5, 1.5), (learnt, 1.6, 1.6), (learnt, 1.4, 1.4), (learnt, 1.5, 1.5)]
        standing = after(looks)
        assert (standing.best_step, standing.best_loss, standing.without_gain) == (5, 1.4, 1)

    def test_what_is_unlearnt_again_is_not_the_best(self) -> None:
        standing = after([(LEARNT_LOSS / 2, 2, 2), (1.0, 0.5, 0.5)])
        assert (standing.best_step, standing.without_gain) == (1, 1)

    def test_nothing_held_out(self) -> None:
        assert after([(3, None, None), (2, None, None), (4, None, None)], "held_out").best_step == 2

    @given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30))
    @example([math.nan, 2.0, math.nan, 1.0])
    @example([math.nan])
    def test_the_best_is_the_lowest_of_all(self, losses: list[float]) -> None:
        standing = after([(loss, None, None) for loss in losses])
        numbers = [loss for loss in losses if loss == loss]
        if not numbers:
            assert (standing.best_step, standing.without_gain) == (0, len(losses))
            return
        assert standing.best_loss == min(numbers)
        assert losses[standing.best_step - 1] == standing.best_loss
        assert standing.without_gain == len(losses) - standing.best_step


class TestStop:
    @pytest.mark.parametrize(("patience", "without_gain", "stops"), [(3, 2, False), (3, 3, True), (0, 99, False)])
    def test_patience(self, patience: int, without_gain: int, stops: bool) -> None:
        config = replace(CONFIG, early_stopping_patience=patience)
        assert out_of_patience(Standing(without_gain=without_gain), config) is stops

    def test_low_enough_only_at_the_end_of_an_epoch(self) -> None:
        config = replace(CONFIG, stop_at_loss=0.5)
        assert low_enough([3, 3, 0.4, 0.4], 4, 2, config)
        assert not low_enough([3, 0.4, 0.4], 3, 2, config)
        assert not low_enough([3, 3, 0.4, 0.7], 4, 2, config)
        assert not low_enough([0.1, 0.1], 2, 2, replace(config, stop_at_loss=0))
