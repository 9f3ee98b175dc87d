"""LoRA training with Transformers and PEFT: runs on a CPU as on a GPU.

A loop of our own, not `transformers.Trainer`: it computes logits for answer tokens only (with a vocabulary of 49,000 the
output layer is a fifth of a small model's work), and it resumes from safetensors on the exact same loss curve.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.domain import Json
from engine.errors import TrainingError
from engine.training.checkpoint import Position, load_checkpoint, save_checkpoint, truncate_metrics
from engine.training.config import TrainingConfig
from engine.training.encoding import EncodedExample
from engine.training.lora_model import answer_loss, lora_model
from engine.training.schedule import learning_rate, step_batches, steps_per_epoch, total_steps
from engine.training.trainer import Progress, TrainingData, TrainingPaths, TrainingResult

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class PeftTrainer:
    """The strategy that is always there."""

    name = "peft"

    def train(self, data: TrainingData, config: TrainingConfig, paths: TrainingPaths, progress: Progress) -> TrainingResult:
        """See `Trainer.train`."""
        import torch

        try:
            run = _Run(data, config, paths, progress)
            run.resume()
            stopped = run.finish()
        except torch.OutOfMemoryError as exc:
            raise TrainingError(
                "The device ran out of memory.", hint="Use a smaller batch, shorter examples or a smaller model."
            ) from exc
        return TrainingResult(paths.peft_dir, tuple(run.curve), stopped)


class _Run:
    """One training: model, optimiser, position and loss curve."""

    def __init__(self, data: TrainingData, config: TrainingConfig, paths: TrainingPaths, progress: Progress) -> None:
        import torch

        self.train, self.held_out = data.train.items, data.held_out.items
        self.config, self.paths, self.progress = config, paths, progress
        self.model = lora_model(paths, config)
        self.weights: dict[str, torch.nn.Parameter] = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        # `fused`: one pass over hundreds of small matrices, instead of a dozen operations on each
        self.optimiser = torch.optim.AdamW(
            self.weights.values(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.steps = total_steps(len(self.train), config)
        self.per_epoch = steps_per_epoch(len(self.train), config)
        self.lengths = [len(item.tokens) for item in self.train]
        self.position = Position(0, _fingerprint(self.train, self.held_out, config))
        self.best: dict[str, Tensor] = {}
        self.curve: list[dict[str, Json]] = []

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        found = load_checkpoint(self.paths.checkpoints, self.position.fingerprint)
        if found is None:
            self.curve = truncate_metrics(self.paths.metrics, 0)
            return
        self.position, tensors = found
        self._restore(tensors)
        self.curve = truncate_metrics(self.paths.metrics, self.position.step)
        self.progress({"event": "message", "text": f"Resumed at step {self.position.step} of {self.steps}."})

    def finish(self) -> bool:
        """Take the steps that are left and save the adapter. Returns whether it stopped before the last step."""
        self.model.train()
        while self.position.step < self.steps and not self._good_enough():
            self._advance()
        if self.best:
            self._set_weights(self.best)
        self.model.eval()
        self.model.save_pretrained(self.paths.peft_dir, safe_serialization=True, save_embedding_layers=False)
        return self.position.step < self.steps

    def _advance(self) -> None:
        """One step: update, measure, report, and write a checkpoint when it is time."""
        started = time.monotonic()
        step = self.position.step
        rate = learning_rate(step, self.steps, self.config)
        loss, tokens = self._update(step_batches(self.lengths, self.config, step), rate)
        self.position = replace(self.position, step=step + 1)
        eval_loss = self._measure() if self._time_to_measure() else None
        seconds = time.monotonic() - started
        row: dict[str, Json] = {
            "step": step + 1,
            "epoch": step // self.per_epoch,
            "loss": loss,
            "eval_loss": eval_loss,
            "learning_rate": rate,
            "tokens_per_s": tokens / seconds,
            "seconds": seconds,
        }
        self._record(row)
        if (step + 1) % self.config.checkpoint_every == 0 and step + 1 < self.steps:
            save_checkpoint(self.paths.checkpoints, self.position, self._state())

    def _update(self, batches: Sequence[Sequence[int]], rate: float) -> tuple[float, int]:
        """Gradients of the step's batches, clipped and applied. Returns the mean loss an answer token, and all tokens."""
        import torch

        examples = [[self.train[index] for index in batch] for batch in batches]
        answers = sum(item.answer_length for batch in examples for item in batch)
        total = 0.0
        for batch in examples:
            loss = answer_loss(self.model, batch) / answers
            torch.autograd.backward(loss)
            total += float(loss.detach())
        if not math.isfinite(total):
            raise TrainingError(f"The loss became {total}.", hint="Use a lower learning rate.")
        torch.nn.utils.clip_grad_norm_(self.weights.values(), self.config.max_grad_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return total, sum(len(item.tokens) for batch in examples for item in batch)

    def _time_to_measure(self) -> bool:
        """Whether the held-out loss is due after this step."""
        step = self.position.step
        return bool(self.held_out) and (step % self.config.eval_every == 0 or step == self.steps)

    def _measure(self) -> float:
        """Mean loss of a held-out answer token; keeps the best weights where early stopping may return to them."""
        import torch

        self.model.eval()
        total = 0.0
        with torch.inference_mode():
            for item in self.held_out:
                total += float(answer_loss(self.model, [item]))
        self.model.train()
        loss = total / sum(item.answer_length for item in self.held_out)
        if self.position.best_eval is None or loss < self.position.best_eval:
            self.position = replace(self.position, best_eval=loss, looks_without_gain=0)
            if self.config.early_stopping_patience:
                self.best = {name: weight.detach().clone() for name, weight in self.weights.items()}
        else:
            self.position = replace(self.position, looks_without_gain=self.position.looks_without_gain + 1)
        return loss

    def _good_enough(self) -> bool:
        """Whether to stop early: no more gain on the held-out part, or an epoch's loss below the aim."""
        if 0 < self.config.early_stopping_patience <= self.position.looks_without_gain:
            return True
        epoch = self.curve[-self.per_epoch :]
        if self.config.stop_at_loss <= 0 or len(epoch) < self.per_epoch or self.position.step % self.per_epoch:
            return False
        return sum(float(str(row["loss"])) for row in epoch) / len(epoch) < self.config.stop_at_loss

    def _record(self, row: dict[str, Json]) -> None:
        """Append a step to the curve and the metrics file, and report it."""
        self.curve.append(row)
        with self.paths.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        recent = [float(str(past["seconds"])) for past in self.curve[-20:]]
        eta = (self.steps - self.position.step) * sum(recent) / len(recent)
        self.progress({"event": "progress", **row, "steps": self.steps, "eta_s": eta})

    def _state(self) -> dict[str, Tensor]:
        """Everything the next step depends on."""
        import torch

        state = {"rng": torch.get_rng_state()}
        for name, weight in self.weights.items():
            moments = self.optimiser.state[weight]
            state[f"weight/{name}"] = weight.detach()
            state[f"first/{name}"] = moments["exp_avg"]
            state[f"second/{name}"] = moments["exp_avg_sq"]
        return state | {f"best/{name}": weight for name, weight in self.best.items()}

    def _restore(self, state: Mapping[str, Tensor]) -> None:
        """The reverse of `_state`."""
        import torch

        self._set_weights({name: state[f"weight/{name}"] for name in self.weights})
        for name, weight in self.weights.items():
            self.optimiser.state[weight] = {
                "step": torch.tensor(float(self.position.step)),
                "exp_avg": state[f"first/{name}"].to(weight.device),
                "exp_avg_sq": state[f"second/{name}"].to(weight.device),
            }
        self.best = {key.removeprefix("best/"): tensor for key, tensor in state.items() if key.startswith("best/")}
        torch.set_rng_state(state["rng"])

    def _set_weights(self, values: Mapping[str, Tensor]) -> None:
        """Overwrite the LoRA matrices."""
        import torch

        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(values[name])


def _fingerprint(train: Sequence[EncodedExample], held_out: Sequence[EncodedExample], config: TrainingConfig) -> str:
    """A hash of the settings and all tokens: what a checkpoint must agree with."""
    digest = hashlib.sha256(config.fingerprint().encode())
    for group in (train, held_out):
        digest.update(json.dumps([[item.tokens, item.prompt_length] for item in group]).encode())
    return digest.hexdigest()[:16]
