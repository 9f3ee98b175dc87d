"""The app in a real browser: the main job on a sample document, and documents that want the browser to load something."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect, sync_playwright

from engine.config import PROJECT_ROOT, Settings
from engine.db.repositories import Repositories
from engine.db.session import Database
from engine.domain import AgentConfig, Document, FaqPair, FaqStatus, JobState, Message, new_id, utc_now
from engine.domain import Page as DocumentPage
from engine.jobs import JobQueue
from engine.knowledge.documents import DocumentLibrary
from engine.requests import ExtractionRequest
from engine.uploads import Uploads

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
GUARD = Path(__file__).parent / "guard"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SAMPLE = PROJECT_ROOT / "data" / "samples" / "aurora-kettle-handbook.pdf"
QUOTES = (
    "Every order is confirmed by e-mail within 30 minutes.",
    "The smallest order that we accept is 15 euros.",
    "A gift card is valid for 3 years from the day on which it was bought.",
)
"""Sentences of the sample."""
START_S = 120
PAINT_MS = 60_000
MODEL_MS = 240_000
"""Deadlines for a machine that is busy with other things; they are waited out only when something is broken."""

HOSTILE = (
    '![x](http://evil.example/x.png) <img src="http://evil.example/y.png"> [click](http://evil.example/) http://evil.example/'
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[tuple[BrowserContext, list[str]]]:
    """A browser with a fresh profile, and the addresses of all its requests."""
    executable = installed_browser()
    requests: list[str] = []
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=executable, args=FLAGS, viewport={"width": 1360, "height": 1000}
        )
        context.on("request", lambda request: requests.append(request.url))
        context.set_default_timeout(PAINT_MS)
        expect.set_options(timeout=PAINT_MS)
        try:
            yield context, requests
        finally:
            context.close()


def installed_browser() -> str:
    """Where the browser is. Without one the test is skipped, or fails where NEXUS_REQUIRE_BROWSER=1 says that there is one."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        missing = f"none of {', '.join(BROWSERS)} is installed; `apt-get install chromium` puts one there"
        if os.environ.get("NEXUS_REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@contextmanager
def served(home: Path, **settings: str) -> Iterator[str]:
    """The app as a person starts it, on a free port of the loopback interface, guarded against the network."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "NEXUS_HOME": str(home), "OMP_NUM_THREADS": "2"}
    guarded = home.with_suffix(".guard.log")
    environment |= {"PYTHONPATH": str(GUARD), "NEXUS_GUARD_LOG": str(guarded), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {f"NEXUS_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "streamlit", "run", "app", f"--server.port={port}", "--server.headless=true"]
    log = home.with_suffix(".server.log")
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_healthy(server, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    nothing_was_refused(guarded)


def nothing_was_refused(log: Path) -> None:
    """The server ran under the guard and never reached for another machine."""
    lines = log.read_text("utf-8").splitlines()
    assert any(line.startswith("GUARDED") and "streamlit run app" in line for line in lines)
    assert [line for line in lines if line.startswith("REFUSED")] == []


def _wait_until_healthy(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text("utf-8")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f"the app did not start: {log.read_text('utf-8')}")


def not_loopback(addresses: list[str]) -> set[str]:
    """The addresses that are of another machine."""
    return {
        address
        for address in addresses
        if urlsplit(address).scheme not in ("data", "blob") and urlsplit(address).hostname != "127.0.0.1"
    }


def open_page(context: BrowserContext, address: str) -> Page:
    """A tab with a page of the app, painted."""
    page = context.new_page()
    page.goto(address)
    expect(page.locator("h1")).to_be_visible()
    return page


@pytest.mark.models
def test_from_a_pdf_to_a_cited_answer(tmp_path: Path, models_dir: Path, browser: tuple[BrowserContext, list[str]]) -> None:
    context, requests = browser
    home = tmp_path / "home"
    with served(home, models_dir=str(models_dir)) as address:
        page = open_page(context, f"{address}/documents")
        upload(page)
        card = page.get_by_text("Extract FAQ pairs: aurora-kettle-handbook.pdf")
        expect(card.first).to_be_visible()

        second_tab = open_page(context, address)
        expect(second_tab.get_by_text("Extract FAQ pairs: aurora-kettle-handbook.pdf").first).to_be_visible()
        second_tab.close()

        expect(page.get_by_text("succeeded").first).to_be_visible(timeout=MODEL_MS)
        approve_all(page, home)
        ask(page, address)
    assert not_loopback(requests) == set()


@pytest.mark.models
def test_stopping_the_server_puts_its_job_back(tmp_path: Path, models_dir: Path) -> None:
    home = tmp_path / "home"
    with served(home, models_dir=str(models_dir)):
        settings = Settings(home=home)
        staged = Uploads(settings).stage_file(SAMPLE)
        queue = JobQueue(Database(settings.database))
        job = queue.submit("extract", ExtractionRequest(collection="Kettles", files=(staged,)).model_dump(mode="json"))
        deadline = time.monotonic() + MODEL_MS / 1000
        while queue.get(job.id).progress == 0.0 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert queue.get(job.id).state is JobState.RUNNING
    stopped = queue.get(job.id)
    assert stopped.state is JobState.QUEUED
    assert stopped.attempts == 0


def upload(page: Page) -> None:
    """Put the sample into a new collection and start the extraction."""
    collection = page.get_by_role("combobox", name="Into the collection")
    collection.fill("Kettles")
    collection.press("Enter")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(SAMPLE)
    expect(page.get_by_title(SAMPLE.name)).to_be_visible()
    page.get_by_label("Most pairs for each file").fill("6")
    page.get_by_label("Most pairs for each file").press("Enter")
    page.get_by_role("button", name="Extract FAQ pairs").click()


def approve_all(page: Page, home: Path) -> None:
    """See the rows and approve those that are shown."""
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
    page.get_by_role("button", name=re.compile("Approve all [1-9]")).click()
    expect(page.get_by_role("button", name="Approve all 0 pending shown")).to_be_hidden()
    expect(page.get_by_text(re.compile(r"Approved [1-9]")).first).to_be_visible()
    stored = Repositories.over(Database(home / "nexus.db"))
    collection = stored.collections.by_name("Kettles")
    assert collection.approved_count >= 1
    assert collection.document_count == 1


def ask(page: Page, address: str) -> None:
    """Ask something that the sample answers, and see the proof."""
    page.goto(f"{address}/ask")
    box = page.get_by_placeholder("Ask Kettles")
    box.fill("How many years of warranty does every kettle have?")
    box.press("Enter")
    citation = page.get_by_test_id("stExpander").filter(has_text=SAMPLE.name)
    expect(citation.first).to_be_visible(timeout=MODEL_MS)
    citation.first.locator("summary").click()
    expect(citation.first.get_by_test_id("stText")).to_be_visible()
    expect(citation.first.get_by_text(re.compile("page [0-9]+ · score"))).to_be_visible()


def test_text_from_outside_loads_nothing(tmp_path: Path, browser: tuple[BrowserContext, list[str]]) -> None:
    context, requests = browser
    home = tmp_path / "home"
    (tmp_path / "models").mkdir()
    fill_with_hostile_text(home)
    fakes = {"models_dir": str(tmp_path / "models"), "default_model": "fake/echo", "default_encoder": "hashing"}
    with served(home, **fakes) as address:
        page = open_page(context, f"{address}/documents")
        expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
        page.get_by_role("tab", name="Documents").click()
        expect(page.get_by_text("evil.example").first).to_be_visible()
        read_conversations(page, address)
        for name in ("", "ask", "evaluate", "models", "monitor", "settings"):
            open_page(context, f"{address}/{name}").close()
        assert page.locator("img[src*='evil']").count() == 0
        assert page.locator("a[href*='evil']").count() == 0
        assert not_loopback(requests) == set()
        assert blocked_directive(page) == "img-src"


def read_conversations(page: Page, address: str) -> None:
    """Open the stored chat and the agent's, which repeat the hostile text, and have the model repeat it as well."""
    for name in ("finetune", "agents"):
        page.goto(f"{address}/{name}")
        page.get_by_role("tab", name="Chat").click()
        page.get_by_role("button", name=re.compile("evil")).first.click()
        expect(page.get_by_test_id("stChatMessage").last.get_by_text("evil.example").first).to_be_visible()
    page.goto(f"{address}/finetune")
    page.get_by_role("tab", name="Chat").click()
    box = page.get_by_placeholder("Message")
    box.fill(HOSTILE)
    box.press("Enter")
    expect(page.get_by_test_id("stChatMessage").nth(1)).to_contain_text("evil.example/y.png")


def blocked_directive(page: Page) -> str:
    """The rule of the page's policy that stops an image of another host."""
    return str(
        page.evaluate(
            """() => new Promise(resolve => {
                document.addEventListener("securitypolicyviolation", event => resolve(event.effectiveDirective));
                new Image().src = "http://evil.example/policy.png";
            })"""
        )
    )


def fill_with_hostile_text(home: Path) -> None:
    """A home in which everything that people can write says the same hostile thing."""
    database = Database(Settings(home=home).database)
    stored, queue = Repositories.over(database), JobQueue(database)
    collection = stored.collections.ensure(HOSTILE)
    document = Document("0" * 64, HOSTILE, "text/markdown", 10, 1, utc_now())
    stored.documents.add(document, [DocumentPage(1, HOSTILE)], [], collection_id=collection.id)
    stored.faqs.add([hostile_pair(collection.id, document)])
    agent = AgentConfig(new_id(), HOSTILE, HOSTILE, collection.id, ("name",), utc_now())
    stored.agents.add(agent)
    for conversation in (stored.conversations.start("chat", HOSTILE), stored.conversations.start("agent", HOSTILE, agent.id)):
        stored.conversations.append(conversation.id, Message("user", HOSTILE))
        stored.conversations.append(conversation.id, Message("assistant", HOSTILE))
    stored.leads.merge(agent.id, conversation.id, {"name": HOSTILE})
    job = queue.submit("extract", {"collection": HOSTILE, "files": [{"name": HOSTILE, "path": "none"}]})
    queue.claim("host:1:test", ["extract"])
    queue.fail(job.id, "host:1:test", {"code": "error", "message": HOSTILE, "hint": HOSTILE, "retryable": False})
    assert queue.get(job.id).state is JobState.FAILED
    database.close()


def hostile_pair(collection_id: str, document: Document) -> FaqPair:
    """A pair whose every text is hostile."""
    return FaqPair(
        id=new_id(),
        collection_id=collection_id,
        question=HOSTILE,
        answer=HOSTILE,
        quote=HOSTILE,
        document_id=document.id,
        document=document.name,
        page=1,
        heading=HOSTILE,
        score=0.9,
        status=FaqStatus.PENDING,
        reason=HOSTILE,
        model="fake/echo",
        created_at=utc_now(),
    )


@pytest.fixture
def handbook(tmp_path: Path) -> Iterator[Repositories]:
    """A home with the sample handbook and three pairs, none of which needs a model."""
    settings = Settings(home=tmp_path / "home")
    database = Database(settings.database)
    stored = Repositories.over(database)
    collection = stored.collections.ensure("Kettles")
    document = DocumentLibrary(stored, settings).add(SAMPLE, collection.id)
    pairs = [pair_of(stored, collection.id, document, number, quote) for number, quote in enumerate(QUOTES)]
    stored.faqs.add([*pairs[:2], replace(pairs[2], duplicate_of=pairs[0].id, status=FaqStatus.REJECTED, reason="It is one.")])
    yield stored
    database.close()


def pair_of(stored: Repositories, collection_id: str, document: Document, number: int, quote: str) -> FaqPair:
    page = next(page for page in stored.documents.pages(document.id) if quote in " ".join(page.text.split()))
    source = document.id, document.name, page.number
    texts = f"What does sentence {number} say?", quote, quote
    return FaqPair(new_id(), collection_id, *texts, *source, "", 0.9, FaqStatus.PENDING, "", "written", utc_now())


def test_review_by_keyboard(
    tmp_path: Path,
    handbook: Repositories,
    browser: tuple[BrowserContext, list[str]],
) -> None:
    context, requests = browser
    (tmp_path / "models").mkdir()
    fakes = {"models_dir": str(tmp_path / "models"), "default_model": "fake/echo", "default_encoder": "hashing"}
    collection = handbook.collections.by_name("Kettles").id

    def statuses() -> list[str]:
        return [pair.status.value for pair in handbook.faqs.list(collection)]

    with served(tmp_path / "home", **fakes) as address:
        page = open_page(context, f"{address}/documents")
        expect(question(page, 0)).to_be_visible()
        picture = page.get_by_alt_text(re.compile(r"Page \d+ of aurora-kettle-handbook"))
        expect(picture).to_be_visible()
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 500
        assert yellow_pixels(picture) > 100, "the quote is marked"

        page.keyboard.press("a")
        expect(question(page, 1)).to_be_visible()
        assert statuses() == ["approved", "pending", "rejected"]
        page.keyboard.press("x")
        expect(page.get_by_text("Nothing waits for review").first).to_be_visible()
        assert statuses() == ["approved", "rejected", "rejected"]
        page.keyboard.press("u")
        expect(question(page, 1)).to_be_visible()
        assert statuses() == ["approved", "pending", "rejected"]

        page.keyboard.press("e")
        box = page.get_by_role("textbox", name="Question")
        expect(box).to_be_focused()
        page.keyboard.press("Control+End")
        page.keyboard.type(" a x u n p")
        page.keyboard.press("Escape")
        expect(question(page, 1)).to_be_visible()
        assert statuses() == ["approved", "pending", "rejected"], "letters in a text decide nothing"

        page.get_by_role("tab", name="Export").click()
        expect(page.get_by_role("button", name="JSONL").first).to_be_visible()
        page.keyboard.press("a")
        page.get_by_role("tab", name="Review").click()
        expect(question(page, 1)).to_be_visible()
        assert statuses() == ["approved", "pending", "rejected"], "keys do nothing where the review is not seen"
    assert not_loopback(requests) == set()


def test_a_draft_stays_while_an_extraction_brings_pairs(
    tmp_path: Path, handbook: Repositories, browser: tuple[BrowserContext, list[str]]
) -> None:
    context, _requests = browser
    (tmp_path / "models").mkdir()
    fakes = {"models_dir": str(tmp_path / "models"), "default_model": "fake/echo", "default_encoder": "hashing"}
    collection = handbook.collections.by_name("Kettles").id
    queue = JobQueue(Database(Settings(home=tmp_path / "home").database))
    job, owner = queue.submit("extract", {"collection": "Kettles"}), f"{socket.gethostname()}:{os.getpid()}:test"
    queue.claim(owner, ["extract"], job.id)
    with served(tmp_path / "home", job_stale_s="600", **fakes) as address:
        page = open_page(context, f"{address}/documents")
        expect(question(page, 0)).to_be_visible()
        expect(page.get_by_test_id("stDataFrame").last).to_be_visible()  # the page is complete, and listens to keys
        page.keyboard.press("e")
        box = page.get_by_role("textbox", name="Question")
        expect(box).to_be_focused()
        page.keyboard.press("Control+End")
        page.keyboard.type(" A draft")
        first = handbook.faqs.list(collection)[0]
        better = replace(first, id=new_id(), question="Is this one better?", created_at=utc_now())
        handbook.extraction.store(collection, [better], displaced={first.id: better.id})
        expect(page.get_by_text("All 4").first).to_be_visible()
        expect(page.get_by_text("1 of 3").first).to_be_visible()
        expect(box).to_be_focused()
        page.keyboard.type(" goes on")
        expect(box).to_have_value(f"{first.question} A draft goes on")
        page.keyboard.press("Escape")
        expect(question(page, 0)).to_be_visible()
    queue.abort(job.id, owner)


def question(page: Page, number: int) -> Locator:
    """The open pair's question."""
    return page.get_by_role("heading", name=f"What does sentence {number} say?")


def yellow_pixels(picture: Locator) -> int:
    """How many pixels of a picture are as yellow as a marker is."""
    return int(
        picture.evaluate(
            """image => {
                const canvas = document.createElement("canvas");
                [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
                const context = canvas.getContext("2d");
                context.drawImage(image, 0, 0);
                const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
                let count = 0;
                for (let at = 0; at < data.length; at += 4)
                    if (data[at] > 200 && data[at + 1] > 150 && data[at + 2] < 120) count++;
                return count;
            }"""
        )
    )
