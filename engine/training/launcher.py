"""`accelerate launch` of the worker on this machine: `python -m engine.training.launcher RUN_DIR PROCESSES`.

Accelerate's own launcher, kept to this machine. By itself it opens a port for all interfaces, where the processes meet, and
looks the machine's name up. Here they meet at files of the run's folder, and no name is looked up.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import TrainingError
from engine.machine import usable_physical_cores
from engine.training.group import RENDEZVOUS

WORKER = "engine.training.worker"
FOLDER = "meeting"
"""In the run's folder, while the processes run: where they meet."""
BY_SIGNAL = 128
"""What a status is greater than, as shells have it, where a process was ended by a signal."""


def main(run_dir: Path, processes: int) -> int:
    """Start the worker so many times and wait. Returns the exit status; `BY_SIGNAL` and a signal's number if one was killed.

    Raises:
        OSError: the disk refused.
    """
    socket.getfqdn = lambda name="": "localhost"  # asked for reports of failures, and answered by a server in the network
    with _meeting(run_dir / FOLDER) as folder:
        os.environ.update(_environment(folder))
        return _launch(_arguments(run_dir, processes, folder))


def _launch(arguments: list[str]) -> int:
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        launch_command(launch_command_parser().parse_args(arguments))
    except ChildFailedError as exc:
        return _status([failure.exitcode for failure in exc.failures.values()])
    return 0


def _arguments(run_dir: Path, processes: int, folder: Path) -> list[str]:
    """What `accelerate launch` is told. Everything is said, so that no settings file of the person's changes it."""
    threads = max(1, usable_physical_cores() // processes)
    said = {
        "num_processes": processes,
        "num_machines": 1,
        "machine_rank": 0,
        "main_process_ip": "127.0.0.1",
        "main_process_port": _free_port(),  # only looked at: nobody listens there
        "rdzv_backend": "c10d",
        "rdzv_conf": "store_type=file",
        "mixed_precision": "no",
        "dynamo_backend": "no",
        "gpu_ids": "all",
        "log_dir": folder / "log",
        "num_cpu_threads_per_process": threads,
    }
    return [
        "--multi_gpu",  # without GPUs too: it stands for several processes on a machine
        *(f"--{name}={value}" for name, value in said.items()),
        "--module",
        WORKER,
        str(run_dir.absolute()),
    ]


def _free_port() -> int:
    """A port of the loopback interface at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(folder: Path) -> dict[str, str]:
    """What the launcher's libraries and the worker find in the environment besides."""
    return {
        RENDEZVOUS: str(folder / "workers"),
        "PET_RDZV_ENDPOINT": str(folder / "launcher"),
        "PET_LOCAL_ADDR": "127.0.0.1",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "PYTHONSAFEPATH": "1",  # nothing of the working folder is imported
    }


@contextmanager
def _meeting(folder: Path) -> Iterator[Path]:
    """An empty folder, removed afterwards: what a run that was killed left there would confuse the next."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder.absolute()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _status(codes: list[int]) -> int:
    """The status for those of the processes that failed. A signal that was not sent by the launcher itself is what began it."""
    signals = [-code for code in codes if code < 0 and -code != signal.SIGTERM]
    return BY_SIGNAL + signals[0] if signals else 1


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise TrainingError("usage: python -m engine.training.launcher RUN_DIR PROCESSES")
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
