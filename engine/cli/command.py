"""How a function becomes a command: its options, its engine, its output and its errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Concatenate, ParamSpec

import typer

from engine.cli.output import Output, ReaderGone, clean_stdout
from engine.errors import NexusError, StorageError

if TYPE_CHECKING:
    from engine.config import Settings
    from engine.container import Engine

P = ParamSpec("P")


def _folder(text: str) -> Path:
    """The folder that an option names. An empty text would be the current folder, which nobody means by it."""
    if not text.strip():
        raise typer.BadParameter("it is empty. Name a folder, or leave the option out for data/.")
    return Path(text)


HOME_HELP = "Folder of data and adapters; default: data/."
HomeOption = Annotated[Path | None, typer.Option("--home", envvar="NEXUS_HOME", help=HOME_HELP, metavar="DIR", parser=_folder)]
HomeBelow = Annotated[Path | None, typer.Option("--home", help=HOME_HELP, metavar="DIR", parser=_folder)]
"""The same after the command; the environment is looked at once, above."""
AsJson = Annotated[bool, typer.Option("--json", help="Print results as JSON on stdout.")]


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """The options before the command."""

    home: Path | None = None
    as_json: bool = False


class Run:
    """One run of a command: where it prints, and the engine that it uses, opened when it is first needed."""

    def __init__(self, home: Path | None, out: Output) -> None:
        self._home = home
        self.out = out

    @cached_property
    def settings(self) -> Settings:
        """The settings of this home.

        Raises:
            ConfigError: a setting in the environment makes no sense.
        """
        from engine.config import load_settings

        return load_settings(self._home)

    @cached_property
    def engine(self) -> Engine:
        """The engine over this home.

        Raises:
            StorageError: the home cannot be written.
        """
        from engine.container import Engine

        return Engine(self.settings, log_to_stderr=True)

    def close(self) -> None:
        """Close the engine, if it was opened."""
        if "engine" in self.__dict__:
            self.engine.close()


def command(
    group: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Run, P], None]], Callable[Concatenate[Run, P], None]]:
    """Make a function a command of a group. Its first parameter is the run; the others are options and arguments.

    A parameter that is a dataclass stands for its fields: options that several commands have in common. The command also takes
    `--home` and `--json`, as the program itself does, sends everything that libraries print to stderr, and ends with exit code
    1 after a `NexusError`.
    """

    def register(function: Callable[Concatenate[Run, P], None]) -> Callable[Concatenate[Run, P], None]:
        def call(ctx: typer.Context, home: Path | None, as_json: bool, **arguments: object) -> None:
            options = ctx.obj if isinstance(ctx.obj, GlobalOptions) else GlobalOptions()
            with running(home or options.home, as_json or options.as_json) as run:
                function(run, **_gathered(function, arguments))  # type: ignore[arg-type, call-arg]  # made after the signature below

        call.__doc__ = function.__doc__
        call.__signature__ = _signature(function)  # type: ignore[attr-defined]
        group.command(name)(call)
        return function

    return register


@contextmanager
def running(home: Path | None, as_json: bool) -> Iterator[Run]:
    """A run with clean output, whose errors end the program in the documented way."""
    with clean_stdout() as stream:
        out = Output(stream, as_json=as_json)
        run = Run(home, out)
        try:
            with _errors_told(out):
                yield run
        except ReaderGone as exc:
            raise typer.Exit(1) from exc
        finally:
            run.close()


@contextmanager
def _errors_told(out: Output) -> Iterator[None]:
    """Say what went wrong and end with 1. What the operating system refuses is an error of storage, wherever it comes up."""
    try:
        yield
    except NexusError as exc:
        out.error(exc.info())
        raise typer.Exit(1) from exc
    except OSError as exc:
        hint = "Check that the file or folder is there, that you may use it, and that the disk has room."
        out.error(StorageError(_os_message(exc), hint=hint).info())
        raise typer.Exit(1) from exc


def _os_message(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}" if error.filename else what


def _signature(function: Callable[..., None]) -> inspect.Signature:
    """What Typer is shown: the function's own parameters, with the context before and the common options after them."""
    own = [option for parameter in _own(function) for option in (_fields(parameter) or [parameter])]
    kind = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter("ctx", kind, annotation=typer.Context)
    common = (
        inspect.Parameter("home", kind, annotation=HomeBelow, default=None),
        inspect.Parameter("as_json", kind, annotation=AsJson, default=False),
    )
    return inspect.Signature([context, *(parameter.replace(kind=kind) for parameter in own), *common])


def _own(function: Callable[..., None]) -> list[inspect.Parameter]:
    """The parameters of a command but its run."""
    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    return own


def _fields(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """What a parameter that is a dataclass stands for; nothing for any other."""
    kind = parameter.annotation
    return (
        [*inspect.signature(kind, eval_str=True).parameters.values()] if isinstance(kind, type) and is_dataclass(kind) else []
    )


def _gathered(function: Callable[..., None], given: dict[str, object]) -> dict[str, object]:
    """What Typer gave, with the fields of dataclasses put together."""
    gathered: dict[str, object] = {}
    for parameter in _own(function):
        values = {field.name: given[field.name] for field in _fields(parameter)}
        gathered[parameter.name] = parameter.annotation(**values) if values else given[parameter.name]
    return gathered
