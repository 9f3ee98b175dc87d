"""The review of pairs: what is open, what keys and buttons do, links between pairs that ask the same, and safe sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from streamlit.testing.v1 import AppTest

from app.components.faq_export import CHOICES, LABELS
from app.components.faq_score import WORDS, in_words
from app.components.faq_source import picture_html, text_html
from app.pages.documents import distinct
from engine.container import Engine
from engine.domain import FaqPair, FaqStatus, Page, Place, new_id
from engine.faq.export import FORMATS
from engine.faq.types import ScoreParts, TranslatedParts
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
    assert any("Nothing waits for review" in text.value for text in page.markdown)
    page.text_input[0].set_value("nowhere").run()
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


@pytest.mark.parametrize(
    ("control", "value", "count"),
    [
        ("Search", "CAFE brulee", 1),
        ("Search", "nothing like it", 0),
        ("Document", "menu.pdf", 1),
        ("Document", "handbook.pdf", 2),
        ("Which pairs", "To look at again", 1),
        ("Score", (0.85, 1.0), 2),
    ],
)
def test_pairs_are_found_by_the_rules_of_the_command_line(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage, control: str, value: str, count: int
) -> None:
    pair = replace(handbook[0], id=new_id(), question="Is there crème brûlée in the Café?", document="menu.pdf", score=0.9)
    engine.repositories.faqs.add([pair])
    page = open_page("documents")
    next(field for field in (*page.text_input, *page.selectbox, *page.slider) if field.label == control).set_value(value).run()
    shown = page.dataframe[0].value["Question"] if page.dataframe else []
    assert len(shown) == count


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


@pytest.mark.parametrize("way", ["Next", "Edit"])
def test_what_was_refused_for_one_pair_is_not_said_of_another(
    engine: Engine, handbook: list[FaqPair], open_page: OpenPage, way: str
) -> None:
    engine.repositories.faqs.change([handbook[0].id], "edit", lambda pair: replace(pair, answer="40 days"))
    page = press(open_page("documents"), "Approve")
    assert page.error
    assert not press(page, way).error


def test_a_quote_that_is_not_on_the_page_is_refused(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = press(open_page("documents"), "Edit")
    next(area for area in page.text_area if area.label.startswith("Quote")).set_value("Nobody wrote this.")
    press(page, "Save")
    assert any("word for word" in error.value for error in page.error)
    press(page, "Cancel")
    assert engine.repositories.faqs.get(handbook[0].id).quote == handbook[0].quote


def test_there_are_words_for_what_scores_are_made_of_and_for_nothing_else() -> None:
    assert set(WORDS) == {part.name for parts in (ScoreParts, TranslatedParts) for part in fields(parts)}


def test_every_part_of_the_score_is_said_in_words(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    parts = dict.fromkeys(WORDS, 0.1) | {"grounded": 0.9}
    engine.repositories.faqs.change([handbook[0].id], "edit", lambda pair: replace(pair, parts=parts))
    page = open_page("documents")
    said = next(text.value for text in page.markdown if "90%" in text.value)
    assert "keeps to the words of the quote" in said
    assert "hardly about the same thing" in said
    assert [value for _, value in in_words({"form": 0.9, "fact": 0.2, "new_part": 0.5})] == [0.2, 0.5, 0.9]


def test_the_source_comes_before_the_score(handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("documents")
    captions = [text.value for text in page.caption]
    source = next(at for at, text in enumerate(captions) if "page 1" in text)
    score = next(at for at, text in enumerate(captions) if "what this score is made of" in text)
    assert source < score, "where there is room for one column only, the proof stands below the pair"


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
    assert set(FORMATS) == set(LABELS)
    page = open_page("documents")
    page.session_state["documents-tabs"] = "Export"
    page.run()
    assert {button.proto.label for button in page.get("download_button")} == {LABELS[form][0] for form in FORMATS}
    assert any(text.value.startswith("5 pairs of 6") for text in page.caption)
    found = {name: engine.repositories.faqs.find(handbook[0].collection_id, query) for name, query in CHOICES.items()}
    assert {name: len(pairs) for name, pairs in found.items()} == {"Approved": 2, "All but rejected": 5, "All": 6}


def test_warnings_of_a_document_are_shown(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    document = replace(engine.repositories.documents.list()[0], id="a" * 64, warnings=("Page 3 has no text.",))
    engine.repositories.documents.add(document, [], [], collection_id=engine.collection("Handbook").id)
    page = open_page("documents")
    page.session_state["documents-tabs"] = "Documents"
    page.run()
    assert any("Page 3 has no text" in warning.value for warning in page.warning)


def test_files_of_one_name_that_are_handed_over_together_are_no_versions_of_each_other() -> None:
    assert distinct(["a.md", "b.md", "a.md", "a.md"]) == ["a.md", "b.md", "a (2).md", "a (3).md"]
