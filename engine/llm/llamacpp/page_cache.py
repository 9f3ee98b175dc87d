"""Bringing a file into memory piece by piece, so that it can be given up."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path

_POPULATE_READ = 22
"""MADV_POPULATE_READ: have pages in memory. Linux knows it since 5.14; before that nothing is read here."""

_PIECE = 64 << 20
"""Bytes between two looks whether to go on: less than half a second from a slow disk. A multiple of any page size."""


def read_ahead(path: Path, stop: Callable[[], bool]) -> bool:
    """Have a file in the system's page cache. False where it was given up.

    llama.cpp maps the weights in one system call that reads all of the file and that nothing can end. Of a file that is in
    memory already this takes some milliseconds a gigabyte. Where it cannot be done it is left to llama.cpp.
    """
    if sys.platform != "linux":
        return not stop()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as view:
            return _populate(view, stop)
    except (OSError, ValueError):
        return not stop()


def _populate(view: mmap.mmap, stop: Callable[[], bool]) -> bool:
    start = ctypes.addressof(ctypes.c_char.from_buffer(view))
    library = ctypes.CDLL(None, use_errno=True)  # unlike `mmap.madvise` it lets other threads run meanwhile
    for offset in range(0, len(view), _PIECE):
        if stop():
            return False
        size = min(_PIECE, len(view) - offset)
        if library.madvise(ctypes.c_void_p(start + offset), ctypes.c_size_t(size), _POPULATE_READ):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return True
