"""Running a plan of an engine elsewhere, as ``freewheel run`` does one of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ._arguments import bound_arguments, plan_help
from ._job import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from freewheel.core import EngineView, PlanCall
    from freewheel.remote import RemoteEngine

__all__ = ["run_there", "say_what_it_does"]


def run_there(
    engine: RemoteEngine,
    name: str,
    words: Sequence[str],
    actions: Sequence[tuple[str, float]],
    *,
    shows_help: bool,
    previews: bool,
) -> int:
    """Run a plan that a server offers, and close the line; return the exit code.

    Raises
    ------
    typer.BadParameter
        If it offers no such plan, or that has other arguments.
    """
    from freewheel.remote import ConnectionLostError  # here: these bring bluesky
    from freewheel.terminal import log_as_lines

    restore_logging = log_as_lines()
    try:
        plan = engine.plans.get(name)
        if plan is None:
            message = f"there is no plan {name!r} there; there are: {', '.join(engine.plans)}"
            raise typer.BadParameter(message)
        if shows_help:
            typer.echo(
                plan_help(f"freewheel run --connect {engine.url} {name}", plan, engine.devices)
            )
            return 0
        arguments, keywords = bound_arguments(plan, words, engine.devices)
        call = plan(*arguments, **keywords)
        if previews:
            return say_what_it_does(engine, call)
        job = Job(engine, actions=actions, plain_errors=(ConnectionLostError,))
        code = job.run(call)
        if job.result is not None:
            typer.echo(repr(job.result))
        return code
    finally:
        engine.close()
        restore_logging()


def say_what_it_does(engine: EngineView, call: PlanCall) -> int:
    """Say what a plan will do; return the exit code: 1 if it fails."""
    foreseen: Any = engine.preview(call)
    typer.echo(str(foreseen))
    return int(foreseen.is_wrong)
