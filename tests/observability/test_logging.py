"""Logs: JSON lines in the home, text on stderr, secrets in neither."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import Settings
from engine.observability.logging import LOG_FILE, configure_logging, get_logger


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for handler in [h for h in root.handlers if h not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def lines(settings: Settings) -> list[dict[str, object]]:
    return [json.loads(line) for line in (settings.logs_dir / LOG_FILE).read_text().splitlines()]


def test_events_become_json_lines(settings: Settings) -> None:
    configure_logging(settings, stderr=False)
    get_logger("nexus.test").info("job ended", kind="faq", seconds=1.5)
    (line,) = lines(settings)
    assert (line["event"], line["kind"], line["seconds"], line["level"]) == ("job ended", "faq", 1.5, "info")
    assert line["logger"] == "nexus.test"
    assert "timestamp" in line


def test_the_standard_librarys_loggers_go_the_same_way(settings: Settings) -> None:
    configure_logging(settings, stderr=False)
    logging.getLogger("some.library").warning("took %d s", 3)
    assert lines(settings)[0]["event"] == "took 3 s"


def test_secrets_are_in_neither(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(settings, stderr=True)
    log = get_logger("nexus.test")
    log.warning("call failed with Bearer abcdefgh12345678", api_key="sk-aaaaaaaaaaaaaaaaaaaa", request={"password": "pw-1"})
    try:
        raise ValueError("bad key sk-bbbbbbbbbbbbbbbbbbbb")
    except ValueError:
        log.exception("failed")
    written = (settings.logs_dir / LOG_FILE).read_text() + capsys.readouterr().err
    assert "ValueError" in written
    for secret in ("abcdefgh12345678", "aaaaaaaa", "bbbbbbbb", "pw-1"):
        assert secret not in written


def test_stderr_gets_warnings_as_text(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(settings, stderr=True)
    get_logger("nexus.test").info("quiet")
    get_logger("nexus.test").warning("loud", count=2)
    captured = capsys.readouterr()
    assert "loud" in captured.err
    assert "count=2" in captured.err
    assert "quiet" not in captured.err
    assert captured.out == ""


def test_configuring_twice_writes_each_line_once(settings: Settings) -> None:
    configure_logging(settings, stderr=False)
    configure_logging(settings, stderr=False)
    get_logger("nexus.test").info("once")
    assert len(lines(settings)) == 1


def test_a_home_that_cannot_be_written_to_costs_only_the_file(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.home.write_text("in the way")
    configure_logging(settings, stderr=True)
    get_logger("nexus.test").warning("still here")
    assert "no log file" in (errors := capsys.readouterr().err)
    assert "still here" in errors


@pytest.mark.parametrize(
    "library", ["huggingface_hub", "sentence_transformers.SentenceTransformer", "transformers", "llama_cpp"]
)
def test_what_libraries_have_to_say_of_their_work_does_not_fill_the_log(settings: Settings, library: str) -> None:
    configure_logging(settings, stderr=False)
    logging.getLogger(library).info("loading weights")
    logging.getLogger(library).warning("weights are odd")
    assert [line["event"] for line in lines(settings)] == ["weights are odd"]
