"""Structured logs: JSON lines in the home folder, readable text on stderr, no secrets in either.

Everything that uses the standard library's logging goes the same way, so what a dependency reports is kept too.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path

import structlog
from structlog.types import Processor

from engine.config import Settings
from engine.observability.capture import REDACTED, is_secret_name, redact_text

LOG_FILE = "nexus.log"
MAX_LOG_BYTES = 5_000_000
LOG_BACKUPS = 3

_QUIET = {
    "opik": logging.CRITICAL,
    **dict.fromkeys(
        (
            "datasets",
            "faiss",
            "filelock",
            "httpcore",
            "httpx",
            "huggingface_hub",
            "llama_cpp",
            "llama-cpp-python",
            "peft",
            "sentence_transformers",
            "transformers",
            "urllib3",
        ),
        logging.WARNING,
    ),
}
"""Libraries that say too much at the level of the rest."""


def configure_logging(settings: Settings, *, stderr: bool) -> None:
    """Set up logging for this process. May be called again, with other settings.

    A home folder that cannot be written to costs the log file, not the program: a warning says so.

    Args:
        settings: give the folder and the level.
        stderr: also write readable text to stderr, from level WARNING (or `settings.log_level` where that is DEBUG).
    """
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    root = logging.getLogger()
    for handler in [h for h in root.handlers if getattr(h, "nexus", False)]:
        root.removeHandler(handler)
        handler.close()
    problem = _add_file_handler(root, settings.logs_dir)
    if stderr:
        _add_stderr_handler(root, level if level == logging.DEBUG else logging.WARNING)
    root.setLevel(level)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    if problem is not None:
        logging.getLogger(__name__).warning("no log file: %s", problem)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose calls take an event and key-value pairs: `log.info("job ended", kind=kind, seconds=3.2)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def redact_secrets(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """A structlog processor: replaces API keys, tokens and passwords, in values and under telling names."""
    for key, value in event.items():
        event[key] = _redacted(key, value)
    return event


def _redacted(key: str, value: object) -> object:
    if is_secret_name(key) and value:
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {name: _redacted(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", item) for item in value]
    return value


def _shared() -> list[Processor]:
    """What happens to every event, from structlog and from the standard library alike."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _formatter(*render: Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )


def _add_file_handler(root: logging.Logger, folder: Path) -> OSError | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(folder / LOG_FILE, maxBytes=MAX_LOG_BYTES, backupCount=LOG_BACKUPS, encoding="utf-8")
    except OSError as exc:
        return exc
    handler.setFormatter(
        _formatter(structlog.processors.format_exc_info, redact_secrets, structlog.processors.JSONRenderer(default=str))
    )
    _install(root, handler)
    return None


def _add_stderr_handler(root: logging.Logger, level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(level)
    colours = sys.stderr.isatty()
    handler.setFormatter(
        _formatter(structlog.processors.format_exc_info, redact_secrets, structlog.dev.ConsoleRenderer(colors=colours))
    )
    _install(root, handler)


def _install(root: logging.Logger, handler: logging.Handler) -> None:
    handler.nexus = True  # type: ignore[attr-defined]
    root.addHandler(handler)
