"""Puts the default models into the models folder, checks them, and decides in which weight format they are fastest here.

Called by `make setup`; safe to run again at any time.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.config import load_settings
from engine.errors import NexusError
from engine.llm.llamacpp.weights.copies import WeightCopies
from engine.model_registry.defaults import CHAT_MODEL, install_defaults


def main() -> int:
    """Install the default models; the exit code."""
    try:
        settings = load_settings()
        install_defaults(settings.models_dir, progress=lambda line: print(line, flush=True))
    except NexusError as exc:
        print(f"error: {exc.message}", file=sys.stderr)
        if exc.hint:
            print(f"hint: {exc.hint}", file=sys.stderr)
        return 1
    # Done now, in seconds, so that no first answer has to wait for it.
    model = next(settings.models_dir / part for part in CHAT_MODEL.files)
    served = WeightCopies(settings.cache_dir).served(model, settings.weights)
    print(f"{model.stem}: {'used as it is' if served == model else f'a faster copy is used, {served.name[65:-5]}'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
