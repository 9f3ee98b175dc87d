"""The other side: `transformers.Trainer` and PEFT as their documentation uses them.

Labels of -100 on the prompt, padding to the longest example of a batch, logits for every token. It gets our learning rates and
our starting weights, and our batches, so that the loss curves can be compared; or with `own_batches` those that it draws
itself, at random, so that a batch's longest example pads the others as much as it does for those who use it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.training.bases.base_model import load_base
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample
from engine.training.loop.schedule import learning_rate
from scripts.finetune_bench import workload
from scripts.finetune_bench.cuda import device_memory_mb

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor
    from transformers import TrainerCallback

_IGNORED = -100
"""The label of tokens that are not learnt."""


def main(base: Path, rows: Path, config: TrainingConfig, *, bf16: bool, own_batches: bool = False) -> None:
    """Train as many steps as the settings say, and print how it went."""
    clock = train(base, workload.read_rows(rows), config, bf16=bf16, own_batches=own_batches)
    workload.report(workload.figures(clock.rates(config), clock.losses) | device_memory_mb())


def train(
    base: Path, items: Sequence[EncodedExample], config: TrainingConfig, *, bf16: bool, own_batches: bool = False
) -> Clock:
    """Train `config.max_steps` steps. `bf16` switches mixed precision on, and on a GPU bfloat16 weights."""
    import torch

    clock = Clock()
    model = _model(base, config, "bfloat16" if bf16 and torch.cuda.is_available() else "float32")
    steps = workload.batches(items, config, config.max_steps or 1)
    order = items if own_batches else [items[index] for step in steps for batch in step for index in batch]
    with tempfile.TemporaryDirectory() as folder:
        _train(model, order, config, Path(folder), clock, bf16=bf16, sampling="random" if own_batches else "sequential")
    return clock


def _model(base: Path, config: TrainingConfig, dtype: str) -> PeftModel:
    import torch
    from peft import LoraConfig, get_peft_model

    loaded = load_base(base, dtype)
    torch.manual_seed(config.seed)
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(config.target_modules),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(loaded, lora)


def _train(
    model: PeftModel,
    order: Sequence[EncodedExample],
    config: TrainingConfig,
    folder: Path,
    clock: Clock,
    *,
    bf16: bool,
    sampling: str,
) -> None:
    import torch
    from torch.optim.lr_scheduler import LambdaLR
    from transformers import Trainer, TrainingArguments

    steps = config.max_steps or 1
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        max_steps=steps,
        max_grad_norm=config.max_grad_norm,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=torch.cuda.is_available(),  # an 8B model's activations need it; a small one's on a CPU do not
        disable_tqdm=True,
        dataloader_pin_memory=False,
        train_sampling_strategy=sampling,
    )
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=1.0, weight_decay=config.weight_decay, fused=True)
    schedule = LambdaLR(optimiser, lambda step: learning_rate(step, steps, config))
    Trainer(
        model=model,
        args=arguments,
        train_dataset=list(order),
        data_collator=clock.collator(),
        optimizers=(optimiser, schedule),
        callbacks=[clock.callback()],
    ).train()


def _padded(batch: Sequence[EncodedExample]) -> dict[str, Tensor]:
    """A batch with the usual three tensors, padded on the right to its longest example."""
    import torch

    width = max(len(item.tokens) for item in batch)

    def row(values: Sequence[int], fill: int) -> list[int]:
        return [*values, *[fill] * (width - len(values))]

    return {
        "input_ids": torch.tensor([row(item.tokens, 0) for item in batch]),
        "attention_mask": torch.tensor([row([1] * len(item.tokens), 0) for item in batch]),
        "labels": torch.tensor(
            [row([_IGNORED] * item.prompt_length + list(item.tokens[item.prompt_length :]), _IGNORED) for item in batch]
        ),
    }


class Clock:
    """Seconds and loss of each step, and the tokens of each batch without padding."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.losses: list[float] = []
        self._tokens: list[int] = []

    def rates(self, config: TrainingConfig) -> list[float]:
        """Tokens of the examples for each second of each step; padding is not counted."""
        size = config.gradient_accumulation
        counts = [sum(self._tokens[step * size : (step + 1) * size]) for step in range(len(self.seconds))]
        return [count / taken for count, taken in zip(counts, self.seconds, strict=True)]

    def collator(self) -> Callable[[Sequence[EncodedExample]], dict[str, Tensor]]:
        """What the trainer makes its batches with."""

        def collate(batch: Sequence[EncodedExample]) -> dict[str, Tensor]:
            self._tokens.append(sum(len(item.tokens) for item in batch))
            return _padded(batch)

        return collate

    def callback(self) -> TrainerCallback:
        """What the trainer calls."""
        from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

        clock = self

        class Steps(TrainerCallback):  # type: ignore[misc]  # Transformers is not typed
            def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
                self.started = time.monotonic()

            def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
                clock.seconds.append(time.monotonic() - self.started)

            def on_log(
                self,
                args: TrainingArguments,
                state: TrainerState,
                control: TrainerControl,
                logs: Mapping[str, float],
                **_: object,
            ) -> None:
                if "loss" in logs:
                    clock.losses.append(float(logs["loss"]))

        return Steps()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    settings = TrainingConfig.from_json(given["config"])
    main(Path(given["base"]), Path(given["rows"]), settings, bf16=given["bf16"], own_batches=given.get("own_batches", False))
