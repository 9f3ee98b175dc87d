"""Text recognition with Tesseract, where it is installed (Debian: `tesseract-ocr`).

It runs as a child process that is given a picture on its standard input and nothing else: no shell, no file, no network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.domain import BoundingBox
from engine.ingest.text import clean
from engine.ingest.xml_parts import local

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

DPI = 300
"""Dots per inch that Tesseract's documentation recommends."""
TIMEOUT_S = 120.0
"""For a page; a dense one takes some 10 s on a slow core."""
BUDGET_S = 2 * 3600.0
"""For all pages of a document: some 1400 dense ones on two slow cores. A hostile one must not keep the machine for days."""
_MIN_CONFIDENCE = 20
"""Of 100. What Tesseract itself does not believe is mostly dirt and edges of pictures."""
_MAX_LANGUAGES = 4
_NO_LANGUAGES = frozenset({"osd", "equ", "snum"})
_PROPERTY = re.compile(r"(bbox|x_size|x_wconf)((?: -?[\d.]+)+)")


class OcrError(Exception):
    """A page could not be recognised; the message says why."""


class OcrBudgetError(OcrError):
    """A page was not tried: its document has used up its time."""


@dataclass(frozen=True, slots=True)
class OcrLine:
    """A line that was recognised: its box and the size of its type in pixels, its paragraph, and 0…100 for confidence."""

    text: str
    box: BoundingBox
    size: float
    paragraph: int
    confidence: float


def find_tesseract() -> str | None:
    """The path of the program; None where it is not installed."""
    return shutil.which("tesseract")


def recognise(picture: bytes, *, timeout_s: float = TIMEOUT_S) -> list[OcrLine]:
    """The lines on a picture (PNM or PNG, at `DPI`), in Tesseract's order.

    Raises:
        OcrError: Tesseract is missing, failed or took too long.
    """
    program = find_tesseract()
    if program is None:
        raise OcrError("tesseract-ocr is not installed")
    languages = "+".join(_languages(program, timeout_s))
    command = [program, "stdin", "stdout", "--dpi", str(DPI), *(["-l", languages] if languages else []), "hocr"]
    return list(_lines(_run(command, picture, timeout_s)))


def _run(command: list[str], picture: bytes, timeout_s: float) -> bytes:
    # One thread: pages are recognised side by side, which is faster than several threads for one.
    environment = {"PATH": os.environ.get("PATH", ""), "OMP_THREAD_LIMIT": "1", "LC_ALL": "C"}
    environment |= {name: value for name in ("TESSDATA_PREFIX", "LD_LIBRARY_PATH") if (value := os.environ.get(name))}
    try:
        done = subprocess.run(command, input=picture, capture_output=True, timeout=timeout_s, env=environment, check=True)
    except subprocess.TimeoutExpired as exc:
        raise OcrError(f"text recognition took longer than {timeout_s:g} s") from exc
    except (subprocess.CalledProcessError, OSError) as exc:
        raise OcrError("text recognition failed") from exc
    return done.stdout


@lru_cache(maxsize=4)
def _languages(program: str, timeout_s: float) -> tuple[str, ...]:
    """The languages that are installed, English first; empty where the program does not say."""
    try:
        listed = _run([program, "--list-langs"], b"", timeout_s).decode(errors="replace").splitlines()[1:]
    except OcrError:
        return ()
    found = [name for name in map(str.strip, listed) if re.fullmatch(r"\w+", name) and name not in _NO_LANGUAGES]
    return tuple(sorted(found, key=lambda name: (name != "eng", name))[:_MAX_LANGUAGES])


def _lines(hocr: bytes) -> Iterator[OcrLine]:
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(hocr)
    except (ParseError, DefusedXmlException, ValueError) as exc:
        raise OcrError("text recognition gave no readable result") from exc
    paragraphs = (node for node in root.iter() if local(node.tag) == "p")
    for number, paragraph in enumerate(paragraphs):
        for node in paragraph:
            line = _line(node, number)
            if line is not None:
                yield line


def _line(node: Element, paragraph: int) -> OcrLine | None:
    words = [(clean("".join(word.itertext())), _properties(word)) for word in node]
    kept = [(text, found) for text, found in words if text and found.get("x_wconf", (0.0,))[0] >= _MIN_CONFIDENCE]
    boxes = [found["bbox"] for _, found in kept if len(found.get("bbox", ())) == 4]
    if not boxes or not any(character.isalnum() for text, _ in kept for character in text):
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    size = _properties(node).get("x_size", (0.0,))[0]
    confidence = sum(found["x_wconf"][0] for _, found in kept) / len(kept)
    box = min(lefts), min(tops), max(rights), max(bottoms)
    return OcrLine(" ".join(text for text, _ in kept), box, size, paragraph, confidence)


def _properties(node: Element) -> dict[str, tuple[float, ...]]:
    """What hOCR writes into the title of an element: `bbox 1 2 3 4; x_wconf 96`."""
    try:
        return {name: tuple(map(float, values.split())) for name, values in _PROPERTY.findall(node.get("title", ""))}
    except ValueError:
        return {}
