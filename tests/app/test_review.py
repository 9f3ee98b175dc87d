"""The review of pairs: what is open, what keys and buttons do, links between pairs that ask the same, and safe sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from app.components.faq_export import CHOICES, LABELS
from app.components.faq_review import REFRESH_S, refresh_s
from app.components.faq_score import WORDS, in_words
from app.components.faq_source import picture_html, text_html
from app.components.faq_table import FaqFilter
from app.pages.documents import distinct
from engine.container import Engine
from engine.domain import DUPLICATE_REASON, FaqPair, FaqStatus, Page, Place, new_id, utc_now
from engine.faq.export import FORMATS
from engine.knowledge.proof import Proof

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


def test_approving_opens_the_next_pair(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("documents")
    first = open_question(page)
    assert first == handbook[0].question
    press(page, "Approve")
    assert not page.error
    assert engine.repositories.faqs.get(handbook[0].id).status is FaqStatus.APPROVED
    assert open_question(page) == handbook[3].question
    assert any("Approved" in text.value and "year 0" in text.value for text in page.caption)


def test_rejecting_the_last_one_leaves_a_hint(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("documents")
    for _ in range(3):
        press(page, "Reject")
    assert engine.faqs("Handbook", FaqStatus.PENDING) == []
    assert any("No pair matches" in text.value for text in page.caption)
    press(page, "Undo")
    assert len(engine.faqs("Handbook", FaqStatus.PENDING)) == 1


def test_next_and_previous(handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("documents")
    press(page, "Next")
    assert open_question(page) == handbook[3].question
    assert any(text.value == "2 of 3" for text in page.caption)
    press(page, "Previous")
    assert open_question(page) == handbook[0].question


def test_thousands_of_pairs_are_listed_in_parts_and_decided_together(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    engine.repositories.faqs.add([replace(handbook[0], id=new_id(), question=f"Who is number {at}?") for at in range(700)])
    page = open_page("documents")
    assert any(text.value.startswith("Pairs 1 to 300 of 703.") for text in page.caption)
    assert len(page.dataframe[0].value) == 300
    press(page, "Approve all 702 pending shown")
    assert len(engine.faqs("Handbook", FaqStatus.APPROVED)) == 704


def test_the_keys_are_shown_and_no_letter_has_two_meanings(handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("documents")
    keys = {button.label: button.proto.shortcut for button in page.button if button.proto.shortcut}
    expected = {"Previous": "p", "Next": "n", "Undo": "u", "Approve": "a", "Reject": "x", "Edit": "e"}
    assert {label: key.lower() for label, key in keys.items()} == expected


@pytest.mark.parametrize("tab", ["Documents", "Export"])
def test_keys_do_nothing_where_the_review_is_not_seen(tab: str, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("documents")
    page.session_state["documents-tabs"] = tab
    page.run()
    assert not [button for button in page.button if button.proto.shortcut]


def test_undo_takes_back_what_was_decided_and_opens_the_pair(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    page = open_page("documents")
    press(page, "Reject")
    press(page, "Undo")
    assert engine.repositories.faqs.get(handbook[0].id).status is FaqStatus.PENDING
    assert open_question(page) == handbook[0].question
    press(page, "Undo")
    assert any("nothing to undo" in text.value for text in page.caption)


def test_a_bulk_action_is_undone_at_once(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = press(open_page("documents"), "Reject all 3 pending shown")
    assert engine.faqs("Handbook", FaqStatus.PENDING) == []
    press(page, "Undo")
    assert len(engine.faqs("Handbook", FaqStatus.PENDING)) == 3


def test_an_answer_that_the_quote_does_not_support_is_flagged(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    page = press(open_page("documents"), "Edit")
    assert not [button for button in page.button if button.label == "Approve"], "a letter in a text must not decide"
    next(area for area in page.text_area if area.label == "Answer").set_value("40 days")
    press(page, "Save")
    assert engine.repositories.faqs.get(handbook[0].id).reason
    assert any("40" in warning.value for warning in page.warning)
    press(page, "Approve")
    assert any("40" in error.value for error in page.error)
    assert open_question(page) == handbook[0].question


def test_a_quote_that_is_not_on_the_page_is_refused(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = press(open_page("documents"), "Edit")
    next(area for area in page.text_area if area.label.startswith("Quote")).set_value("Nobody wrote this.")
    press(page, "Save")
    assert any("word for word" in error.value for error in page.error)
    press(page, "Cancel")
    assert engine.repositories.faqs.get(handbook[0].id).quote == handbook[0].quote


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


def test_kinds_of_pairs_to_choose_from(handbook: list[FaqPair], duplicate: FaqPair) -> None:
    pairs = [*handbook, duplicate]

    def shown(kind: str) -> set[str]:
        return {pair.id for pair in pairs if FaqFilter(kind=kind).admits(pair)}

    assert all(FaqFilter(scores=(0.5, 0.65)).admits(pair) is (pair.score <= 0.65) for pair in pairs)
    assert shown("Duplicates of a better pair") == {duplicate.id}
    assert shown("No duplicates") == {pair.id for pair in handbook}
    flagged = {pair.id for pair in pairs if pair.reason and pair.status is FaqStatus.PENDING}
    assert shown("To look at again") == flagged != set()


def test_every_part_of_the_score_is_said_in_words(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    engine.repositories.faqs.edit(replace(handbook[0], parts=dict.fromkeys(WORDS, 0.1) | {"grounded": 0.9}))
    page = open_page("documents")
    said = next(text.value for text in page.markdown if "90%" in text.value)
    assert "keeps to the words of the quote" in said
    assert "hardly about the same thing" in said
    assert [value for _, value in in_words({"form": 0.9, "fact": 0.2, "new_part": 0.5})] == [0.2, 0.5, 0.9]


def test_html_of_a_source_has_nothing_live_in_it(hostile: str) -> None:
    text = f"{hostile}</mark><script>alert(1)</script>"
    proof = Proof(Page(1, f"before {text} after"), Place(7, 7 + len(text)), None)
    for html in (text_html(proof), text_html(replace(proof, place=None)), picture_html(b"x", f'"{text}', proof.page, None)):
        assert "&lt;script&gt;alert(1)" in html
        assert "alert(1)</script>" not in html.replace("&lt;script&gt;alert(1)&lt;/script&gt;", "")
        assert "<img src" not in html
    assert text_html(proof).count("<mark") == 1


def test_the_picture_is_scrolled_to_the_quote() -> None:
    page = Page(1, "x", width=600.0, height=800.0)
    html = picture_html(b"x", "page", page, Place(0, 1, ((0.0, 580.0, 600.0, 620.0),)))
    assert "0.7500" in html
    assert "aspect-ratio:600.0/800.0" in html


def test_every_format_can_be_saved_and_is_explained(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    assert set(FORMATS) <= set(LABELS)
    page = open_page("documents")
    page.session_state["documents-tabs"] = "Export"
    page.run()
    assert {button.proto.label for button in page.get("download_button")} == {LABELS[form][0] for form in FORMATS}
    assert any(text.value.startswith("5 pairs of 6") for text in page.caption)
    assert {name: sum(map(admits, handbook)) for name, admits in CHOICES.items()} == {
        "Approved": 2,
        "All but rejected": 5,
        "All": 6,
    }


def test_warnings_of_a_document_are_shown(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    document = replace(engine.repositories.documents.list()[0], id="a" * 64, warnings=("Page 3 has no text.",))
    engine.repositories.documents.add(document, [], [], collection_id=engine.collection("Handbook").id)
    page = open_page("documents")
    page.session_state["documents-tabs"] = "Documents"
    page.run()
    assert any("Page 3 has no text" in warning.value for warning in page.warning)


def test_pairs_of_a_running_extraction_are_shown_as_they_arrive(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    job = engine.jobs.submit("extract", {"collection": "Handbook", "files": [{"name": "a.md", "path": "x"}]})
    engine.jobs.claim("host:1:test", ["extract"])
    engine.jobs.emit(job.id, {"pairs": [pair.id for pair in handbook[:4]], "per_minute": 84.2})
    page = open_page("documents")
    assert any("4 new pairs to review · 84 a minute" in text.value for text in page.caption)
    assert list(page.dataframe[0].value["Question"]) == [pair.question for pair in reversed(handbook[:4])]


def test_files_of_one_name_that_are_handed_over_together_are_no_versions_of_each_other() -> None:
    assert distinct(["a.md", "b.md", "a.md", "a.md"]) == ["a.md", "b.md", "a (2).md", "a (3).md"]


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
    engine.repositories.extraction.store(handbook[0].collection_id, [better], displaced=displaced, reason=DUPLICATE_REASON)
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
    engine.repositories.extraction.store(new.collection_id, [new], displaced={handbook[0].id: new.id}, reason=DUPLICATE_REASON)
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
