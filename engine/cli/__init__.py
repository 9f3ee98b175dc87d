"""The command line: `nexus …`, every capability of the engine, scriptable with `--json`.

Lives here: one file for each group of commands, what they share (`command`, `output`, `following`, `shapes`), and nothing that
decides anything: a command asks the engine for one thing and prints what it gives. Modules of this package
import nothing heavy, so that `nexus --help` answers at once.

Exit codes: 0; 1 when a job failed or an error was raised, in JSON mode as `{"error": {"code", "message", "hint"}}` on stdout;
2 for wrong usage (an unknown command or option, a missing argument); 130 after Ctrl-C.
"""

from __future__ import annotations


def main() -> None:
    """The entry point of the `nexus` program."""
    from engine.cli.root import root

    root()
