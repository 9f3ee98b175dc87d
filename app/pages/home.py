"""Home: what is here, what to do next, and the machine."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app.components.hardware import hardware_panel
from app.components.jobs import job_cards
from app.components.text import plain, size
from app.navigation import page_link
from app.resources import shared_engine
from engine.config import Settings

JOB_KINDS = ("extract", "finetune", "evaluate", "ingest", "optimise", "add-model")


@dataclass(frozen=True, slots=True)
class Inventory:
    """How much there is of everything."""

    collections: int
    documents: int
    pairs: int
    approved: int
    adapters: int
    evaluations: int
    agents: int
    leads: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the main job, where to do it, and whether it has been done."""

    title: str
    text: str
    page: str
    label: str
    done: bool


def render() -> None:
    """Show the page."""
    st.title("AI Nexus")
    st.caption("Documents become reviewed FAQs, a fine-tuned model and agents that answer customers, all on this machine.")
    settings = shared_engine().settings
    inventory = count_everything()
    _figures(inventory)
    job_cards(JOB_KINDS, ended=False)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("What to do next")
        _checklist(steps(inventory))
    with right:
        st.subheader("This machine")
        hardware_panel(settings.home)
        _model_state(settings)


def count_everything() -> Inventory:
    """Read the counts from the database."""
    engine = shared_engine()
    collections = engine.collections()
    stored = engine.repositories
    return Inventory(
        collections=len(collections),
        documents=len(stored.documents.list()),
        pairs=sum(collection.faq_count for collection in collections),
        approved=sum(collection.approved_count for collection in collections),
        adapters=len(stored.adapters.list()),
        evaluations=len(stored.evaluations.list()),
        agents=len(stored.agents.list()),
        leads=len(stored.leads.list()),
    )


def steps(inventory: Inventory) -> list[Step]:
    """The main job, with what has been done of it."""
    return [
        Step(
            "Add documents", "Question and answer pairs are made from them.", "documents", "Add documents", inventory.pairs > 0
        ),
        Step("Review the pairs", "Approved pairs train the model.", "documents", "Review", inventory.approved > 0),
        Step("Fine-tune a model", "A few minutes for a small collection.", "finetune", "Fine-tune", inventory.adapters > 0),
        Step("Measure it", "Base, fine-tuned and retrieval, scored.", "evaluate", "Evaluate", inventory.evaluations > 0),
        Step("Create an agent", "It answers customers from the FAQs.", "agents", "Create an agent", inventory.agents > 0),
        Step("Collect a lead", "Talk to the agent as a customer would.", "agents", "Talk to it", inventory.leads > 0),
    ]


def _figures(inventory: Inventory) -> None:
    figures = (
        ("Collections", inventory.collections),
        ("Documents", inventory.documents),
        ("FAQ pairs", inventory.pairs),
        ("Approved", inventory.approved),
        ("Adapters", inventory.adapters),
        ("Agents", inventory.agents),
        ("Leads", inventory.leads),
    )
    for column, (label, value) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(label, f"{value:,}", border=True)


def _checklist(todo: list[Step]) -> None:
    upcoming = next((step for step in todo if not step.done), None)
    for step in todo:
        with st.container(border=step is upcoming):
            text, link = st.columns([3, 2], vertical_alignment="center")
            symbol = ":green[:material/check_circle:]" if step.done else ":material/radio_button_unchecked:"
            text.markdown(f"{symbol} **{step.title}**  \n{step.text}" if step is upcoming else f"{symbol} {step.title}")
            if step is upcoming:
                with link:
                    page_link(step.page, step.label, icon=":material/arrow_forward:")
    if upcoming is None:
        st.caption("All steps are done. Ask a question, or compare the answers side by side.")
        page_link("ask", "Ask your documents")


def _model_state(settings: Settings) -> None:
    path = settings.models_dir / f"{settings.default_model}.gguf"
    if path.is_file():
        st.caption(f"Default model: {plain(settings.default_model)}, {size(path.stat().st_size)}. It is loaded on first use.")
    else:
        st.warning("The default model is not in the models folder. Run `make setup`.", icon=":material/warning:")
    page_link("models", "All models")
