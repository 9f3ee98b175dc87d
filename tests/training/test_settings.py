"""The settings that a person may change: explained, ranged and checked by `TrainingConfig` itself."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
from gguf import GGUFWriter
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.training.config import PRESETS, RANGES, TrainingConfig, suited_rate
from engine.training.settings import parse_changes, preset_with, setting, settings

NUMBERS = [name for name, _, _ in RANGES]


class TestExplanations:
    def test_every_field_is_explained(self) -> None:
        assert [s.name for s in settings()] == [field.name for field in fields(TrainingConfig)]
        assert not [s.name for s in settings() if len(s.explanation) < 15]

    def test_the_text_is_the_one_below_the_field(self) -> None:
        assert setting("batch_size").explanation == "Examples in one forward pass."

    def test_every_number_has_its_range(self) -> None:
        assert {s.name for s in settings() if s.kind in ("integer", "number")} == set(NUMBERS)
        assert (setting("rank").low, setting("rank").high) == (1, 512)

    def test_the_values_of_all_presets_are_of_their_kind(self) -> None:
        for preset in PRESETS.values():
            for name, value in preset.to_json().items():
                assert setting(name).checked(value) == value


class TestSuited:
    """Presets for a base model of some width."""

    @pytest.mark.parametrize(("width", "rate"), [(64, 1e-3), (576, 1e-3), (2048, 3.7e-4), (4096, 2.2e-4)])
    def test_wider_models_learn_at_a_lower_rate(self, tmp_path: Path, width: int, rate: float) -> None:
        base = _header(tmp_path, width)
        assert preset_with("quick", {}, base).learning_rate == rate
        assert preset_with("quick", {"learning_rate": 5e-4}, base).learning_rate == 5e-4

    def test_a_width_that_a_file_does_not_tell_changes_nothing(self, tmp_path: Path) -> None:
        assert preset_with("quick", {}, _header(tmp_path, None)) == PRESETS["quick"]

    @given(st.sampled_from(list(PRESETS)), st.integers(1, 65_536))
    def test_every_rate_is_one_that_may_be_set(self, name: str, width: int) -> None:
        rate = suited_rate(PRESETS[name].learning_rate, width)
        assert replace(PRESETS[name], learning_rate=rate).learning_rate <= PRESETS[name].learning_rate


def _header(folder: Path, width: int | None) -> Path:
    """A GGUF file that holds metadata alone."""
    writer = GGUFWriter(folder / "base.gguf", "llama")
    if width is not None:
        writer.add_embedding_length(width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return folder / "base.gguf"


class TestChanges:
    def test_texts_become_values(self) -> None:
        texts = ["rank=32", "learning_rate = 2e-4", "target_modules=q_proj, v_proj", "max_steps=None", "dtype=bfloat16"]
        changed = preset_with("quick", parse_changes(texts))
        assert (changed.rank, changed.learning_rate, changed.max_steps, changed.dtype) == (32, 2e-4, None, "bfloat16")
        assert changed.target_modules == ("q_proj", "v_proj")
        assert changed.epochs == PRESETS["quick"].epochs

    @pytest.mark.parametrize(
        "text", ["rank", "=3", "rnk=3", "rank=", "rank=many", "rank=2.5", "rank=true", "rank=none", "dtype=int3", "rank=[1]"]
    )
    def test_what_makes_no_sense_is_refused_with_a_hint(self, text: str) -> None:
        with pytest.raises(InputError) as caught:
            parse_changes([text])
        assert caught.value.hint

    @pytest.mark.parametrize("text", ["rank=0", "learning_rate=1e9", "target_modules=", "dropout=1e999"])
    def test_what_is_out_of_range_is_refused(self, text: str) -> None:
        with pytest.raises(InputError):
            preset_with("quick", parse_changes([text]))

    def test_unknown_preset(self) -> None:
        with pytest.raises(InputError, match="no preset"):
            preset_with("slow", {})

    @given(st.sampled_from(NUMBERS), st.floats(allow_nan=True, allow_infinity=True) | st.integers() | st.text(max_size=8))
    def test_a_changed_setting_is_in_its_range_or_refused(self, name: str, value: float | str) -> None:
        wanted = setting(name)
        try:
            config = preset_with("balanced", {name: value})
        except InputError:
            return
        assert wanted.low is not None
        assert wanted.high is not None
        assert wanted.low <= getattr(config, name) <= wanted.high
