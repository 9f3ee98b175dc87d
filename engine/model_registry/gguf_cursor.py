"""A cursor over the header of a GGUF file: numbers, texts, arrays, each checked against the size of the file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path

from engine.errors import ModelFileError

MAX_ALL_TEXT = 32 << 20
"""Bytes of all texts together, those in arrays apart."""

HINT = "The file is damaged or not a model. Download or export it again."

_BLOCK = 1 << 20
"""Bytes that are read at once."""
_LENGTH = struct.Struct("<Q")


@contextmanager
def opened(path: Path) -> Iterator[Cursor]:
    """A cursor at the beginning of a file.

    Raises:
        ModelFileError: the file cannot be opened or read.
    """
    try:
        with path.open("rb", buffering=0) as file:
            size = file.seek(0, 2)
            yield Cursor(file, size, path.name)
    except OSError as exc:
        raise ModelFileError(f"{path.name} cannot be read: {exc.strerror}", hint="Check the path and its permissions.") from exc


class Cursor:
    """A place in a file. Every method raises ModelFileError on what is out of bounds."""

    def __init__(self, file: RawIOBase, size: int, name: str) -> None:
        self.size = size
        self.name = name
        self.at = 0
        self._file = file
        self._buffer = b""
        self._buffer_at = 0
        self._text_left = MAX_ALL_TEXT

    def u32(self) -> int:
        """The next unsigned number of four bytes."""
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        """The next unsigned number of eight bytes."""
        return int.from_bytes(self.take(8), "little")

    def number(self, code: str) -> int | float | bool:
        """The next number, by its letter in `struct`."""
        return self.numbers(code, 1)[0]

    def numbers(self, code: str, length: int) -> tuple[int | float | bool, ...]:
        """The next `length` numbers, by their letter in `struct`."""
        return struct.unpack(f"<{length}{code}", self.take(length * struct.calcsize(f"<{code}")))

    def string(self, limit: int) -> str:
        """The next text of at most `limit` bytes."""
        length = self.u64()
        self._text_left -= length
        if length > limit or self._text_left < 0:
            raise self.error(f"a text of {length} bytes")
        return self.take(length).decode("utf-8", "replace")

    def count(self, limit: int, what: str) -> int:
        """The next number of eight bytes, as a count of what follows."""
        count = self.u64()
        # Each item takes a byte at least, so that a count beyond the file's end is a lie.
        if count > limit or count > self.size - self.at:
            raise self.error(f"{count} {what}")
        return count

    def take(self, length: int) -> bytes:
        """The next bytes."""
        self._fill(length)
        at = self.at - self._buffer_at
        self.at += length
        return self._buffer[at : at + length]

    def skip(self, length: int) -> None:
        """Leave bytes out."""
        if length > self.size - self.at:
            raise self._end()
        self.at += length

    def skip_strings(self, length: int) -> None:
        """Leave texts out. A vocabulary has a hundred thousand, so this does in one loop what takes four calls for each."""
        while length:
            self._fill(8)
            buffer, at = self._buffer, self.at - self._buffer_at
            last = len(buffer) - 8
            while length and at <= last:
                at += 8 + _LENGTH.unpack_from(buffer, at)[0]
                length -= 1
            self.skip(at - (self.at - self._buffer_at))

    def error(self, what: str) -> ModelFileError:
        """What is wrong with the file, to be raised."""
        return ModelFileError(f"{self.name} is not a sound GGUF file: {what}.", hint=HINT)

    def _end(self) -> ModelFileError:
        return self.error("it ends in the middle of its header")

    def _fill(self, length: int) -> None:
        """Have the next `length` bytes in the buffer."""
        if length > self.size - self.at:
            raise self._end()
        at = self.at - self._buffer_at
        if at >= 0 and at + length <= len(self._buffer):
            return
        self._file.seek(self.at)
        self._buffer, self._buffer_at = self._read(max(length, _BLOCK)), self.at
        if len(self._buffer) < length:
            raise self._end()

    def _read(self, length: int) -> bytes:
        """`length` bytes; fewer at the end of the file. A call may give less than was asked for."""
        blocks: list[bytes] = []
        while length and (block := self._file.read(length)):
            blocks.append(block)
            length -= len(block)
        return b"".join(blocks)
