"""What Dockerfile.cuda promises. There is no Docker here to build it; the set-up script that it calls is tested by itself."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from engine.config import PROJECT_ROOT, Settings

DOCKERFILE = PROJECT_ROOT / "Dockerfile.cuda"
HADOLINT = Path(sys.executable).parent / "hadolint"


def instructions() -> list[tuple[str, str]]:
    """Each instruction and its arguments, continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    parts = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in parts]


@pytest.fixture(scope="module")
def last_stage() -> dict[str, list[str]]:
    """The arguments of each kind of instruction in the stage that becomes the image."""
    found = instructions()
    start = max(at for at, (name, _) in enumerate(found) if name == "FROM")
    stage: dict[str, list[str]] = {}
    for name, rest in found[start:]:
        stage.setdefault(name, []).append(rest)
    return stage


@pytest.fixture(scope="module")
def environment(last_stage: dict[str, list[str]]) -> dict[str, str]:
    pairs = [word.partition("=") for line in last_stage["ENV"] for word in shlex.split(line)]
    return {name: value for name, _, value in pairs}


@pytest.mark.skipif(not HADOLINT.is_file(), reason="hadolint is not installed")
def test_the_linter_finds_nothing() -> None:
    done = subprocess.run([HADOLINT, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_set_up_is_called_as_it_wants_to_be(setup_script: ModuleType) -> None:
    calls = re.findall(r"python3 scripts/setup\.py([^&|;]*)", " ".join(rest for name, rest in instructions() if name == "RUN"))
    assert len(calls) == 1
    options = setup_script.parse(shlex.split(calls[0]))  # ends the test run where it does not understand them
    assert options.cuda
    assert options.no_dev


def test_runs_as_a_user_without_rights(last_stage: dict[str, list[str]]) -> None:
    user, _, group = last_stage["USER"][-1].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    created = re.search(r"useradd .*--uid (\d+)", " ".join(last_stage["RUN"]))
    assert created is not None
    assert created[1] == user


def test_what_is_written_is_on_volumes_that_belong_to_that_user(
    last_stage: dict[str, list[str]], environment: dict[str, str]
) -> None:
    volumes = json.loads(last_stage["VOLUME"][0])
    home, models = (Path("/app") / folder.relative_to(PROJECT_ROOT) for folder in (Settings().home, Settings().models_dir))
    assert volumes == [str(models), str(home)]
    assert f"chown -R nexus:nexus {models} {home}" in last_stage["RUN"]
    caches = [value for name, value in environment.items() if name.endswith("CACHE_DIR")]
    assert caches
    assert all(Path(cache).is_relative_to(home) for cache in caches)


def test_nothing_is_asked_of_a_network_at_run_time(environment: dict[str, str]) -> None:
    assert {environment[name] for name in ("NEXUS_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")} == {"true", "1"}


def test_the_health_check_asks_the_port_that_is_served(last_stage: dict[str, list[str]]) -> None:
    command = json.loads(last_stage["CMD"][0])
    (port,) = [part.partition("=")[2] for part in command if part.startswith("--server.port=")]
    assert last_stage["EXPOSE"] == [port]
    health = last_stage["HEALTHCHECK"][0]
    assert f"http://127.0.0.1:{port}/_stcore/health" in health
    compile(json.loads(health.partition("CMD ")[2])[2], "health check", "exec")


def test_the_options_of_the_app_are_known_to_streamlit(last_stage: dict[str, list[str]]) -> None:
    from streamlit import config

    options = [part[2:].partition("=")[0] for part in json.loads(last_stage["CMD"][0]) if part.startswith("--")]
    assert set(options) <= set(config.get_config_options())
    assert "server.address" in options


def test_nothing_of_this_machine_gets_into_the_image() -> None:
    ignored = (PROJECT_ROOT / ".dockerignore").read_text().splitlines()
    assert {".git", ".venv", ".env", "models/*", "data/*", ".streamlit/secrets.toml"} <= set(ignored)
    assert [line for line in ignored if line.startswith("!")] == ["!models/README.md", "!data/samples"]


def test_the_documented_commands_publish_to_this_machine_alone() -> None:
    text = (PROJECT_ROOT / "docs" / "container.md").read_text()
    published = re.findall(r"(?:--publish|-p) (\S+)", text)
    assert published
    assert all(address.startswith("127.0.0.1:") for address in published)
    assert "--file Dockerfile.cuda" in text
