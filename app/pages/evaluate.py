"""Evaluate: score base, fine-tuned and retrieval on questions with known answers."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app.components.empty import empty_state
from app.components.jobs import job_cards
from app.components.pickers import adapter_title, collection_picker, model_picker, offered_adapters
from app.components.text import clock, counted, number, plain, sentence, string
from app.resources import shared_engine
from engine.db.repositories.evaluations import StoredEvaluation
from engine.domain import Collection, Json
from engine.ingest import safe_name

FROM_COLLECTION, FROM_FILE = "A collection", "A dataset file"
METRICS = {
    "exact_match": "Exact match",
    "token_f1": "Token F1",
    "similarity": "Similarity",
}
LATENCIES = {"latency_p50_s": "Median latency", "latency_p95_s": "95th percentile"}


def render() -> None:
    """Show the page."""
    st.title("Evaluate")
    st.caption(
        "Each target answers the questions that were kept back from training; the answers are scored against the known ones."
    )
    left, right = st.columns([2, 3], gap="large")
    with left:
        _form()
    with right:
        job_cards(("evaluate",))
        _history()


def _form() -> None:
    with st.container(border=True):
        st.subheader("New evaluation")
        source = st.segmented_control("Questions from", [FROM_COLLECTION, FROM_FILE], default=FROM_COLLECTION, required=True)
        collection: Collection | None = None
        file: UploadedFile | None = None
        if source == FROM_FILE:
            file = st.file_uploader("JSONL or CSV with the fields question and answer", type=["jsonl", "csv"])
        else:
            collection = collection_picker(key="evaluate-collection")
            if collection is None:
                st.caption("There is no collection yet. Add documents first.")
        targets = _targets(with_rag=collection is not None)
        model = model_picker(key="evaluate-model")
        limit = st.number_input("Most questions", min_value=1, value=30)
        ready = bool(targets) and (file is not None or collection is not None)
        if st.button("Start evaluation", type="primary", disabled=not ready, icon=":material/play_arrow:"):
            _start(targets, collection, file, model, limit)


def _targets(*, with_rag: bool) -> list[str]:
    adapters = {f"adapter:{adapter.name}": adapter_title(adapter) for adapter in offered_adapters(key="evaluate")}
    options = ["base", *(["rag"] if with_rag else []), *adapters]
    return st.multiselect(
        "Targets", options, default=options[:3], format_func=lambda target: adapters.get(target) or target_title(target)
    )


def target_title(target: str) -> str:
    """A target's name for people."""
    return {"base": "Base model", "rag": "From the documents"}.get(target, target.removeprefix("adapter:"))


def _start(targets: list[str], collection: Collection | None, file: UploadedFile | None, model: str | None, limit: int) -> None:
    engine = shared_engine()
    if file is None:
        engine.evaluate(targets, collection=None if collection is None else collection.name, model=model, limit=limit)
    else:
        with tempfile.TemporaryDirectory(prefix="nexus-") as folder:
            path = Path(folder) / safe_name(file.name)
            path.write_bytes(file.getbuffer())
            engine.evaluate(targets, dataset=path, model=model, limit=limit)
    st.rerun()


def _history() -> None:
    evaluations = shared_engine().repositories.evaluations.list()
    if not evaluations:
        empty_state("rule", "No evaluations yet", "Choose questions and targets, and start one.")
        return
    names = {collection.id: collection.name for collection in shared_engine().collections()}
    for position, evaluation in enumerate(evaluations):
        over = plain(names.get(evaluation.collection_id or "", "dataset file"))
        with st.expander(f"{clock(evaluation.created_at)} · {over}", expanded=position == 0, icon=":material/rule:"):
            _result(evaluation)


def _result(evaluation: StoredEvaluation) -> None:
    targets = evaluation.summary.get("targets")
    rows = [row for row in targets if isinstance(row, dict)] if isinstance(targets, list) else []
    scores = {string(row, "target"): row for row in rows}
    st.caption(_conditions(evaluation.summary))
    st.table(score_table(scores), hide_index=True, border="horizontal")
    metrics = [key for key in METRICS if any(number(row, key) is not None for row in scores.values())]
    chart: dict[str, list[str] | list[float]] = {"metric": [METRICS[key] for key in metrics]}
    for name, row in scores.items():
        chart[target_title(name)] = [number(row, key) or 0.0 for key in metrics]
    if metrics:
        series = [name for name in chart if name != "metric"]
        st.bar_chart(chart, x="metric", y=series, x_label="", y_label="", stack=False, horizontal=True, height=300)


def _conditions(summary: Mapping[str, Json]) -> str:
    """On how many questions the targets were measured, and whether any of them could have learnt those."""
    questions = counted(int(number(summary, "examples") or 0), "question")
    kept = "kept back from training" if summary.get("held_out") else "not kept back from training"
    return " · ".join(filter(None, (f"{questions}, {kept}", plain(sentence(string(summary, "notice"))))))


def score_table(scores: Mapping[str, Mapping[str, Json]]) -> dict[str, list[str]]:
    """One row for each target."""
    table = {"Target": [plain(target_title(name)) for name in scores]}
    for key, label in METRICS.items():
        table[label] = [_shown(number(row, key), "{:.2f}") for row in scores.values()]
    for key, label in LATENCIES.items():
        table[label] = [_shown(number(row, key), "{:.2f} s") for row in scores.values()]
    return table


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
