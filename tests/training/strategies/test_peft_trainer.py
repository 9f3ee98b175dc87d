"""The training loop on the tiny model, in this process."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.domain import Json
from engine.errors import TrainingError
from engine.training.adapters.parity import trained_predictor
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample, EncodedExamples, open_encoder
from engine.training.datasets.examples import examples_from_pairs
from engine.training.strategies.lora_model import answer_logits, lora_model
from engine.training.strategies.peft_trainer import PeftTrainer
from engine.training.trainer import Trainer, TrainingData, TrainingPaths, TrainingResult, choose_trainer

CONFIG = TrainingConfig(
    rank=4, alpha=8, epochs=4, batch_size=4, learning_rate=1e-2, dropout=0.1, checkpoint_every=3, eval_every=1
)
PAIRS = [(f"What is item {number}?", f"It is number {number * 7}.") for number in range(10)]


class Interrupted(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def data(tiny_gguf: Path) -> TrainingData:
    with open_encoder(tiny_gguf) as encoder:
        items = encoder.encode(examples_from_pairs(PAIRS), 512).items
    return TrainingData(EncodedExamples(items[:8]), EncodedExamples(items[8:]))


def train(data: TrainingData, config: TrainingConfig, copy: Path, run_dir: Path, *, stop_after: int = 0) -> TrainingResult:
    run_dir.mkdir(exist_ok=True)

    def progress(event: Mapping[str, Json]) -> None:
        if stop_after and event.get("step") == stop_after:
            raise Interrupted

    return PeftTrainer().train(data, config, TrainingPaths(copy, run_dir), progress)


def losses(result: TrainingResult) -> list[Json]:
    return [row["loss"] for row in result.curve]


class TestEncoding:
    def test_only_the_answer_and_its_end_are_learnt(self, tiny_gguf: Path) -> None:
        with open_encoder(tiny_gguf) as encoder:
            (item,) = encoder.encode(examples_from_pairs([("ab", "cd")]), 512).items
        answer = item.tokens[item.prompt_length :]
        assert len(answer) == 3  # two bytes and <|im_end|>
        assert answer[-1] == 2
        assert item.tokens[: item.prompt_length].count(1) == 2  # <|im_start|> of the user's turn and of the answer's

    def test_special_tokens_in_texts_are_plain_text(self, tiny_gguf: Path) -> None:
        with open_encoder(tiny_gguf) as encoder:
            (item,) = encoder.encode(examples_from_pairs([("x<|im_end|>", "y<|im_end|>z")]), 512).items
        assert list(item.tokens).count(2) == 2  # the user's turn and the answer's end, and no more
        assert item.tokens[-1] == 2

    def test_long_examples_are_cut_or_left_out_and_reported(self, tiny_gguf: Path) -> None:
        pairs = [("a", "b"), ("a", "b" * 100), ("a" * 100, "b")]
        with open_encoder(tiny_gguf) as encoder:
            encoded = encoder.encode(examples_from_pairs(pairs), 60)
        report = encoded.report()
        assert (report["examples"], report["truncated"], report["skipped"], report["longest"]) == (2, 1, 1, 60)

    @pytest.mark.models
    def test_the_prompt_is_the_one_that_the_runtime_sends(self, chat_gguf: Path) -> None:
        from engine.domain import Message
        from engine.llm.llamacpp.prompting.template import ChatTemplate
        from engine.llm.llamacpp.tokens import Vocabulary

        vocabulary = Vocabulary(chat_gguf)
        sent = ChatTemplate(vocabulary).tokens([Message("user", "When do you open?")])
        end = vocabulary.tokenise("<|im_end|>", special=True)
        answer = vocabulary.tokenise("At 8:30.")
        vocabulary.close()
        with open_encoder(chat_gguf) as encoder:
            item = encoder.encode_example(examples_from_pairs([("When do you open?", "At 8:30.")])[0])
        assert list(item.tokens[: item.prompt_length]) == sent
        assert list(item.tokens[item.prompt_length :]) == [*answer, *end]


class TestLoss:
    def test_equals_that_of_transformers_own_labels(self, data: TrainingData, tiny_copy: Path, tmp_path: Path) -> None:
        model = lora_model(TrainingPaths(tiny_copy, tmp_path), CONFIG).eval()
        item = data.train.items[0]
        logits, targets = answer_logits(model, [item])
        ours = torch.nn.functional.cross_entropy(logits, targets)
        labels = torch.tensor([[-100] * item.prompt_length + list(item.tokens[item.prompt_length :])])
        theirs = model(input_ids=torch.tensor([item.tokens]), labels=labels).loss
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)

    def test_padding_changes_nothing(self, data: TrainingData, tiny_copy: Path, tmp_path: Path) -> None:
        model = lora_model(TrainingPaths(tiny_copy, tmp_path), CONFIG).eval()
        short, long = EncodedExample(data.train.items[0].tokens[:-3], data.train.items[0].prompt_length), data.train.items[1]
        together = answer_logits(model, [short, long])[0]
        apart = torch.cat([answer_logits(model, [short])[0], answer_logits(model, [long])[0]])
        assert torch.allclose(together, apart, atol=1e-4)


@pytest.fixture(scope="module")
def whole(data: TrainingData, tiny_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """An uninterrupted run."""
    return train(data, CONFIG, tiny_copy, tmp_path_factory.mktemp("whole"))


class TestTraining:
    def test_learns_and_measures(self, whole: TrainingResult) -> None:
        curve = [float(str(value)) for value in losses(whole)]
        assert len(curve) == 8
        assert sum(curve[-2:]) < 0.8 * sum(curve[:2])
        assert whole.curve[-1]["eval_loss"] is not None
        assert not whole.stopped_early
        assert (whole.peft_dir / "adapter_model.safetensors").is_file()
        config = json.loads((whole.peft_dir / "adapter_config.json").read_text())
        assert (config["r"], config["lora_alpha"]) == (4, 8)

    @pytest.mark.parametrize("stop_after", [2, 5, 6])
    def test_an_interrupted_run_goes_on_along_the_same_curve(
        self, stop_after: int, whole: TrainingResult, data: TrainingData, tiny_copy: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(Interrupted):
            train(data, CONFIG, tiny_copy, tmp_path / "run", stop_after=stop_after)
        resumed = train(data, CONFIG, tiny_copy, tmp_path / "run")
        assert losses(resumed) == pytest.approx(losses(whole), rel=1e-6)
        assert [row["eval_loss"] for row in resumed.curve] == pytest.approx([row["eval_loss"] for row in whole.curve], rel=1e-6)
        assert resumed.best_step == whole.best_step
        assert [row["step"] for row in resumed.curve] == list(range(1, 9))
        rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(row)["step"] for row in rows] == list(range(1, 9))

    def test_a_damaged_checkpoint_falls_back_to_the_one_before(
        self, whole: TrainingResult, data: TrainingData, tiny_copy: Path, tmp_path: Path
    ) -> None:
        config = replace(CONFIG, checkpoint_every=2)
        with pytest.raises(Interrupted):
            train(data, config, tiny_copy, tmp_path / "run", stop_after=7)
        newest = tmp_path / "run" / "checkpoints" / "step-00000006" / "state.safetensors"
        newest.write_bytes(newest.read_bytes()[:100])
        assert losses(train(data, config, tiny_copy, tmp_path / "run")) == pytest.approx(losses(whole), rel=1e-6)

    def test_only_two_checkpoints_are_kept(self, data: TrainingData, tiny_copy: Path, tmp_path: Path) -> None:
        train(data, replace(CONFIG, checkpoint_every=1), tiny_copy, tmp_path / "run")
        names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
        assert names == ["step-00000006", "step-00000007"]

    def test_a_checkpoint_of_other_settings_is_refused(self, data: TrainingData, tiny_copy: Path, tmp_path: Path) -> None:
        with pytest.raises(Interrupted):
            train(data, CONFIG, tiny_copy, tmp_path / "run", stop_after=4)
        with pytest.raises(TrainingError, match="other settings"):
            train(data, replace(CONFIG, learning_rate=2e-2), tiny_copy, tmp_path / "run")

    def test_stops_when_the_loss_is_low_enough(self, data: TrainingData, tiny_copy: Path, tmp_path: Path) -> None:
        result = train(data, replace(CONFIG, stop_at_loss=9.0), tiny_copy, tmp_path / "run")
        assert result.stopped_early
        assert len(result.curve) == 2  # one epoch

    def test_stops_when_the_held_out_loss_no_longer_falls(self, data: TrainingData, tiny_copy: Path, tmp_path: Path) -> None:
        config = replace(CONFIG, epochs=50, learning_rate=5e-2, eval_every=1, early_stopping_patience=2, best_by="held_out")
        result = train(data, config, tiny_copy, tmp_path / "run")
        measured = [float(str(row["eval_loss"])) for row in result.curve]
        assert result.stopped_early
        assert measured.index(min(measured)) == len(measured) - 3
        saved = trained_predictor(tiny_copy, result.peft_dir)
        held_out = data.held_out.items
        logits = torch.cat([torch.from_numpy(saved(item)) for item in held_out])
        targets = torch.tensor([token for item in held_out for token in item.tokens[item.prompt_length :]])
        assert float(torch.nn.functional.cross_entropy(logits, targets)) == pytest.approx(min(measured), rel=1e-4)

    def test_accumulation_equals_a_larger_batch(self, data: TrainingData, tiny_copy: Path, tmp_path: Path) -> None:
        large = replace(CONFIG, dropout=0, batch_size=8, epochs=3, warmup_ratio=0)
        small = replace(large, batch_size=4, gradient_accumulation=2)
        expected = losses(train(data, large, tiny_copy, tmp_path / "large"))
        assert losses(train(data, small, tiny_copy, tmp_path / "small")) == pytest.approx(expected, rel=1e-3)

    def test_layers_that_the_model_lacks(self, data: TrainingData, tiny_copy: Path, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match="do not fit this model"):
            train(data, replace(CONFIG, target_modules=("qkv_proj",)), tiny_copy, tmp_path / "run")


class TestChoice:
    def test_peft_without_a_gpu(self) -> None:
        chosen: Trainer = choose_trainer("auto")
        assert chosen.name == ("unsloth" if torch.cuda.is_available() else "peft")

    def test_four_bits_are_refused(self, data: TrainingData, tiny_copy: Path, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match="four bits") as caught:
            train(data, replace(CONFIG, quantise_base=True), tiny_copy, tmp_path / "run")
        assert "unsloth" in (caught.value.hint or "")
