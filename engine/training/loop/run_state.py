"""What the steps of a training change: LoRA matrices, the optimiser's moments, random numbers, and the best matrices so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.training.config import TrainingConfig
from engine.training.loop.ranks import Ranks

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from torch import Tensor


class RunState:
    """The state of one training, to and from tensors of a checkpoint."""

    def __init__(self, model: PeftModel, config: TrainingConfig) -> None:
        """Begin anew with the model's matrices as they are."""
        import torch

        self.weights: dict[str, torch.nn.Parameter] = {n: p for n, p in model.named_parameters() if p.requires_grad}
        # `fused`: one pass over hundreds of small matrices, instead of a dozen operations on each
        self.optimiser = torch.optim.AdamW(
            self.weights.values(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.best: dict[str, Tensor] = {}

    def apply_gradients(self, rate: float) -> None:
        """One step of the optimiser; the gradients are used up."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.drop_gradients()

    def drop_gradients(self) -> None:
        """Forget the gradients and free their memory."""
        self.optimiser.zero_grad(set_to_none=True)

    def keep_as_best(self) -> None:
        """Remember the matrices as they are now."""
        self.best = {name: weight.detach().clone() for name, weight in self.weights.items()}

    def take_best(self) -> None:
        """Go back to the best matrices, if any were kept."""
        if self.best:
            self._set_weights(self.best)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that the next step depends on."""
        state = random_state()
        for name, weight in self.weights.items():
            moments = self.optimiser.state[weight]
            state[f"weight/{name}"] = weight.detach()
            state[f"first/{name}"] = moments["exp_avg"]
            state[f"second/{name}"] = moments["exp_avg_sq"]
        return state | {f"best/{name}": weight for name, weight in self.best.items()}

    def restore(self, state: Mapping[str, Tensor], step: int) -> None:
        """The reverse of `tensors`, after `step` steps."""
        import torch

        self._set_weights({name: state[f"weight/{name}"] for name in self.weights})
        for name, weight in self.weights.items():
            self.optimiser.state[weight] = {
                "step": torch.tensor(float(step), device=weight.device),
                "exp_avg": state[f"first/{name}"].to(weight.device),
                "exp_avg_sq": state[f"second/{name}"].to(weight.device),
            }
        self.best = {
            name: state[f"best/{name}"].to(weight.device) for name, weight in self.weights.items() if f"best/{name}" in state
        }
        set_random_state(state)

    def spread(self, ranks: Ranks, step: int) -> None:
        """Take the first process's matrices and moments after `step` steps. What was best stays with that process."""
        import torch

        ranks.spread(weight.detach() for weight in self.weights.values())
        if not step:
            return
        for weight in self.weights.values():
            if not ranks.leads:
                moments = {name: torch.zeros_like(weight) for name in ("exp_avg", "exp_avg_sq")}
                self.optimiser.state[weight] = {"step": torch.tensor(float(step), device=weight.device), **moments}
            ranks.spread([self.optimiser.state[weight]["exp_avg"], self.optimiser.state[weight]["exp_avg_sq"]])

    def _set_weights(self, values: Mapping[str, Tensor]) -> None:
        import torch

        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(values[name])


def random_state() -> dict[str, Tensor]:
    """The state of PyTorch's random numbers, on the processor and on the GPU in use."""
    import torch

    state = {"rng": torch.get_rng_state()}
    return state | {"rng/cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else state


def set_random_state(state: Mapping[str, Tensor]) -> None:
    """The reverse of `random_state`."""
    import torch

    torch.set_rng_state(state["rng"])
    if "rng/cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["rng/cuda"])
