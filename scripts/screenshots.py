"""Take pictures of every page of the app, over a home that has something to show: `screenshots.py HOME [FOLDER]`.

Needs Chromium at /usr/bin/chromium. The pictures go to docs/images unless another folder is given; each is at most 300 kB.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
)
WIDTH, HEIGHT = 1360, 1080
LIMIT_BYTES = 300_000
START_S, WAIT_MS, SETTLE_MS = 120, 120_000, 2500


@dataclass(frozen=True, slots=True)
class Picture:
    """A page, and what to do on it before the picture is taken."""

    name: str
    path: str
    prepare: Callable[[Page], None] = lambda page: None


def tab(name: str) -> Callable[[Page], None]:
    """Open a tab of the page."""
    return lambda page: page.get_by_role("tab", name=name).click()


def open_second_pair(page: Page) -> None:
    """Go on to the second pair by its key, and see it beside its source."""
    page.get_by_role("button", name="Undo").wait_for()
    page.keyboard.press("n")
    page.get_by_text(re.compile("^2 of ")).wait_for()
    page.mouse.move(5, 5)


def ask(question: str) -> Callable[[Page], None]:
    """Ask something on the Ask page and open the first citation."""

    def prepare(page: Page) -> None:
        forget = page.get_by_role("button", name="Forget these questions")
        if forget.count():
            forget.click()
            page.get_by_text("Ask a question").wait_for()
        box = page.get_by_placeholder(re.compile("^Ask "))
        box.fill(question)
        box.press("Enter")
        page.get_by_text("first word after").first.wait_for()
        page.locator("summary").first.click()

    return prepare


def compare(question: str) -> Callable[[Page], None]:
    """Ask all sides of a comparison."""

    def prepare(page: Page) -> None:
        page.get_by_role("tab", name="Compare").click()
        page.get_by_role("combobox", name="Fine-tuned side").click()
        page.get_by_role("option").last.click()
        page.wait_for_timeout(SETTLE_MS)
        page.get_by_placeholder("Ask all of them").fill(question)
        page.get_by_placeholder("Ask all of them").press("Enter")
        page.get_by_text("first word after").nth(2).wait_for()

    return prepare


def open_conversation(page: Page) -> None:
    """Open the newest stored conversation of the Chat tab."""
    page.get_by_role("tab", name="Chat").click()
    page.get_by_test_id("stBaseButton-tertiary").locator("visible=true").first.click()
    page.mouse.move(5, 5)


def open_adapter(page: Page) -> None:
    """Open the newest adapter's card."""
    page.locator("summary").first.click()


def pictures(question: str) -> tuple[Picture, ...]:
    """All pictures, in the order of the navigation."""
    return (
        Picture("home", ""),
        Picture("app", "documents", open_second_pair),
        Picture("ask", "ask", ask(question)),
        Picture("finetune", "finetune", open_adapter),
        Picture("chat", "finetune", open_conversation),
        Picture("compare", "finetune", compare(question)),
        Picture("evaluate", "evaluate"),
        Picture("models", "models"),
        Picture("agents", "agents"),
        Picture("agent-chat", "agents", open_conversation),
        Picture("leads", "agents", tab("Leads")),
        Picture("monitor", "monitor"),
        Picture("traces", "monitor", tab("Traces")),
        Picture("settings", "settings"),
    )


@contextmanager
def served(home: Path) -> Iterator[str]:
    """The app over a home, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app", f"--server.port={port}", "--server.headless=true"]
    server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "NEXUS_HOME": str(home)})
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def wait_for(address: str) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    raise SystemExit("the app did not start")


def take(page: Page, address: str, picture: Picture) -> bytes:
    """Open the page, prepare it and photograph it."""
    page.goto(f"{address}/{picture.path}")
    page.locator("h1").wait_for()
    page.wait_for_timeout(SETTLE_MS)
    picture.prepare(page)
    page.wait_for_timeout(SETTLE_MS)
    return compact(page.screenshot())


def compact(png: bytes) -> bytes:
    """The picture with a palette of 256 colours, which these flat pages do not notice; smaller still if it must be."""
    image = Image.open(BytesIO(png)).convert("RGB")
    while True:
        out = BytesIO()
        image.quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= LIMIT_BYTES:
            return out.getvalue()
        image = image.resize((image.width * 4 // 5, image.height * 4 // 5), Image.Resampling.LANCZOS)


def main() -> None:
    """Take all pictures, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs" / "images")
    parser.add_argument("--only", nargs="*", help="names of pictures; default: all")
    parser.add_argument("--question", default="How many years of warranty does every kettle have?")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with (
        served(arguments.home.absolute()) as address,
        sync_playwright() as playwright,
        tempfile.TemporaryDirectory() as profile,
    ):
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=FLAGS, viewport={"width": WIDTH, "height": HEIGHT}
        )
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        for picture in pictures(arguments.question):
            if arguments.only and picture.name not in arguments.only:
                continue
            data = take(page, address, picture)
            (arguments.folder / f"{picture.name}.png").write_bytes(data)
            print(f"{picture.name}.png  {len(data) // 1000} kB")
        context.close()


if __name__ == "__main__":
    main()
