"""Pages that stream answers: ask, compare, and talking to an agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from engine.compare import CompareEvent
from engine.container import Engine
from engine.domain import Answer, AnswerDelta, Citation, FaqPair, Timings, Usage
from engine.errors import GenerationTimeout, ModelError
from engine.rag import RagPipeline

OpenPage = Callable[[str], AppTest]

CITED = Answer(
    text="Full-time employees get 25 days.",
    found=True,
    citations=(Citation("handbook.pdf", 1, "Full-time employees are entitled to 25 days of paid annual leave.", 0.91),),
    model="fake/echo",
    usage=Usage(prompt_tokens=40, completion_tokens=7),
    timings=Timings(first_token_s=0.2, total_s=0.5),
)
SILENT = Answer(text="The documents do not say.", found=False)


def script(*deltas: AnswerDelta | ModelError) -> Callable[..., Iterator[AnswerDelta]]:
    """An answer that comes in these pieces, and may break off."""

    def answer(*_: object, **__: object) -> Iterator[AnswerDelta]:
        for delta in deltas:
            if isinstance(delta, ModelError):
                raise delta
            yield delta

    return answer


def ask(page: AppTest, question: str = "How many days?") -> AppTest:
    """Type a question."""
    return page.chat_input[0].set_value(question).run()


def shown(page: AppTest) -> list[str]:
    """All plain text on the page."""
    return [text.value for text in page.text]


def test_answer_with_its_citation(monkeypatch: pytest.MonkeyPatch, handbook: list[FaqPair], open_page: OpenPage) -> None:
    monkeypatch.setattr(RagPipeline, "stream", script(AnswerDelta("Full-time employees "), AnswerDelta("get 25 days.", CITED)))
    page = ask(open_page("ask"))
    assert not page.error
    assert CITED.text in shown(page)
    assert CITED.citations[0].quote in shown(page)
    assert "page 1" in page.expander[0].label
    assert any("0.91" in caption.value for caption in page.caption)
    assert any("7 out" in caption.value for caption in page.caption)


def test_what_a_check_has_replaced_is_not_left_on_the_page(
    monkeypatch: pytest.MonkeyPatch, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    monkeypatch.setattr(RagPipeline, "stream", script(AnswerDelta("Employees get 99 days."), AnswerDelta("", CITED)))
    page = ask(open_page("ask"))
    assert CITED.text in shown(page)
    assert not any("99 days" in text for text in shown(page))


def test_an_answer_stays_when_the_page_runs_again(
    monkeypatch: pytest.MonkeyPatch, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    monkeypatch.setattr(RagPipeline, "stream", script(AnswerDelta(CITED.text, CITED)))
    page = ask(open_page("ask")).run()
    assert shown(page).count(CITED.text) == 1
    assert "How many days?" in shown(page)


def test_questions_are_kept_until_they_are_forgotten(
    monkeypatch: pytest.MonkeyPatch, engine: Engine, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    monkeypatch.setattr(RagPipeline, "stream", script(AnswerDelta(CITED.text, CITED)))
    ask(open_page("ask"))
    later = open_page("ask")
    assert CITED.text in shown(later)
    assert CITED.citations[0].quote in shown(later)
    next(button for button in later.button if button.label == "Forget these questions").click().run()
    assert shown(later) == []
    assert engine.asked.list("Handbook") == []


def test_the_documents_do_not_say(monkeypatch: pytest.MonkeyPatch, handbook: list[FaqPair], open_page: OpenPage) -> None:
    monkeypatch.setattr(RagPipeline, "stream", script(AnswerDelta(SILENT.text, SILENT)))
    page = ask(open_page("ask"))
    assert len(page.info) == 1
    assert SILENT.text not in shown(page)
    assert not page.expander


def test_an_answer_that_breaks_off_says_why(
    monkeypatch: pytest.MonkeyPatch, handbook: list[FaqPair], open_page: OpenPage
) -> None:
    failure = ModelError("the model gave up", hint="Try again.")
    monkeypatch.setattr(RagPipeline, "stream", script(AnswerDelta("Full-time "), failure))
    page = ask(open_page("ask"))
    assert "The model gave up" in page.error[0].value
    assert "Try again" in page.error[0].value


def test_hostile_answers_stay_text(
    monkeypatch: pytest.MonkeyPatch, handbook: list[FaqPair], open_page: OpenPage, hostile: str
) -> None:
    answer = Answer(hostile, found=True, citations=(Citation(hostile, 1, hostile, 0.5),), notice=hostile, model=hostile)
    monkeypatch.setattr(RagPipeline, "stream", script(AnswerDelta(hostile, answer)))
    page = ask(open_page("ask"))
    assert hostile in shown(page)
    read = [element.value for kind in (page.markdown, page.caption, page.info) for element in kind]
    read += [block.label for block in page.expander]
    assert not [text for text in read if "](" in text or "<img" in text.replace("\\<img", "")]


def test_real_pipeline_without_a_model_file(handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = ask(open_page("ask"), "How many days of leave in year 1?")
    assert not page.exception
    assert not page.error
    assert page.info or page.expander


def test_one_failing_side_leaves_the_others(monkeypatch: pytest.MonkeyPatch, everything: Engine, open_page: OpenPage) -> None:
    timeout = GenerationTimeout("no answer within 1 s", hint="Wait longer.").info()

    def compare(*_: object, **__: object) -> Iterator[CompareEvent]:
        yield CompareEvent("base", "A guess")
        yield CompareEvent("finetuned", error=timeout)
        yield CompareEvent("base", answer=Answer("A guess.", found=True, usage=Usage(completion_tokens=2)))
        yield CompareEvent("rag", CITED.text, CITED)

    monkeypatch.setattr(Engine, "compare", compare)
    page = open_page("finetune")
    page.selectbox(key="compare-adapter").set_value("taught").run()
    page.chat_input(key="compare-input").set_value("How many days?").run()
    assert {"A guess.", CITED.text} <= set(shown(page))
    errors = [error.value for error in page.error]
    assert len(errors) == 1
    assert "Wait longer" in errors[0]
    titles = [text.value for text in page.markdown]
    assert {"**Base model**", "**Fine-tuned**", "**From the documents**"} <= set(titles)


def test_create_an_agent_and_talk_to_it(engine: Engine, handbook: list[FaqPair], open_page: OpenPage) -> None:
    page = open_page("agents")
    next(box for box in page.text_input if box.label == "Name").set_value("Front desk").run()
    next(button for button in page.button if button.label == "Create agent").click().run()
    assert not page.error
    assert [agent.name for agent in engine.agents.list()] == ["Front desk"]
    page.chat_input(key="agent-input").set_value("I am Ada Byron, ada@example.org. How much leave is there?").run()
    assert not page.error
    assert [dict(lead.fields)["email"] for lead in engine.leads("Front desk")] == ["ada@example.org"]
    assert "ada@example.org" in shown(page)
