"""What a fine-tune is to learn: a collection or a file with its columns, and what is made of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app.components.boundary import show_error
from app.components.pickers import collection_picker
from app.components.text import counted
from engine.domain import Collection
from engine.errors import InputError
from engine.ingest import safe_name
from engine.requests import ColumnRole, DataOptions
from engine.training.datasets.columns import REQUIRED, guessed_columns
from engine.training.datasets.dataset_files import read_columns

FROM_COLLECTION, FROM_FILE = "A collection", "A dataset file"
FILE_HELP = (
    "Chat messages, ShareGPT or Alpaca as JSON Lines or one list, or a table with a column of questions and one of answers."
)
COLUMN_LABELS: dict[ColumnRole, str] = {
    "question": "Column of the questions",
    "answer": "Column of the answers",
    "system": "Column of an instruction before the question",
    "context": "Column of a text after the question",
    "group": "Column that names the passage",
}
_CONVERSATIONS = frozenset({"messages", "conversations"})


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """What the person chose to learn from. Of collection and file at most one is there."""

    collection: Collection | None = None
    file: UploadedFile | None = None
    options: DataOptions = field(default_factory=DataOptions)
    is_complete: bool = False

    @property
    def collection_name(self) -> str | None:
        """The name of the collection, where there is one."""
        return None if self.collection is None else self.collection.name

    def key(self) -> str:
        """A text that is the same for the same data."""
        return f"{self.collection_name} {self.file.file_id if self.file else None} {self.options.model_dump_json()}"

    @contextmanager
    def saved(self) -> Iterator[Path | None]:
        """The file on the disk, as long as the block runs; None for a collection."""
        if self.file is None:
            yield None
            return
        with tempfile.TemporaryDirectory(prefix="nexus-") as folder:
            path = Path(folder) / safe_name(self.file.name)
            path.write_bytes(self.file.getbuffer())
            yield path


def training_source() -> TrainingSource:
    """Let the person choose what to learn from."""
    source = st.segmented_control("Learn from", [FROM_COLLECTION, FROM_FILE], default=FROM_COLLECTION, required=True)
    if source == FROM_COLLECTION:
        collection = _collection()
        return TrainingSource(collection, None, _options({}), collection is not None and collection.faq_count > 0)
    file = st.file_uploader("JSON or CSV file", type=["jsonl", "json", "csv", "tsv"], help=FILE_HELP)
    try:
        names = _columns_of(file)
    except InputError as exc:
        show_error(exc)
        return TrainingSource()
    columns = _columns(names) if names and _CONVERSATIONS.isdisjoint(names) else {}
    is_mapped = not names or not _CONVERSATIONS.isdisjoint(names) or all(role in columns for role in REQUIRED)
    return TrainingSource(None, file, _options(columns), file is not None and is_mapped)


def _collection() -> Collection | None:
    collection = collection_picker(key="finetune-collection")
    if collection is None:
        st.caption("There is no collection yet. Add documents first.")
    elif collection.approved_count:
        st.caption(f"Learns its {counted(collection.approved_count, 'approved pair')}, but for those that are kept back.")
    else:
        st.caption("None of its pairs is approved yet. Review some first, so that the model learns what is right.")
    return collection


def _columns_of(file: UploadedFile | None) -> Sequence[str]:
    """The columns of an upload, read once."""
    if file is None:
        return ()
    known = st.session_state.get("finetune-columns")
    if known is None or known[0] != file.file_id:
        with TrainingSource(file=file).saved() as path:
            known = (file.file_id, read_columns(path) if path else ())
        st.session_state["finetune-columns"] = known
    columns: Sequence[str] = known[1]
    return columns


def _columns(names: Sequence[str]) -> dict[ColumnRole, str]:
    """Let the person say which column is what; common names are found without."""
    guessed = guessed_columns(names)
    chosen = {role: _column(role, names, guessed.get(role)) for role in REQUIRED}
    with st.expander("More columns"):
        for role in COLUMN_LABELS:
            if role not in REQUIRED:
                chosen[role] = _column(role, names, guessed.get(role))
    return {role: name for role, name in chosen.items() if name}


def _column(role: ColumnRole, names: Sequence[str], guess: str | None) -> str | None:
    options = list(dict.fromkeys(names))
    index = options.index(guess) if guess in options else None
    # A file with other columns gets other widgets, so that no choice is left over from the one before.
    key = f"finetune-{role}-{hash(tuple(names))}"
    return st.selectbox(COLUMN_LABELS[role], options, index=index, placeholder="None", key=key)


def _options(columns: dict[ColumnRole, str]) -> DataOptions:
    """Let the person choose what is made of the pairs."""
    with st.expander("What is made of it"):
        paraphrases = st.slider(
            "Other wordings of each question",
            0,
            12,
            DataOptions().paraphrases,
            help="Taught as well, so that people are understood who ask in words of their own: questions that were put aside "
            "because a pair asks the same, and in English wordings made by rules, also as one types them into a search box. "
            "Takes longer. 0 teaches the questions as they stand only. A few more are kept back, to measure whether new "
            "wordings are understood.",
        )
        follow_ups = _percent("Also in a conversation", 100, 0, "So many pairs are also asked after another one.")
        unanswerable = _percent(
            "Questions without an answer",
            50,
            0,
            "Questions about other things, to which the model learns to say that the documents do not say. In percent of the "
            "pairs; what is near to your material is left out.",
        )
        holdout = _percent(
            "Kept back for evaluation",
            50,
            10,
            "Whole passages, with all wordings of their questions. Of fewer than ten pairs none is kept back.",
        )
    return DataOptions(
        columns=columns, paraphrases=paraphrases, follow_ups=follow_ups, unanswerable=unanswerable, holdout=holdout
    )


def _percent(label: str, most: int, default: int, tip: str) -> float:
    return st.slider(label, 0, most, default, step=5, format="%d %%", help=tip) / 100
