"""Is the adapter that is served the one that was trained? Both answer the same tokens, and their predictions are compared.

The trained model runs in Transformers with dequantised weights, the served one in llama.cpp with the quantised file and the
GGUF adapter. They can never agree to the last digit: llama.cpp quantises activations as well. A wrong conversion is a
different matter.

Measured on the default model (135M, Q4_1) with an adapter of 30 facts, mean divergence in nats a token and agreement where the
margin is no tie. On the probes: right 0.013 and 100 % (0.0005 on weights in BF16); key rows in the wrong order 0.057 and 98 %;
query and key rows 0.14 and 98 %; alpha missing 0.32 and 90 %. On other answers that it had not learnt: right 0.0083 and 100 %,
rows 0.19 and 91 %, alpha 0.47 and 80 %, not attached 1.7 and 48 %. On answers that it had learnt by heart the same mistakes
pass unseen (rows 0.0054 and 100 %, alpha 0.089 and 99 %): there any adapter of the same facts is sure of itself. So what is
judged is text that was not learnt: held-out answers, and `probes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.domain import Json
from engine.llm.llamacpp.context import ContextShape, DecodingContext, Row
from engine.llm.llamacpp.library import AbortSwitch
from engine.llm.llamacpp.loaded import LoadedModel
from engine.training.datasets.encoding import EncodedExample

TIE_MARGIN = 1.0
"""Where the trained model's two best logits are nearer than this, either may come first: quantised activations move such a
margin by 0.24 on average on the default model, and by 0.93 at the 99th percentile. No right adapter disagreed above 0.86."""
MIN_TOP1 = 0.98
"""Least share of the tokens without a tie on whose best guess both must agree."""
MAX_MEAN_KL = 0.03
"""Most Kullback–Leibler divergence, in nats a token, of the served from the trained predictions: twice the most that was
measured of a right adapter, half the least of a wrong one."""

Logits = NDArray[np.float32]
Predictor = Callable[[EncodedExample], Logits]
"""Logits for each answer token of an example, teacher-forced; shape (answer tokens, vocabulary)."""
Predictions = Callable[[Sequence[EncodedExample]], Iterator[Logits]]
"""The same for each of some examples: several may be computed at once."""


@dataclass(frozen=True, slots=True)
class PromptReport:
    """Whether the same chats give the same prompt tokens: `chats` were compared.

    `served` says so of the runtime's tokens and those that were trained on; `transformers` of Transformers' chat template, None
    where no tokenizer of the base is at hand that Transformers knows.
    """

    chats: int
    served: bool
    transformers: bool | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return self.served and self.transformers is not False

    def to_json(self) -> dict[str, Json]:
        """The report as plain data."""
        return {"chats": self.chats, "served": self.served, "transformers": self.transformers}


@dataclass(frozen=True, slots=True)
class ParityReport:
    """How close the served adapter is to the trained one. `ok` is whether it may be offered.

    `decided` counts the tokens whose margin is no tie; `top1_agreement` is over those, `mean_kl` over all `tokens`.
    """

    tokens: int
    top1_agreement: float
    mean_kl: float
    decided: int
    prompts: PromptReport | None = None
    base: ParityReport | None = None
    """The same of the base alone, where it was trained before its quantisation: so much more may differ."""

    @property
    def ok(self) -> bool:
        """Whether all figures are within their bounds, and the prompts equal."""
        agreement, divergence = (1.0, 0.0) if self.base is None else (self.base.top1_agreement, self.base.mean_kl)
        close = self.top1_agreement >= MIN_TOP1 * agreement and self.mean_kl <= MAX_MEAN_KL + divergence
        return self.tokens > 0 and close and (self.prompts is None or self.prompts.ok)

    def with_prompts(self, prompts: PromptReport) -> ParityReport:
        """The report with the comparison of prompts."""
        return replace(self, prompts=prompts)

    def with_base(self, base: ParityReport) -> ParityReport:
        """The report with that of the base alone."""
        return replace(self, base=base)

    def to_json(self) -> dict[str, Json]:
        """The report as plain data, with the bounds that it was judged by."""
        return {
            "ok": self.ok,
            "tokens": self.tokens,
            "decided": self.decided,
            "top1_agreement": self.top1_agreement,
            "mean_kl": self.mean_kl if np.isfinite(self.mean_kl) else None,
            "bounds": {"tie_margin": TIE_MARGIN, "min_top1": MIN_TOP1, "max_mean_kl": MAX_MEAN_KL},
            "prompts": None if self.prompts is None else self.prompts.to_json(),
            "base": None if self.base is None else self.base.to_json(),
        }


def check_parity(trained: Iterable[Logits], served: Iterable[Logits]) -> ParityReport:
    """Compare two models' predictions for the answers of the same examples, one after the other.

    A divergence that is no number counts as infinite.
    """
    agreed = decided = tokens = 0
    divergence = 0.0
    for expected, actual in zip(trained, served, strict=True):
        clear = margins(expected) >= TIE_MARGIN
        agreed += int((expected.argmax(axis=1) == actual.argmax(axis=1))[clear].sum())
        decided += int(clear.sum())
        divergence += float(kl_divergence(expected, actual).sum())
        tokens += len(expected)
    mean = divergence / max(tokens, 1)
    agreement = agreed / decided if decided else 1.0
    return ParityReport(tokens, agreement, mean if np.isfinite(mean) else float("inf"), decided)


def margins(logits: Logits) -> NDArray[np.float32]:
    """By how much each row's best logit is above its second best."""
    best: NDArray[np.float32] = np.partition(logits, -2, axis=1)[:, -2:]
    return best[:, 1] - best[:, 0]


def kl_divergence(expected: Logits, actual: Logits) -> NDArray[np.float64]:
    """KL(expected ‖ actual) of each row's softmax, in nats, computed in float64."""
    p, q = _log_softmax(expected), _log_softmax(actual)
    divergence: NDArray[np.float64] = (np.exp(p) * (p - q)).sum(axis=1)
    return divergence


def trained_predictor(base_folder: Path, peft_dir: Path) -> Predictor:
    """Predictions of the training copy with the PEFT adapter."""
    predictions = trained_predictions(base_folder, peft_dir)[0]
    return lambda example: next(predictions([example]))


def trained_predictions(base_folder: Path, peft_dir: Path) -> tuple[Predictions, Predictions]:
    """Predictions of the training copy with the PEFT adapter, and without it, over one set of weights."""
    from engine.training.adapters.reference_model import predictions, reference_model

    model = reference_model(base_folder, peft_dir)
    return partial(predictions, model), partial(predictions, model, adapted=False)


class ServedPredictor:
    """Predictions of llama.cpp with the base file and the GGUF adapter. Use it from one thread, and close it."""

    def __init__(
        self, base_gguf: Path, adapter: Path | None, longest: int, threads: int, *, long_positions: bool = False
    ) -> None:
        """Load the weights.

        Args:
            base_gguf: the file that answers.
            adapter: attached to it.
            longest: most tokens of an example.
            threads: of the processor.
            long_positions: which factors a LongRoPE model is served with.

        Raises:
            AdapterError: llama.cpp refuses the adapter.
            ModelError: the base cannot be loaded.
        """
        self._model = LoadedModel(base_gguf, gpu_layers=0, long_positions=long_positions)
        shape = ContextShape(cells=longest, sequences=1, batch=longest, threads=threads)
        self._context = DecodingContext(self._model, shape, adapter, AbortSwitch())

    def __call__(self, example: EncodedExample) -> Logits:
        """See `Predictor`."""
        first = example.prompt_length - 1  # the token before the answer predicts its first one
        tokens = example.tokens[:-1]
        self._context.keep_prefix(0, 0)
        self._context.decode([Row(token, at, 0, at >= first) for at, token in enumerate(tokens)])
        return np.stack([self._context.logits(at).copy() for at in range(first, len(tokens))])

    def close(self) -> None:
        """Free the context, the adapter and the weights."""
        self._context.close()
        self._model.close()


def _log_softmax(logits: Logits) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
