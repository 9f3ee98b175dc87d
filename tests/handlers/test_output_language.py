"""Extraction jobs whose pairs are to be in another language than their documents."""

import io
import json
from collections.abc import Sequence

import pytest

from engine.container import Engine
from engine.domain import DUPLICATE_REASON, Completion, FaqPair, FaqStatus, FinishReason, Job, JobState, Message
from engine.errors import InputError
from engine.faq.translated_scores import UNCHECKED
from engine.llm.base import GenerationParams
from engine.llm.fake import FakeChatModel

TERMS = "# Delivery\n\nParcels of the shop arrive within 3 working days.\n\n# Repairs\n\nA repair in the shop costs 29 euros.\n"
MORE = TERMS + "\n# Gifts\n\nA gift card of the shop is valid for 5 years.\n"
WRITTEN = "\n# Questions\n\nQ: When does the shop open?\nA: The shop opens at nine.\n"
PAIRS = {
    "Parcels": ("Wie lange dauert die Lieferung?", "Die Lieferung dauert höchstens drei Werktage."),
    "repair": ("Was kostet eine Reparatur?", "Eine Reparatur kostet 29 Euro."),
    "gift": ("Wie lange ist der Gutschein gültig?", "Der Gutschein ist fünf Jahre gültig."),
}


def german(messages: Sequence[Message], _params: GenerationParams) -> str:
    if "JSON" not in messages[0].content:
        return "How long does a parcel of the shop take?"
    found = [pair for word, pair in PAIRS.items() if word in messages[-1].content]
    return json.dumps({"question": found[0][0], "answer": found[0][1]})


@pytest.fixture
def model(engine: Engine) -> FakeChatModel:
    """Words pairs in German, and questions in English."""
    model = FakeChatModel(german)
    use(engine, model)
    return model


def use(engine: Engine, model: FakeChatModel) -> None:
    engine.made["models"] = type("Models", (), {"get": lambda self, name: model, "close": lambda self: None})()


def extract(engine: Engine, text: str, language: str | None = "de", name: str = "terms.md", **options: object) -> Job:
    job = engine.extract([(name, io.BytesIO(text.encode()))], "shop", language=language, **options)
    ended = engine.worker.run_one(job.id)
    assert ended is not None
    assert ended.state is JobState.SUCCEEDED, ended.error
    return ended


def translated(engine: Engine) -> list[FaqPair]:
    return [pair for pair in engine.faqs("shop") if pair.origin == "translated"]


def test_pairs_are_in_the_chosen_language_with_the_document_s_own_quotes(engine: Engine, model: FakeChatModel) -> None:
    done = extract(engine, TERMS + WRITTEN)
    pairs = translated(engine)
    assert {(pair.question, pair.answer) for pair in pairs} == {PAIRS["Parcels"], PAIRS["repair"]}
    assert {pair.quote for pair in pairs} <= set(TERMS.split("\n"))
    assert {(pair.language, pair.status, pair.reason) for pair in pairs} == {("de", FaqStatus.PENDING, UNCHECKED)}
    assert all(pair.place is not None and pair.model == "fake/echo" for pair in pairs)
    (written,) = [pair for pair in engine.faqs("shop") if pair.origin == "written"]
    assert (written.language, written.question) == ("en", "When does the shop open?")
    assert done.result["pairs"] == 3
    assert "in German" in done.result["notice"]
    assert len(model.requests) == 2


def test_another_language_is_another_extraction_and_the_same_is_not(engine: Engine, model: FakeChatModel) -> None:
    extract(engine, TERMS + WRITTEN)
    asked = len(model.requests)
    again = extract(engine, TERMS + WRITTEN)
    assert (again.result["pairs"], len(model.requests)) == (0, asked)
    assert "in German" not in again.result["notice"]
    extract(engine, TERMS + WRITTEN, None)
    assert len(model.requests) > asked
    own = [pair for pair in engine.faqs("shop") if pair.origin not in ("translated", "written")]
    assert {pair.language for pair in own} == {"en"}
    assert len(translated(engine)) == 2
    assert len([pair for pair in engine.faqs("shop") if pair.origin == "written"]) == 1
    asked = len(model.requests)
    extract(engine, TERMS + WRITTEN, "en")
    assert len(model.requests) == asked, "English is the document's own language"


def test_a_new_version_is_asked_for_what_has_changed_in_each_language(engine: Engine, model: FakeChatModel) -> None:
    extract(engine, TERMS)
    asked = len(model.requests)
    extract(engine, MORE)
    assert len(model.requests) == asked + 1
    assert {pair.question for pair in translated(engine)} == {question for question, _ in PAIRS.values()}
    asked = len(model.requests)
    extract(engine, MORE, None)
    assert len(model.requests) > asked
    asked = len(model.requests)
    extract(engine, "\n" + MORE, "de")
    assert len(model.requests) == asked


def test_what_is_made_with_a_limit_can_be_gone_on_with(engine: Engine, model: FakeChatModel) -> None:
    assert extract(engine, MORE, max_pairs=1).result["pairs"] == 1
    extract(engine, MORE)
    assert len(translated(engine)) == 3


def test_pairs_in_the_chosen_language_are_compared_with_each_other(engine: Engine) -> None:
    same = json.dumps({"question": "Was kostet das Repair im Shop?", "answer": "Das Repair im Shop kostet 29 Euro."})
    use(engine, FakeChatModel([same]))
    extract(engine, "# Repairs\n\nA repair in the shop costs 29 euros.\n")
    use(engine, FakeChatModel([same.replace("im Shop?", "im Shop ?")]))
    extract(engine, "# Prices\n\nA repair in our shop costs 29 euros.\n", name="other.md")
    first, second = translated(engine)
    assert second.duplicate_of == first.id or first.duplicate_of == second.id
    assert {first.reason, second.reason} == {UNCHECKED, DUPLICATE_REASON}


def test_reviewers_can_approve_what_they_have_compared(engine: Engine, model: FakeChatModel) -> None:
    extract(engine, TERMS)
    pairs = translated(engine)
    assert engine.review.approve([pair.id for pair in pairs]) == 2
    reopened = engine.review.edit(pairs[0].id, answer="Die Lieferung dauert 4 Tage.")
    assert (reopened.status, "4" in reopened.reason) == (FaqStatus.PENDING, True)
    back = engine.review.edit(pairs[0].id, answer="Die Lieferung dauert drei Tage.")
    assert "different languages" in back.reason
    assert engine.review.approve([pairs[0].id]) == 1


@pytest.mark.parametrize("language", ["xx", "german", "../de", ""])
def test_no_language_at_all_is_refused_before_there_is_a_job(engine: Engine, language: str) -> None:
    with pytest.raises(InputError) as caught:
        engine.extract([("terms.md", io.BytesIO(TERMS.encode()))], "shop", language=language)
    assert caught.value.hint
    assert list(engine.jobs.list()) == []


def test_a_language_that_the_model_does_not_know_is_refused_before_there_is_a_job(engine: Engine) -> None:
    use(engine, FakeChatModel(languages=("en", "fr")))
    with pytest.raises(InputError, match="was not trained for German"):
        engine.extract([("terms.md", io.BytesIO(TERMS.encode()))], "shop", language="DE")
    assert list(engine.jobs.list()) == []
    assert engine.pair_languages() == {"en": "English", "fr": "French"}
    assert engine.extract([("terms.md", io.BytesIO(TERMS.encode()))], "shop", language="FR").payload["language"] == "fr"


def test_a_model_that_no_longer_knows_the_language_when_the_job_runs_fails_it(engine: Engine) -> None:
    use(engine, FakeChatModel(german))
    job = engine.extract([("terms.md", io.BytesIO(TERMS.encode()))], "shop", language="de")
    use(engine, FakeChatModel(languages=("en",)))
    ended = engine.worker.run_one(job.id)
    assert ended is not None
    assert ended.state is JobState.FAILED
    assert ended.error["code"] == "invalid_input"


class Stopping(FakeChatModel):
    """Breaks off in the middle of an answer."""

    def generate_many(self, requests):  # type: ignore[no-untyped-def]
        for position, request in enumerate(requests):
            text = german(request.messages, request.params)[: 40 if position else 500]
            yield position, Completion(text, FinishReason.LENGTH, self.name)


def test_half_an_answer_is_none(engine: Engine) -> None:
    use(engine, Stopping(german))
    extract(engine, TERMS)
    assert [pair.question for pair in translated(engine)] == [PAIRS["Parcels"][0]]
