"""An adapter as files for other programs: GGUF adapter, PEFT archive or merged model, with its card and a `Modelfile`."""

from __future__ import annotations

import errno
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from engine.cancellation import CancelToken
from engine.domain import Adapter, Json
from engine.errors import ConflictError, InputError, NotFoundError, StorageError
from engine.model_registry.files import disk_errors, incoming, prepare
from engine.model_registry.gguf_file import read_gguf
from engine.training.adapters.child_work import run_in_child
from engine.training.adapters.merged_model import QUANTISATIONS
from engine.training.adapters.merging import merged_size
from engine.training.adapters.model_card import card_markdown
from engine.training.adapters.ollama import modelfile

Form = Literal["gguf", "peft", "merged"]
FORMS: tuple[Form, ...] = get_args(Form)
DEFAULT_QUANTISATION = "Q8_0"
COSTLY_KL = 0.1
"""Divergence, in nats a token, from which a quantisation is said to have changed the answers."""
_SPARE = 10_000_000
"""Room for what lies beside the weights."""


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What to export: an adapter, its base's file, in which form, what evaluations found for it, and the job that does it."""

    adapter: Adapter
    base: Path
    form: Form
    quantisation: str = DEFAULT_QUANTISATION
    scores: Sequence[Mapping[str, Json]] = ()
    job: str = ""

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise InputError(f"There is no form {self.form!r}.", hint=f"Choose {', '.join(FORMS)}.")
        if self.quantisation not in QUANTISATIONS:
            raise InputError(
                f"There is no quantisation {self.quantisation!r}.", hint=f"Choose one of {', '.join(QUANTISATIONS)}."
            )

    @property
    def stem(self) -> str:
        """The adapter's name as a file's."""
        return re.sub(r"[^\w.-]+", "-", self.adapter.name).strip(".-") or "adapter"

    @property
    def folder(self) -> str:
        """The name of what is made."""
        return f"{self.stem}-{self.quantisation}" if self.form == "merged" else f"{self.stem}-{self.form}"

    @property
    def weights(self) -> str:
        """The name of the merged model's file."""
        return f"{self.stem}-{self.quantisation}.gguf"


@dataclass(frozen=True, slots=True)
class Export:
    """What was made: a folder, its main file, and, for a merged model, how close it is to base and adapter."""

    folder: Path
    file: Path
    result: Mapping[str, Json]
    notice: str | None = None


def export(
    plan: ExportPlan, out: Path, *, say: Callable[[str], None] = lambda _: None, cancel: CancelToken | None = None
) -> Export:
    """Write a folder into `out`, whole or not at all. What the same job has made before a crash is taken as it is.

    Raises:
        ConflictError: there is a folder of that name.
        NotFoundError: the adapter's files are gone, or it has no PEFT form.
        StorageError: it does not fit on the disk, or may not be written.
        CancelledError: the token was set.
        NexusError: the merged model cannot be made.
    """
    target = out.absolute() / plan.folder
    if target.exists():
        return _made_before(plan, target)
    with disk_errors(f"{target.name} cannot be written"):
        prepare(target.parent, _size(plan))
        with incoming(target.parent) as unfinished:
            unfinished.mkdir()
            file, result = _WRITERS[plan.form](plan, unfinished, say, cancel or CancelToken())
            _describe(plan, unfinished, file, result)
            _put(unfinished, target)
    return Export(target, target / file, result, _notice(plan, result))


def _write_gguf(plan: ExportPlan, folder: Path, _say: Callable[[str], None], _cancel: CancelToken) -> Written:
    name = f"{plan.stem}.gguf"
    shutil.copyfile(_there(plan.adapter.path), folder / name)
    (folder / "Modelfile").write_text(modelfile(plan.base, weights=plan.base.name, adapter=name), "utf-8")
    return name, {}


def _write_peft(plan: ExportPlan, folder: Path, _say: Callable[[str], None], _cancel: CancelToken) -> Written:
    source = plan.adapter.path.parent / "peft"
    weights = _there(source / "adapter_model.safetensors")
    settings = json.loads(_there(source / "adapter_config.json").read_text("utf-8"))
    settings["base_model_name_or_path"] = base_name(plan.base)
    name = f"{plan.stem}-peft.zip"
    with zipfile.ZipFile(folder / name, "w") as archive:  # stored: weights cannot be compressed
        archive.writestr(f"{plan.stem}/adapter_config.json", json.dumps(settings, indent=2))
        archive.write(weights, f"{plan.stem}/{weights.name}")
        archive.writestr(f"{plan.stem}/README.md", _markdown(plan, {}))
    return name, {}


def _write_merged(plan: ExportPlan, folder: Path, say: Callable[[str], None], cancel: CancelToken) -> Written:
    task: dict[str, Json] = {"do": "merge", "base": str(plan.base.absolute()), "adapter": str(_there(plan.adapter.path))}
    task |= {"target": str(folder / plan.weights), "quantisation": plan.quantisation}
    result = run_in_child(task, say=say, cancel=cancel)
    (folder / "Modelfile").write_text(modelfile(plan.base, weights=plan.weights), "utf-8")
    return plan.weights, result


Written = tuple[str, Mapping[str, Json]]
"""The main file's name, and what is to be told of it."""
_WRITERS: dict[Form, Callable[[ExportPlan, Path, Callable[[str], None], CancelToken], Written]] = {
    "gguf": _write_gguf,
    "peft": _write_peft,
    "merged": _write_merged,
}


def base_name(base: Path) -> str:
    """What a base is called elsewhere: its repository on a hub where its file says one, else the file's name."""
    header = read_gguf(base)
    links = [header.text(key) for key in ("general.source.repo_url", "general.repo_url", "general.base_model.0.repo_url")]
    found = re.fullmatch(r"https://huggingface\.co/([\w.-]+/[\w.-]+?)/?", next(filter(None, links), ""))
    return found[1] if found else base.stem


def _size(plan: ExportPlan) -> int:
    """The most bytes that are needed while it is made."""
    if plan.form == "merged":
        return 2 * merged_size(plan.base) + _SPARE
    folder = plan.adapter.path.parent
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) + _SPARE


def _there(file: Path) -> Path:
    """The file, if it is there.

    Raises:
        NotFoundError: it is not.
    """
    if not file.is_file():
        raise NotFoundError(f"The adapter's {file.name} is not there.", hint="Export it in another form, or fine-tune again.")
    return file


def _made_before(plan: ExportPlan, target: Path) -> Export:
    """What is there already, if this job has made it: its process may have gone away after the last step.

    Raises:
        ConflictError: it is of another.
    """
    try:
        made = json.loads((target / "card.json").read_text("utf-8"))["export"]
        if plan.job and made["job"] == plan.job:
            return Export(target, target / made["file"], made["result"], _notice(plan, made["result"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ConflictError(f"{target} is there already.", hint="Remove it, or choose another folder.")


def _describe(plan: ExportPlan, folder: Path, file: str, result: Mapping[str, Json]) -> None:
    """Write the card for programs and for people."""
    scores: list[Json] = [dict(row) for row in plan.scores]
    card = {**plan.adapter.card, "name": plan.adapter.name, "scores": scores}
    card["export"] = {"file": file, "job": plan.job, "result": dict(result)}
    (folder / "card.json").write_text(json.dumps(card, indent=1), "utf-8")
    (folder / "README.md").write_text(_markdown(plan, result), "utf-8")


def _markdown(plan: ExportPlan, result: Mapping[str, Json]) -> str:
    text = card_markdown(plan.adapter.name, plan.adapter.card, plan.scores)
    merged = f"\nMerged into {plan.base.name} and quantised as {plan.quantisation} with llama.cpp.\n" if result else ""
    return text + merged


def _notice(plan: ExportPlan, result: Mapping[str, Json]) -> str | None:
    """A warning where the quantisation has changed the answers."""
    quantised = result.get("quantised")
    divergence = quantised.get("mean_kl") if isinstance(quantised, Mapping) else 0.0
    if isinstance(divergence, int | float) and divergence <= COSTLY_KL:
        return None
    shown = f"{divergence:.2f} nats a token" if isinstance(divergence, int | float) else "beyond measure"
    return f"As {plan.quantisation} the model answers differently ({shown}); choose a larger format to keep what it learnt."


def _put(unfinished: Path, target: Path) -> None:
    """Give the finished folder its name."""
    try:
        unfinished.rename(target)
    except OSError as exc:
        if exc.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise ConflictError(f"{target} is there already.", hint="Remove it, or choose another folder.") from exc
        raise StorageError(f"{target} could not be put into place: {exc}", hint="Check the disk and the path.") from exc
