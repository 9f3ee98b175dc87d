"""The gate that tells an adapter that is served as it was trained from one that is not."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from engine.domain import Message
from engine.training.adapters.gate import Subject, compare_prompts, reference_folder, run_gate
from engine.training.adapters.gguf_adapter import write_gguf_adapter
from engine.training.adapters.parity import MAX_MEAN_KL, TIE_MARGIN, Logits, ParityReport, check_parity
from engine.training.datasets.encoding import EncodedExample, open_encoder
from engine.training.datasets.examples import TrainingExample, examples_from_pairs

EXAMPLE = EncodedExample((1, 2, 3, 4), prompt_length=1)
CHATS = examples_from_pairs([("How much is a ticket?", "Nine euros."), ("When is it open?", "From ten to six.")])


def rows(*values: tuple[float, ...]) -> Logits:
    return np.array(values, dtype=np.float32)


def judged(expected: Logits, actual: Logits) -> ParityReport:
    return check_parity([expected], [actual])


class TestCounting:
    def test_a_tie_may_fall_either_way(self) -> None:
        near = TIE_MARGIN / 2
        report = judged(rows((3.0, 3.0 - near, 0.0), (9.0, 1.0, 0.0)), rows((3.0 - near, 3.0, 0.0), (9.0, 1.0, 0.0)))
        assert (report.tokens, report.decided, report.top1_agreement) == (2, 1, 1.0)

    def test_a_clear_margin_must_not(self) -> None:
        clear = TIE_MARGIN * 1.1
        report = judged(rows((3.0, 3.0 - clear, 0.0)), rows((3.0 - clear, 3.0, 0.0)))
        assert report.top1_agreement == 0.0
        assert not report.ok

    def test_equal_guesses_with_other_probabilities_fail_by_their_divergence(self) -> None:
        report = judged(rows((9.0, 1.0, 0.0)), rows((2.0, 1.0, 0.0)))
        assert report.top1_agreement == 1.0
        assert report.mean_kl > MAX_MEAN_KL
        assert not report.ok

    def test_what_is_no_number_fails_and_can_be_stored(self) -> None:
        report = judged(rows((9.0, 1.0, 0.0)), rows((np.nan, 1.0, 0.0)))
        assert not report.ok
        assert json.loads(json.dumps(report.to_json(), allow_nan=False))["mean_kl"] is None

    def test_nothing_compared_is_no_pass(self) -> None:
        assert not check_parity([], []).ok


class TestPrompts:
    @pytest.fixture
    def trained(self, tiny_gguf: Path) -> list[EncodedExample]:
        with open_encoder(tiny_gguf) as encoder:
            return list(encoder.encode(CHATS, 512).items)

    def test_the_tokens_that_were_trained_on(self, tiny_gguf: Path, trained: list[EncodedExample]) -> None:
        with open_encoder(tiny_gguf) as encoder:
            report = compare_prompts(encoder, CHATS, trained, None)
        assert report is not None
        assert (report.chats, report.served, report.transformers, report.ok) == (2, True, None, True)

    def test_one_token_more_is_another_prompt(self, tiny_gguf: Path, trained: list[EncodedExample]) -> None:
        odd = [EncodedExample((0, *item.tokens), item.prompt_length + 1) for item in trained]
        with open_encoder(tiny_gguf) as encoder:
            report = compare_prompts(encoder, CHATS, odd, None)
        assert report is not None
        assert not report.served
        assert not ParityReport(10, 1.0, 0.0, 10, report).ok

    def test_a_chat_that_was_too_long_to_train_on_is_left_out(self, tiny_gguf: Path, trained: list[EncodedExample]) -> None:
        long = TrainingExample((Message("user", "again " * 60),), "Yes.")
        with open_encoder(tiny_gguf) as encoder:
            report = compare_prompts(encoder, [*CHATS, long], trained, None)
        assert report is not None
        assert (report.chats, report.ok) == (2, True)

    @pytest.mark.parametrize(("end", "equal"), [("<|im_end|>\n", True), ("<|im_end|>", False)])
    def test_transformers_template(
        self, end: str, equal: bool, tiny_gguf: Path, trained: list[EncodedExample], tmp_path: Path
    ) -> None:
        folder = reference_tokenizer(tiny_gguf, tmp_path / "tiny", end)
        with open_encoder(tiny_gguf) as encoder:
            report = compare_prompts(encoder, CHATS, trained, folder)
        assert report is not None
        assert report.transformers is equal
        assert report.ok is equal

    def test_the_folder_of_a_base_lies_beside_it(self, tiny_gguf: Path, tmp_path: Path) -> None:
        reference_tokenizer(tiny_gguf, tmp_path / "model.Q4", "")
        assert reference_folder(tmp_path / "model.Q4.gguf", tmp_path) == tmp_path / "model.Q4"
        assert reference_folder(tmp_path / "other.gguf", tmp_path) is None
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy" / "source.json").write_text(json.dumps({"weights": "originals", "folder": "model.Q4"}))
        assert reference_folder(tmp_path / "other.gguf", tmp_path / "copy") == tmp_path / "model.Q4"


class TestGate:
    @pytest.fixture
    def peft(self, make_peft: Callable[..., Path]) -> Path:
        return make_peft()

    def subject(self, gguf: Path, copy: Path, peft: Path) -> Subject:
        write_gguf_adapter(peft, gguf, peft.parent / "adapter.gguf")
        return Subject(copy, peft, gguf, peft.parent / "adapter.gguf")

    def test_without_anything_held_out_the_probes_are_compared(self, tiny_gguf: Path, tiny_copy: Path, peft: Path) -> None:
        report = run_gate(self.subject(tiny_gguf, tiny_copy, peft))
        assert report.ok
        assert report.tokens > 300
        assert report.mean_kl < 1e-3

    @pytest.mark.parametrize("alpha", [0.0, 6.0])
    def test_a_wrong_scale_is_found(self, alpha: float, tiny_gguf: Path, tiny_copy: Path, peft: Path) -> None:
        subject = self.subject(tiny_gguf, tiny_copy, peft)
        settings = json.loads((peft / "adapter_config.json").read_text())
        other = peft.parent / "other"
        other.mkdir()
        (other / "adapter_config.json").write_text(json.dumps(settings | {"lora_alpha": alpha}))
        (other / "adapter_model.safetensors").symlink_to(peft / "adapter_model.safetensors")
        write_gguf_adapter(other, tiny_gguf, subject.adapter_gguf)
        assert not run_gate(subject).ok


def reference_tokenizer(gguf: Path, folder: Path, end: str) -> Path:
    """The tiny model's tokenizer as a Hugging Face folder, whose template ends turns with `end`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = GGUFReader(gguf).fields["tokenizer.ggml.tokens"].contents()
    words = {word: number for number, word in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names[:3]])
    whole = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    whole.chat_template = (
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + END }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ).replace("END", repr(end))
    whole.save_pretrained(folder)
    return folder
