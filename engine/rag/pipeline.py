"""From a question to an answer with citations, or to the statement that the documents do not say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.cancellation import CancelToken
from engine.domain import Answer, AnswerDelta, Completion, FinishReason, Timings
from engine.embedding.base import Embedder
from engine.errors import CancelledError, GenerationTimeout, ModelError
from engine.knowledge.index import KnowledgeIndex
from engine.knowledge.passages import Passage
from engine.knowledge.terms import content_stems
from engine.llm.base import ChatModel
from engine.llm.fallback import REPLACEABLE, FallbackChatModel, fallen_back
from engine.observability.tracing import span, traced
from engine.rag.answers import checked_answer, not_found, provable, quoted_answer, reviewed_answer
from engine.rag.evidence import Evidence, gather, relevant, similarity
from engine.rag.grounding import numbers
from engine.rag.writing import LEAST_PARAMETERS, writing_request

CHUNKS, PAIRS = 5, 3
"""Passages and pairs that are looked at."""
CONTEXT_SENTENCES = 3
"""Sentences that the model reads. The one with the answer is among the first three for 94 % of XQuAD questions; a small model
gets lost in more."""
SAME_QUESTION = 0.9
"""Similarity from which on a pair's question is taken to be the one that was asked. With MiniLM, rewordings ("How long is the
warranty?", "How long does the warranty last?") are at 0.88 to 0.99; twins that ask for something else (open on Saturdays, on
Sundays) reach 0.89, one that leaves a condition out (children, children under 8) 0.94, hence the look at numbers.
From 14 pairs written for it."""

SAME_WORDS = 0.75
"""The same, where both questions have the same content words."""

ModelFor = Callable[[str | None], ChatModel]
"""Gives the chat model of a name; the default local one for None."""

_NO_ANSWER = (*REPLACEABLE, GenerationTimeout)
"""Failures after which the documents speak for themselves."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """One question on its way."""

    question: str
    collection_id: str
    model: str | None
    adapter: Path | None
    cancel: CancelToken
    timeout_s: float | None
    started: float

    def check(self) -> None:
        """Stop here if someone asked for it.

        Raises:
            CancelledError: someone did.
        """
        if self.cancel.cancelled:
            raise CancelledError("the answer was stopped")

    def time_left(self) -> float | None:
        """Seconds until the time limit; None without one."""
        return None if self.timeout_s is None else max(0.001, self.timeout_s - (time.monotonic() - self.started))

    def timings(self, completion: Completion | None = None) -> Timings:
        """How long it took, retrieval included, with what the model took to its first token."""
        total = time.monotonic() - self.started
        if completion is None:
            return Timings(total_s=total, first_token_s=total)
        before = max(0.0, total - completion.timings.total_s)
        return replace(completion.timings, total_s=total, first_token_s=before + completion.timings.first_token_s)


class RagPipeline:
    """Answers questions from collections. Safe to call from any thread.

    The shape of an answer does not depend on what documents or model say: citations are checked slices of passages, an answer
    that they do not cover is replaced by the sentence that answers best, and where no sentence does, nothing is made up.
    """

    def __init__(
        self,
        index: KnowledgeIndex,
        embedder: Callable[[], Embedder],
        model_for: ModelFor,
        *,
        parameters: Callable[[str | None], int] = lambda name: 0,
    ) -> None:
        """Nothing is loaded yet.

        Args:
            index: finds passages.
            embedder: gives the sentence encoder.
            model_for: gives chat models.
            parameters: the size of a local model; small ones do not write, see `writing.LEAST_PARAMETERS`.
        """
        self._index = index
        self._embedder = embedder
        self._model_for = model_for
        self._parameters = parameters

    def answer(
        self,
        question: str,
        collection_id: str,
        *,
        model: str | None = None,
        adapter: Path | None = None,
        use_faqs: bool = True,
        cancel: CancelToken | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """As `stream`, all at once."""
        deltas = self.stream(
            question,
            collection_id,
            model=model,
            adapter=adapter,
            use_faqs=use_faqs,
            cancel=cancel,
            timeout_s=timeout_s,
        )
        for delta in deltas:
            if delta.answer is not None:
                return delta.answer
        raise CancelledError("the answer was stopped")

    @traced("rag.answer")
    def stream(
        self,
        question: str,
        collection_id: str,
        *,
        model: str | None = None,
        adapter: Path | None = None,
        use_faqs: bool = True,
        cancel: CancelToken | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[AnswerDelta]:
        """Answer a question from a collection, piece by piece; the last piece carries the whole answer.

        The pieces are what the model writes, before anything of it is checked: they are there to be watched. What counts, is
        stored and may be cited is `Answer.text` of the last piece alone; where it is not what was streamed, `Answer.notice`
        says so.

        Args:
            question: what is asked.
            collection_id: the collection that may be cited.
            model: chat model; None: the default one. One that fails or is gone is replaced by the default one, or, where that
                is too small to write, by the document's own words, with a notice.
            adapter: GGUF LoRA adapter for a local model.
            use_faqs: also answer from approved pairs; False where they must not be seen, as in evaluation.
            cancel: stops the work.
            timeout_s: seconds for the model's part; when they run out, the best sentence is the answer.

        Raises:
            NotFoundError: there is no such collection.
            CancelledError: `cancel` was set.
            EmbeddingError, StorageError: the search failed.
        """
        ask = _Ask(question, collection_id, model, adapter, cancel or CancelToken(), timeout_s, time.monotonic())
        ask.check()
        pairs = self._pairs(ask, use_faqs=use_faqs)
        reviewed = self._reviewed(question, pairs)
        if reviewed is not None:
            yield from _whole(ask, reviewed_answer(reviewed))
            return
        evidence = self._evidence(ask, pairs)
        ask.check()
        if not evidence or not evidence[0].sufficient:
            yield from _whole(ask, not_found())
            return
        yield from self._read(ask, relevant(evidence, CONTEXT_SENTENCES))

    def _pairs(self, ask: _Ask, *, use_faqs: bool) -> list[Passage]:
        """Approved pairs that have to do with the question. Brings the index up to date, once for the whole question."""
        with span("rag.retrieval") as step:
            self._index.sync(ask.collection_id, cancel=ask.cancel)
            if not use_faqs:
                return []
            pairs = self._index.search(ask.collection_id, ask.question, PAIRS, kind="faq", synchronise=False)
            step.set_output([(pair.question, pair.score) for pair in pairs])
        return pairs

    @traced("rag.reviewed", capture_input=False)
    def _reviewed(self, question: str, pairs: Sequence[Passage]) -> Passage | None:
        """The approved pair that asks the same thing, if there is one whose quote proves its answer.

        A reviewer may approve an answer that the quote does not prove; such a pair is evidence like any other. One in another
        language than its quote was compared with it by whoever approved it.
        """
        if not pairs:
            return None
        scores = similarity(question, [pair.question for pair in pairs], self._embedder())
        best = int(scores.argmax())
        found = replace(pairs[best], score=float(scores[best]))
        return found if _same_question(question, found) and provable(found) else None

    def _evidence(self, ask: _Ask, pairs: Sequence[Passage]) -> list[Evidence]:
        with span("rag.evidence") as step:
            chunks = self._index.search(ask.collection_id, ask.question, CHUNKS, kind="chunk", synchronise=False)
            evidence = gather(ask.question, [*chunks, *pairs], self._embedder())
            step.set_output([(item.text, item.support) for item in evidence[:CONTEXT_SENTENCES]])
        return evidence

    def _read(self, ask: _Ask, evidence: Sequence[Evidence]) -> Iterator[AnswerDelta]:
        """Have a model write an answer and check it, or let the best sentence speak for itself."""
        try:
            writer, notice = self._writer(ask)
            if writer is None:
                yield from _whole(ask, quoted_answer(evidence))
                return
            for piece in _write(writer, ask, evidence):
                if isinstance(piece, Completion):
                    completion = piece
                else:
                    yield piece
            completion = replace(completion, notice=notice or completion.notice)
        except _NO_ANSWER as exc:
            reason = exc.message.rstrip(".")
            yield from _whole(ask, quoted_answer(evidence, f"No model answered ({reason}); these are the document's words."))
            return
        ask.check()
        with span("rag.check"):
            answer = checked_answer(ask.question, evidence, completion)
        yield AnswerDelta("", replace(answer, timings=ask.timings(completion)))

    def _writer(self, ask: _Ask) -> tuple[ChatModel | None, str | None]:
        """The model that is to write: a remote one, with the default model behind it, or a local one that is large enough.

        A model that was fine-tuned for the purpose may write whatever its size. The notice says when another model than the
        wanted one is to write; None otherwise.

        Raises:
            NotFoundError, ModelError: the model was removed or is damaged, and the default one is too small to stand in.
        """
        try:
            model = self._model_for(ask.model)
            capable = ask.adapter is not None or self._parameters(ask.model) >= LEAST_PARAMETERS
        except REPLACEABLE as exc:
            if ask.model is None or not self._default_writes():
                raise
            default = self._model_for(None)
            return default, fallen_back(exc, ask.model, default.name)
        if not capable and model.capabilities.local:
            return None, None
        stands_in = ask.model is not None and (self._default_writes() or not model.capabilities.local)
        return (FallbackChatModel(model, self._model_for(None)) if stands_in else model), None

    def _default_writes(self) -> bool:
        return self._parameters(None) >= LEAST_PARAMETERS


def _same_question(question: str, pair: Passage) -> bool:
    """Whether a pair, scored by the similarity of the questions, was asked for in other words.

    A word that the pair does not have at all may be the one that makes the difference, however similar the rest is.
    """
    asked, pair_asked = content_stems(question), content_stems(pair.question)
    if pair.score >= SAME_QUESTION:
        narrower = numbers(pair.question) - numbers(question)
        return not narrower and asked <= content_stems(f"{pair.question} {pair.answer} {pair.text}")
    return pair.score >= SAME_WORDS and asked == pair_asked


@traced("rag.write", capture_input=False, capture_output=False)
def _write(model: ChatModel, ask: _Ask, evidence: Sequence[Evidence]) -> Iterator[AnswerDelta | Completion]:
    """Stream what a model writes; the completion is the last piece. Nothing of it is checked yet.

    Raises:
        ModelError, ProviderError, GenerationTimeout: it wrote nothing in time.
    """
    request = writing_request(ask.question, evidence, adapter=ask.adapter, cancel=ask.cancel, timeout_s=ask.time_left())
    for delta in model.stream(request.messages, request.params):
        if delta.text:
            yield AnswerDelta(delta.text)
        if delta.completion is not None:
            yield _in_time(delta.completion)
            return
    raise ModelError(f"{model.name} ended without an answer", retryable=True)


def _in_time(completion: Completion) -> Completion:
    if completion.finish_reason is FinishReason.TIMEOUT:
        raise GenerationTimeout(f"{completion.model} took too long", hint="Raise NEXUS_ANSWER_TIMEOUT_S.")
    return completion


def _whole(ask: _Ask, answer: Answer) -> Iterator[AnswerDelta]:
    """An answer that was there at once."""
    yield AnswerDelta(answer.text)
    yield AnswerDelta("", replace(answer, timings=ask.timings()))
