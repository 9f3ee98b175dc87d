"""llama.cpp itself: imported on first use, its log silenced, its abort switch.

llama.cpp logs to standard error and cannot be told to stop a decode that has begun, unless both are set up; the callbacks
given to it must live as long as the process does.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import logging
import os
from functools import lru_cache
from types import ModuleType

logger = logging.getLogger(__name__)

_LOG_LEVELS = {4: logging.INFO}
"""GGML_LOG_LEVEL_ERROR, 4 since October 2024, is worth a line; whoever called gets an exception. All else is for finding
bugs."""

_SPIN_COUNT = "1000"
"""How often a thread of llama.cpp's OpenMP team looks before it sleeps until the others are there, some hundred times a
token. GNU's default is to spin for milliseconds, which on a machine with other work made decoding ten times slower (1.5
against 12 tokens a second on two busy cores). It is read when OpenMP is loaded."""

_kept_callbacks: list[object] = []
"""Callbacks that llama.cpp holds: Python must never collect them."""


@lru_cache(maxsize=1)
def load_library() -> ModuleType:
    """The module `llama_cpp.llama_cpp`, ready for use. The first call loads the shared library.

    Thread-safe; a second caller may run the set-up again, which does no harm.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPIN_COUNT)
    import llama_cpp.llama_cpp as library

    def forward(level: int, text: bytes, _user_data: int) -> None:
        logger.log(_LOG_LEVELS.get(level, logging.DEBUG), text.decode("utf-8", "replace").rstrip())

    callback = library.llama_log_callback(forward)
    _kept_callbacks.append(callback)
    library.llama_log_set(callback, None)
    library.llama_backend_init()
    module: ModuleType = library
    return module


def library_version() -> str:
    """The version of the package that llama.cpp came with."""
    return importlib.metadata.version("llama_cpp_python")


class AbortSwitch:
    """A switch that any thread may throw to make a decode that is under way return.

    llama.cpp asks a callback between two graph nodes. A Python callback would wait for the interpreter lock each time, so
    libc's `strlen` is the callback: of a buffer with one non-zero byte it is 1, "abort", and of an empty one 0, "go on".
    """

    def __init__(self) -> None:
        self._flag = ctypes.create_string_buffer(2)

    @property
    def thrown(self) -> bool:
        """Whether decodes are to end."""
        return self._flag[0] != b"\x00"

    def throw(self) -> None:
        """Abort all decodes from now on."""
        self._flag[0] = b"\x01"

    def release(self) -> None:
        """Let decodes go on from now on."""
        self._flag[0] = b"\x00"

    def attach(self, context: int) -> None:
        """Let this switch abort the decodes of a llama.cpp context; the switch must outlive it."""
        library = load_library()
        callback = ctypes.cast(_c_library().strlen, library.ggml_abort_callback)
        library.llama_set_abort_callback(context, callback, ctypes.addressof(self._flag))


def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL("msvcrt") if os.name == "nt" else ctypes.CDLL(None)
