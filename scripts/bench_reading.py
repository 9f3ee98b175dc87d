"""Measure how fast documents are read and how much memory that takes.

    .venv/bin/python scripts/bench_reading.py [--quick] [--json FILE]

The PDFs are made here: two pages in five in two columns, one in five with a ruled table, all with headings, running headers and
page numbers. Each is read in a process of its own: page by page, and then taken into a collection, with passages and all. Where
Tesseract is installed, a scan is read as well.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pymupdf

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


def measure(path: Path, *, add: bool) -> dict[str, float]:
    """Read a document in a process of its own."""
    command = [sys.executable, __file__, "--child", str(path), *(["--add"] if add else [])]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def child(path: Path, *, add: bool) -> dict[str, float]:
    """Read a document; seconds and the most memory that this process had, in megabytes, before and after."""
    from engine.config import Settings
    from engine.db.repositories import Repositories
    from engine.db.session import Database
    from engine.ingest import open_document
    from engine.knowledge.documents import DocumentLibrary

    before = _peak_mb()
    started = time.perf_counter()
    if add:
        with tempfile.TemporaryDirectory() as home:
            settings = Settings(home=Path(home))
            repositories = Repositories.over(Database(settings.database))
            document = DocumentLibrary(repositories, settings).add(path, repositories.collections.ensure("bench").id)
            pages, words = document.page_count, 0
    else:
        pages, words = 0, 0
        for page in open_document(path).pages():
            pages += 1
            words += len(page.text.split())
    seconds = time.perf_counter() - started
    return {
        "pages": pages,
        **({} if add else {"words": words}),
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
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for pages in (20, 100) if arguments.quick else (100, 1000):
            path = Path(folder) / f"{pages}.pdf"
            write_pdf(path, pages)
            for name, add in (("read", False), ("add", True)):
                results[f"{name} {pages}"] = found = measure(path, add=add)
                print(f"{name:5} {pages:5} pages: {json.dumps(found)}", flush=True)
        if shutil.which("tesseract"):
            write_scan(path := Path(folder) / "scan.pdf", 4 if arguments.quick else 20)
            results["scan"] = found = measure(path, add=False)
            print(f"scan: {json.dumps(found)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
