"""``freewheel run``: run a plan of a file or module, with progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._arguments import bound_arguments, plan_help
from ._job import Job
from ._lab import ConnectTimeout, Devices, Lab, Startup
from ._offers import Actions, read_actions
from ._options import Stacks, call_sites
from ._publish import UNSENT, Publish, Unsent
from ._remote import Connect, Token, connect_to, refuse_beside
from ._run_there import run_there, say_what_it_does
from ._sources import split

if TYPE_CHECKING:
    from types import ModuleType


def run(
    context: typer.Context,
    plan: Annotated[
        str | None,
        typer.Argument(help="FILE.py:PLAN or MODULE:PLAN, a plan function.", metavar="FILE:PLAN"),
    ] = None,
    sim: Annotated[
        bool,
        typer.Option(
            "--sim", help="Offer the devices of the simulated microscope: camera, stage, ..."
        ),
    ] = False,
    devices: Devices = None,
    startup: Startup = None,
    timeout: ConnectTimeout = 10.0,
    action: Actions = None,
    publish: Publish = None,
    unsent: Unsent = UNSENT,
    stacks: Stacks = False,
    connect: Connect = None,
    token: Token = None,
    preview: Annotated[
        bool,
        typer.Option(
            "--preview",
            help="Say what the plan will do, and do not run it; exit code 1 if it fails.",
        ),
    ] = False,
    help_: Annotated[
        bool,
        typer.Option(
            "--help", "-h", help="Show this message; behind FILE:PLAN, the plan's arguments."
        ),
    ] = False,
) -> None:
    """Run a plan of a file or module, with progress: ``freewheel run FILE:PLAN --argument value``.

    Each argument of the plan is given by its name; one that takes several is given several times.
    Devices are named: those that the file makes, those of --devices and --startup, and with --sim
    those of the simulated microscope. If one of the files has a run engine RE, that one is used.
    Ctrl-C stops the plan with its clean-up; a second one ends it without.

    With ``--connect`` a plan of the server runs there, and is named alone:
    ``freewheel run --connect ws://HOST:PORT count --detectors camera``.

    Exit code: 0 the plan completed, 1 it failed, 2 bad usage, 130 it was stopped with Ctrl-C, 129
    and 143 likewise with SIGHUP and SIGTERM.
    """
    if plan is None:
        _help_alone(context, help_)
        raise typer.Exit
    actions = read_actions(action or ())
    if connect is not None:
        beside = {"--sim": sim, "--devices": devices, "--startup": startup, "--publish": publish}
        refuse_beside(beside)
        there = connect_to(connect, token, "freewheel run")
        code = run_there(there, plan, context.args, actions, shows_help=help_, previews=preview)
        raise typer.Exit(code)
    from freewheel import PlanCall  # here: these bring bluesky, which takes long
    from freewheel.terminal import log_as_lines

    source = split(plan)
    lab = Lab()
    restore_logging = log_as_lines()
    try:
        module = source.load()
        _furnish(lab, module, sim, devices)
        function = source.function(module)
        if help_:
            typer.echo(plan_help(f"freewheel run {plan}", function, lab.devices))
            raise typer.Exit
        lab.start_up(startup)
        lab.connect(dict(lab.devices), timeout)
        hint = "" if lab.devices else _HINT
        arguments, keywords = bound_arguments(function, context.args, lab.devices, hint=hint)
        if preview:
            call = PlanCall(function, tuple(arguments), keywords)
            raise typer.Exit(say_what_it_does(lab.engine, call))
        lab.publish(publish, unsent)
        job = Job(lab.engine, actions=actions)
        with call_sites(stacks):
            code = job.run(function(*arguments, **keywords))
    finally:
        lab.close()
        restore_logging()
    if job.result is not None:
        typer.echo(repr(job.result))
    raise typer.Exit(code)


def _help_alone(context: typer.Context, help_: bool) -> None:
    """Show the command's help, if that was asked for; a plan is missing otherwise."""
    if not help_:
        message = "say which plan: freewheel run FILE.py:PLAN"
        raise typer.BadParameter(message)
    typer.echo(context.get_help())


# What is not an option of the command is an argument of the plan; of --help it decides itself.
run.context_settings = {  # type: ignore[attr-defined]
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}

_HINT = (
    "; no device is on offer: --sim offers those of the simulated microscope (camera, stage.x, "
    "...), --devices FILE.py those of a file"
)


def _furnish(lab: Lab, module: ModuleType, sim: bool, devices: str | None) -> None:
    """Put the devices together; of two with one name, those of the plan's own file count."""
    from freewheel.forms import public_devices

    if sim:
        from freewheel.sim import microscope

        lab.devices.update(microscope())
    lab.take_devices(devices)
    own: dict[str, Any] = public_devices(module)
    lab.devices.update(own)
    lab.take_engine(vars(module))
