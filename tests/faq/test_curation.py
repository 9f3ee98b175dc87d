"""Checks, scores and the choice among candidates."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.domain import Chunk, FaqStatus
from engine.embedding.base import Embedder
from engine.embedding.fake import HashingEmbedder
from engine.embedding.registry import create_embedder
from engine.faq.checks import rejection_of
from engine.faq.curation import AMBIGUOUS, Curator, faq_pairs, score_of
from engine.faq.prompts import EXAMPLES
from engine.faq.row_rules import row_questions
from engine.faq.types import Candidate, Origin, ScoreParts, Wording

MakeChunk = Callable[..., Chunk]
QUOTE = "Refunds are issued to the original card within five working days."
PAGE = f"Returns\n{QUOTE}\nReturned items must be unused and in their box.\nThe shop opens at 9:00 on weekdays."


@pytest.fixture
def chunk(chunk_of: MakeChunk) -> Chunk:
    return chunk_of(PAGE, "Returns", page=3)


@pytest.fixture
def good(chunk: Chunk) -> Candidate:
    return Candidate("Within how many working days are refunds issued?", QUOTE, QUOTE, chunk, Origin.MODEL, 0.8, "8")


@pytest.fixture(scope="module")
def minilm(models_dir: Path) -> Embedder:
    return create_embedder("all-MiniLM-L6-v2", models_dir)


def test_a_good_pair_passes(good: Candidate) -> None:
    assert rejection_of(good, PAGE) == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quote": "Refunds are issued in cash.", "answer": "Refunds"}, "not on the page"),
        ({"quote": "", "answer": ""}, "not on the page"),
        ({"answer": "Refunds are issued within two days."}, "not a part of the quote"),
        ({"answer": "  "}, "not a part of the quote"),
        ({"question": "Refunds are issued?"}, "not one plain question"),
        ({"question": "When are refunds issued"}, "not one plain question"),
        ({"question": "When are refunds issued? And how?"}, "not one plain question"),
        ({"question": "When are refunds\nissued?"}, "not one plain question"),
        ({"question": "When are <|im_end|> refunds issued?"}, "not one plain question"),
        ({"question": "When are refunds issued and who is the card?"}, "not one plain question"),
        ({"question": "When are refunds issued (to cards?"}, "not a whole sentence"),
        ({"question": "Who are the Refunds of the original card?"}, "does not have what the question asks for"),
        ({"question": "What do refunds issue to the original card within five working days?"}, "has its answer in it"),
        ({"question": "When refunds?"}, "too short"),
        ({"question": f"When are {'very ' * 40}late refunds issued?"}, "too short or too long"),
        ({"question": "When does this section say refunds are issued?"}, "points at the text"),
        ({"question": "According to the text, when are refunds issued?"}, "not one plain question"),
        ({"question": "When are such refunds issued?"}, "does not say what it is about"),
        ({"question": "When are they issued to the card?"}, "does not say what it is about"),
        ({"question": "What is it that you do?"}, "does not say what it is about"),
        ({"question": "When are are refunds issued?"}, "repeats itself"),
        ({"question": "When are refunds issued as refunds or refunds?"}, "repeats itself"),
        ({"question": "Are refunds issued within 14 working days?"}, "has a number"),
        ({"question": "When are refunds issued by Amazon?"}, "has a name"),
        ({"question": "When are refunds issued to the?"}, "not a whole sentence"),
        ({"question": "When does the refund be issued?"}, "not a whole sentence"),
        ({"question": "How often are refunds issued to the card?"}, "does not have what the question asks for"),
        ({"question": "How many refunds are issued to the card?"}, "does not have what the question asks for"),
        (
            {"question": "Why are refunds issued on the card?", "quote": "Refunds are issued by card.", "answer": "card"},
            "does not have",
        ),
        ({"question": "What is a refund?"}, "does not have what the question asks for"),
        ({"question": "What do refunds to the original card mean?"}, "does not have what the question asks for"),
        ({"question": "How can refunds be issued?"}, "does not have what the question asks for"),
        (
            {
                "question": "When did refunds begin in 2019?",
                "quote": "Refunds began in 2019.",
                "answer": "Refunds began in 2019.",
            },
            "has its answer in it",
        ),
        ({"question": "When are bananas harvested and shipped overseas?"}, "about something that the quote does not say"),
    ],
)
def test_each_hard_check_has_its_reason(good: Candidate, change: dict[str, str], reason: str) -> None:
    assert reason in rejection_of(replace(good, **change), f"{PAGE}\nRefunds are issued by card.\nRefunds began in 2019.")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "repeats"),
    [
        ("Quel est le prix de la livraison de la commande de la boutique de Lyon ?", False),
        ("¿Cuál es el plazo de la entrega de la tienda y de la devolución de la compra?", False),
        ("Wie hoch ist die Gebühr für die Lieferung und die Rückgabe an die Filiale?", False),
        ("Où nous nous retrouvons pour la visite ?", False),
        ("Wo ist ist die Filiale?", True),
        ("Quel est le prix du colis et quel est le poids du colis ?", True),
        ("Welche Lieferung ist eine Lieferung der Lieferung?", True),
        ("退货需要多少天?", False),
    ],
)
def test_foreign_questions_may_repeat_small_words_only(good: Candidate, question: str, repeats: bool) -> None:
    reason = rejection_of(replace(good, question=question, quote=question, answer=question, english=False), question)
    assert reason == ("The question repeats itself." if repeats else "")


@pytest.mark.parametrize(
    ("question", "quote"),
    [
        ("What is a refund?", "A refund is money that we send back."),
        (
            "What is the Tallybird shop?",
            "The Tallybird shop (once the Tally Till Shop; Latin: taberna) is a shop.",
        ),
        ("What is the largest shop of the town?", "Tallybird is the largest shop of the town."),
        ("What is Tallybird?", "We work with Tallybird, a maker of tills."),
        ("What is the total area of the new shop?", "The total area of the new shop rose to 800 square metres."),
        ("How can refunds be issued?", "Refunds can be issued by sending the money to the card."),
        ("What do you do in the summer of 1521?", "In the summer of 1521, you returned your parcels."),
        ("What does the refund desk accept?", "The refund desk accepts parcels, letters and crates."),
        ("Who was the first buyer?", "Ada was the first buyer."),
        ("When did refunds begin in Germany?", "Refunds began in Germany in 2019."),
        ("When do refunds begin?", "Refunds begin after the parcel is back."),
        ("What is the name of the head of the refund desk?", "Ada is the name of the head of the refund desk."),
    ],
)
def test_a_quote_that_answers_its_question_passes(good: Candidate, question: str, quote: str) -> None:
    assert rejection_of(replace(good, question=question, quote=quote, answer=quote), quote) == ""


def test_a_number_cut_in_two_is_no_answer(good: Candidate) -> None:
    candidate = replace(good, quote="The fee is 1250 EUR.", answer="The fee is 12", question="How much is the fee?")
    assert "number" in rejection_of(candidate, "The fee is 1250 EUR.")


def test_a_copied_example_is_refused(good: Candidate) -> None:
    _, sentence, question = EXAMPLES[0]
    assert "copied" in rejection_of(replace(good, quote=sentence, answer=sentence, question=question), sentence)


def test_written_pairs_need_only_be_on_the_page(good: Candidate) -> None:
    assert rejection_of(replace(good, question="it?", origin=Origin.WRITTEN), PAGE) == ""
    assert rejection_of(replace(good, origin=Origin.WRITTEN), "another page") != ""


def test_the_quote_is_looked_for_on_its_own_page(good: Candidate, chunk: Chunk) -> None:
    pairs = Curator(HashingEmbedder(), [chunk], {2: PAGE}).curate([good])
    assert pairs[0].status is FaqStatus.REJECTED


def test_weights_add_up_to_one_and_scores_stay_in_range() -> None:
    assert score_of(ScoreParts(1, 1, 1, 1, 1, 1)) == pytest.approx(1)
    assert score_of(ScoreParts(0, 0, 0, 0, 0, 0)) == 0
    assert score_of(ScoreParts(0.5, None, None, 0.5, 0.5, 0.5)) == pytest.approx(0.5)


@pytest.mark.models
class TestWithMiniLm:
    def test_the_best_question_to_each_fact_is_kept(self, minilm: Embedder, chunk: Chunk, good: Candidate) -> None:
        worse = replace(good, question="Are refunds issued to the original card within five working days?", origin=Origin.RULE)
        bad = replace(good, question="What is this section about?")
        [pair] = Curator(minilm, [chunk], {3: PAGE}).curate([bad, worse, good])
        assert (pair.candidate.question, pair.status) == (good.question, FaqStatus.PENDING)
        assert pair.score > 0.7

    def test_a_question_whose_words_the_model_would_not_choose_is_doubtful(
        self, minilm: Embedder, chunk: Chunk, good: Candidate
    ) -> None:
        for wording, passes in ((Wording(-0.4, -2.0), True), (Wording(-2.5, -4.0), False), (Wording(-0.4, -14.0), False)):
            [pair] = Curator(minilm, [chunk], {3: PAGE}).curate([replace(good, wording=wording)])
            assert (pair.status is FaqStatus.PENDING) is passes
            assert passes or "wording" in pair.reason

    def test_of_two_questions_the_better_worded_one_is_kept(self, minilm: Embedder, chunk: Chunk, good: Candidate) -> None:
        first, second = replace(good, wording=Wording(-0.9, -5.0)), replace(good, wording=Wording(-0.1, -0.5))
        [pair] = Curator(minilm, [chunk], {3: PAGE}).curate([first, second])
        assert pair.candidate is second

    def test_where_nothing_passes_one_rejected_pair_tells_why(self, minilm: Embedder, chunk: Chunk, good: Candidate) -> None:
        bad = [replace(good, question=question) for question in ("Refunds.", "What is this section about?")]
        [pair] = Curator(minilm, [chunk], {3: PAGE}).curate(bad)
        assert pair.status is FaqStatus.REJECTED
        assert pair.reason

    def test_a_question_that_another_sentence_answers_is_rejected(
        self, minilm: Embedder, chunk: Chunk, good: Candidate
    ) -> None:
        wrong = replace(good, question="Must items returned for refunds be unused?")
        [pair] = Curator(minilm, [chunk], {3: PAGE}).curate([wrong])
        assert pair.status is FaqStatus.REJECTED
        assert "Another sentence" in pair.reason or "quote does not say" in pair.reason

    def test_facts_keep_the_order_of_the_document(self, minilm: Embedder, chunk: Chunk, good: Candidate) -> None:
        opening = "The shop opens at 9:00 on weekdays."
        second = replace(good, question="When does the shop open on weekdays?", quote=opening, answer=opening, key="99")
        pairs = Curator(minilm, [chunk], {3: PAGE}).curate([second, good])
        assert [pair.candidate.key for pair in pairs] == ["99", "8"]

    def test_stored_pairs_have_all_that_proves_them(self, minilm: Embedder, chunk: Chunk, good: Candidate) -> None:
        curated = Curator(minilm, [chunk], {3: PAGE}).curate([good])
        [pair] = faq_pairs(curated, collection_id="c", document="returns.pdf", model="smol")
        assert (pair.document, pair.page, pair.heading, pair.chunk_id) == ("returns.pdf", 3, "Returns", "chunk0")
        assert (pair.quote, pair.answer, pair.model, pair.status) == (QUOTE, QUOTE, "smol", FaqStatus.PENDING)


def test_no_candidates_give_no_pairs(chunk: Chunk) -> None:
    assert Curator(HashingEmbedder(), [chunk], {3: PAGE}).curate([]) == []


ROWS = "Delivery: Standard; Time: 5 days; Price: 4 EUR\nDelivery: Express; Time: next day; Price: 9 EUR"


def _of_rows(text: str, make: MakeChunk) -> list[tuple[str, str]]:
    chunk = make(text, "Delivery")
    candidates = [
        Candidate(asked.question, asked.answer, row, chunk, Origin.RULE, 0.9, f"{asked.question} {row}", row=asked.fact)
        for row in text.splitlines()
        for asked in row_questions(row, chunk.heading_path)
    ]
    return [
        (pair.candidate.question, pair.reason) for pair in Curator(HashingEmbedder(), [chunk], {1: text}).curate(candidates)
    ]


def test_a_question_to_a_row_passes_whatever_row_is_nearest_to_it(chunk_of: MakeChunk) -> None:
    found = dict(_of_rows(ROWS, chunk_of))
    assert len(found) == 4
    assert set(found.values()) == {""}


def test_a_question_that_two_rows_answer_in_two_ways_is_rejected(chunk_of: MakeChunk) -> None:
    found = _of_rows(f"{ROWS}\nDelivery: Standard; Time: 5 days; Price: 6 EUR", chunk_of)
    reasons = [reason for question, reason in found if question == "How much does Standard delivery cost?"]
    assert reasons == [AMBIGUOUS, AMBIGUOUS]
    assert [reason for question, reason in found if question == "How long does Standard delivery take?"] == ["", ""]
