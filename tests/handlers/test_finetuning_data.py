"""What a fine-tune learns of a collection or a file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from engine.container import Engine
from engine.domain import DUPLICATE_REASON, Adapter, FaqPair, FaqStatus, new_id, utc_now
from engine.errors import ConflictError, InputError, NotFoundError
from engine.evaluation import held_out
from engine.handlers.finetuning_data import FinetuneData, chosen_data, frozen_data, trained_questions
from engine.rag import NOT_FOUND
from engine.requests import ColumnRole, DataOptions, FinetuneRequest, StagedFile, checked
from engine.training.datasets.columns import ROLES

Pairs = list[FaqPair]
MADE = ("rewording", "query")
TOPICS = ("kettle", "toaster", "blender", "grinder", "mixer", "juicer", "steamer", "freezer", "oven", "grill", "fryer", "scale")


def pair(collection_id: str, question: str, answer: str, chunk: str, status: FaqStatus = FaqStatus.APPROVED) -> FaqPair:
    return FaqPair(
        id=new_id(),
        collection_id=collection_id,
        question=question,
        answer=answer,
        quote=answer,
        document_id=None,
        document="shop.md",
        page=None,
        heading="",
        score=1.0,
        status=status,
        reason="",
        model="m",
        created_at=utc_now(),
        chunk_id=chunk,
    )


@pytest.fixture
def shop(engine: Engine) -> Pairs:
    """24 approved pairs, two of each of twelve passages."""
    collection = engine.repositories.collections.ensure("shop").id
    pairs = [
        pair(collection, text.format(topic), f"The {topic} has number {index} of {kind}.", f"chunk {index}")
        for index, topic in enumerate(TOPICS)
        for kind, text in (("prices", "How much does the {} cost?"), ("halls", "Can I find the {} in a hall?"))
    ]
    engine.repositories.faqs.add(pairs)
    return pairs


def chosen(engine: Engine, **options: object) -> FinetuneData:
    return chosen_data(engine, checked(DataOptions, **options), "shop", None)  # type: ignore[arg-type]


def kinds(data: FinetuneData) -> dict[str, int]:
    return {kind: [example.kind for example in data.examples].count(kind) for kind in {e.kind for e in data.examples}}


def test_whole_passages_are_kept_back_as_evaluation_does_it(engine: Engine, shop: Pairs) -> None:
    data = chosen(engine, holdout=0.25, paraphrases=0)
    out = {pair.id for pair in held_out(shop, 0.25)}
    assert set(data.held_out) == out
    assert len(out) == 6
    by_question = {example.question: example for example in data.examples}
    assert all(by_question[pair.question].held_out == (pair.id in out) for pair in shop)
    assert data.learnt == 18
    assert data.notice is None


def test_everything_that_is_made_belongs_to_what_is_learnt(engine: Engine, shop: Pairs) -> None:
    data = chosen(engine, holdout=0.25, paraphrases=2, follow_ups=1.0)
    out = {pair.answer for pair in shop if pair.id in data.held_out}
    learnt = [example for example in data.examples if not example.held_out]
    assert kinds(data)["rewording"] > 10
    assert kinds(data)["follow-up"] == 18
    assert not out & {example.answer for example in learnt}
    assert not out & {message.content for example in learnt for message in example.prompt}


def test_some_wordings_of_what_is_learnt_are_kept_back_to_measure_with(engine: Engine, shop: Pairs) -> None:
    data = chosen(engine, holdout=0.25, paraphrases=1)
    learnt = [example for example in data.examples if not example.held_out]
    measured = [example for example in data.examples if example.held_out and example.kind in MADE]
    assert 0 < len(measured) <= 5
    assert {example.answer for example in measured} <= {example.answer for example in learnt}
    assert not {example.question for example in measured} & {example.question for example in learnt}
    assert not [example for example in chosen(engine, holdout=0.0, paraphrases=1).examples if example.held_out]


def test_nothing_is_made_that_nobody_asked_for(engine: Engine, shop: Pairs) -> None:
    assert kinds(chosen(engine, paraphrases=0)) == {"pair": 24}


def test_each_question_is_taught_in_other_words_as_well(engine: Engine, shop: Pairs) -> None:
    data = chosen(engine, holdout=0.0)
    assert kinds(data).keys() == {"pair", *MADE}
    answers = {pair.question: pair.answer for pair in shop}
    for question, answer in answers.items():
        asked = {example.question for example in data.examples if example.answer == answer}
        assert 3 < len(asked) <= 11
        assert asked & answers.keys() == {question}, "no wording is another pair's question"


def test_without_an_encoder_questions_are_taught_as_they_stand(engine: Engine, shop: Pairs) -> None:
    with Engine(engine.settings.model_copy(update={"default_encoder": "absent"})) as other:
        data = chosen(other, holdout=0.0)
    assert kinds(data) == {"pair": 24}
    assert "without other wordings" in (data.notice or "")


def test_the_same_data_are_chosen_each_time(engine: Engine, shop: Pairs) -> None:
    options = {"paraphrases": 2, "follow_ups": 0.5, "unanswerable": 0.2}
    assert chosen(engine, **options) == chosen(engine, **options)


def test_questions_that_were_put_aside_are_other_wordings(engine: Engine, shop: Pairs) -> None:
    aside = pair(shop[0].collection_id, "What will the kettle cost me?", "Other.", "chunk 0", FaqStatus.REJECTED)
    aside = replace(aside, reason=DUPLICATE_REASON, duplicate_of=shop[0].id)
    older = replace(aside, id=new_id(), question="And the kettle costs how much?", duplicate_of=aside.id)
    refused = replace(aside, id=new_id(), question="Does the kettle cost the earth?", reason="It is silly.")
    engine.repositories.faqs.add([aside, older, refused])
    found = {example.question: example for example in chosen(engine, holdout=0.0, paraphrases=5).examples}
    for question in (aside.question, older.question):
        assert (found[question].kind, found[question].answer) == ("wording", shop[0].answer)
    assert refused.question not in found


def test_unanswerable_questions_come_from_elsewhere_and_are_not_answered_here(engine: Engine, shop: Pairs) -> None:
    other = engine.repositories.collections.ensure("clinic").id
    asked = ["Which ward treats measles overnight?", shop[0].question]
    engine.repositories.faqs.add([pair(other, question, "x", "c") for question in asked])
    data = chosen(engine, holdout=0.0, unanswerable=0.25)
    made = [example for example in data.examples if example.kind == "unanswerable"]
    assert {example.answer for example in made} == {NOT_FOUND}
    assert len(made) == 6
    assert asked[0] in {example.question for example in made}
    assert not {pair.question for pair in shop} & {example.question for example in made}


def test_a_language_that_the_encoder_does_not_know(engine: Engine) -> None:
    german = engine.repositories.collections.ensure("shop").id
    questions = [f"Was kostet die Reparatur von dem {topic} und wie lange dauert sie?" for topic in TOPICS]
    engine.repositories.faqs.add([pair(german, question, "Neun Euro.", str(n)) for n, question in enumerate(questions)])
    data = chosen(engine, paraphrases=3, unanswerable=0.5)
    assert kinds(data) == {"pair": 12}
    assert "language" in (data.notice or "")


def test_few_pairs_are_learnt_with_a_warning(engine: Engine, shop: Pairs, tmp_path: Path) -> None:
    file = tmp_path / "few.csv"
    file.write_text("question;answer\n" + "".join(f"What is {n}?;Number {n}.\n" for n in range(3)))
    data = chosen_data(engine, DataOptions(paraphrases=0), None, file)
    assert (data.learnt, data.held_out) == (3, ())
    assert "Only 3 examples" in (data.notice or "")


def test_a_file_with_its_columns(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("title;text\n" + "".join(f"How do I clean the {topic}?;Wipe {topic}s.\n" for topic in TOPICS))
    data = chosen_data(engine, DataOptions(columns={"question": "title", "answer": "text"}, paraphrases=1), None, file)
    assert data.learnt == 11 * 2
    pair, made = sorted((example.kind for example in data.examples if example.held_out), key=MADE.__contains__)
    assert (pair, made in MADE) == ("pair", True)
    with pytest.raises(InputError, match="'title', 'text'"):
        chosen_data(engine, DataOptions(columns={"question": "name"}), None, file)


@pytest.mark.parametrize("status", [FaqStatus.PENDING, FaqStatus.REJECTED])
def test_pairs_that_nobody_approved(engine: Engine, status: FaqStatus) -> None:
    collection = engine.repositories.collections.ensure("shop").id
    engine.repositories.faqs.add([pair(collection, "When?", "At nine.", "c", status)])
    if status is FaqStatus.PENDING:
        assert "No pair was approved" in (chosen(engine).notice or "")
    else:
        with pytest.raises(ConflictError, match="no pairs to learn"):
            chosen(engine)


def test_a_run_that_goes_on_learns_what_it_began_with(engine: Engine, shop: Pairs, tmp_path: Path) -> None:
    request = FinetuneRequest(name="a", collection="shop", paraphrases=1)
    first = frozen_data(engine, request, tmp_path)
    engine.repositories.faqs.add([pair(shop[0].collection_id, "And now?", "Now.", "c")])
    assert frozen_data(engine, request, tmp_path) == first
    assert frozen_data(engine, request, tmp_path / "other") != first


def test_questions_that_were_kept_back_are_not_known_as_trained(engine: Engine, shop: Pairs) -> None:
    frozen_data(engine, FinetuneRequest(name="a", collection="shop", paraphrases=0), engine.settings.runs_dir / "job")
    adapter = Adapter("a", "a", "fake/echo", Path("a.gguf"), utc_now(), job_id="job")
    known = trained_questions(engine, adapter)
    out = {pair.question for pair in held_out(shop, 0.1)}
    assert out
    assert known == {pair.question for pair in shop} - out


@pytest.mark.parametrize("text", ['{"question": "a"}', "question,answer\n"])
def test_a_file_that_makes_no_sense_is_not_kept(engine: Engine, tmp_path: Path, text: str) -> None:
    file = tmp_path / "data.csv"
    file.write_text(text)
    staged = engine.uploads.stage_file(file)
    with pytest.raises(InputError):
        frozen_data(engine, FinetuneRequest(name="a", dataset=staged), tmp_path / "run")
    with pytest.raises(NotFoundError):
        engine.uploads.path(staged)


Make = Callable[[], object]


@pytest.mark.parametrize(
    "options",
    [{"holdout": 0.9}, {"paraphrases": 13}, {"follow_ups": 2}, {"unanswerable": -1}, {"columns": {"title": "x"}}],
)
def test_options_out_of_range_are_refused_before_there_is_a_job(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        checked(DataOptions, **options)  # type: ignore[arg-type]


def test_what_a_column_can_be() -> None:
    assert get_args(ColumnRole) == ROLES
    staged = StagedFile(name="a.csv", path="uploads/x/a.csv")
    request = FinetuneRequest(name="a", dataset=staged, columns={"question": "Frage"})
    assert FinetuneRequest.model_validate(request.model_dump(mode="json")) == request
