"""The review while an extraction brings more pairs: it follows, and moves nothing that a person looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from app.components.faq_review import REFRESH_S, refresh_s
from engine.container import Engine
from engine.domain import FaqPair, new_id, utc_now

OpenPage = Callable[[str], AppTest]


def press(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def open_question(page: AppTest) -> str:
    """The question of the pair that is open."""
    return next(text.value for text in page.markdown if text.value.startswith("#### ")).removeprefix("#### ").replace("\\", "")


def show(page: AppTest, status: str) -> AppTest:
    control = next(group for group in page.get("button_group") if group.label == "Status")
    return control.set_value(status).run()


def begun(engine: Engine, collection: str = "Handbook") -> None:
    """An extraction of a collection that runs."""
    engine.jobs.submit("extract", {"collection": collection, "files": [{"name": "a.md", "path": "x"}]})
    engine.jobs.claim("host:1:test", ["extract"])


def test_the_review_follows_an_extraction_of_its_own_collection(engine: Engine, handbook: list[FaqPair]) -> None:
    collection = engine.collection("Handbook")
    begun(engine, "Another")
    assert refresh_s(collection) is None
    begun(engine)
    assert refresh_s(collection) == REFRESH_S


def test_what_is_open_and_being_written_stays_while_pairs_come(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    begun(engine)
    page = press(open_page("documents"), "Edit")
    fields = [(area.label, area.value, area.proto.id) for area in page.text_area]
    better = replace(handbook[0], id=new_id(), question="Is this one better?", score=1.0)
    displaced = {handbook[0].id: better.id}
    engine.repositories.extraction.store(handbook[0].collection_id, [better], displaced=displaced)
    page.run()
    # Fields of the same identity keep in the browser what was typed into them.
    assert [(area.label, area.value, area.proto.id) for area in page.text_area] == fields
    next(area for area in page.text_area if area.label == "Answer").set_value("A draft")
    press(page, "Save")
    assert engine.repositories.faqs.get(handbook[0].id).answer == "A draft"


def test_rows_stay_where_they_are_while_pairs_come_and_go(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    begun(engine)
    page = open_page("documents")
    before, key = list(page.dataframe[0].value["Question"]), page.dataframe[0].proto.id
    new = replace(handbook[0], id=new_id(), question="Who is new here?", created_at=utc_now())
    engine.repositories.extraction.store(new.collection_id, [new], displaced={handbook[0].id: new.id})
    page.run()
    assert list(page.dataframe[0].value["Question"]) == [*before, new.question]
    assert page.dataframe[0].proto.id == key, "the selection is kept with the table"
    assert open_question(page) == handbook[0].question
    press(page, "Next")
    assert open_question(page) == handbook[3].question
    press(page, "Approve")
    assert list(page.dataframe[0].value["Question"]) == [handbook[4].question, new.question], "what was decided leaves"
    assert open_question(page) not in (handbook[0].question, new.question)


def test_rows_of_another_list_have_another_selection(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("documents")
    keys = [page.dataframe[0].proto.id]
    keys.append(show(page, "All").dataframe[0].proto.id)
    engine.repositories.collections.remove_document(handbook[0].collection_id, handbook[4].document_id or "")
    keys.append(page.run().dataframe[0].proto.id)
    assert len(set(keys)) == 3
    assert handbook[4].question not in list(page.dataframe[0].value["Question"])


def test_a_page_is_drawn_once_for_a_pair_that_stays_open(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    proof = engine.proof
    monkeypatch.setattr(engine, "proof", lambda pair: drawn.append(pair.question) or proof(pair))
    page = open_page("documents").run().run()
    assert len(drawn) == 1
    press(page, "Next")
    assert len(drawn) == 2


def test_pairs_of_a_running_extraction_are_shown_as_they_arrive(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    job = engine.jobs.submit("extract", {"collection": "Handbook", "files": [{"name": "a.md", "path": "x"}]})
    engine.jobs.claim("host:1:test", ["extract"])
    engine.jobs.emit(job.id, {"pairs": [pair.id for pair in handbook[:4]], "per_minute": 84.2})
    page = open_page("documents")
    told = next(text.value for text in page.caption if "4 new pairs to review" in text.value)
    assert handbook[3].question in told.replace("\\", "")


def test_the_first_documents_of_a_home_are_followed_from_the_beginning(engine: Engine, open_page: OpenPage) -> None:
    page = open_page("documents")
    assert page.expander[0].proto.expanded
    engine.jobs.submit("extract", {"collection": "New", "files": [{"name": "b.md", "path": "x"}]})
    begun(engine, "New")
    page.run()
    assert not page.expander[0].proto.expanded
    assert not any("No documents yet" in text.value for text in page.markdown)
    cards = [text.value for text in page.markdown if "Extract FAQ pairs" in text.value]
    assert ["b" in card.split(": ")[-1] for card in cards] == [True, False], "what runs comes first"
    assert len(page.get("progress")) == 1
    engine.jobs.submit("extract", {"collection": "New", "files": [{"name": "c.md", "path": "x"}]})
    page.run()
    assert [box.label for box in page.expander if "Waiting" in box.label] == ["Waiting: 2"]
