"""`nexus app` and `nexus doctor`: start the pages, and see whether this machine is fit for them."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from engine.cli.command import Run, command

ADVISORY = frozenset({"Port", "GPU"})
"""Checks that are good to know about and stop nothing."""


def register(root: typer.Typer) -> None:
    """Add the commands."""
    command(root, "app")(app)
    command(root, "doctor")(doctor)


def app(run: Run, port: Annotated[int, typer.Option(min=1, max=65535, metavar="N", help="Port on 127.0.0.1.")] = 8501) -> None:
    """Open the app in the browser. It listens on this machine only."""
    from engine.config import PROJECT_ROOT

    environment = {**os.environ, "NEXUS_HOME": str(run.settings.home)}
    arguments = ["--server.address=127.0.0.1", f"--server.port={port}", "--browser.gatherUsageStats=false"]
    arguments.append(f"--server.maxUploadSize={math.ceil(run.settings.max_document_mb)}")  # whole MB; the engine is exact
    run.out.note(f"AI Nexus is at http://127.0.0.1:{port}; Ctrl-C ends it.")
    os.chdir(PROJECT_ROOT)
    # This process becomes the server, so that signals reach it directly.
    os.execve(sys.executable, [sys.executable, "-m", "streamlit", "run", "app", *arguments], environment)  # noqa: S606


def doctor(run: Run) -> None:
    """Check what AI Nexus needs on this machine; ends with 1 when something that it cannot do without is missing."""
    from engine.hardware import doctor as examine
    from engine.hardware import fit_default
    from engine.machine import Machine

    machine = Machine(run.settings.home)
    checks = [{**asdict(check), "required": check.name not in ADVISORY} for check in examine(run.settings, machine)]
    ok = all(check["ok"] for check in checks if check["required"])
    if run.out.as_json:
        run.out.record({"ok": ok, "checks": checks, "plan": fit_default(run.settings, machine)})
    else:
        run.out.records(checks, ("ok", "name", "detail", "hint"), empty="Nothing was checked.")
        run.out.text("\n")
        run.out.records(
            fit_default(run.settings, machine), ("setting", "value", "reason"), empty="The default model cannot be read."
        )
    if not ok:
        raise typer.Exit(1)
