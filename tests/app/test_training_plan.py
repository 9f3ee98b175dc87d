"""The settings of a preset on the page, and what a fine-tune will take."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.components.setting_names import OTHERS, grouped, setting_label
from app.components.training_data import TrainingSource
from app.components.training_estimate import Wanted
from app.resources import close_engine, shared_engine
from engine.container import Engine
from engine.requests import DataOptions
from engine.training.config import PRESETS
from engine.training.settings import Setting, settings

SETTINGS = """
import streamlit as st
from app.components.training_settings import apply_settings, training_settings
preset = st.selectbox("Preset", ["quick", "thorough"], key="preset")
changes, strategy = training_settings(preset)
st.json({"changes": changes, "strategy": strategy})
st.button("apply", on_click=apply_settings, args=(preset, {"rank": 4, "dtype": "bfloat16", "target_modules": ["q_proj"]}))
"""
SUITED = """
import streamlit as st
from app.components.training_settings import training_settings
from engine.training.config import preset, suited_rate
width = st.selectbox("Width", [576, 4096], key="width")
suited = preset("quick", learning_rate=suited_rate(1e-3, width))
changes, strategy = training_settings("quick", suited)
st.json({"changes": changes, "strategy": strategy})
"""
ESTIMATE = """
from pathlib import Path
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec
from app.components.setting_names import OTHERS, grouped, setting_label
from app.components.training_data import TrainingSource
from app.components.training_estimate import Wanted, training_estimate
from app.components.training_settings import training_settings
from engine.requests import DataOptions
changes, strategy = training_settings("quick")
file = UploadedFile(UploadedFileRec({path!r}, "pairs.jsonl", "", Path({path!r}).read_bytes()), FileURLs())
training_estimate(Wanted(TrainingSource(file=file, options=DataOptions(paraphrases=0)), "quick", changes, strategy))
"""


def result(page: AppTest) -> dict[str, object]:
    assert not page.exception
    shown: dict[str, object] = json.loads(page.json[0].value)
    return shown


class TestSettings:
    def test_every_setting_is_there_with_its_explanation_and_nothing_is_changed(self) -> None:
        page = AppTest.from_string(SETTINGS).run()
        assert result(page) == {"changes": {}, "strategy": "auto"}
        widgets = [*page.number_input, *page.selectbox, *page.multiselect, *page.toggle, *page.text_input]
        helps = {widget.label: widget.help for widget in widgets}
        for each in settings():
            assert helps[setting_label(each.name)].startswith(each.explanation)
            assert f"--set {each.name}=" in helps[setting_label(each.name)]

    def test_changes_are_those_from_the_chosen_preset(self) -> None:
        page = AppTest.from_string(SETTINGS).run()
        page.number_input(key="training-quick-rank").set_value(64)
        page.selectbox(key="training-strategy").set_value("peft")
        assert result(page.run()) == {"changes": {"rank": 64}, "strategy": "peft"}
        page.selectbox(key="preset").set_value("thorough")
        assert result(page.run())["changes"] == {}
        assert page.number_input(key="training-thorough-rank").value == PRESETS["thorough"].rank

    def test_the_rate_follows_the_base_model_and_is_no_change(self) -> None:
        page = AppTest.from_string(SUITED).run()
        page.number_input(key="training-quick-rank").set_value(64).run()
        page.selectbox(key="width").set_value(4096)
        assert result(page.run())["changes"] == {"rank": 64}
        rate = page.number_input(key="training-quick-learning_rate-0.00022")
        assert rate.value == 2.2e-4
        rate.set_value(1e-4)
        assert result(page.run())["changes"] == {"rank": 64, "learning_rate": 1e-4}
        page.button(key="training-undo").click()
        assert result(page.run())["changes"] == {}
        assert page.number_input(key="training-quick-learning_rate-0.00022").value == 2.2e-4

    def test_a_number_cannot_leave_its_range(self) -> None:
        page = AppTest.from_string(SETTINGS).run()
        rank = page.number_input(key="training-quick-rank")
        assert (rank.min, rank.max) == (1, 512)

    def test_every_setting_is_in_a_group_and_has_a_name_of_its_own(self) -> None:
        groups = grouped(settings())
        assert OTHERS not in groups
        assert len({setting_label(each.name) for each in settings()}) == len(settings())
        assert sorted(each.name for members in groups.values() for each in members) == sorted(s.name for s in settings())

    def test_a_setting_that_nobody_has_named_is_shown_all_the_same(self) -> None:
        new = Setting("pool_size", "integer", "Of the pool.")
        assert grouped([new]) == {OTHERS: [new]}
        assert setting_label("pool_size") == "Pool size"

    def test_what_was_changed_is_told_in_words_and_undone(self) -> None:
        page = AppTest.from_string(SETTINGS).run()
        page.number_input(key="training-quick-rank").set_value(64)
        page.selectbox(key="training-quick-dtype").set_value("bfloat16").run()
        (told,) = (caption.value for caption in page.caption if caption.value.startswith("Changed"))
        assert "Rank of the adapter: 64" in told.replace("\\", "")
        assert "16 bits" in told
        page.button(key="training-undo").click()
        assert result(page.run())["changes"] == {}

    def test_applied_values_are_shown(self) -> None:
        page = AppTest.from_string(SETTINGS).run()
        next(button for button in page.button if button.label == "apply").click()
        assert result(page.run())["changes"] == {"rank": 4, "dtype": "bfloat16", "target_modules": ["q_proj"]}


@pytest.fixture
def real_engine(tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The engine that the page shares, with the real default model."""
    monkeypatch.setenv("NEXUS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NEXUS_MODELS_DIR", str(models_dir))
    monkeypatch.setattr(Engine, "start", lambda self: None)
    close_engine()
    yield shared_engine()
    close_engine()


def test_the_estimate_follows_the_settings_and_can_be_measured(real_engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({"question": f"What is item {i}?", "answer": f"It is {i}."}) + "\n" for i in range(12)))
    page = AppTest.from_string(ESTIMATE.format(path=str(path)), default_timeout=60).run()
    assert not page.exception
    captions = " ".join(caption.value for caption in page.caption)
    assert "11 examples" in captions  # a tenth is kept back
    assert "PEFT on the" in captions

    page.number_input(key="training-quick-least_steps").set_value(0)
    page.number_input(key="training-quick-epochs").set_value(2)
    page.number_input(key="training-quick-batch_size").set_value(8)
    page.run()
    assert "4 steps" in " ".join(caption.value for caption in page.caption)

    page.button(key="training-measure").click().run()
    assert not page.exception
    (job,) = real_engine.jobs.list("rehearse")
    assert job.payload["settings"] == {"epochs": 2, "least_steps": 0, "batch_size": 8}
    assert page.button(key="training-measure").disabled  # one measurement at a time


def test_a_base_that_is_not_there_is_said_and_breaks_nothing(tmp_path: Path, engine: Engine) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"question": "a", "answer": "b"}')
    page = AppTest.from_string(ESTIMATE.format(path=str(path))).run()
    assert not page.exception
    assert any("not known yet" in caption.value for caption in page.caption)


def test_only_the_data_decide_what_is_counted_again() -> None:
    source = TrainingSource(options=DataOptions(holdout=0.2))
    first = Wanted(source, "quick", {"rank": 3}, "auto")
    assert first.data_key() == Wanted(source, "thorough", {"rank": 4}, "peft").data_key()
    assert first.data_key() != Wanted(source, "quick", {"eval_fraction": 0.3}, "auto").data_key()
    assert first.data_key() != Wanted(TrainingSource(), "quick", {"rank": 3}, "auto").data_key()
