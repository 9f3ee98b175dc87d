"""The settings of a preset, to be looked at and changed: what `TrainingConfig` has, each with its explanation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import streamlit as st

from app.components.text import plain
from engine.domain import Json
from engine.requests import Preset, Strategy
from engine.training.config import LINEAR_LAYERS, PRESETS
from engine.training.settings import Setting, settings

STRATEGIES: dict[Strategy, str] = {"auto": "Choose by the hardware", "peft": "Transformers + PEFT", "unsloth": "Unsloth"}
_KEY = "training"
_WIDTH = 180
"""Pixels of a box: several stand side by side."""


def training_settings(preset: Preset) -> tuple[dict[str, Json], Strategy]:
    """Let the person change settings of a preset.

    Returns:
        What differs from the preset, by the names on `TrainingConfig`, and the strategy.
    """
    own = PRESETS[preset].to_json()
    with st.expander("Advanced settings", icon=":material/tune:"):
        strategy = st.selectbox(
            "strategy",
            list(STRATEGIES),
            format_func=STRATEGIES.__getitem__,
            key=f"{_KEY}-strategy",
            help="What trains. Unsloth needs less memory on a GPU; PEFT runs everywhere.",
        )
        with st.container(horizontal=True):
            chosen = {each.name: _widget(each, own[each.name], f"{_KEY}-{preset}-{each.name}") for each in settings()}
    optional = {each.name for each in settings() if each.optional}
    # A box that was emptied says nothing, where there must be a value.
    changed = {n: v for n, v in chosen.items() if v != own[n] and (v not in (None, [], "") or n in optional)}
    if changed:
        told = ", ".join(f"{name} {_shown(value)}" for name, value in changed.items())
        st.caption(f"Changed from the preset: {plain(told)}")
    return changed, strategy


def apply_settings(preset: Preset, changes: Mapping[str, Json]) -> None:
    """Put values into the widgets of a preset; for a button's `on_click`."""
    for name, value in changes.items():
        st.session_state[f"{_KEY}-{preset}-{name}"] = value


def _widget(setting: Setting, value: Json, key: str) -> Json:
    """The widget for a setting. A value that was applied from elsewhere is in the session already."""
    st.session_state.setdefault(key, float(value) if setting.kind == "number" and isinstance(value, int) else value)
    if setting.kind == "switch":
        return st.toggle(setting.name, key=key, help=setting.explanation)
    if setting.kind == "choice":
        return cast(Json, st.selectbox(setting.name, setting.choices, key=key, help=setting.explanation, width=_WIDTH))
    if setting.kind == "names":
        names = list(dict.fromkeys([*LINEAR_LAYERS, *cast(list[str], st.session_state[key])]))
        return list(st.multiselect(setting.name, names, key=key, help=setting.explanation, accept_new_options=True))
    if setting.kind == "text":
        return st.text_input(setting.name, key=key, help=setting.explanation, width=_WIDTH)
    return _whole(setting, key) if setting.kind == "integer" else _fraction(setting, key)


def _whole(setting: Setting, key: str) -> int | None:
    """The box for a whole number; empty where it may be None."""
    low, high = (None if bound is None else int(bound) for bound in (setting.low, setting.high))
    return st.number_input(
        setting.name,
        min_value=low,
        max_value=high,
        value=None,
        step=1,
        key=key,
        help=setting.explanation,
        placeholder="none",
        width=_WIDTH,
    )


def _fraction(setting: Setting, key: str) -> float | None:
    """The box for any number. Its buttons add a tenth of what it holds, a thousandth where that is nothing."""
    held = st.session_state[key]
    low, high = (None if bound is None else float(bound) for bound in (setting.low, setting.high))
    return st.number_input(
        setting.name,
        min_value=low,
        max_value=high,
        value=None,
        step=abs(held) / 10 if held else 0.001,
        format="%g",
        key=key,
        help=setting.explanation,
        width=_WIDTH,
    )


def _shown(value: Json) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
