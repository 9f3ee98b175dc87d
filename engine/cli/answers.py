"""`nexus ask`, `nexus chat` and `nexus compare`: answers, streamed as text or whole as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli import shapes
from engine.cli.command import Run, command
from engine.cli.shapes import Record
from engine.domain import Answer, Citation
from engine.errors import NexusError

if TYPE_CHECKING:
    from engine.chat import ChatDelta
    from engine.compare import CompareEvent

CollectionOption = Annotated[str, typer.Option("--collection", metavar="C", help="The collection to answer from.")]
ModelOption = Annotated[str | None, typer.Option("--model", metavar="M", help="Chat model; default: the default model.")]
AdapterOption = Annotated[str | None, typer.Option("--adapter", metavar="A", help="A fine-tuned adapter.")]
AllowMismatch = Annotated[
    bool, typer.Option("--allow-mismatch", help="Also with an adapter that does not answer here as it was trained.")
]
ConversationOption = Annotated[
    str | None, typer.Option("--conversation", metavar="ID", help="Go on with this conversation; default: a new one.")
]
Question = Annotated[str, typer.Argument(metavar="QUESTION", help="The question.")]

COMPARED = ("base", "finetuned", "rag")
LEAVE = ("/exit", "/quit")


def register(root: typer.Typer) -> None:
    """Add the commands."""
    command(root, "ask")(ask)
    command(root, "chat")(chat)
    command(root, "compare")(compare)


def ask(
    run: Run,
    question: Question,
    collection: CollectionOption,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    allow_mismatch: AllowMismatch = False,
) -> None:
    """Answer a question from a collection, with citations; says so when the documents do not hold the answer."""
    given: Answer | None = None
    said = ""
    for delta in run.engine.ask(question, collection, model=model, adapter=adapter, allow_mismatch=allow_mismatch):
        given = delta.answer or given
        said += delta.text
        if not run.out.as_json:
            run.out.text(delta.text)
    given = _whole(given)
    if run.out.as_json:
        run.out.record({"question": question, **shapes.answer(given, adapter)})
        return
    # What counts is the whole answer: a check may have replaced what was streamed.
    run.out.text("\n" if said.strip() == given.text.strip() else f"\n{given.text}\n")
    _sources(run, given.citations)
    _notice(run, given.notice)


def chat(
    run: Run,
    message: Annotated[str | None, typer.Argument(metavar="MESSAGE", help="Left out: a conversation at the prompt.")] = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    conversation: ConversationOption = None,
    allow_mismatch: AllowMismatch = False,
) -> None:
    """Chat with the base model, an adapter of it, or a provider's model (PROVIDER/MODEL)."""

    def say(text: str, conversation: str | None) -> str:
        deltas = run.engine.chat(text, model=model, adapter=adapter, conversation=conversation, allow_mismatch=allow_mismatch)
        return _chat_turn(run, deltas)

    if message is not None:
        say(message, conversation)
        return
    run.out.note(f"Write {LEAVE[0]} or press Ctrl-D to leave.")
    for line in prompted_lines():
        try:
            conversation = say(line, conversation)
        except NexusError as exc:
            run.out.error(exc.info())


def compare(
    run: Run,
    question: Question,
    collection: CollectionOption,
    adapter: AdapterOption = None,
    model: ModelOption = None,
    allow_mismatch: AllowMismatch = False,
) -> None:
    """Let the base model, the fine-tuned one and retrieval answer the same question at the same time."""
    results: dict[str, Record | None] = dict.fromkeys(COMPARED)
    for event in run.engine.compare(question, collection, adapter, model=model, allow_mismatch=allow_mismatch):
        if event.last:
            results[event.target] = _compared(event, adapter)
            if not run.out.as_json:
                _show_compared(run, event)
    if run.out.as_json:
        run.out.record({"question": question, **results})
    if all(result is None or result["error"] for result in results.values()):
        raise typer.Exit(1)


def prompted_lines() -> Iterator[str]:
    """What the person types at the prompt, line by line, until they leave. The prompt goes to stderr."""
    while True:
        sys.stderr.write("> ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line or line.strip() in LEAVE:
            return
        if line.strip():
            yield line.strip()


def _chat_turn(run: Run, deltas: Iterator[ChatDelta]) -> str:
    """Print an answer. Returns the conversation's identifier."""
    last: ChatDelta | None = None
    said = ""
    for last in deltas:
        said += last.text
        if not run.out.as_json:
            run.out.aside(last.reasoning)
            run.out.text(last.text)
    if last is None or last.completion is None:
        raise NexusError("the model ended without an answer", hint="See the log.")
    completion = last.completion
    if run.out.as_json:
        record = {"answer": said, "conversation": last.conversation_id, "finish_reason": completion.finish_reason}
        cost = shapes.cost(completion.usage, completion.timings)
        names = {"model": completion.model, "adapter": completion.adapter, "notice": completion.notice}
        thought = {"reasoning": completion.reasoning} if completion.reasoning else {}
        run.out.record({**record, **cost, **names, **thought})
    else:
        run.out.text("\n")
        _notice(run, completion.notice)
    return last.conversation_id


def _compared(event: CompareEvent, adapter: str | None) -> Record:
    """The end of one side; `error` is null where it answered."""
    return {**shapes.answer(event.answer or Answer(text="", found=False), adapter), "error": event.error}


def _show_compared(run: Run, event: CompareEvent) -> None:
    run.out.text(f"\n== {event.target}\n")
    if event.error is not None:
        run.out.text(f"failed: {event.error['message']}\n")
    if event.answer is not None:
        timings, usage = event.answer.timings, event.answer.usage
        run.out.text(f"{event.answer.text}\n({timings.total_s:.1f} s, {usage.completion_tokens} tokens)\n")
        _sources(run, event.answer.citations)


def _whole(given: Answer | None) -> Answer:
    if given is None:
        raise NexusError("the model ended without an answer", hint="See the log.")
    return given


def _sources(run: Run, citations: tuple[Citation, ...]) -> None:
    for cited in citations:
        page = "" if cited.page is None else f", page {cited.page}"
        run.out.text(f"  [{cited.document}{page}] “{' '.join(cited.quote.split())}”\n")


def _notice(run: Run, notice: str | None) -> None:
    if notice:
        run.out.note(notice)
