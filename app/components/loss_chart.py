"""The loss curve of a fine-tune."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import streamlit as st

from app.components.text import number
from engine.domain import Json

HELD_OUT = "loss, held out"
"""Colours are given in the order of the names, so that the training loss has the same one with and without it."""


def loss_chart(rows: Iterable[Mapping[str, Json]], *, height: int = 220) -> None:
    """Training loss by step, and the held-out loss where it was measured; nothing before there is a line to draw."""
    steps: list[float] = []
    losses: list[float | None] = []
    held_out: list[float | None] = []
    for row in rows:
        step, loss = number(row, "step"), number(row, "loss")
        if step is not None and loss is not None:
            steps.append(step)
            losses.append(loss)
            held_out.append(number(row, "eval_loss"))
    if len(steps) < 2:
        return
    data: dict[str, list[float] | list[float | None]] = {"step": steps, "loss": losses}
    if any(value is not None for value in held_out):
        data[HELD_OUT] = joined(steps, held_out)
    st.line_chart(data, x="step", y=[name for name in data if name != "step"], height=height)


def joined(steps: Sequence[float], values: Sequence[float | None]) -> list[float | None]:
    """The values with those that lack between two known ones put on the straight line between them.

    A chart draws no line between points that others lie between.
    """
    known = [at for at, value in enumerate(values) if value is not None]
    line = list(values)
    for left, right in itertools.pairwise(known):
        start, end = values[left], values[right]
        if start is None or end is None or steps[right] == steps[left]:
            continue
        for at in range(left + 1, right):
            line[at] = start + (end - start) * (steps[at] - steps[left]) / (steps[right] - steps[left])
    return line
