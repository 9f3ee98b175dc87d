"""Data-set files, cleaning, splitting, settings and schedules."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain import Json, Message
from engine.errors import InputError
from engine.training.config import PRESETS, TrainingConfig, preset
from engine.training.datasets import dataset_files, tables
from engine.training.datasets.dataset_files import read_examples
from engine.training.datasets.examples import TrainingExample, examples_from_pairs, make_dataset
from engine.training.loop.schedule import StepBatches, epoch_batches, learning_rate, steps_per_epoch, total_steps
from engine.training.run_folder import RunSpec, read_run, write_run

PAIR = TrainingExample((Message("user", "When do you open?"),), "At 8:30.")


def write(folder: Path, text: str, name: str = "data.jsonl") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


class TestShapes:
    @pytest.mark.parametrize(
        "row",
        [
            {"question": "When do you open?", "answer": " At 8:30. "},
            {"instruction": "When do you open?", "input": "", "output": "At 8:30."},
            {
                "messages": [
                    {"role": "user", "content": "When do you open?"},
                    {"role": "assistant", "content": "At 8:30."},
                ]
            },
            {"conversations": [{"from": "human", "value": "When do you open?"}, {"from": "gpt", "value": "At 8:30."}]},
        ],
    )
    def test_every_shape_gives_the_same_example(self, tmp_path: Path, row: dict[str, object]) -> None:
        assert read_examples(write(tmp_path, json.dumps(row) + "\n\n")) == (PAIR,)

    def test_csv_with_quotes_byte_order_mark_and_other_columns(self, tmp_path: Path) -> None:
        text = '\ufeffId,Question,ANSWER\r\n1,"When do you open?",At 8:30.\r\n2,"What, exactly?","Two\nlines"\r\n'
        examples = read_examples(write(tmp_path, text, "data.csv"))
        assert examples == (PAIR, TrainingExample.from_pair("What, exactly?", "Two\nlines"))

    def test_alpaca_input_follows_the_instruction(self, tmp_path: Path) -> None:
        row = {"instruction": "Translate", "input": "Haus", "output": "house"}
        assert read_examples(write(tmp_path, json.dumps(row)))[0].question == "Translate\n\nHaus"

    def test_each_answer_of_a_conversation_is_an_example(self, tmp_path: Path) -> None:
        turns = [("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
        row = {"messages": [{"role": role, "content": content} for role, content in turns]}
        first, second = read_examples(write(tmp_path, json.dumps(row)))
        assert (first.question, first.answer, second.question, second.answer) == ("a", "b", "c", "d")
        assert [message.role for message in second.prompt] == ["system", "user", "assistant", "user"]

    @given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=5))
    def test_what_is_written_is_read_back(self, pairs: list[tuple[str, str]]) -> None:
        examples = [TrainingExample.from_pair(question, answer) for question, answer in pairs]
        for example in examples:
            if example.question and example.answer:
                assert dataset_files.examples_from_row(json.loads(json.dumps(example.to_json()))) == (example,)


class TestBadFiles:
    GOOD = '{"question": "a", "answer": "b"}\n'

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "holds no examples"),
            ("{\n", "line 1"),
            (GOOD + "not json\n", "line 2"),
            (GOOD + "[1, 2]\n", "line 2"),
            (GOOD + "\n" + '{"prompt": "a"}\n', "line 3"),
            (GOOD + '{"question": "a", "answer": 3}\n', "line 2: `answer`"),
            (GOOD + '{"question": "  ", "answer": "b"}\n', "line 2: `question`"),
            ('{"messages": "hello"}', "line 1"),
            ('{"messages": [1]}', "line 1"),
            ('{"messages": [{"role": "wizard", "content": "x"}]}', "'wizard' is no role"),
            ('{"messages": [{"role": "assistant", "content": "x"}]}', "no answer to a user"),
            ('{"messages": [' + ", ".join(['{"role": "user", "content": "x"}'] * 65) + "]}", "at most 64"),
            ("[" * 100_000, "line 1"),
            ('{"question": "a", "answer": "' + "x" * 40_000 + '"}', "40000 characters"),
        ],
        ids=range(14),
    )
    def test_complaint_names_the_line(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            read_examples(write(tmp_path, text))
        assert "data.jsonl" in caught.value.message

    @pytest.mark.parametrize(
        "text", ["a,b\n1,2\n", "", 'question,answer\n"open quote,x\n', "question,answer\n,\n", "question,answer\nq\n"]
    )
    def test_csv(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(InputError, match=r"data\.csv"):
            read_examples(write(tmp_path, text, "data.csv"))

    def test_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "data.jsonl"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match="not UTF-8"):
            read_examples(path)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot be read"):
            read_examples(tmp_path / "nothing.jsonl")

    def test_too_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tables, "MAX_FILE_BYTES", 10)
        with pytest.raises(InputError, match="10 are allowed"):
            read_examples(write(tmp_path, self.GOOD))

    def test_too_many_rows(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dataset_files, "MAX_ROWS", 3)
        with pytest.raises(InputError, match="more than 3"):
            read_examples(write(tmp_path, self.GOOD * 4))

    @given(st.text(max_size=200), st.sampled_from(["data.jsonl", "data.csv"]))
    def test_any_text_is_read_or_refused(self, tmp_path_factory: pytest.TempPathFactory, text: str, name: str) -> None:
        path = tmp_path_factory.mktemp("fuzz") / name
        path.write_bytes(text.encode("utf-8", "replace"))
        with contextlib.suppress(InputError):  # anything else fails the test
            assert read_examples(path)


class TestDataset:
    PAIRS = tuple((f"question {number}", f"answer {number}") for number in range(20))

    def test_duplicates_go_and_the_order_stays(self) -> None:
        dataset = make_dataset(examples_from_pairs([self.PAIRS[3], self.PAIRS[1], self.PAIRS[3]]), 0)
        assert [example.answer for example in dataset.train] == ["answer 3", "answer 1"]
        assert dataset.duplicates == 1

    def test_split_does_not_depend_on_the_order(self) -> None:
        one = make_dataset(examples_from_pairs(self.PAIRS), 0.2)
        two = make_dataset(examples_from_pairs(reversed(self.PAIRS)), 0.2)
        assert len(one.held_out) == 4
        assert set(one.held_out) == set(two.held_out)
        assert not set(one.train) & set(one.held_out)
        assert one.sha256() == two.sha256()

    def test_something_is_always_left_to_learn(self) -> None:
        dataset = make_dataset(examples_from_pairs(self.PAIRS[:1]), 0.5)
        assert (len(dataset.train), len(dataset.held_out)) == (1, 0)

    def test_of_few_examples_none_is_held_out(self) -> None:
        assert make_dataset(examples_from_pairs(self.PAIRS[:9]), 0.5).held_out == ()

    def test_of_enough_examples_a_small_fraction_holds_out_one(self) -> None:
        assert len(make_dataset(examples_from_pairs(self.PAIRS[:10]), 0.01).held_out) == 1

    def test_marked_examples_are_held_out_and_no_others(self) -> None:
        examples = examples_from_pairs(self.PAIRS)
        marked = [replace(example, held_out=index == 3) for index, example in enumerate(examples)]
        dataset = make_dataset(marked, 0.5)
        assert [example.question for example in dataset.held_out] == ["question 3"]
        assert make_dataset(dataset.examples, 0.0).held_out == dataset.held_out

    def test_one_prompt_with_two_answers_is_reported(self) -> None:
        dataset = make_dataset(examples_from_pairs([("q?", "one"), ("q?", "two"), ("r?", "three")]), 0)
        assert (dataset.conflicts, len(dataset.train)) == (1, 3)

    def test_paraphrases_of_one_fact_are_on_one_side(self) -> None:
        facts = [(f"What does plan {number} cost?", f"It costs {number} euros a month.") for number in range(12)]
        wordings = [(f"How much is {number} per month?", answer) for number, (_, answer) in enumerate(facts)]
        dataset = make_dataset(examples_from_pairs([*facts, *wordings]), 0.25)
        assert 0 < len(dataset.held_out) <= 6
        assert not {example.answer for example in dataset.train} & {example.answer for example in dataset.held_out}

    def test_an_example_survives_json(self) -> None:
        example = TrainingExample(PAIR.prompt, "a", "passage 1", "follow-up", held_out=True)
        assert TrainingExample.from_json(json.loads(json.dumps(example.to_json()))) == example

    def test_a_run_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        turns = (*PAIR.prompt, Message("assistant", "At 8:30."), Message("user", "Why\u2028so?"))
        examples = (PAIR, TrainingExample(turns, "So.", "c1", "follow-up"), TrainingExample(PAIR.prompt, "x", held_out=True))
        write_run(tmp_path, RunSpec("id", "name", Path("base.gguf"), Path("cache"), TrainingConfig()), examples)
        assert read_run(tmp_path)[1] == examples

    @pytest.mark.parametrize(
        "values",
        [
            {},
            {"messages": "x"},
            {"messages": []},
            {"messages": [{"role": "assistant", "content": "a"}]},
            {"messages": [{"role": "user"}]},
            {**PAIR.to_json(), "kind": "guess"},
        ],
    )
    def test_what_is_no_example_is_refused(self, values: dict[str, Json]) -> None:
        with pytest.raises(ValueError, match="example"):
            TrainingExample.from_json(values)

    def test_nothing(self) -> None:
        with pytest.raises(InputError, match="nothing to train on"):
            make_dataset([], 0.1)

    @pytest.mark.parametrize("pair", [("", "a"), ("q", " ")])
    def test_an_empty_side(self, pair: tuple[str, str]) -> None:
        with pytest.raises(InputError, match="Pair 2"):
            examples_from_pairs([("q", "a"), pair])


class TestConfig:
    def test_survives_json(self) -> None:
        for config in PRESETS.values():
            assert TrainingConfig.from_json(json.loads(json.dumps(config.to_json()))) == config

    def test_fingerprint_tells_settings_apart(self) -> None:
        assert preset("quick").fingerprint() != preset("quick", seed=1).fingerprint()

    @pytest.mark.parametrize(
        "values",
        [
            {"rank": 0},
            {"learning_rate": 5},
            {"learning_rate": float("nan")},
            {"dtype": "int4"},
            {"target_modules": []},
            {"target_modules": "q_proj"},
            {"rank": "many"},
            {"surprise": 1},
        ],
    )
    def test_refuses(self, values: dict[str, object]) -> None:
        with pytest.raises(InputError):
            TrainingConfig.from_json(values)  # type: ignore[arg-type]

    def test_unknown_preset(self) -> None:
        with pytest.raises(InputError, match="slow") as caught:
            preset("slow")
        assert "quick, balanced, thorough" in (caught.value.hint or "")


class TestSchedule:
    @given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 3), st.integers(0, 3))
    def test_each_epoch_takes_every_example_once(self, lengths: list[int], size: int, accumulate: int, epoch: int) -> None:
        config = TrainingConfig(batch_size=size, gradient_accumulation=accumulate)
        per_epoch = steps_per_epoch(len(lengths), config)
        batches = StepBatches(lengths, config)
        steps = [batches.of(epoch * per_epoch + index) for index in range(per_epoch)]
        assert steps[-1] == StepBatches(lengths, config).of((epoch + 1) * per_epoch - 1)  # as after a restart
        seen = [example for step in steps for batch in step for example in batch]
        assert sorted(seen) == list(range(len(lengths)))
        assert all(0 < len(step) <= accumulate and all(len(batch) <= size for batch in step) for step in steps)

    def test_epochs_differ_and_the_seed_decides(self) -> None:
        lengths = list(range(40))
        config = TrainingConfig(batch_size=4)
        assert epoch_batches(lengths, config, 0) != epoch_batches(lengths, config, 1)
        assert epoch_batches(lengths, config, 1) == epoch_batches(lengths, config, 1)

    def test_rate_rises_then_falls_to_its_floor(self) -> None:
        config = TrainingConfig(learning_rate=1e-3, warmup_ratio=0.1, min_learning_rate_ratio=0.1)
        rates = [learning_rate(step, 100, config) for step in range(100)]
        assert rates[:10] == sorted(rates[:10])
        assert max(rates) == rates[9] == pytest.approx(1e-3)
        assert rates[10:] == sorted(rates[10:], reverse=True)
        assert rates[-1] == pytest.approx(1e-4, rel=0.05)

    def test_max_steps_limits_the_epochs(self) -> None:
        assert total_steps(30, TrainingConfig(batch_size=8, epochs=3)) == 12
        assert total_steps(30, TrainingConfig(batch_size=8, epochs=3, max_steps=5)) == 5

    def test_a_few_examples_get_more_passes(self) -> None:
        assert total_steps(6, TrainingConfig(batch_size=8, epochs=3, least_steps=20)) == 20
        assert total_steps(80, TrainingConfig(batch_size=8, epochs=3, least_steps=20)) == 30
        assert total_steps(6, TrainingConfig(batch_size=8, epochs=3, least_steps=20, max_steps=5)) == 5
