"""What is known of an adapter, for people: its licence, and its card as a Markdown page."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from engine.domain import Json
from engine.model_registry.gguf_file import read_gguf

UNKNOWN_LICENCE = "unknown"
_LIBRARIES = ("torch", "transformers", "peft", "gguf", "llama_cpp_python", "safetensors")
_TEXT = 200
"""Longest value that a card shows; what a model file says of itself may be of any length."""


def licence_of(base_gguf: Path) -> dict[str, Json]:
    """The licence of an adapter for a base: that of the base, which it is derived from.

    Raises:
        ModelFileError: the base cannot be read.
    """
    header = read_gguf(base_gguf)
    name = header.text("general.license").strip()[:_TEXT] or UNKNOWN_LICENCE
    link = header.text("general.license.link").strip()[:_TEXT]
    return {"name": name, "link": link or None, "from": "the base model, which the adapter is derived from"}


def library_versions() -> dict[str, Json]:
    """The versions of the libraries that have a part in every adapter."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def card_markdown(name: str, card: Mapping[str, Json], scores: Sequence[Mapping[str, Json]] = ()) -> str:
    """A card as Markdown.

    Args:
        name: the adapter's name.
        card: what is known of it.
        scores: what evaluations found for it, one row for each; see `engine.evaluation`.
    """
    sections = [
        ("Base model", _rows(_part(card, "base"))),
        ("Licence", [*_rows(_part(card, "licence")), *_licence_advice(card)]),
        ("Data", _rows(_flat(_part(card, "dataset")))),
        ("Settings", [*_rows({"strategy": card.get("strategy")}), *_rows(_part(card, "config"))]),
        ("Training", _rows(_part(card, "evaluation"))),
        ("Served as trained", _rows(_flat(_part(card, "parity")))),
        ("Scores", list(_table(scores))),
        ("Loss", _curve(card.get("curve"))),
        ("Versions", _rows(_part(card, "versions"))),
    ]
    head = f"# {_plain(name)}\n\nA LoRA adapter made with AI Nexus{_on(card)}.\n"
    return head + "".join(f"\n## {title}\n\n" + "\n".join(lines) + "\n" for title, lines in sections if lines)


def _on(card: Mapping[str, Json]) -> str:
    return f" on {_plain(card['created_at'])}" if card.get("created_at") else ""


def _licence_advice(card: Mapping[str, Json]) -> list[str]:
    if _part(card, "licence").get("name", UNKNOWN_LICENCE) != UNKNOWN_LICENCE:
        return []
    return ["", "The base model's file does not say its licence. Find it out before you pass the adapter on."]


def _part(card: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    part = card.get(name)
    return part if isinstance(part, Mapping) else {}


def _flat(values: Mapping[str, Json]) -> dict[str, Json]:
    """Values of parts within parts, under both names."""
    flat: dict[str, Json] = {}
    for key, value in values.items():
        flat |= {f"{key} {inner}": deep for inner, deep in value.items()} if isinstance(value, Mapping) else {key: value}
    return flat


def _rows(values: Mapping[str, Json]) -> list[str]:
    """One line for each value that is there."""
    return [f"- {key.replace('_', ' ')}: {_plain(value)}" for key, value in values.items() if value not in (None, "", [])]


def _plain(value: Json) -> str:
    """A value on one line, without what Markdown or HTML would act on."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return " ".join(text[:_TEXT].translate(str.maketrans("<>[]`|*", "‹›()'/·")).split())


def _table(scores: Sequence[Mapping[str, Json]]) -> Iterator[str]:
    if not scores:
        return
    columns = list(scores[0])
    yield "| " + " | ".join(column.replace("_", " ") for column in columns) + " |"
    yield "|" + " --- |" * len(columns)
    for row in scores:
        yield "| " + " | ".join(_plain(row.get(column)) for column in columns) + " |"


def _curve(curve: Json) -> list[str]:
    """The loss at about ten steps."""
    rows = [row for row in curve if isinstance(row, Mapping)] if isinstance(curve, list) else []
    chosen = rows[:: max(1, len(rows) // 10)]
    if rows and chosen[-1] is not rows[-1]:
        chosen.append(rows[-1])
    wanted = [{key: row.get(key) for key in ("step", "loss", "eval_loss")} for row in chosen]
    return list(_table(wanted))
