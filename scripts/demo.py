"""The main job on a sample document, step by step, without the app: `make demo`.

Each step is checked; the program ends with 1 when one of them did not deliver what it should.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engine.config import PROJECT_ROOT, load_settings
from engine.container import Engine
from engine.domain import Answer, FaqPair, FaqStatus, Job, JobState
from engine.errors import NexusError
from engine.evaluation.metrics import token_f1
from engine.requests import DataOptions

SAMPLE = PROJECT_ROOT / "data" / "samples" / "aurora-kettle-handbook.pdf"
COLLECTION, ADAPTER, AGENT = "kettles", "kettles-quick", "Iris"
MAX_PAIRS = 16
ANSWERABLE, EXPECTED = "For how long is a gift card valid?", "3 years"
UNANSWERABLE = "What is the capital of Mongolia?"
CUSTOMER = f"Hello, I am Maria Lopez and my e-mail is maria.lopez@example.com. {ANSWERABLE}"
RECALLED_F1 = 0.6
"""From this token F1 on, an answer counts as the one that was taught."""
TRACES_WITHIN_S = 30.0
"""Traces are written in the background; how long to wait for the last of them."""


class NotDelivered(Exception):
    """A step ran, and its result is not what it should be."""


@dataclass
class Demo:
    """The engine, and what the steps hand on to each other."""

    engine: Engine
    durations: dict[str, float] = field(default_factory=dict)
    taught: list[FaqPair] = field(default_factory=list)


def main() -> int:
    """Run all steps; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="keep the results in this new folder (default: one that is deleted)")
    home: Path | None = parser.parse_args().home
    with work_folder(home) as folder, Engine(load_settings(folder), log_to_stderr=True) as engine:
        engine.start()
        demo = Demo(engine)
        try:
            for number, (title, step) in enumerate(STEPS.items(), start=1):
                print(f"\n[{number}/{len(STEPS)}] {title}", flush=True)
                started = time.monotonic()
                step(demo)
                demo.durations[title] = time.monotonic() - started
        except NotDelivered as exc:
            print(f"\nFAILED: {exc}", file=sys.stderr)
            return 1
        except NexusError as exc:
            print(f"\nFAILED: {exc.message} {exc.hint or ''}", file=sys.stderr)
            return 1
    report(demo)
    return 0


@contextmanager
def work_folder(home: Path | None) -> Iterator[Path]:
    """The home of this run."""
    if home is not None:
        yield home
        return
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=PROJECT_ROOT / "data"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def extract(demo: Demo) -> None:
    """Documents to pairs, each with a quote from its page."""
    follow(demo, demo.engine.extract([SAMPLE], COLLECTION, max_pairs=MAX_PAIRS))
    pairs = demo.engine.faqs(COLLECTION, FaqStatus.PENDING)
    for pair in pairs[:3]:
        say(f"Q: {pair.question}", f"A: {pair.answer}", f"   {pair.document}, page {pair.page}: “{pair.quote}”")
    check(len(pairs) >= 8, f"only {len(pairs)} pairs were extracted")
    check(all(pair.quote and pair.page for pair in pairs), "a pair has no quote or no page")
    say(f"{len(pairs)} pairs, each with its quote and page")


def approve(demo: Demo) -> None:
    """A person would look at each pair; here all are approved."""
    approved = demo.engine.review.approve([pair.id for pair in demo.engine.faqs(COLLECTION, FaqStatus.PENDING)])
    check(demo.engine.collection(COLLECTION).approved_count == approved > 0, "no pair was approved")
    say(f"{approved} pairs approved")


def ask(demo: Demo) -> None:
    """One question that the document answers, and one that it does not."""
    found = answer_to(demo, ANSWERABLE)
    check(found.found and EXPECTED in found.text, f"the document's answer was not found: {found.text}")
    check(any(EXPECTED in cited.quote for cited in found.citations), "the answer has no citation that supports it")
    for cited in found.citations:
        say(f"   {cited.document}, page {cited.page}: “{cited.quote}”")
    missing = answer_to(demo, UNANSWERABLE)
    check(not missing.found and not missing.citations, f"an answer was made up: {missing.text}")


def finetune(demo: Demo) -> None:
    """A LoRA adapter on the approved pairs, as they stand: teaching other wordings as well takes longer."""
    as_they_stand = DataOptions(paraphrases=0)
    follow(demo, demo.engine.finetune(ADAPTER, collection=COLLECTION, preset="quick", data=as_they_stand))
    adapter = demo.engine.repositories.adapters.by_name(ADAPTER)
    check(adapter.path.is_file(), "there is no adapter file")
    kept_back = adapter.card.get("held_out")
    held_out = kept_back if isinstance(kept_back, list) else []
    demo.taught = [pair for pair in demo.engine.faqs(COLLECTION, FaqStatus.APPROVED) if pair.id not in held_out]
    size_mb = adapter.path.stat().st_size / 1e6
    say(f"adapter of {size_mb:.0f} MB from {len(demo.taught)} pairs, {len(held_out)} kept for evaluation")


def chat(demo: Demo) -> None:
    """The fine-tuned model answers what it was taught."""
    recalled = 0
    for pair in demo.taught[:3]:
        text = "".join(delta.text for delta in demo.engine.chat(pair.question, adapter=ADAPTER))
        score = token_f1(text, pair.answer)
        recalled += score >= RECALLED_F1
        say(f"Q: {pair.question}", f"A: {text.strip()}   (token F1 {score:.2f})")
    check(recalled >= 2, f"only {recalled} of 3 training questions were answered as taught")


def compare(demo: Demo) -> None:
    """Base, fine-tuned and retrieval, side by side."""
    answers: dict[str, Answer] = {}
    for event in demo.engine.compare(ANSWERABLE, COLLECTION, ADAPTER):
        check(event.error is None, f"{event.target} failed: {event.error and event.error['message']}")
        if event.answer is not None:
            answers[event.target] = event.answer
    check(answers.keys() == {"base", "finetuned", "rag"}, f"not all sides answered: {', '.join(answers)}")
    for target, answer in answers.items():
        text = " ".join(answer.text.split())
        say(f"{target:9} {answer.timings.total_s:5.1f} s, {answer.usage.completion_tokens:3} tokens: {text[:90]}")


def talk_to_agent(demo: Demo) -> None:
    """An agent answers a customer and notes the lead."""
    demo.engine.create_agent(AGENT, COLLECTION)
    say(f"Customer: {CUSTOMER}")
    reply = [delta.reply for delta in demo.engine.agent_reply(AGENT, CUSTOMER) if delta.reply is not None][-1]
    say(f"{AGENT}: {reply.reply}", f"   lead: {dict(reply.lead)}")
    check(EXPECTED in reply.reply, "the agent did not answer the customer's question")
    (lead,) = demo.engine.leads(AGENT) or (None,)
    check(lead is not None, "no lead was stored")
    stored = {} if lead is None else lead.fields
    check(stored.get("email") == "maria.lopez@example.com", f"the stored lead is {dict(stored)}")
    check(stored.get("name") == "Maria Lopez", f"the stored lead is {dict(stored)}")


def evaluate(demo: Demo) -> None:
    """All choices on questions that the adapter has not seen."""
    targets = ["base", f"adapter:{ADAPTER}", "rag"]
    ended = follow(demo, demo.engine.evaluate(targets, collection=COLLECTION))
    rows = (ended.result or {}).get("targets")
    figures = {str(row["target"]): row for row in rows if isinstance(row, dict)} if isinstance(rows, list) else {}
    check(set(figures) == set(targets), f"not all targets were measured: {', '.join(figures)}")
    for target, row in figures.items():
        check(row["errors"] == 0, f"{target} failed on a question")
        say(f"{target:22} token F1 {number(row, 'token_f1'):.2f}, similarity {number(row, 'similarity'):.2f}, "
            f"{number(row, 'latency_p50_s'):.1f} s")  # fmt: skip


def observe(demo: Demo) -> None:
    """What was recorded of all this."""
    wanted = {"faq.upload", "chat", "compare", "evaluate"}
    deadline = time.monotonic() + TRACES_WITHIN_S
    while wanted - {step.name for step in demo.engine.traces.summary()} and time.monotonic() < deadline:
        time.sleep(0.5)
    steps = demo.engine.traces.summary()
    missing = wanted - {step.name for step in steps}
    check(not missing, f"no trace of {', '.join(sorted(missing))}")
    for step in steps[:8]:
        say(f"{step.name:24} {step.count:4} times, median {step.p50_s:6.2f} s, {step.errors} errors")
    counted = {row.metric: row.value for row in demo.engine.metrics.snapshot() if row.value}
    check("nexus_jobs_total" in counted, "no job was counted in the metrics")
    say(f"{sum(step.count for step in steps)} spans and {len(counted)} metrics were recorded")


STEPS: Mapping[str, Callable[[Demo], None]] = {
    "Extract FAQ pairs from a PDF": extract,
    "Approve them": approve,
    "Ask the documents": ask,
    "Fine-tune the model on the pairs": finetune,
    "Chat with the fine-tuned model": chat,
    "Compare base, fine-tuned and retrieval": compare,
    "Let an agent answer a customer": talk_to_agent,
    "Evaluate all three": evaluate,
    "Look at traces and metrics": observe,
}


def follow(demo: Demo, job: Job) -> Job:
    """Show a job's progress until it has ended.

    Raises:
        NotDelivered: it did not succeed.
    """
    message, ended = "", job
    for ended in demo.engine.watch(job.id):
        if ended.message != message:
            say(f"{ended.progress:4.0%} {ended.message}")
            message = ended.message
    check(ended.state is JobState.SUCCEEDED, f"the job ended {ended.state}: {ended.message}")
    return ended


def answer_to(demo: Demo, question: str) -> Answer:
    """The whole answer to a question, printed."""
    answers = [delta.answer for delta in demo.engine.ask(question, COLLECTION) if delta.answer is not None]
    check(bool(answers), "no answer came")
    say(f"Q: {question}", f"A: {answers[-1].text}")
    return answers[-1]


def number(row: Mapping[str, object], name: str) -> float:
    """A figure of a row; 0 where it has none."""
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def report(demo: Demo) -> None:
    """The durations of all steps."""
    print("\nAll steps delivered.")
    for title, seconds in demo.durations.items():
        print(f"  {seconds:6.1f} s  {title}")
    print(f"  {sum(demo.durations.values()):6.1f} s  in all")


def check(delivered: bool, problem: str) -> None:
    """Stop here unless the step delivered.

    Raises:
        NotDelivered: it did not.
    """
    if not delivered:
        raise NotDelivered(problem)


def say(*lines: str) -> None:
    """Print lines of a step."""
    for line in lines:
        print(f"    {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
