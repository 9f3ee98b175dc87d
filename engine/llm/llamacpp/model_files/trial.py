"""The first load of a model or adapter that nobody has vouched for, in a process of its own.

Run as `python -m engine.llm.llamacpp.model_files.trial MODEL [--adapter FILE] --gpu-layers N --threads N`. It loads the
vocabulary and the weights, tokenises texts that have made tokenisers fail, decodes a few tokens in two sequences, looks at
every logit, and prints one line of JSON: `{"ok": true}`, or the message and hint of what is wrong. A file that makes
llama.cpp crash ends this process and no other. The parent's side is `trial_process`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.child_process import end_with_parent
from engine.domain import Json
from engine.errors import ModelFileError, NexusError
from engine.llm.llamacpp.context import ContextShape, DecodingContext, Row
from engine.llm.llamacpp.library import AbortSwitch
from engine.llm.llamacpp.loaded import LoadedModel
from engine.llm.llamacpp.tokens import Token, Vocabulary

PROBES = (
    "The cat sat on the mat, and 12345 others: didn't they?\n\n\t  ",
    "".join(map(chr, range(256))),
    "Ω≈ç√ 漢字かな 한국어 עברית हिन्दी 👩‍👩‍👧 \u200b\ufeff\ue000\U0010ffff",
    " " * 3000 + "a" * 3000 + "9" * 3000 + "!" * 3000,
)
"""Texts with every byte, with scripts of many kinds, and with long runs."""

_SHAPE_CELLS = 256
_PROMPT_TOKENS = 16
_STEPS = 2
_NICENESS = 10


def try_model(path: Path, *, adapter: Path | None, gpu_layers: int, threads: int) -> None:
    """Load a model, with an adapter where one is given, and decode with it.

    Raises:
        NexusError: the files cannot be used.
    """
    vocabulary = Vocabulary(path)
    prompt = _tokenise_probes(vocabulary)
    model = LoadedModel(path, gpu_layers)
    context = DecodingContext(model, ContextShape(_SHAPE_CELLS, 2, _SHAPE_CELLS, threads), adapter, AbortSwitch())
    _decode(context, prompt, copies=model.keeps_history)
    context.close()
    model.close()
    vocabulary.close()


def _tokenise_probes(vocabulary: Vocabulary) -> list[Token]:
    """The beginning of a prompt, after every way of asking for tokens was tried."""
    for probe in PROBES:
        vocabulary.text_of(vocabulary.tokenise(probe))
        vocabulary.tokenise(probe, special=True)
    tokens = vocabulary.tokenise(PROBES[0])[:_PROMPT_TOKENS]
    if not tokens or max(tokens) >= vocabulary.size:
        raise ModelFileError("The tokeniser makes no tokens of a plain text.", hint="Get the file again.")
    return tokens


def _decode(context: DecodingContext, prompt: Sequence[Token], *, copies: bool) -> None:
    end = len(prompt)
    context.decode([Row(token, at, 0, True) for at, token in enumerate(prompt)])
    *_, following = [_best(context, at) for at in range(end)]
    if copies:
        context.copy_prefix(0, 1, end)
    for step in range(_STEPS):
        rows = [Row(following, end + step, sequence, True) for sequence in range(2 if copies else 1)]
        context.decode(rows)
        following, *_ = [_best(context, index) for index in range(len(rows))]


def _best(context: DecodingContext, row: int) -> Token:
    logits = context.logits(row)
    if np.isnan(logits).any() or np.isposinf(logits).any() or not np.isfinite(logits).any():
        raise ModelFileError("The weights are damaged: they give no numbers.", hint="Get the file again.")
    return int(logits.argmax())


def main() -> int:
    """Try the files that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--gpu-layers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    _be_humble()
    try:
        try_model(arguments.model, adapter=arguments.adapter, gpu_layers=arguments.gpu_layers, threads=arguments.threads)
    except NexusError as exc:
        _report({"error": {"message": exc.message, "hint": exc.hint}})
        return 1
    _report({"ok": True})
    return 0


def _report(result: Json) -> None:
    """Print the result as a line of its own, whatever was printed before."""
    sys.stdout.write(f"\n{json.dumps(result)}\n")
    sys.stdout.flush()


def _be_humble() -> None:
    """Let everybody else go first, be the first to go when memory is short, leave no core file, and end with the parent."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    end_with_parent()


if __name__ == "__main__":
    # Not through the interpreter's own end, which may wait for threads of llama.cpp.
    status = main()
    os._exit(status)
