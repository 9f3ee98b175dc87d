"""What is done with adapters besides training them: chosen to answer, exported, imported, deleted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO, Literal

from engine import requests
from engine.domain import Adapter, Job
from engine.errors import ConflictError, NotFoundError
from engine.requests import StagedFile, checked
from engine.submission import Submission


class AdapterFiles(Submission):
    """The operations of an engine on adapters and their files."""

    def adapter_card(self, name: str) -> str:
        """The card of an adapter as Markdown, with what evaluations found.

        Raises:
            NotFoundError: there is no such adapter.
        """
        from engine.handlers.adapters import scores_of
        from engine.training.adapters.model_card import card_markdown

        adapter = self.repositories.adapters.by_name(name)
        return card_markdown(adapter.name, adapter.card, scores_of(self, adapter))

    def export_adapter(
        self,
        name: str,
        *,
        form: Literal["gguf", "peft", "merged"] = "gguf",
        quantisation: str = "Q8_0",
        out: Path | None = None,
        to_models: bool = False,
    ) -> Job:
        """Submit a job that writes an adapter as files for other programs; see `engine.training.adapters.export`.

        Args:
            name: the adapter's name.
            form: a GGUF adapter, a PEFT archive, or a model with the adapter merged into it.
            quantisation: the format of a merged model.
            out: the folder that gets a folder with the files; None: `exports` in the home.
            to_models: put a merged model into the models folder instead.

        Raises:
            InputError: a value is not allowed.
            NotFoundError: no such adapter, or its base is gone.
        """
        from engine.training.adapters.export import ExportPlan

        adapter = self.repositories.adapters.by_name(name)
        ExportPlan(adapter, self.registry.path(adapter.base_model), form, quantisation)  # refuses what cannot be
        folder = str((out or self.settings.home / "exports").expanduser().absolute())
        request = checked(
            requests.ExportAdapterRequest, name=name, form=form, quantisation=quantisation, out=folder, to_models=to_models
        )
        return self._submit("export-adapter", request)

    def import_adapter(self, source: Path | tuple[str, BinaryIO], name: str, *, base: str | None = None) -> Job:
        """Submit a job that takes in an adapter that was made elsewhere; see `engine.training.adapters.foreign`.

        Args:
            source: a PEFT folder, a ZIP archive of one or a GGUF adapter; or an upload as (name, open binary file).
            name: the adapter's name here; must be free.
            base: the model that it is for; None: the default one.

        Raises:
            InputError: a value is not allowed.
            ConflictError: the name is taken.
            NotFoundError: there is no such model or file.
        """
        self.registry.path(base or self.settings.default_model)
        self._require_free_adapter_name(name.strip())
        upload: StagedFile | None = None
        path: str | None = None
        if isinstance(source, Path):
            path = str(source.expanduser().absolute())
            if not Path(path).exists():
                raise NotFoundError(f"There is no {source}.", hint="Check the path.")
        else:
            upload = self.uploads.stage(*source)
        request = checked(requests.ImportAdapterRequest, name=name, base=base, path=path, upload=upload)
        return self._submit("import-adapter", request, lock="gpu")

    def delete_adapter(self, name: str) -> None:
        """Remove an adapter and its files.

        Raises:
            NotFoundError: there is no such adapter.
            ConflictError: an agent answers with it.
        """
        adapter = self.repositories.adapters.by_name(name)
        users = [agent.name for agent in self.repositories.agents.list() if agent.adapter == name]
        if users:
            raise ConflictError(f"the agent {users[0]!r} answers with the adapter {name!r}", hint="Delete that agent first.")
        self.repositories.adapters.delete(name)
        folder = adapter.path.parent
        if folder.resolve().parent == self.settings.adapters_dir.resolve():
            shutil.rmtree(folder, ignore_errors=True)

    def _responder(self, request: requests.AskRequest | requests.AgentRequest) -> tuple[str | None, Adapter | None]:
        """The model and the adapter that are to answer. An adapter brings its base along.

        Raises:
            NotFoundError: no such model or adapter.
            ConflictError: the adapter belongs to another base, or differs from what was trained.
            AdapterError: its base has changed.
        """
        if request.adapter is None:
            return request.model, None
        tuned = self.repositories.adapters.by_name(request.adapter)
        self.offering.require(tuned, allow_mismatch=request.allow_mismatch)
        if request.model is not None and self.model(request.model).name != tuned.base_model:
            raise ConflictError(
                f"the adapter {tuned.name!r} belongs to {tuned.base_model}, not to {request.model}",
                hint="Leave the model out: the adapter brings its own.",
            )
        return tuned.base_model, tuned
