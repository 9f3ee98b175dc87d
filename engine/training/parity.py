"""Is the adapter that is served the one that was trained? Both answer the same tokens, and their predictions are compared.

The trained model runs in Transformers with dequantised weights, the served one in llama.cpp with the quantised file and the
GGUF adapter. They can never agree to the last digit: llama.cpp quantises activations as well. A wrong conversion is a
different matter. Measured on the default model, a right adapter agrees on every best guess, and diverges by 0.0002 nats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.domain import Json
from engine.llm.llamacpp.context import ContextShape, DecodingContext, Row
from engine.llm.llamacpp.library import AbortSwitch
from engine.llm.llamacpp.loaded import LoadedModel
from engine.training.encoding import EncodedExample

MIN_TOP1 = 0.9
"""Least share of answer tokens on whose best guess both must agree."""
MAX_MEAN_KL = 0.1
"""Most Kullback–Leibler divergence, in nats a token, of the served from the trained predictions."""

Logits = NDArray[np.float32]
Predictor = Callable[[EncodedExample], Logits]
"""Logits for each answer token of an example, teacher-forced; shape (answer tokens, vocabulary)."""


@dataclass(frozen=True, slots=True)
class ParityReport:
    """How close the served adapter is to the trained one. `ok` is whether it may be offered."""

    tokens: int
    top1_agreement: float
    mean_kl: float

    @property
    def ok(self) -> bool:
        """Whether both figures are within their bounds."""
        return self.tokens > 0 and self.top1_agreement >= MIN_TOP1 and self.mean_kl <= MAX_MEAN_KL

    def to_json(self) -> dict[str, Json]:
        """The report as plain data."""
        return {"ok": self.ok, "tokens": self.tokens, "top1_agreement": self.top1_agreement, "mean_kl": self.mean_kl}


def check_parity(trained: Predictor, served: Predictor, examples: Sequence[EncodedExample]) -> ParityReport:
    """Compare two predictors on the answer tokens of some examples."""
    agreed = tokens = 0
    divergence = 0.0
    for example in examples:
        expected, actual = trained(example), served(example)
        agreed += int((expected.argmax(axis=1) == actual.argmax(axis=1)).sum())
        divergence += float(kl_divergence(expected, actual).sum())
        tokens += len(expected)
    return ParityReport(tokens, agreed / max(tokens, 1), divergence / max(tokens, 1))


def kl_divergence(expected: Logits, actual: Logits) -> NDArray[np.float64]:
    """KL(expected ‖ actual) of each row's softmax, in nats, computed in float64."""
    p, q = _log_softmax(expected), _log_softmax(actual)
    divergence: NDArray[np.float64] = (np.exp(p) * (p - q)).sum(axis=1)
    return divergence


def trained_predictor(base_folder: Path, peft_dir: Path) -> Predictor:
    """Predictions of the dequantised base with the PEFT adapter."""
    import torch
    from peft import PeftModel

    from engine.training.base_model import load_base
    from engine.training.lora_model import answer_logits

    model = PeftModel.from_pretrained(load_base(base_folder, "float32"), peft_dir, local_files_only=True).eval()

    def predict(example: EncodedExample) -> Logits:
        with torch.inference_mode():
            logits: Logits = answer_logits(model, [example])[0].numpy()
        return logits

    return predict


class ServedPredictor:
    """Predictions of llama.cpp with the base file and the GGUF adapter. Use it from one thread, and close it."""

    def __init__(self, base_gguf: Path, adapter: Path | None, longest: int, threads: int) -> None:
        """Load the weights; `longest` is the most tokens of an example.

        Raises:
            AdapterError: llama.cpp refuses the adapter.
            ModelError: the base cannot be loaded.
        """
        self._model = LoadedModel(base_gguf, gpu_layers=0)
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
