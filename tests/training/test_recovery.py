"""What a training gets over: short memory, a full disk, a loss that is no number, wishes; on the tiny model."""

import json
import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.cancellation import CancelToken
from engine.domain import Json
from engine.errors import JobPaused, TrainingError
from engine.training import process
from engine.training.config import TrainingConfig
from engine.training.datasets.encoding import EncodedExample, EncodedExamples, open_encoder
from engine.training.datasets.examples import examples_from_pairs, make_dataset
from engine.training.loop.control import RunControl
from engine.training.loop.learner import Learner
from engine.training.loop.samples import sample_questions
from engine.training.run_folder import memory_kills, note_memory_kill
from engine.training.strategies.lora_model import answer_loss, lora_model
from engine.training.strategies.peft_trainer import PeftTrainer, train_learner
from engine.training.trainer import Ending, TrainingData, TrainingPaths, TrainingResult

CONFIG = TrainingConfig(
    rank=4, alpha=8, epochs=4, batch_size=4, learning_rate=1e-2, checkpoint_every=3, eval_every=2, early_stopping_patience=0
)
PAIRS = [(f"What is item {number}?", f"It is number {number * 7}.") for number in range(10)]
Events = list[Mapping[str, Json]]
Loss = Callable[[Sequence[EncodedExample]], torch.Tensor]


@pytest.fixture(scope="module")
def data(tiny_gguf: Path) -> TrainingData:
    with open_encoder(tiny_gguf) as encoder:
        items = encoder.encode(examples_from_pairs(PAIRS), 512).items
    return TrainingData(EncodedExamples(items[:8]), EncodedExamples(items[8:]))


class Runs:
    """Trainings of the tiny model in one folder."""

    def __init__(self, data: TrainingData, copy: Path, folder: Path) -> None:
        self.data, self.copy, self.folder = data, copy, folder
        self.events: Events = []
        self.control = RunControl()
        folder.mkdir()

    def train(
        self,
        config: TrainingConfig = CONFIG,
        loss: Callable[[Loss], Loss] = lambda plain: plain,
        on_event: Callable[[Mapping[str, Json]], None] = lambda event: None,
    ) -> TrainingResult:
        def progress(event: Mapping[str, Json]) -> None:
            self.events.append(event)
            on_event(event)

        paths = TrainingPaths(self.copy, self.folder)
        model = lora_model(paths, config, longest=100)
        learner = Learner(model, loss(lambda batch: answer_loss(model, batch)))
        return train_learner(learner, self.data, config, paths, progress, self.control)

    def said(self) -> str:
        return " ".join(str(event["text"]) for event in self.events if event["event"] == "message")

    def steps_on_disk(self) -> list[int]:
        return sorted(int(path.name.removeprefix("step-")) for path in (self.folder / "checkpoints").iterdir())

    def losses_on_disk(self) -> list[float]:
        return [json.loads(line)["loss"] for line in (self.folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def runs(data: TrainingData, tiny_copy: Path, tmp_path: Path) -> Runs:
    return Runs(data, tiny_copy, tmp_path / "run")


@pytest.fixture(scope="module")
def straight(data: TrainingData, tiny_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A training that nothing happens to."""
    return Runs(data, tiny_copy, tmp_path_factory.mktemp("straight") / "run").train()


def losses(result: TrainingResult) -> list[float]:
    return [float(str(row["loss"])) for row in result.curve]


def weights(result: TrainingResult) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(result.peft_dir / "adapter_model.safetensors")


class TestRows:
    def test_each_step_tells_all_figures(self, straight: TrainingResult) -> None:
        for row in straight.curve:
            assert float(str(row["grad_norm"])) > 0
            assert float(str(row["tokens_per_s"])) > 0
            assert int(str(row["memory_peak"])) >= int(str(row["memory"])) > 0
        assert [row["step"] for row in straight.curve if row["eval_loss"] is not None] == [2, 4, 6, 8]

    def test_time_left_falls_to_nothing(self, runs: Runs) -> None:
        runs.train()
        left = [float(str(event["eta_s"])) for event in runs.events if event["event"] == "progress"]
        assert left[0] > 0
        assert left[-1] == 0


class TestSamples:
    @pytest.mark.parametrize(("held_out", "taught"), [(0.3, False), (0.0, True)])
    def test_three_questions_are_answered_at_each_look(
        self, held_out: float, taught: bool, runs: Runs, straight: TrainingResult, tiny_gguf: Path
    ) -> None:
        dataset = make_dataset(examples_from_pairs(PAIRS), held_out)
        with open_encoder(tiny_gguf) as encoder:
            samples = sample_questions(encoder, dataset, 3, limit=512)
            runs.data = replace(runs.data, samples=samples)
            result = runs.train()
        looks = [row["samples"] for row in result.curve if row.get("samples") is not None]
        assert [len(look) for look in looks] == [3, 3, 3, 3]
        expected = {example.answer for example in (dataset.held_out or dataset.train)}
        assert all(sample["taught"] is taught and sample["expected"] in expected for look in looks for sample in look)
        assert all(isinstance(sample["answer"], str) for look in looks for sample in look)
        assert losses(result) == losses(straight)  # looking changes nothing

    def test_few_held_out_questions_are_joined_by_learnt_ones(self, tiny_gguf: Path) -> None:
        dataset = make_dataset(examples_from_pairs(PAIRS), 0.1)
        with open_encoder(tiny_gguf) as encoder:
            asked = sample_questions(encoder, dataset, 3, limit=512).questions
            assert sample_questions(encoder, dataset, 3, limit=1).questions == ()
        assert [question.taught for question in asked] == [False, True, True]

    def test_what_is_learnt_is_answered_word_for_word(self, runs: Runs, tiny_gguf: Path) -> None:
        dataset = make_dataset(examples_from_pairs([("a", "blue"), ("zzz", "seven")]), 0.0)
        with open_encoder(tiny_gguf) as encoder:
            runs.data = TrainingData(
                encoder.encode(dataset.train, 512), EncodedExamples(), sample_questions(encoder, dataset, 3, limit=512)
            )
            result = runs.train(replace(CONFIG, rank=16, alpha=32, epochs=60, eval_every=60))
        (look,) = [row["samples"] for row in result.curve if row.get("samples")]
        assert [(sample["question"], sample["answer"]) for sample in look] == [("a", "blue"), ("zzz", "seven")]


class TestMemory:
    def test_a_step_is_done_again_with_fewer_examples_at_once(self, runs: Runs, straight: TrainingResult) -> None:
        sizes: list[int] = []

        def short_of_memory(plain: Loss) -> Loss:
            def loss(batch: Sequence[EncodedExample]) -> torch.Tensor:
                if len(batch) > 2:
                    torch.empty(1 << 60)  # as PyTorch itself says that there is no memory
                sizes.append(len(batch))
                return plain(batch)

            return loss

        result = runs.train(loss=short_of_memory)
        assert losses(result) == pytest.approx(losses(straight), rel=1e-4)
        assert max(sizes) == 2
        (notice,) = result.notices
        assert "Memory ran out at step 1" in notice
        assert "2 examples" in notice
        assert [event["text"] for event in runs.events if event.get("notice")] == [notice]

    def test_what_the_system_ended_for_want_of_memory_goes_on_with_less_at_once(
        self, runs: Runs, straight: TrainingResult
    ) -> None:
        note_memory_kill(runs.folder)
        sizes: list[int] = []

        def counted(plain: Loss) -> Loss:
            return lambda batch: (sizes.append(len(batch)), plain(batch))[1]

        result = runs.train(loss=counted)
        assert max(sizes) == 2
        assert losses(result) == pytest.approx(losses(straight), rel=1e-4)
        assert "2 examples" in result.notices[0]

    @pytest.mark.parametrize(("after", "noted"), [("oom_kill 8", 1), ("oom_kill 7", 0), ("nonsense", 0)])
    def test_only_a_kill_by_the_kernel_counts_as_want_of_memory(
        self, after: str, noted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "vmstat").write_text("pgfault 12\noom_kill 7\n")
        monkeypatch.setattr(process, "VMSTAT", tmp_path / "vmstat")
        (tmp_path / "killed.py").write_text(
            f"import os\nopen({str(tmp_path / 'vmstat')!r}, 'w').write({after!r})\nos.kill(os.getpid(), 9)\n"
        )
        with pytest.raises(TrainingError, match="killed"):
            process.follow_child(
                tmp_path,
                "killed",
                "log",
                on_event=lambda event: None,
                cancel=CancelToken(),
                environment={"PYTHONPATH": str(tmp_path)},
            )
        assert memory_kills(tmp_path) == noted

    def test_a_single_example_that_is_too_large_ends_it_with_a_hint(self, runs: Runs) -> None:
        def never(plain: Loss) -> Loss:
            return lambda batch: torch.empty(1 << 60)

        with pytest.raises(TrainingError, match="single example") as caught:
            runs.train(loss=never)
        assert "shorter" in (caught.value.hint or "")

    def test_other_faults_are_not_taken_for_want_of_memory(self, runs: Runs) -> None:
        def broken(plain: Loss) -> Loss:
            return lambda batch: torch.ones(2) @ torch.ones(3)

        with pytest.raises(RuntimeError, match="size"):
            runs.train(loss=broken)


class TestNotANumber:
    @staticmethod
    def after(steps: int) -> Callable[[Loss], Loss]:
        """A loss that is NaN after so many steps; one of the held-out part is not counted."""

        def make(plain: Loss) -> Loss:
            taken = 0

            def loss(batch: Sequence[EncodedExample]) -> torch.Tensor:
                nonlocal taken
                taken += torch.is_grad_enabled()
                return plain(batch) * (torch.nan if taken > steps else 1.0)

            return loss

        return make

    def test_the_best_weights_before_it_are_kept(self, runs: Runs, data: TrainingData, tiny_copy: Path, tmp_path: Path) -> None:
        result = runs.train(loss=self.after(5))
        assert (result.ending, result.best_step, len(result.curve)) == (Ending.DIVERGED, 4, 5)
        assert "step 6" in result.notices[0]
        assert "lower learning rate" in result.notices[0]
        shorter = Runs(data, tiny_copy, tmp_path / "shorter")
        shorter.control.hear(b"")
        kept = weights(shorter.train(on_event=lambda event: shorter.control.hear(b"stop" if event.get("step") == 4 else b"")))
        assert all(torch.equal(tensor, kept[name]) for name, tensor in weights(result).items())

    def test_before_anything_was_learnt_it_is_an_error(self, runs: Runs) -> None:
        with pytest.raises(TrainingError, match="nan at step 2") as caught:
            runs.train(loss=self.after(1))
        assert "learning rate" in (caught.value.hint or "")


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A disk on which no file grows beyond this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestFullDisk:
    def test_training_goes_on_without_a_checkpoint_and_the_older_one_stays(self, runs: Runs, straight: TrainingResult) -> None:
        config = replace(CONFIG, checkpoint_every=2)

        def fill(event: Mapping[str, Json]) -> None:
            if event.get("step") == 3:
                limit = (runs.folder / "checkpoints/step-00000002/state.safetensors").stat().st_size // 2
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        with largest_file(resource.RLIM_INFINITY):
            result = runs.train(config, on_event=fill)
        assert losses(result) == losses(straight)
        assert runs.steps_on_disk() == [2]
        assert "no checkpoint of step 4" in runs.said()
        assert "disk space" in runs.said()

    def test_rows_that_the_disk_refused_are_made_up_for(self, runs: Runs) -> None:
        refusing = largest_file(0)

        def on_event(event: Mapping[str, Json]) -> None:
            if event.get("step") == 1:
                refusing.__enter__()
            if event.get("step") == 2:
                refusing.__exit__(None, None, None)

        result = runs.train(on_event=on_event)
        assert runs.losses_on_disk() == losses(result)


class TestWishes:
    def test_a_pause_writes_a_checkpoint_and_the_rest_follows_the_same_curve(
        self, runs: Runs, straight: TrainingResult
    ) -> None:
        with pytest.raises(JobPaused, match="step 5 of 8"):
            runs.train(on_event=lambda event: runs.control.hear(b"pause" if event.get("step") == 5 else b""))
        assert runs.steps_on_disk() == [3, 5]
        runs.control = RunControl()
        result = runs.train()
        assert "Resumed at step 5" in runs.said()
        assert losses(result) == pytest.approx(losses(straight), rel=1e-6)
        assert all(torch.equal(tensor, weights(straight)[name]) for name, tensor in weights(result).items())

    def test_a_pause_on_a_full_disk_falls_back_to_the_checkpoint_before(self, runs: Runs, straight: TrainingResult) -> None:
        refusing = largest_file(1000)

        def on_event(event: Mapping[str, Json]) -> None:
            if event.get("step") == 5:
                refusing.__enter__()
                runs.control.hear(b"pause")

        try:
            with pytest.raises(JobPaused):
                runs.train(on_event=on_event)
        finally:
            refusing.__exit__(None, None, None)
        runs.control = RunControl()
        assert losses(runs.train()) == pytest.approx(losses(straight), rel=1e-6)
        assert "Resumed at step 3" in runs.said()

    def test_a_pause_before_the_first_step_keeps_nothing(self, runs: Runs) -> None:
        runs.control.hear(b"pause")
        with pytest.raises(JobPaused):
            runs.train()
        assert not (runs.folder / "checkpoints").exists()

    def test_stop_and_keep_ends_with_the_best_so_far(self, runs: Runs) -> None:
        result = runs.train(on_event=lambda event: runs.control.hear(b"stop" if event.get("step") == 3 else b""))
        assert (result.ending, result.stopped_early, len(result.curve)) == (Ending.ASKED, True, 3)
        assert result.best_step == 3
        assert (result.peft_dir / "adapter_model.safetensors").is_file()

    def test_a_paused_training_can_be_ended_and_kept(self, runs: Runs) -> None:
        with pytest.raises(JobPaused):
            runs.train(on_event=lambda event: runs.control.hear(b"pause" if event.get("step") == 5 else b""))
        runs.control = RunControl()
        runs.control.hear(b"stop")
        result = runs.train()
        assert (result.ending, len(result.curve)) == (Ending.ASKED, 5)

    def test_nothing_to_keep_yet(self, runs: Runs) -> None:
        runs.control.hear(b"stop")
        with pytest.raises(TrainingError, match="Nothing was learnt"):
            runs.train()

    @pytest.mark.parametrize("line", [b"", b"halt", b"\xff\xfe", b"pause stop"])
    def test_what_is_no_wish_is_passed_over(self, line: bytes) -> None:
        control = RunControl()
        control.hear(line)
        assert not control.pause
        assert not control.stop


class TestBestWeights:
    def test_those_of_the_lowest_loss_are_kept_after_it_has_risen(self, runs: Runs) -> None:
        config = replace(CONFIG, epochs=30, learning_rate=8e-2, eval_every=1, best_by="held_out", early_stopping_patience=4)
        result = runs.train(config)
        measured = [float(str(row["eval_loss"])) for row in result.curve]
        assert result.ending is Ending.NO_GAIN
        assert result.best_step == measured.index(min(measured)) + 1
        assert len(measured) == result.best_step + 4

    def test_held_out_wordings_of_taught_answers_are_measured_apart(self, runs: Runs, tiny_gguf: Path) -> None:
        from engine.training.loop.held_out import HeldOut

        with open_encoder(tiny_gguf) as encoder:
            train = encoder.encode(examples_from_pairs([("a", "blue")]), 512)
            held_out = encoder.encode(examples_from_pairs([("b", "blue"), ("c", "red")]), 512)
        model = lora_model(TrainingPaths(runs.copy, runs.folder), CONFIG, longest=100)
        look = HeldOut(Learner(model, lambda batch: answer_loss(model, batch)), TrainingData(train, held_out)).measure()
        assert look.taught == pytest.approx(answer_loss(model, held_out.items[:1]).item() / held_out.items[0].answer_length)
        assert look.overall is not None
        assert look.overall != look.taught


def test_the_trainer_heeds_a_wish(data: TrainingData, tiny_copy: Path, tmp_path: Path) -> None:
    control = RunControl()
    control.hear(b"pause")
    with pytest.raises(JobPaused):
        PeftTrainer().train(data, CONFIG, TrainingPaths(tiny_copy, tmp_path), lambda event: None, control)
