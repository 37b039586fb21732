"""Reads the command line as far as the name of the sub-command."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freewheel import __version__

from ._registry import COMMANDS, load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_USAGE_ERROR = 2
_WITH_MICROSCOPE = ("gui", "shell")  # that have --micromanager, whose value may be left out


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    args : Sequence[str], optional
        The arguments, without the program's name; by default those of the process.

    Returns
    -------
    int
        The exit code: 0 for success, 1 for a failure, 2 for bad usage or a missing extra,
        130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    try:
        _program(arguments)(_with_defaults(arguments), prog_name="freewheel")
    except SystemExit as ending:
        return _exit_code(ending.code)
    except ImportError as error:
        from freewheel.core import MissingExtraError  # here: it brings bluesky, which takes long

        if not isinstance(error, MissingExtraError):
            raise
        typer.echo(f"freewheel: {error}", err=True)
        return _USAGE_ERROR
    return 0


def _with_defaults(arguments: Sequence[str]) -> list[str]:
    """Say which configuration is meant by an option for one that stands alone."""
    if not arguments or arguments[0] not in _WITH_MICROSCOPE:
        return list(arguments)
    told: list[str] = []
    for word, following in zip(arguments, [*arguments[1:], "-"], strict=True):
        told.append(word)
        if word == "--micromanager" and following.startswith("-"):
            told.append("demo")
    return told


def _exit_code(code: Any) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    typer.echo(code, err=True)  # sys.exit("message") means this
    return 1


def _program(arguments: Sequence[str]) -> Callable[..., Any]:
    """Make the program for these arguments: only the sub-command that is called is imported."""
    words = _words(arguments)
    app = _app(words)
    if not _completes() or any(word.startswith("-") for word in words):
        return app
    # Of a line without options, for a shell: for the value of an option, be it none, typer brings
    # pydantic, which takes as long as the rest.
    command = typer.main.get_command(app)
    command.params = []
    command.add_help_option = False
    return command


def _app(words: Sequence[str]) -> typer.Typer:
    app = typer.Typer(
        name="freewheel",
        help="Run Bluesky plans while your prompt and your windows stay free.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Plain text: Rich takes longer to import than the rest, and eats units like [s].
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    called = next((word for word in words if not word.startswith("-")), None)
    for name, entry in COMMANDS.items():
        function = load(name) if name == called else _placeholder()
        # A command that takes the arguments of something else says so with this attribute.
        settings = getattr(function, "context_settings", None)
        app.command(name, short_help=entry.summary, context_settings=settings)(function)
    return app


def _words(arguments: Sequence[str]) -> Sequence[str]:
    """Return what is on the command line: of a shell that completes it, what it has so far."""
    if not _completes():
        return arguments
    line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS", "")
    return line.split()[1:]


def _completes() -> bool:
    """Tell whether a shell asks for words."""
    return "_FREEWHEEL_COMPLETE" in os.environ


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"freewheel {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Run Bluesky plans while your prompt and your windows stay free."""


def _placeholder() -> Callable[[], None]:
    def not_called() -> None:
        """Stands in the list of commands."""

    return not_called
