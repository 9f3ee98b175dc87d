"""Before a fine-tune: what it will take, worked out at once or measured with three real steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine import requests
from engine.domain import Job, Json, Preset, Strategy, new_id
from engine.requests import DataOptions, checked
from engine.submission import Submission
from engine.training.settings import preset_with

if TYPE_CHECKING:
    from engine.training.config import TrainingConfig
    from engine.training.planning.plan import TrainingPlan
    from engine.training.planning.workload import Workload


class Planning(Submission):
    """What fine-tunes take on this machine."""

    def preset_settings(self, preset: Preset, base: str | None = None) -> TrainingConfig:
        """The settings of a preset as they suit a base model; None: the default one.

        Raises:
            NotFoundError: no such model.
            ModelFileError: its file cannot be read.
        """
        return preset_with(preset, {}, self.registry.path(base or self.settings.default_model))

    def workload(
        self,
        *,
        collection: str | None = None,
        dataset: Path | None = None,
        base: str | None = None,
        preset: Preset = "quick",
        settings: Mapping[str, Json] | None = None,
        data: DataOptions | None = None,
    ) -> Workload:
        """The examples that `finetune` would learn, as tokens; the arguments are those of `finetune`.

        Raises:
            InputError: a value is not allowed, or the file makes no sense.
            ConflictError: the collection has no pairs.
            NotFoundError: no such collection or model.
            ModelError: the base has no usable vocabulary or template.
        """
        from engine.handlers.rehearsing import workload

        path = self.registry.path(base or self.settings.default_model)
        config = preset_with(preset, settings or {}, path)
        return workload(self, data or DataOptions(), collection, dataset, path, config)

    def plan_finetune(
        self,
        workload: Workload,
        *,
        base: str | None = None,
        preset: Preset = "quick",
        settings: Mapping[str, Json] | None = None,
        strategy: Strategy = "auto",
    ) -> TrainingPlan:
        """What a fine-tune takes, by a formula, or as measured where `rehearse_finetune` was done for it; it answers at once.

        Args:
            workload: as `workload` gives it.
            base, preset, settings, strategy: as for `finetune`.

        Raises:
            InputError: a value is not allowed.
            NotFoundError: no such model.
            ModelFileError: the base cannot be fine-tuned.
        """
        from engine.handlers.rehearsing import task_for
        from engine.llm.llamacpp.long_rope import has_long_positions
        from engine.training.bases.model_shape import read_shape
        from engine.training.planning.plan import expected_strategy, plan_training
        from engine.training.planning.rehearsals import Rehearsals

        path = self.registry.path(base or self.settings.default_model)
        config, digest, machine = preset_with(preset, settings or {}, path), self.registry.sha256(path.stem), self.machine()
        task = task_for(self, path, config, strategy, workload)
        return plan_training(
            read_shape(path, long_positions=has_long_positions(path, self.settings.context_tokens)),
            config,
            workload,
            machine,
            expected_strategy(strategy, machine),
            rehearsal=Rehearsals(self.settings.cache_dir, machine).find(task, digest),
            has_copy=any((self.settings.cache_dir / "training").glob(f"{digest[:32]}*/config.json")),
        )

    def prepare_finetune(
        self,
        folder: Path,
        name: str,
        *,
        collection: str | None = None,
        dataset: Path | None = None,
        base: str | None = None,
        preset: Preset = "quick",
        settings: Mapping[str, Json] | None = None,
        strategy: Strategy = "auto",
        data: DataOptions | None = None,
    ) -> None:
        """Write all that a fine-tune needs into a new folder, for a machine or cluster where it is to be done.

        There `accelerate launch -m engine.training.worker FOLDER` does it, and leaves the adapter in the folder's `output`.

        Args:
            folder: is made; the base model is copied into it.
            name, collection, dataset, base, preset, settings, strategy, data: as for `finetune`.

        Raises:
            InputError: a value is not allowed, or the file makes no sense.
            ConflictError: the folder is there already, or the collection has no pairs.
            NotFoundError: no such collection or model.
            StorageError: the disk refused.
        """
        from engine.handlers.preparing import CACHE, prepare_run
        from engine.llm.llamacpp.long_rope import has_long_positions
        from engine.training.run_folder import RunSpec

        path = self.registry.path(base or self.settings.default_model)
        config, long = preset_with(preset, settings or {}, path), has_long_positions(path, self.settings.context_tokens)
        run = RunSpec(new_id(), name, folder / path.name, folder / CACHE, config, strategy, long_positions=long)
        prepare_run(self, run, path, data or DataOptions(), collection, dataset)

    def rehearse_finetune(
        self,
        *,
        collection: str | None = None,
        dataset: Path | None = None,
        base: str | None = None,
        preset: Preset = "quick",
        settings: Mapping[str, Json] | None = None,
        strategy: Strategy = "auto",
        data: DataOptions | None = None,
    ) -> Job:
        """Submit a job that takes three steps of a fine-tune, keeps nothing of them, and remembers what they took.

        The arguments are those of `finetune`.

        Raises:
            InputError: a value is not allowed.
            NotFoundError: no such collection or model.
        """
        self._known_model(base)
        preset_with(preset, settings or {})
        if collection is not None:
            self.repositories.collections.by_name(collection)
        with self._staged(dataset) as staged:
            request = checked(
                requests.RehearsalRequest,
                collection=collection,
                dataset=staged,
                base=base,
                preset=preset,
                settings=dict(settings or {}),
                strategy=strategy,
                **(data or DataOptions()).model_dump(),
            )
            # With the lock of fine-tunes: what is measured beside one says nothing. Once: what ran out of memory would again.
            return self._submit("rehearse", request, lock="gpu", max_attempts=1)
