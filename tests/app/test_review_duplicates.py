"""Pairs that ask the same: links between them, and those that were put aside for another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from app.components.faq_table import KINDS
from engine.container import Engine
from engine.domain import DUPLICATE_REASON, FaqPair, FaqStatus, new_id

OpenPage = Callable[[str], AppTest]


def press(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def open_question(page: AppTest) -> str:
    """The question of the pair that is open."""
    return next(text.value for text in page.markdown if text.value.startswith("#### ")).removeprefix("#### ").replace("\\", "")


def show(page: AppTest, status: str) -> AppTest:
    control = next(group for group in page.get("button_group") if group.label == "Status")
    return control.set_value(status).run()


@pytest.fixture
def duplicate(engine: Engine, handbook: list[FaqPair]) -> FaqPair:
    """A rejected pair that asks the same as the approved one of the handbook."""
    pair = replace(
        handbook[1],
        id=new_id(),
        question="How much leave is there in the first year?",
        status=FaqStatus.REJECTED,
        reason="It asks the same as a better pair.",
        duplicate_of=handbook[1].id,
    )
    engine.repositories.faqs.add([pair])
    return pair


def test_from_a_duplicate_to_the_better_pair_and_back(
    engine: Engine, handbook: list[FaqPair], duplicate: FaqPair, open_page: OpenPage
) -> None:
    page = show(open_page("documents"), "rejected")
    while open_question(page) != duplicate.question:
        press(page, "Next")
    press(page, next(button.label for button in page.button if button.label.startswith("The better pair")))
    assert open_question(page) == handbook[1].question
    press(page, "Back to the pair before")
    assert open_question(page) == duplicate.question
    show(page, "approved")
    assert open_question(page) == handbook[1].question
    page.button(key=f"worse-{duplicate.id}").click().run()
    assert open_question(page) == duplicate.question


def test_an_edited_question_that_another_pair_asks_leads_to_that_one(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    page = press(open_page("documents"), "Edit")
    next(area for area in page.text_area if area.label == "Question").set_value(handbook[3].question.upper())
    press(page, "Save")
    assert any("Another pair asks the same" in warning.value for warning in page.warning)
    press(page, "The other pair")
    assert open_question(page) == handbook[3].question
    press(page, "Reject")
    press(page, "Undo")
    press(page, "Undo")
    assert open_question(page) == handbook[0].question
    assert not any("Another pair" in warning.value for warning in page.warning)


@pytest.mark.parametrize("action", ["reject", "reject all", "edit"])
def test_what_was_put_aside_for_a_pair_that_goes_is_offered(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage, action: str
) -> None:
    lost = replace(handbook[0], id=new_id(), question="How much leave?", status=FaqStatus.REJECTED)
    lost = replace(lost, reason=DUPLICATE_REASON, duplicate_of=handbook[0].id)
    engine.repositories.faqs.add([lost])
    page = open_page("documents")
    if action == "edit":
        press(page, "Edit")
        next(area for area in page.text_area if area.label == "Question").set_value("Who grants leave?")
        press(page, "Save")
    else:
        press(page, "Reject" if action == "reject" else "Reject all 3 pending shown")
    assert any("1 pair was put aside" in text.value for text in page.info)
    press(page, "Review it again")
    assert open_question(page) == lost.question
    assert engine.repositories.faqs.get(lost.id).status is FaqStatus.PENDING
    assert not any("put aside" in text.value for text in page.info)
    press(page, "Undo")
    assert engine.repositories.faqs.get(lost.id) == lost


def test_pairs_that_were_put_aside_are_reviewed_again_from_the_better_one(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    lost = [
        replace(handbook[0], id=new_id(), question=f"How much leave, {at}?", status=FaqStatus.REJECTED, reason=DUPLICATE_REASON)
        for at in range(2)
    ]
    engine.repositories.faqs.add([replace(pair, duplicate_of=handbook[0].id) for pair in lost])
    press(open_page("documents"), "Review both again")
    assert {engine.repositories.faqs.get(pair.id).status for pair in lost} == {FaqStatus.PENDING}


def test_kinds_of_pairs_to_choose_from(engine: Engine, handbook: list[FaqPair], duplicate: FaqPair) -> None:
    def shown(kind: str) -> set[str]:
        return {pair.id for pair in engine.repositories.faqs.find(duplicate.collection_id, KINDS[kind])}

    assert shown("Duplicates of a better pair") == {duplicate.id}
    assert shown("No duplicates") == {pair.id for pair in handbook}
    flagged = {pair.id for pair in handbook if pair.reason and pair.status is FaqStatus.PENDING}
    assert shown("To look at again") == flagged != set()


def test_what_was_put_aside_in_one_collection_is_not_offered_in_another(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    lost = replace(handbook[0], id=new_id(), status=FaqStatus.REJECTED, reason=DUPLICATE_REASON, duplicate_of=handbook[0].id)
    other = engine.repositories.collections.ensure("Other")
    engine.repositories.faqs.add([lost, replace(handbook[3], id=new_id(), collection_id=other.id)])
    page = press(open_page("documents"), "Reject")
    assert any("put aside" in text.value for text in page.info)
    page.selectbox(key="documents-collection").set_value("Other").run()
    assert open_question(page) == handbook[3].question
    assert not page.info
