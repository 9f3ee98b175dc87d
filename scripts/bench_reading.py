"""Measure how fast documents are read and how much memory that takes.

    .venv/bin/python scripts/bench_reading.py [--quick] [--json FILE]

The PDFs are made here: two pages in five in two columns, one in five with a ruled table, all with headings, running headers and
page numbers. Each is read in a process of its own: page by page, and then taken into a collection as the product does it, with
passages sized in the tokens of the default model. Reading and taking in alternate, several times; the middle one counts. Where
Tesseract is installed, a scan is read as well.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pymupdf

Measured = dict[str, float | str]

ROUNDS = 3
SENTENCES = (
    "Orders that reach us before two in the afternoon leave the warehouse on the same day, whatever their size.",
    "A parcel that arrives damaged is replaced at no cost when a photograph is sent within 48 hours of its delivery.",
    "The refund is paid within 6 working days after the goods have come back, in the way in which they were paid for.",
    "Opened filters cannot be returned for reasons of hygiene; everything else can, within 45 days and in its box.",
    "Every appliance has a warranty of 24 months, which is extended to 60 months when it is registered by its owner.",
)
ROWS = (
    ("Delivery", "Time", "Price"),
    ("Standard", "3 to 5 days", "4.90"),
    ("Express", "1 day", "12.50"),
    ("Island", "8 days", "19.00"),
)


def write_pdf(path: Path, pages: int) -> None:
    """Write a text PDF."""
    with pymupdf.open() as document:
        for number in range(1, pages + 1):
            _write_page(document.new_page(), number)
            if number % 100 == 0:
                pymupdf.TOOLS.store_shrink(100)
        document.save(path, deflate=True)


def write_scan(path: Path, pages: int) -> None:
    """Write a PDF of pictures of text, at 200 dots per inch."""
    with pymupdf.open() as document, pymupdf.open() as text:
        for number in range(1, pages + 1):
            _write_page(text.new_page(), number)
            page = document.new_page()
            page.insert_image(page.rect, pixmap=text[-1].get_pixmap(dpi=200, colorspace=pymupdf.csGRAY))
        document.save(path, deflate=True)


def _write_page(page: pymupdf.Page, number: int) -> None:
    page.insert_text((72, 40), "Handbook for customers", fontsize=8)
    page.insert_text((280, 815), f"Page {number}", fontsize=8)
    page.insert_text((72, 80), f"Section {number}", fontsize=16)
    text = "\n\n".join(
        " ".join(f"{SENTENCES[(number + at + part) % len(SENTENCES)]} (Rule {number}.{at}.{part})" for part in range(4))
        for at in range(5)
    )
    top = 100.0
    if number % 5 == 0:
        top = _write_table(page, top)
    if number % 5 in (1, 2):
        half = len(text) // 2
        page.insert_textbox(pymupdf.Rect(72, top, 288, 800), text[:half], fontsize=9)
        page.insert_textbox(pymupdf.Rect(312, top, 528, 800), text[half:], fontsize=9)
    else:
        page.insert_textbox(pymupdf.Rect(72, top, 524, 800), text, fontsize=10)


def _write_table(page: pymupdf.Page, top: float) -> float:
    for at, row in enumerate(ROWS):
        for column, cell in enumerate(row):
            box = pymupdf.Rect(72 + 150 * column, top + 20 * at, 222 + 150 * column, top + 20 * at + 20)
            page.draw_rect(box)
            page.insert_text((box.x0 + 4, box.y1 - 6), cell, fontsize=10)
    return top + 20 * len(ROWS) + 20


def measure(path: Path, *, add: bool) -> Measured:
    """Read a document in a process of its own."""
    command = [sys.executable, __file__, "--child", str(path), *(["--add"] if add else [])]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    result: Measured = json.loads(done.stdout.splitlines()[-1])
    return result


def _alternating(path: Path, rounds: int) -> dict[str, list[Measured]]:
    """Read a document and take it in, in turns, so that what else the machine does weighs on both."""
    found: dict[str, list[Measured]] = {"read": [], "add": []}
    for _ in range(rounds):
        for name, measured in found.items():
            measured.append(measure(path, add=name == "add"))
            print(f"{name:5} {path.stem:>5} pages: {json.dumps(measured[-1])}", flush=True)
    return found


def _middle(found: list[Measured]) -> Measured:
    """The run with the middle speed, and all speeds."""
    speeds = [float(one["pages_per_minute"]) for one in found]
    middle = found[speeds.index(statistics.median_low(speeds))]
    return {**middle, "all_pages_per_minute": ", ".join(f"{speed:.0f}" for speed in speeds)}


def child(path: Path, *, add: bool) -> Measured:
    """Read a document; seconds and the most memory that this process had, in megabytes, before and after."""
    from engine.config import Settings
    from engine.ingest import open_document
    from engine.wiring import Wiring

    before = _peak_mb()
    started = time.perf_counter()
    sized_by = ""
    if add:
        with tempfile.TemporaryDirectory() as home, Wiring(Settings(home=Path(home))) as wiring:
            document = wiring.documents.add(path, wiring.repositories.collections.ensure("bench").id)
            pages, words, sized_by = document.page_count, 0, document.sized_by
            seconds = time.perf_counter() - started
    else:
        pages, words = 0, 0
        for page in open_document(path).pages():
            pages += 1
            words += len(page.text.split())
        seconds = time.perf_counter() - started
    return {
        "pages": pages,
        **({"sized_by": sized_by} if add else {"words": words}),
        "seconds": round(seconds, 2),
        "pages_per_minute": round(60 * pages / seconds),
        "peak_mb": round(_peak_mb(), 1),
        "start_mb": round(before, 1),
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 and 100 pages in place of 100 and 1,000")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--add", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(child(arguments.child, add=arguments.add)))
        return
    results: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory() as folder:
        for pages in (20, 100) if arguments.quick else (100, 1000):
            path = Path(folder) / f"{pages}.pdf"
            write_pdf(path, pages)
            for name, found in _alternating(path, 1 if arguments.quick else ROUNDS).items():
                results[f"{name} {pages}"] = _middle(found)
        if shutil.which("tesseract"):
            write_scan(path := Path(folder) / "scan.pdf", 4 if arguments.quick else 20)
            results["scan"] = scan = measure(path, add=False)
            print(f"scan: {json.dumps(scan)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
