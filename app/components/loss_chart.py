"""The loss curve of a fine-tune."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import streamlit as st

from app.components.text import number
from engine.domain import Json


def loss_chart(rows: Iterable[Mapping[str, Json]], *, height: int = 220) -> None:
    """Training loss by step, and the held-out loss where it was measured; nothing before the first step."""
    steps: list[float] = []
    losses: list[float | None] = []
    held_out: list[float | None] = []
    for row in rows:
        step, loss = number(row, "step"), number(row, "loss")
        if step is not None and loss is not None:
            steps.append(step)
            losses.append(loss)
            held_out.append(number(row, "eval_loss"))
    if not steps:
        return
    data: dict[str, list[float] | list[float | None]] = {"step": steps, "loss": losses}
    if any(value is not None for value in held_out):
        data["held-out loss"] = held_out
    st.line_chart(data, x="step", y=[name for name in data if name != "step"], height=height)
