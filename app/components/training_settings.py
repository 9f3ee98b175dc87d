"""The settings of a preset, to be looked at and changed: what `TrainingConfig` has, each with its explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import streamlit as st

from app.components.setting_names import WHEN_EMPTY, grouped, setting_help, setting_label, value_in_words
from app.components.text import plain
from engine.domain import Json, Preset, Strategy
from engine.training.config import LINEAR_LAYERS, PRESETS, TrainingConfig
from engine.training.settings import Setting, settings

STRATEGIES: dict[Strategy, str] = {"auto": "Choose by the hardware", "peft": "Transformers + PEFT", "unsloth": "Unsloth"}
_KEY = "training"
_OWN = "training-own"
_WIDTH = 202
"""Pixels of a box: two stand side by side, and still have their buttons."""


def training_settings(preset: Preset, suited: TrainingConfig | None = None) -> tuple[dict[str, Json], Strategy]:
    """Let the person change settings of a preset; `suited` has them as they suit the base model.

    Returns:
        What differs from the preset, by the names on `TrainingConfig`, and the strategy.
    """
    own = (suited or PRESETS[preset]).to_json()
    st.session_state[_OWN] = own
    chosen: dict[str, Json] = {}
    with st.expander("Advanced settings", icon=":material/tune:"):
        strategy = _strategy()
        for title, members in grouped(settings()).items():
            st.markdown(f"**{title}**")
            chosen |= _group(members, own, preset)
    optional = {each.name for each in settings() if each.optional}
    # A box that was emptied says nothing, where there must be a value.
    changed = {n: v for n, v in chosen.items() if v != own[n] and (v not in (None, [], "") or n in optional)}
    if changed:
        _tell(changed, preset, own)
    return changed, strategy


def apply_settings(preset: Preset, changes: Mapping[str, Json]) -> None:
    """Put values into the widgets of a preset; for a button's `on_click`."""
    for name, value in changes.items():
        st.session_state[_key(preset, name, st.session_state.get(_OWN, {}))] = value


def _key(preset: Preset, name: str, own: Mapping[str, Json]) -> str:
    """The widget's key: another one where the base model changes what the preset sets, so that its box follows."""
    usual, value = PRESETS[preset].to_json()[name], own.get(name)
    key = f"{_KEY}-{preset}-{name}"
    return key if value in (usual, None) else f"{key}-{value}"


def _strategy() -> Strategy:
    return st.selectbox(
        "What trains",
        list(STRATEGIES),
        format_func=STRATEGIES.__getitem__,
        key=f"{_KEY}-strategy",
        help="Unsloth needs less memory on a GPU; PEFT runs everywhere.\n\nOn the command line: `--strategy`",
    )


def _group(members: Sequence[Setting], own: Mapping[str, Json], preset: Preset) -> dict[str, Json]:
    """The widgets of a group, side by side as far as there is room; a list of names has a row of its own."""
    chosen: dict[str, Json] = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for each in members:
            chosen[each.name] = _widget(each, own[each.name], _key(preset, each.name, own))
    return chosen


def _tell(changed: Mapping[str, Json], preset: Preset, own: Mapping[str, Json]) -> None:
    """What differs from the preset, and a way back."""
    told = ", ".join(f"{setting_label(name)}: {value_in_words(name, value)}" for name, value in changed.items())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Changed from the preset: {plain(told)}", width="stretch")
        before = {name: own[name] for name in changed}
        st.button("Undo", key=f"{_KEY}-undo", type="tertiary", on_click=apply_settings, args=(preset, before))


def _widget(setting: Setting, value: Json, key: str) -> Json:
    """The widget for a setting. A value that was applied from elsewhere is in the session already."""
    st.session_state.setdefault(key, float(value) if setting.kind == "number" and isinstance(value, int) else value)
    label, tip = setting_label(setting.name), setting_help(setting)
    if setting.kind == "switch":
        return st.toggle(label, key=key, help=tip)
    if setting.kind == "choice":
        words = partial(value_in_words, setting.name)
        return cast(Json, st.selectbox(label, setting.choices, key=key, format_func=words, help=tip, width=_WIDTH))
    if setting.kind == "names":
        names = list(dict.fromkeys([*LINEAR_LAYERS, *cast(list[str], st.session_state[key])]))
        return list(st.multiselect(label, names, key=key, help=tip, accept_new_options=True))
    if setting.kind == "text":
        return st.text_input(label, key=key, help=tip, width=_WIDTH)
    return _whole(setting, key) if setting.kind == "integer" else _fraction(setting, key)


def _whole(setting: Setting, key: str) -> int | None:
    """The box for a whole number; empty where it may be None."""
    low, high = (None if bound is None else int(bound) for bound in (setting.low, setting.high))
    return st.number_input(
        setting_label(setting.name),
        min_value=low,
        max_value=high,
        value=None,
        step=1,
        key=key,
        help=setting_help(setting),
        placeholder=WHEN_EMPTY.get(setting.name, "none"),
        width=_WIDTH,
    )


def _fraction(setting: Setting, key: str) -> float | None:
    """The box for any number. Its buttons add a tenth of what it holds, a thousandth where that is nothing."""
    held = st.session_state[key]
    low, high = (None if bound is None else float(bound) for bound in (setting.low, setting.high))
    return st.number_input(
        setting_label(setting.name),
        min_value=low,
        max_value=high,
        value=None,
        step=abs(held) / 10 if held else 0.001,
        format="%g",
        key=key,
        help=setting_help(setting),
        width=_WIDTH,
    )
