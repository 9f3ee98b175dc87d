"""Puts the default models into the models folder and checks them. Called by `make setup`; safe to run again at any time."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.config import load_settings
from engine.errors import NexusError
from engine.model_registry.defaults import install_defaults


def main() -> int:
    """Install the default models; the exit code."""
    try:
        install_defaults(load_settings().models_dir, progress=lambda line: print(line, flush=True))
    except NexusError as exc:
        print(f"error: {exc.message}", file=sys.stderr)
        if exc.hint:
            print(f"hint: {exc.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
