"""Things on the disk while a document is read, so that a long one takes no more memory than a short one."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

from engine.domain import Block, BlockKind, Chunk, Json, LineBox, Page

T = TypeVar("T")
_IN_MEMORY_BYTES = 1024 * 1024


class Spool(Generic[T]):
    """Things in the order in which they were added; may be gone through any number of times. The file goes at the end."""

    def __init__(self, pack: Callable[[T], Json], unpack: Callable[[Json], T]) -> None:
        """`pack` turns a thing into plain data, `unpack` turns it back."""
        self._pack = pack
        self._unpack = unpack
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by __exit__
        self._end = 0
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def add(self, thing: T) -> None:
        """Put something at the end."""
        self._file.seek(self._end)
        self._end += self._file.write(json.dumps(self._pack(thing)).encode() + b"\n")
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        position = 0
        while position < self._end:
            self._file.seek(position)
            data = self._file.readline()
            position += len(data)
            yield self._unpack(json.loads(data))


def page_spool() -> Spool[Page]:
    """A spool of pages."""
    return Spool(_packed, _unpacked)


def chunk_spool() -> Spool[Chunk]:
    """A spool of chunks."""
    return Spool(_packed_chunk, _unpacked_chunk)


def _packed_chunk(chunk: Chunk) -> Json:
    path: list[Json] = list(chunk.heading_path)
    return [chunk.id, chunk.document_id, chunk.index, chunk.page, chunk.start, chunk.end, chunk.text, path]


def _unpacked_chunk(packed: Json) -> Chunk:
    *values, path = cast("tuple[str, str, int, int, int, int, str, list[str]]", packed)
    identifier, document_id, index, page, start, end, text = cast("tuple[str, str, int, int, int, int, str]", tuple(values))
    return Chunk(identifier, document_id, index, page, start, end, text, tuple(path))


def _packed(page: Page) -> Json:
    blocks: list[Json] = [
        [
            block.kind.value,
            block.start,
            block.end,
            list(block.heading_path),
            None if block.bbox is None else list(block.bbox),
            [[line.start, line.end, *line.box] for line in block.lines],
        ]
        for block in page.blocks
    ]
    return [page.number, page.text, blocks, page.width, page.height, page.source]


def _unpacked(packed: Json) -> Page:
    number, text, blocks, width, height, source = cast("tuple[int, str, list[Json], float, float, str]", packed)
    return Page(number, text, tuple(map(_block, blocks)), width, height, "ocr" if source == "ocr" else "text")


def _block(packed: Json) -> Block:
    kind, start, end, path, bbox, lines = cast(
        "tuple[str, int, int, list[str], tuple[float, float, float, float] | None, list[list[float]]]", packed
    )
    boxes = tuple(LineBox(int(first), int(last), (x0, y0, x1, y1)) for first, last, x0, y0, x1, y1 in lines)
    return Block(
        BlockKind(kind), start, end, tuple(path), None if bbox is None else (bbox[0], bbox[1], bbox[2], bbox[3]), boxes
    )
