"""Which pages are read from their picture, since their text is missing or garbage; and what the person is told of it."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic

from engine.domain import BoundingBox
from engine.errors import DocumentError
from engine.ingest.legibility import is_garbled
from engine.ingest.ocr import BUDGET_S, DPI, OcrBudgetError, OcrError, OcrLine, find_tesseract, recognise
from engine.ingest.pdf.extraction import PdfFile
from engine.ingest.pdf.layout import NOMINAL_SIZE, Line, PageLayout
from engine.ingest.source import Source
from engine.ingest.text import numbered

_AT_ONCE = 2
"""Pages that are recognised side by side; the rest of the machine may have models to run."""
_MAX_FAILURES = 5
"""After so many pages that failed the rest are not tried: each may take as long as it is given."""
_PICTURE = 0.05
"""A page without words is a picture when at least this share of it is one; a logo on a blank page is none."""
_SCAN = 0.5
_FEW_LETTERS = 200
"""A page with less text than this below a picture that takes half of it may be a scan with a stamp or page number."""
_CLEARLY_MORE = 2
_HARD_TO_READ = 70.0
"""Tesseract's mean confidence; clean print has over 90."""
_SAME_SIZE = (0.8, 1.25)
"""Type sizes that are measured on a picture, as shares of the page's usual one, differ so much by chance."""
_LARGEST = 4.0


@dataclass(slots=True)
class _Report:
    """Numbers of pages by what is said of them."""

    pages: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def note(self, what: str, number: int) -> None:
        self.pages[what].append(number)

    def warn(self, source: Source) -> None:
        for what, numbers in self.pages.items():
            if not numbers:
                continue
            words = _WORDS[what][len(numbers) > 1].format(numbered("page", numbers))
            source.warnings.append(words[0].upper() + words[1:])


_INSTALL = "install tesseract-ocr and add the document again to have"
_WORDS = {
    "blank": ("No text was found on {}.",) * 2,
    "picture": (f"{{}} is a picture; {_INSTALL} it read.", f"{{}} are pictures; {_INSTALL} them read."),
    "garbled": (f"The text of {{}} is garbled in the file; {_INSTALL} it read.",) * 2,
    "unread": ("The picture on {} could not be read: no words were recognised.",) * 2,
    "failed": ("Text recognition failed on {}; the text there is missing or garbled.",) * 2,
    "late": (
        f"Text recognition ran out of time ({BUDGET_S / 3600:g} hours a document) before {{}}; the text there is missing or "
        "garbled. Split the document and add its parts.",
    )
    * 2,
    "hard": ("{} was hard to read (OCR): expect wrong words.", "{} were hard to read (OCR): expect wrong words."),
    "ocr": (
        "{} was read from a picture (OCR): check names and numbers.",
        "{} were read from pictures (OCR): check names and numbers.",
    ),
}
"""For one page, and for several."""


def read_layouts(source: Source, file: PdfFile) -> Iterator[PageLayout]:
    """The layout of each page, recognised from its picture where that is needed and can be done. Warns in the end.

    The source is told of each page before it is waited for; what that raises ends the work, but for the pages under way.
    """
    report = _Report()
    deadline = monotonic() + BUDGET_S
    installed = find_tesseract() is not None
    waiting: deque[tuple[PageLayout, Future[list[OcrLine]] | None, float]] = deque()

    def settled() -> PageLayout:
        layout, future, zoom = waiting.popleft()
        source.on_page(layout.number, file.page_count)
        return _settled(report, layout, future, zoom)

    with _pool() as pool:
        for number in range(1, file.page_count + 1):
            layout = file.layout(number)
            future, zoom = None, 1.0
            if _needs_recognition(layout):
                if installed:
                    tries_left = len(report.pages["failed"]) < _MAX_FAILURES
                    future, zoom = _recognised(file, number, pool, tries_left=tries_left, deadline=deadline)
                else:
                    _note_unread(report, layout)
            elif not layout.text:
                report.note("blank", number)
            waiting.append((layout, future, zoom))
            while waiting and (waiting[0][1] is None or len(waiting) > 2 * _AT_ONCE):
                yield settled()
        while waiting:
            yield settled()
    report.warn(source)


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that recognise; when the reading ends early, pages that wait for one are dropped."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ocr") as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _recognised(
    file: PdfFile, number: int, pool: ThreadPoolExecutor, *, tries_left: bool, deadline: float
) -> tuple[Future[list[OcrLine]], float]:
    """The lines of a page, some time from now, and the pixels to a point of the picture that they are found on."""
    if not tries_left:
        return _failed(OcrError("text recognition failed too often")), 1.0
    if monotonic() >= deadline:
        return _failed(OcrBudgetError("text recognition ran out of time")), 1.0
    try:
        picture, zoom = file.scan(number, DPI)
    except DocumentError as exc:  # a page that cannot be drawn leaves the others as they are
        return _failed(OcrError(exc.message)), 1.0
    return pool.submit(recognise, picture), zoom


def _failed(error: OcrError) -> Future[list[OcrLine]]:
    failed = Future[list[OcrLine]]()
    failed.set_exception(error)
    return failed


def _needs_recognition(layout: PageLayout) -> bool:
    letters = sum(map(str.isalnum, layout.text))
    if letters == 0:
        return layout.pictured >= _PICTURE
    return (letters < _FEW_LETTERS and layout.pictured >= _SCAN) or is_garbled(layout.text)


def _note_unread(report: _Report, layout: PageLayout) -> None:
    """A page with a picture and some words, such as a title page, is none to speak of."""
    if is_garbled(layout.text):
        report.note("garbled", layout.number)
    elif not any(map(str.isalnum, layout.text)):
        report.note("picture", layout.number)


def _settled(report: _Report, layout: PageLayout, future: Future[list[OcrLine]] | None, zoom: float) -> PageLayout:
    """The page as it was recognised where that is better than what the file says, else as it is."""
    if future is None:
        return layout
    had_words = any(map(str.isalnum, layout.text))
    garbled = is_garbled(layout.text)
    try:
        found = future.result()
    except OcrError as exc:
        if garbled or not had_words:
            report.note("late" if isinstance(exc, OcrBudgetError) else "failed", layout.number)
        return layout
    text = "\n".join(line.text for line in found)
    enough = _CLEARLY_MORE * len(layout.text) if had_words and not garbled else 0
    if len(text) <= enough or (is_garbled(text) and had_words):
        if garbled or not had_words:
            report.note("unread", layout.number)
        return layout
    sure = sum(line.confidence * len(line.text) for line in found) / len(text)
    report.note("ocr" if sure >= _HARD_TO_READ else "hard", layout.number)
    return replace(layout, elements=_elements(found, zoom), source="ocr")


def _elements(found: Sequence[OcrLine], zoom: float) -> tuple[Line, ...]:
    sizes = Counter[float]()
    for line in found:
        sizes[line.size] += len(line.text)
    usual = _median(sizes) or 1.0
    return tuple(
        Line(line.text, _in_points(line.box, zoom), NOMINAL_SIZE * _rounded(line.size / usual), False, line.paragraph)
        for line in found
    )


def _median(sizes: Counter[float]) -> float:
    """The size that the letter in the middle has."""
    middle = sizes.total() / 2
    for size, letters in sorted(sizes.items()):
        middle -= letters
        if middle <= 0:
            return size
    return 0.0


def _rounded(ratio: float) -> float:
    if _SAME_SIZE[0] < ratio < _SAME_SIZE[1]:
        return 1.0
    return min(_LARGEST, max(0.5, round(ratio * 4) / 4))


def _in_points(box: BoundingBox, zoom: float) -> BoundingBox:
    left, top, right, bottom = (value / zoom for value in box)
    return left, top, right, bottom
