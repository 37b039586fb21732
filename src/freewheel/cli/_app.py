"""Reads the command line as far as the name of the sub-command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freewheel import __version__
from freewheel.core import MissingExtraError

from ._registry import COMMANDS, load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_USAGE_ERROR = 2


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
        _app(arguments)(arguments, prog_name="freewheel")
    except SystemExit as ending:
        return _exit_code(ending.code)
    except MissingExtraError as error:
        typer.echo(f"freewheel: {error}", err=True)
        return _USAGE_ERROR
    return 0


def _exit_code(code: Any) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    typer.echo(code, err=True)  # sys.exit("message") means this
    return 1


def _app(arguments: Sequence[str]) -> typer.Typer:
    """Make the program for these arguments: only the sub-command that is called is imported."""
    app = typer.Typer(
        name="freewheel",
        help="Run Bluesky plans while your prompt and your windows stay free.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    called = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, entry in COMMANDS.items():
        function = load(name) if name == called else _placeholder()
        # A command that takes the arguments of something else says so with this attribute.
        settings = getattr(function, "context_settings", None)
        app.command(name, short_help=entry.summary, context_settings=settings)(function)
    return app


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
