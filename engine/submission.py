"""Long work: what people can submit as a job, checked before anything is stored, and how they watch it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pydantic import BaseModel

from engine import requests
from engine.domain import Job, JobState, Json, Preset, Strategy
from engine.errors import ConflictError, NexusError
from engine.model_registry.describe import plain_name
from engine.requests import DataOptions, StagedFile, checked
from engine.training.settings import preset_with
from engine.wiring import Wiring

if TYPE_CHECKING:
    from engine.training.datasets.preview import DatasetPreview

LOOK_EVERY_S = 0.2
"""How often somebody who watches a job looks at its row."""
RECOVER_EVERY_S = 2.0
"""How often somebody who watches a job looks whether its process is still there."""


class Submission(Wiring):
    """The parts of an engine, and the jobs that can be submitted to it."""

    def extract(
        self,
        files: Sequence[Path | tuple[str, BinaryIO]],
        collection: str,
        *,
        model: str | None = None,
        max_pairs: int | None = None,
        language: str | None = None,
    ) -> Job:
        """Submit a job that reads files into a collection (made if absent) and extracts FAQ pairs from them.

        Args:
            files: paths, or uploads as (name, open binary file).
            collection: the collection's name.
            model: chat model; None: the default one.
            max_pairs: stop after so many pairs.
            language: that of the pairs, an ISO 639-1 code; None: the document's.

        Raises:
            InputError: a name is not allowed, a file is missing, empty or too large, or the model does not know the language.
            NotFoundError: there is no such model.
            StorageError: no room.
        """
        options = checked(
            requests.ExtractionOptions, collection=collection, model=model, max_pairs=max_pairs, language=language
        )
        self._known_model(model)
        if options.language is not None:
            from engine.faq.translating import check_language

            check_language(self.model(model), options.language)
        staged: list[StagedFile] = []
        try:
            for file in files:
                staged.append(self.uploads.stage_file(file) if isinstance(file, Path) else self.uploads.stage(*file))
            request = checked(requests.ExtractionRequest, **options.model_dump(), files=tuple(staged))
            # One after another in a collection: each must see the pairs of the others to leave out duplicates.
            return self._submit("extract", request, lock=f"collection {request.collection}")
        except NexusError:
            for waiting in staged:
                self.uploads.discard(waiting)
            raise

    def pair_languages(self, model: str | None = None) -> dict[str, str]:
        """The languages that pairs can be asked for of a chat model (None: the default one): English names by ISO 639-1 codes.

        Raises:
            InputError, NotFoundError: there is no such model.
        """
        from engine.faq.translating import languages_of

        return languages_of(self.model(model))

    def finetune(
        self,
        name: str,
        *,
        collection: str | None = None,
        dataset: Path | None = None,
        base: str | None = None,
        preset: Preset = "quick",
        settings: Mapping[str, Json] | None = None,
        strategy: Strategy = "auto",
        data: DataOptions | None = None,
        processes: int | None = None,
    ) -> Job:
        """Submit a job that fine-tunes a LoRA adapter on a collection's pairs or on a dataset file.

        Args:
            name: the adapter's name; must be free.
            collection: train on its approved pairs.
            dataset: train on this JSON or CSV file instead.
            base: base model; None: the default one.
            preset: how long and thoroughly to train.
            settings: changes over the preset, by their names on `TrainingConfig`.
            strategy: what trains; `auto` chooses by the hardware.
            data: what is made of the pairs or rows; None: they are learnt as they stand, and a tenth is kept back.
            processes: how many share the work; None: one for each GPU where PEFT trains, else one.

        Raises:
            InputError: a value is not allowed.
            ConflictError: the name is taken, or the collection has no pairs.
            NotFoundError: no such collection or model.
        """
        self._known_model(base)
        config = preset_with(preset, settings or {})
        self._require_free_adapter_name(name.strip())
        if collection is not None and self.repositories.collections.by_name(collection).faq_count == 0:
            raise ConflictError(f"the collection {collection!r} has no FAQ pairs", hint="Extract some first.")
        with self._staged(dataset) as staged:
            request = checked(
                requests.FinetuneRequest,
                name=name,
                collection=collection,
                dataset=staged,
                base=base,
                preset=preset,
                settings=dict(settings or {}),
                strategy=strategy,
                processes=processes,
                **(data or DataOptions()).model_dump(),
            )
            if processes is not None:
                from engine.training.devices import processes_for

                processes_for(processes, strategy, config, self.machine())
            return self._submit("finetune", request, lock="gpu")

    def preview_finetune(
        self,
        *,
        collection: str | None = None,
        dataset: Path | None = None,
        base: str | None = None,
        preset: Preset = "quick",
        settings: Mapping[str, Json] | None = None,
        data: DataOptions | None = None,
        shown: int = 5,
    ) -> DatasetPreview:
        """What `finetune` would learn, as the base will see it; nothing is submitted or stored.

        Args:
            collection, dataset, base, preset, settings, data: as for `finetune`.
            shown: how many examples to show.

        Raises:
            InputError: a value is not allowed, or the file makes no sense.
            ConflictError: the collection has no pairs.
            NotFoundError: no such collection or model.
            ModelError: the base has no usable vocabulary or template.
        """
        from engine.handlers.finetuning_data import preview_data

        model = self.registry.path(base or self.settings.default_model)
        config = preset_with(preset, settings or {}, model)
        return preview_data(self, data or DataOptions(), collection, dataset, model, config, shown)

    def evaluate(
        self,
        targets: Sequence[str],
        *,
        collection: str | None = None,
        dataset: Path | None = None,
        model: str | None = None,
        limit: int | None = None,
    ) -> Job:
        """Submit a job that scores targets (`base`, `rag`, `adapter:NAME`) on held-out pairs or on a dataset file.

        Raises:
            InputError: a value is not allowed.
            NotFoundError: no such collection, model or adapter.
        """
        self._known_model(model)
        for target in targets:
            if target.startswith("adapter:"):
                self.repositories.adapters.by_name(target.removeprefix("adapter:"))
        if collection is not None:
            self.repositories.collections.by_name(collection)
        with self._staged(dataset) as staged:
            request = checked(
                requests.EvaluationRequest,
                collection=collection,
                dataset=staged,
                targets=tuple(targets),
                model=model,
                limit=limit,
            )
            return self._submit("evaluate", request)

    def ingest(self, collection: str) -> Job:
        """Submit a job that brings a collection's vector index up to date; one that waits already is enough.

        Raises:
            NotFoundError: there is no such collection.
        """
        self.repositories.collections.by_name(collection)
        for job in self.jobs.unfinished("ingest"):
            if job.state is JobState.QUEUED and job.payload.get("collection") == collection:
                return job
        return self._submit("ingest", checked(requests.IngestionRequest, collection=collection))

    def optimise_later(self, name: str, form: str | None = None) -> Job:
        """Submit a job that does what `Engine.optimise_model` does; one for this model that has not ended is enough.

        Raises:
            NotFoundError: there is no such model.
            ConflictError: it is an encoder.
        """
        info = self.registry.info(name)
        if info.kind != "chat":
            raise ConflictError(f"{info.name} is an encoder.", hint="Only chat models have copies in other formats.")
        request = checked(requests.OptimiseRequest, name=info.name, form=form)
        # With the lock of fine-tunes: what is measured beside one says nothing.
        return self._unfinished("optimise", name=info.name) or self._submit("optimise", request, lock="gpu")

    def add_model_later(self, source: Path) -> Job:
        """Submit a job that copies a GGUF file or an encoder's folder into the models folder; one for this file is enough.

        Raises:
            ConflictError: another file of that name is being added.
            NexusError: as `ModelRegistry.check_addable` raises.
        """
        path = str(self.registry.check_addable(source).path)
        request = checked(requests.AddModelRequest, name=Path(path).name, path=path)
        for job in self.jobs.unfinished("add-model"):
            if job.payload.get("path") == path:
                return job
            if plain_name(str(job.payload.get("name"))) == plain_name(request.name):
                hint = "Rename the file, or stop the other job first."
                raise ConflictError(f"Another model named {request.name} is being added.", hint=hint)
        return self._submit("add-model", request)

    def _unfinished(self, kind: str, **payload: str) -> Job | None:
        """A job with this in its payload that waits or runs."""
        jobs = self.jobs.unfinished(kind)
        return next((job for job in jobs if payload.items() <= job.payload.items()), None)

    def watch(self, job_id: str) -> Iterator[Job]:
        """Yield a job whenever its row has changed, until it has ended.

        Raises:
            NotFoundError: there is no such job.
        """
        last: Job | None = None
        recovered_at = 0.0
        while not self._closing.cancelled:
            if time.monotonic() - recovered_at > RECOVER_EVERY_S:
                # Its process may be gone, and no worker may be there to see it.
                recovered_at = time.monotonic()
                self.jobs.recover()
            job = self.jobs.get(job_id)
            if job != last:
                yield job
            if job.state.ended:
                return
            last = job
            time.sleep(LOOK_EVERY_S)

    @contextmanager
    def _staged(self, dataset: Path | None) -> Iterator[StagedFile | None]:
        """A copy of a dataset file for a job; gone again when the job cannot be submitted."""
        staged = None if dataset is None else self.uploads.stage_file(dataset)
        try:
            yield staged
        except NexusError:
            if staged is not None:
                self.uploads.discard(staged)
            raise

    def _require_free_adapter_name(self, name: str) -> None:
        waiting = (job for job in self.jobs.unfinished("finetune") if job.payload.get("name") == name)
        if self.repositories.adapters.exists(name) or any(waiting):
            raise ConflictError(f"there is an adapter {name!r} already", hint="Choose another name.")

    def _submit(self, kind: str, request: BaseModel, *, lock: str | None = None, max_attempts: int = 3) -> Job:
        job = self.jobs.submit(kind, request.model_dump(mode="json"), lock=lock, max_attempts=max_attempts)
        if self.has("worker"):
            self.worker.notify()
        return job

    def _known_model(self, name: str | None) -> None:
        if name is not None:
            self.model(name)
