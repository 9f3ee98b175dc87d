"""Being one of several processes of a training: what a launcher tells each of them, how they meet, and when they end.

A launcher (accelerate's, torchrun, a cluster's) starts `engine.training.worker` once for each device and numbers the processes
in their environment. Where the engine itself started it (`engine.training.launcher`), they meet at a file of the run's folder,
exchange their gradients over the loopback interface, and have the engine's pipe as standard input. Where a person did, on one
machine or a cluster, they meet where that launcher says, and leave standard input alone.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
from collections.abc import Callable
from datetime import timedelta

import psutil

from engine.child_process import ORPHANED, end_with_parent
from engine.errors import TrainingError
from engine.training.loop.ranks import ALONE, Ranks, Together

RENDEZVOUS = "NEXUS_RENDEZVOUS"
"""In the environment where the engine started the processes: the file at which they meet."""
PATIENCE = timedelta(days=1)
"""How long a process waits for the others: the first one may write a large training copy or look at the model meanwhile.
One that has ended is noticed by the launcher, not by waiting."""
_POLL_MS = 1000


def rank_and_count() -> tuple[int, int]:
    """Which process this is and how many there are, by the environment: (0, 1) where no launcher says otherwise."""
    try:
        return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError as exc:
        raise TrainingError(f"RANK or WORLD_SIZE in the environment is no number: {exc}") from exc


def join() -> Ranks:
    """Meet the other processes, where there are any. PyTorch is imported only then.

    Raises:
        TrainingError: there are fewer GPUs here than processes.
    """
    rank, count = rank_and_count()
    if count < 2:
        return ALONE
    import torch
    from accelerate import PartialState

    on_gpu, place = torch.cuda.is_available(), int(os.environ.get("LOCAL_RANK", "0"))
    if on_gpu and place >= torch.cuda.device_count():
        raise TrainingError(
            f"There are more processes than the {torch.cuda.device_count()} GPUs.", hint="Start one process for each GPU."
        )
    if meeting := os.environ.get(RENDEZVOUS):
        _keep_to_loopback()
        if on_gpu:
            torch.cuda.set_device(place)
        store = torch.distributed.FileStore(meeting, count)  # type: ignore[attr-defined]  # PyTorch re-exports it without saying so
        backend = "nccl" if on_gpu else "gloo"
        torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=PATIENCE)
    state = PartialState(cpu=not on_gpu, timeout=PATIENCE)
    return Together(state.process_index, state.num_processes, state.device)


def listen(hear: Callable[[bytes], None]) -> None:
    """From now on, end at once when the launcher is gone, or the engine that started it. The first process hears wishes.

    Args:
        hear: given each line that the engine writes, on a thread of its own.
    """
    rank, count = rank_and_count()
    if count < 2:
        end_with_parent(hear)
        return
    followed = RENDEZVOUS in os.environ
    if followed and rank == 0:
        end_with_parent(hear)
    threading.Thread(target=_watch, args=(os.getppid(), followed and rank > 0), daemon=True).start()


def _watch(launcher: int, stdin: bool) -> None:
    """End this process when the launcher is no longer its parent, or standard input, which another process reads, has ended."""
    ears = select.poll() if hasattr(select, "poll") else None
    if ears is not None and stdin:
        ears.register(sys.stdin.fileno(), 0)  # not to read: only to be told that nobody writes any more
    pause = threading.Event()
    while os.getppid() == launcher:
        if ears is None:
            pause.wait(_POLL_MS / 1000)
        elif ears.poll(_POLL_MS):
            break
    os._exit(ORPHANED)


def _keep_to_loopback() -> None:
    """Have gradients exchanged on this machine alone; unless told, the libraries look the machine's name up in the network."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(each.family == socket.AF_INET and each.address == "127.0.0.1" for each in addresses):
            os.environ.update(GLOO_SOCKET_IFNAME=name, NCCL_SOCKET_IFNAME=name)
            return
