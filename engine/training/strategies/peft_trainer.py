"""LoRA training with Transformers and PEFT: runs on a CPU as on a GPU.

A loop of our own, not `transformers.Trainer`: it computes logits for answer tokens only (with a vocabulary of 49,000 the
output layer is a fifth of a small model's work), and it resumes from safetensors on the exact same loss curve.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from engine.domain import Json
from engine.errors import JobPaused, StorageError, TrainingError
from engine.training.config import TrainingConfig
from engine.training.loop.checkpoint import Position, fingerprint_of, load_checkpoint, save_checkpoint
from engine.training.loop.control import RunControl
from engine.training.loop.curve import Curve
from engine.training.loop.following import follow
from engine.training.loop.gauges import Gauges
from engine.training.loop.gradient_step import GradientStep, NotFinite
from engine.training.loop.held_out import HeldOut
from engine.training.loop.learner import Learner
from engine.training.loop.memory import free_memory, memory_ran_out
from engine.training.loop.packing import in_rows
from engine.training.loop.ranks import ALONE, Order, Ranks, Together
from engine.training.loop.run_state import RunState
from engine.training.loop.schedule import StepBatches, learning_rate, steps_per_epoch, total_steps
from engine.training.loop.stopping import is_look, judged, look_interval, low_enough, out_of_patience, window
from engine.training.run_folder import memory_kills
from engine.training.strategies.lora_model import lora_model, training_loss
from engine.training.trainer import Ending, Progress, TrainingData, TrainingPaths, TrainingResult


class PeftTrainer:
    """The strategy that is always there."""

    name = "peft"

    def __init__(self, ranks: Ranks = ALONE) -> None:
        """Args: `ranks` are the processes that share the work."""
        self._ranks = ranks

    def train(
        self,
        data: TrainingData,
        config: TrainingConfig,
        paths: TrainingPaths,
        progress: Progress,
        control: RunControl | None = None,
    ) -> TrainingResult:
        """See `Trainer.train`."""
        if config.quantise_base:
            raise TrainingError("The strategy peft does not train in four bits.", hint="Use unsloth, or quantise_base=false.")
        model = lora_model(paths, config, longest=max(len(item.tokens) for item in data.train.items))
        learner = Learner(model, training_loss(model, data.general, config.anchor_weight))
        return train_learner(learner, data, config, paths, progress, control, self._ranks)


def train_learner(
    learner: Learner,
    data: TrainingData,
    config: TrainingConfig,
    paths: TrainingPaths,
    progress: Progress,
    control: RunControl | None = None,
    ranks: Ranks = ALONE,
) -> TrainingResult:
    """The training loop, for a model that some library has loaded. See `Trainer.train`.

    A process that follows (`ranks`) does its part of the steps, and has no curve to give.
    """
    try:
        if isinstance(ranks, Together) and not ranks.leads:
            follow(learner, data, config, ranks)
            return TrainingResult(paths.peft_dir, ())
        with ranks.leading():
            run = _Run(learner, data, config, paths, progress, control or RunControl(), ranks)
            run.resume()
            return run.finish()
    except (RuntimeError, MemoryError) as exc:
        if not memory_ran_out(exc):
            raise
        hint = "Use shorter examples, a smaller model, or dtype=bfloat16; or close other programs and resume."
        raise TrainingError("Memory does not suffice for a single example.", hint=hint) from exc


class _Run:
    """One training: model, state, position and loss curve."""

    def __init__(
        self,
        learner: Learner,
        data: TrainingData,
        config: TrainingConfig,
        paths: TrainingPaths,
        progress: Progress,
        control: RunControl,
        ranks: Ranks,
    ) -> None:
        self.train, self.model, self.ranks = data.train.items, learner.model, ranks
        self.config, self.paths, self.progress, self.control = config, paths, progress, control
        self.state = RunState(self.model, config)
        self.step = GradientStep(learner.loss, self.state, config.max_grad_norm, self._go_on_with, ranks)
        self.held_out = HeldOut(learner, data)
        self.gauges = Gauges()
        self.curve = Curve(paths.metrics)
        self.steps = total_steps(len(self.train), config)
        self.per_epoch = steps_per_epoch(len(self.train), config)
        self.interval = look_interval(self.steps, config)
        self.batches = StepBatches([len(item.tokens) for item in self.train], config)
        self.position = Position(0, fingerprint_of(self.train, data.held_out.items, config))

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        found = load_checkpoint(self.paths.checkpoints, self.position.fingerprint)
        if found is not None:
            self.position, tensors = found
            self.state.restore(tensors, self.position.step)
            self.step.at_once = self.position.at_once
            self._say(f"Resumed at step {self.position.step} of {self.steps}.")
        self.curve.go_back_to(self.position.step)
        self._heed_kills(memory_kills(self.paths.run_dir))
        self.ranks.send(Order(self.position.step))
        self.ranks.agree(self.position.fingerprint)
        self.state.spread(self.ranks, self.position.step)

    def _heed_kills(self, times: int) -> None:
        """Compute less at once where the system has ended this training before because memory ran out."""
        rows = in_rows([self.train[index] for batch in self.batches.of(0) for index in batch])
        allowed = max(1, max(map(len, rows)) >> times)
        if times and (self.step.at_once is None or allowed < self.step.at_once):
            self.step.at_once = allowed
            self._go_on_with(allowed)

    def finish(self) -> TrainingResult:
        """Take the steps that are left and save the adapter."""
        self.model.train()
        while (ending := self._ending()) is None:
            self._heed_pause()
            try:
                self._advance()
            except NotFinite as exc:
                ending = self._diverged(str(exc))
                break
        self.state.take_best()
        self._save()
        return TrainingResult(
            self.paths.peft_dir,
            tuple(self.curve.rows),
            stopped_early=self.position.step < self.steps,
            ending=ending,
            best_step=self.position.standing.best_step if self.state.best else None,
            notices=self.position.notices,
        )

    def _ending(self) -> Ending | None:
        """Why to take no further step; None to go on."""
        step = self.position.step
        if self.control.stop:
            return self._asked_to_end()
        if step >= self.steps:
            return Ending.COMPLETE
        if step and low_enough(self.curve.losses, step, self.per_epoch, self.config):
            return Ending.LEARNT
        return Ending.NO_GAIN if out_of_patience(self.position.standing, self.config) else None

    def _asked_to_end(self) -> Ending:
        """Judge the weights as they are, so that the better ones are kept."""
        if self.position.step == 0:
            raise TrainingError("Nothing was learnt yet, so there is nothing to keep.", hint="Let it take some steps first.")
        if self.curve.rows[-1].get("samples") is None:
            self._look(self.curve.losses)
        return Ending.ASKED

    def _heed_pause(self) -> None:
        if self.control.pause:
            if self.position.step:
                self._checkpoint()
            raise JobPaused(f"Paused at step {self.position.step} of {self.steps}.", hint="Resume the job to go on.")

    def _advance(self) -> None:
        """One step: update, look when it is time, report, and write a checkpoint when it is time."""
        started = time.monotonic()
        step = self.position.step
        rate = learning_rate(step, self.steps, self.config)
        examples = [self.train[index] for batch in self.batches.of(step) for index in batch]
        self.ranks.send(Order(step, self.step.at_once))
        loss, norm = self.step.take(examples, rate)
        tokens = sum(len(item.tokens) for item in examples)
        speed = tokens / (time.monotonic() - started)
        self.position = replace(self.position, step=step + 1)
        row: dict[str, Json] = {"step": step + 1, "epoch": step // self.per_epoch, "loss": loss, "eval_loss": None}
        losses = [*self.curve.losses, loss]
        if self._time_to_look(losses):
            row |= self._look(losses) | {"samples": self._answers()}
        row |= {"learning_rate": rate, "grad_norm": norm, "tokens_per_s": speed, "seconds": time.monotonic() - started}
        self._record(row | self.gauges.read())
        if (step + 1) % self.config.checkpoint_every == 0 and step + 1 < self.steps:
            self._checkpoint()

    def _go_on_with(self, at_once: int) -> None:
        """Note that memory ran out, and how many examples are computed at once from now on."""
        self.position = replace(self.position, at_once=at_once)
        self._notice(
            f"Memory ran out at step {self.position.step + 1}. From there on {at_once} examples at most are computed at once, "
            "and gradients are added up over more passes: the result is the same, the steps take longer."
        )

    def _time_to_look(self, losses: Sequence[float]) -> bool:
        """Whether to look after this step: at each interval, and where training ends by itself."""
        step = self.position.step
        at_look = is_look(step, self.interval, self.config) or step == self.steps
        return at_look or low_enough(losses, step, self.per_epoch, self.config)

    def _look(self, losses: Sequence[float]) -> dict[str, Json]:
        """Measure the held-out part, and keep the weights if they are the best so far."""
        measured = self.held_out.measure()
        training = window(losses, self.per_epoch, self.interval)
        step = self.position.step
        standing = judged(self.position.standing, self.config, step, training, measured.overall, measured.taught)
        self.position = replace(self.position, standing=standing)
        if standing.best_step == step:
            self.state.keep_as_best()
        return {"eval_loss": measured.overall}

    def _answers(self) -> list[Json]:
        """The sample answers by now; none where memory does not suffice for them."""
        try:
            return self.held_out.answers()
        except (RuntimeError, MemoryError) as exc:
            if not memory_ran_out(exc):
                raise
        free_memory()
        self._say("There is not enough memory for sample answers.")
        return []

    def _diverged(self, what: str) -> Ending:
        """Deal with a step that had to be refused: what was best before is kept."""
        step = self.position.step + 1
        hint = "Train again with a lower learning rate."
        if not self.state.best:
            raise TrainingError(f"Training cannot go on: {what} at step {step}.", hint=hint)
        kept = self.position.standing.best_step
        self._notice(f"Training ended at step {step}, because {what}. The weights of step {kept} are kept. {hint}")
        return Ending.DIVERGED

    def _record(self, row: dict[str, Json]) -> None:
        """Add a step to the curve and report it."""
        self.curve.add(row)
        left = (self.steps - self.position.step) * self.curve.seconds
        self.progress({"event": "progress", **row, "steps": self.steps, "eta_s": left})

    def _checkpoint(self) -> None:
        """Write a checkpoint; on a full disk say so and go on, the ones before stay."""
        try:
            self.curve.flush()
            save_checkpoint(self.paths.checkpoints, self.position, self.state.tensors())
        except (OSError, StorageError) as exc:
            text = f"There is no checkpoint of step {self.position.step}: {exc} Free some disk space; training goes on."
            self.progress({"event": "message", "text": text, "notice": True})

    def _save(self) -> None:
        """Write the adapter in PEFT's form."""
        from safetensors import SafetensorError

        self.model.eval()
        try:
            self.curve.flush()
            self.model.save_pretrained(self.paths.peft_dir, safe_serialization=True, save_embedding_layers=False)
        except (OSError, SafetensorError) as exc:
            self._checkpoint()
            raise StorageError(f"The adapter could not be written: {exc}", hint="Free some disk space and resume.") from exc

    def _notice(self, text: str) -> None:
        """Say something that is still worth knowing at the end."""
        self.position = replace(self.position, notices=(*self.position.notices, text))
        self.progress({"event": "message", "text": text, "notice": True})

    def _say(self, text: str) -> None:
        self.progress({"event": "message", "text": text})
