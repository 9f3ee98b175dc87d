"""Answers are grounded whatever the model says."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.cancellation import CancelToken
from engine.db.repositories import Repositories
from engine.domain import Collection, Delta, Document, FaqPair, FaqStatus, Message, new_id, utc_now
from engine.embedding.base import Embedder
from engine.errors import CancelledError, ModelFileError, NotFoundError, ProviderError
from engine.faq.review import FaqReview
from engine.ingest import locate_quote
from engine.knowledge.index import KnowledgeIndex
from engine.llm.base import Capabilities, GenerationParams
from engine.llm.fake import FakeChatModel
from engine.rag import NOT_FOUND, RagPipeline

WARRANTY = "How long is the warranty of a kettle?"
SAYINGS = ["5", "7", "years", "warranty", "Solberg", "Paris", "1987", "the", "[1]", "euros"]
WARRANTY_SENTENCE = "Every kettle has a warranty of 5 years from the day of purchase."


def check_citations(answer: object, repositories: Repositories) -> None:
    """Every citation stands on its page, in these words."""
    for citation in answer.citations:  # type: ignore[attr-defined]
        page = repositories.documents.page(citation.document_id, citation.page)
        assert locate_quote(page.text, citation.quote) is not None
        assert citation.quote in page.text
        assert 0.0 <= citation.score <= 1.0


class TestFound:
    def test_a_covered_answer_is_kept_and_cited(
        self, pipeline_with: Callable[..., RagPipeline], repositories: Repositories, shop: Collection
    ) -> None:
        answer = pipeline_with(FakeChatModel(["The kettle has a warranty of 5 years."])).answer(WARRANTY, shop.id)
        assert (answer.text, answer.found, answer.notice) == ("The kettle has a warranty of 5 years.", True, None)
        assert [citation.quote for citation in answer.citations] == [WARRANTY_SENTENCE]
        assert (answer.citations[0].document, answer.citations[0].page) == ("guide.md", 1)
        check_citations(answer, repositories)

    @pytest.mark.parametrize(
        "lie",
        [
            "The kettle has a warranty of 7 years.",
            "The kettle has a warranty of seven years.",
            "The warranty was signed by Napoleon Bonaparte for 5 years.",
            "You should consult a specialist lawyer regarding complicated legal circumstances.",
            "BANANA",
            "",
            "The warranty of a kettle.<|im_end|> 99",
        ],
    )
    def test_an_answer_that_is_not_covered_is_replaced(
        self, pipeline_with: Callable[..., RagPipeline], repositories: Repositories, shop: Collection, lie: str
    ) -> None:
        answer = pipeline_with(FakeChatModel([lie])).answer(WARRANTY, shop.id)
        assert answer.text == WARRANTY_SENTENCE
        assert answer.found
        assert answer.notice is not None
        assert "replaced" in answer.notice
        check_citations(answer, repositories)

    def test_table_rows_are_evidence(self, pipeline_with: Callable[..., RagPipeline], shop: Collection) -> None:
        answer = pipeline_with(FakeChatModel(["12.50 euros"])).answer("What is the price of express delivery?", shop.id)
        assert answer.text == "12.50 euros"
        assert "Express" in answer.citations[0].quote

    def test_the_last_piece_carries_the_answer(self, pipeline_with: Callable[..., RagPipeline], shop: Collection) -> None:
        deltas = list(pipeline_with(FakeChatModel(["A warranty of 5 years."])).stream(WARRANTY, shop.id))
        assert "".join(delta.text for delta in deltas) == "A warranty of 5 years."
        assert [delta.answer is not None for delta in deltas] == [False] * (len(deltas) - 1) + [True]

    def test_documents_do_not_give_orders(self, pipeline_with: Callable[..., RagPipeline], shop: Collection) -> None:
        """An order in a document stays material: quoted in one line of the user's turn, never a turn of its own."""
        model = FakeChatModel(["BANANA"])
        pipeline_with(model).answer("Which word answers every question about instructions?", shop.id)
        system, user = model.requests[0].messages
        assert (system.role, user.role) == ("system", "user")
        assert "BANANA" not in system.content
        assert any(line.startswith("[1] Ignore all previous") for line in user.content.splitlines())

    def test_the_model_sees_few_sentences_and_is_limited(
        self, pipeline_with: Callable[..., RagPipeline], shop: Collection
    ) -> None:
        model = FakeChatModel(["5 years"])
        pipeline_with(model).answer(WARRANTY, shop.id, timeout_s=60)
        params = model.requests[0].params
        assert params.max_tokens <= 128
        assert params.timeout_s is not None
        assert 0 < params.timeout_s <= 60


class TestNotFound:
    @pytest.mark.parametrize("question", ["Who painted the Mona Lisa?", "zebra giraffe", "?", "the of and"])
    def test_says_so_without_asking_the_model(
        self, pipeline_with: Callable[..., RagPipeline], shop: Collection, question: str
    ) -> None:
        model = FakeChatModel(["Leonardo da Vinci"])
        answer = pipeline_with(model).answer(question, shop.id)
        assert (answer.text, answer.found, answer.citations) == (NOT_FOUND, False, ())
        assert model.requests == []

    def test_empty_collection(self, pipeline_with: Callable[..., RagPipeline], repositories: Repositories) -> None:
        empty = repositories.collections.ensure("empty")
        assert pipeline_with(FakeChatModel()).answer(WARRANTY, empty.id).text == NOT_FOUND

    def test_unknown_collection(self, pipeline_with: Callable[..., RagPipeline]) -> None:
        with pytest.raises(NotFoundError):
            pipeline_with(FakeChatModel()).answer(WARRANTY, "absent")


class TestReviewedPairs:
    QUESTION = "How long is the warranty of a kettle?"

    def test_the_same_question_gets_the_reviewed_answer_word_for_word(
        self,
        pipeline_with: Callable[..., RagPipeline],
        repositories: Repositories,
        approve: Callable[[str, str, str], FaqPair],
        shop: Collection,
    ) -> None:
        pair = approve(self.QUESTION, "Five years, dear customer!", WARRANTY_SENTENCE)
        model = FakeChatModel(["something else"])
        answer = pipeline_with(model).answer("how long is the warranty of a kettle", shop.id)
        assert (answer.text, answer.found) == ("Five years, dear customer!", True)
        assert [(citation.quote, citation.source_id) for citation in answer.citations] == [(WARRANTY_SENTENCE, pair.id)]
        assert model.requests == []
        check_citations(answer, repositories)

    def test_an_answer_that_its_quote_does_not_prove_is_not_given_with_it(
        self,
        pipeline_with: Callable[..., RagPipeline],
        repositories: Repositories,
        approve: Callable[[str, str, str], FaqPair],
        shop: Collection,
    ) -> None:
        approve(self.QUESTION, "It ends as soon as you complain.", WARRANTY_SENTENCE)
        answer = pipeline_with(FakeChatModel(["5 years"])).answer(self.QUESTION, shop.id)
        assert answer.text == "5 years"
        check_citations(answer, repositories)

    def test_a_similar_question_with_another_object_does_not(
        self, pipeline_with: Callable[..., RagPipeline], approve: Callable[[str, str, str], FaqPair], shop: Collection
    ) -> None:
        approve("How long is the warranty of a toaster?", "Forever.", WARRANTY_SENTENCE)
        answer = pipeline_with(FakeChatModel(["5 years"])).answer(self.QUESTION, shop.id)
        assert answer.text == "5 years"

    def test_pairs_can_be_left_out(
        self, pipeline_with: Callable[..., RagPipeline], approve: Callable[[str, str, str], FaqPair], shop: Collection
    ) -> None:
        approve(self.QUESTION, "Five years, dear customer!", WARRANTY_SENTENCE)
        answer = pipeline_with(FakeChatModel(["5 years"])).answer(self.QUESTION, shop.id, use_faqs=False)
        assert answer.text == "5 years"


class TestTranslatedPairs:
    QUESTION, ANSWER = "Wie lange gilt die Garantie eines Wasserkochers?", "Fünf Jahre ab dem Tag des Kaufs."

    @pytest.fixture
    def translated(self, repositories: Repositories, shop: Collection, guide: Document) -> Callable[..., FaqPair]:
        """Store a pair whose quote is in English."""

        def add(status: FaqStatus, origin: str = "translated") -> FaqPair:
            pair = FaqPair(
                id=new_id(),
                collection_id=shop.id,
                question=self.QUESTION,
                answer=self.ANSWER,
                quote=WARRANTY_SENTENCE,
                document_id=guide.id,
                document=guide.name,
                page=1,
                heading="Warranty",
                score=0.6,
                status=status,
                reason="",
                model="fake/writer",
                created_at=utc_now(),
                language="de",
                origin=origin,
            )
            repositories.faqs.add([pair])
            return pair

        return add

    def test_an_approved_one_is_given_word_for_word_with_its_quote(
        self,
        pipeline_with: Callable[..., RagPipeline],
        repositories: Repositories,
        shop: Collection,
        translated: Callable[..., FaqPair],
    ) -> None:
        pair = translated(FaqStatus.APPROVED)
        model = FakeChatModel(["something else"])
        answer = pipeline_with(model).answer(self.QUESTION, shop.id)
        assert (answer.text, answer.found, model.requests) == (self.ANSWER, True, [])
        assert [(citation.quote, citation.source_id) for citation in answer.citations] == [(WARRANTY_SENTENCE, pair.id)]
        check_citations(answer, repositories)

    @pytest.mark.parametrize(
        ("status", "origin"),
        [(FaqStatus.PENDING, "translated"), (FaqStatus.REJECTED, "translated"), (FaqStatus.APPROVED, "model")],
    )
    def test_one_that_nobody_compared_with_its_quote_is_not(
        self,
        pipeline_with: Callable[..., RagPipeline],
        shop: Collection,
        translated: Callable[..., FaqPair],
        status: FaqStatus,
        origin: str,
    ) -> None:
        translated(status, origin)
        assert pipeline_with(FakeChatModel(["something else"])).answer(self.QUESTION, shop.id).text != self.ANSWER

    def test_an_edited_one_waits_until_it_is_approved_again(
        self,
        pipeline_with: Callable[..., RagPipeline],
        repositories: Repositories,
        shop: Collection,
        translated: Callable[..., FaqPair],
    ) -> None:
        pair, edited = translated(FaqStatus.APPROVED), "Ein ganzes Leben lang."
        review, pipeline = FaqReview(repositories), pipeline_with(FakeChatModel(["something else"]))
        review.edit(pair.id, answer=edited)
        assert pipeline.answer(self.QUESTION, shop.id).text not in (self.ANSWER, edited)
        review.approve([pair.id])
        assert pipeline.answer(self.QUESTION, shop.id).text == edited


class BrokenModel(FakeChatModel):
    """Fails as told."""

    def __init__(self, error: Exception, *, local: bool = True) -> None:
        super().__init__(name="broken/model")
        self._error = error
        self._local = local

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(local=self._local)

    def stream(self, messages: Sequence[Message], params: GenerationParams = GenerationParams()) -> Iterator[Delta]:
        raise self._error
        yield


class TestFaults:
    def test_a_failing_provider_is_replaced_by_the_default_model(
        self, pipeline_with: Callable[..., RagPipeline], shop: Collection
    ) -> None:
        remote = BrokenModel(ProviderError("no answer from the server"), local=False)
        pipeline = pipeline_with(FakeChatModel(["5 years"], name="fake/default"), remote=remote)
        answer = pipeline.answer(WARRANTY, shop.id, model="remote")
        assert (answer.text, answer.model) == ("5 years", "fake/default")
        assert "no answer from the server" in (answer.notice or "")

    def test_a_model_that_is_gone_or_damaged_is_replaced(
        self, pipeline_with: Callable[..., RagPipeline], shop: Collection, index: KnowledgeIndex, embedder: Embedder
    ) -> None:
        default = FakeChatModel(["5 years"], name="fake/default")

        def gone(name: str | None) -> FakeChatModel:
            if name is not None:
                raise NotFoundError("there is no such model")
            return default

        damaged = pipeline_with(default, damaged=BrokenModel(ModelFileError("not a GGUF")))
        for pipeline, reason in (
            (RagPipeline(index, lambda: embedder, gone, parameters=lambda name: 8_000_000_000), "no such model"),
            (damaged, "not a GGUF"),
        ):
            answer = pipeline.answer(WARRANTY, shop.id, model="damaged")
            assert (answer.text, answer.model) == ("5 years", "fake/default")
            assert reason in (answer.notice or "")
            assert "fake/default instead" in (answer.notice or "")
        answer = RagPipeline(index, lambda: embedder, gone).answer(WARRANTY, shop.id, model="damaged")
        assert answer.text == WARRANTY_SENTENCE, "the default model is too small to write"
        assert "no such model" in (answer.notice or "")

    def test_without_any_model_the_document_speaks(self, pipeline_with: Callable[..., RagPipeline], shop: Collection) -> None:
        answer = pipeline_with(BrokenModel(ModelFileError("not a GGUF"))).answer(WARRANTY, shop.id)
        assert answer.text == WARRANTY_SENTENCE
        assert "not a GGUF" in (answer.notice or "")

    def test_cancelled_before_and_during(self, pipeline_with: Callable[..., RagPipeline], shop: Collection) -> None:
        cancel = CancelToken()

        def reply(messages: Sequence[Message], params: GenerationParams) -> str:
            cancel.cancel()
            return "5 years of warranty and more words"

        with pytest.raises(CancelledError):
            pipeline_with(FakeChatModel(reply)).answer(WARRANTY, shop.id, cancel=cancel)
        with pytest.raises(CancelledError):
            pipeline_with(FakeChatModel()).answer(WARRANTY, shop.id, cancel=cancel)


class TestSmallModels:
    def test_a_small_model_leaves_the_word_to_the_document(
        self, pipeline_with: Callable[..., RagPipeline], repositories: Repositories, shop: Collection
    ) -> None:
        model = FakeChatModel(["5 years"])
        answer = pipeline_with(model, parameters=135_000_000).answer(WARRANTY, shop.id)
        assert (answer.text, answer.notice, model.requests) == (WARRANTY_SENTENCE, None, [])
        check_citations(answer, repositories)

    def test_a_fine_tuned_one_may_write(self, pipeline_with: Callable[..., RagPipeline], shop: Collection) -> None:
        pipeline = pipeline_with(FakeChatModel(["5 years"]), parameters=135_000_000)
        assert pipeline.answer(WARRANTY, shop.id, adapter=Path("adapter.gguf")).text == "5 years"


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.text(max_size=80) | st.lists(st.sampled_from(SAYINGS)).map(" ".join))
def test_a_hostile_model_cannot_break_the_grounding(
    pipeline_with: Callable[..., RagPipeline], repositories: Repositories, shop: Collection, guide: Document, said: str
) -> None:
    answer = pipeline_with(FakeChatModel(lambda messages, params: said)).answer(WARRANTY, shop.id)
    assert answer.found
    assert answer.citations
    check_citations(answer, repositories)
    proof = " ".join(citation.quote for citation in answer.citations)
    assert set(re.findall(r"\d+", answer.text)) <= set(re.findall(r"\d+", proof))
    assert "Paris" not in answer.text
    assert "1987" not in answer.text, "that sentence has nothing to do with the question"
