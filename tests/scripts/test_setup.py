"""The set-up: what it would do, and that what it did is not done again."""

from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement


class TestSteps:
    def test_the_same_steps_with_and_without_a_gpu(self, setup_script: ModuleType) -> None:
        names = [step.name for step in setup_script.steps(cuda=False)]
        assert names == [step.name for step in setup_script.steps(cuda=True)]
        assert names[0] == "torch"  # before anything that would bring another one

    @pytest.mark.parametrize("cuda", [False, True])
    def test_every_version_that_goes_into_the_folder_of_unsloth_is_pinned(self, setup_script: ModuleType, cuda: bool) -> None:
        (unsloth,) = [step for step in setup_script.steps(cuda=cuda) if step.name == "unsloth"]
        wanted = [Requirement(line) for line in unsloth.inputs.split()]
        assert all(len(list(requirement.specifier)) == 1 and "==" in str(requirement.specifier) for requirement in wanted)
        names = {requirement.name for requirement in wanted}
        assert {"unsloth", "unsloth-zoo", "bitsandbytes"} <= names
        assert ("trl" in names) == cuda
        assert "torch" not in names

    def test_a_version_that_is_not_pinned_is_named(self, setup_script: ModuleType) -> None:
        with pytest.raises(setup_script.SetupError, match="nonesuch"):
            setup_script.pinned("nonesuch")


class TestUnslothsFolder:
    def test_is_made_anew_and_without_dependencies(
        self, setup_script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "unsloth"
        folder.mkdir()
        (folder / "of an earlier version").touch()
        asked: list[tuple[str, ...]] = []
        monkeypatch.setattr(setup_script, "UNSLOTH", folder)
        monkeypatch.setattr(setup_script, "pip", lambda *arguments: asked.append(arguments))  # no index in a test
        setup_script.install_unsloth(["unsloth==1"])
        assert asked == [("install", "--no-deps", "--target", str(folder), "unsloth==1")]
        assert not folder.exists()


class TestStamps:
    def test_a_step_is_done_until_its_inputs_change(
        self, setup_script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(setup_script, "STAMPS", tmp_path)
        step = setup_script.Step("x", "note", "inputs", lambda: None)
        assert not step.done
        step.stamp.write_text(step.digest)
        assert step.done
        assert not setup_script.Step("x", "note", "other inputs", lambda: None).done
