"""``freewheel run``: run a plan of a file, with progress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._job import Job
from ._options import Stacks, call_sites
from ._plan_file import load, plan_function, split

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    from freewheel.forms import PlanSpec


def run(
    context: typer.Context,
    plan: Annotated[
        str, typer.Argument(help="FILE.py:PLAN, a plan function in a file.", metavar="FILE:PLAN")
    ],
    sim: Annotated[
        bool,
        typer.Option(help="Offer the devices of the simulated microscope: camera, stage, ..."),
    ] = False,
    stacks: Stacks = False,
) -> None:
    """Run a plan of a file, with progress: ``freewheel run FILE:PLAN --argument value``.

    Each argument of the plan is given by its name; one that takes several is given several times.
    Devices are named: those that the file makes, and with --sim those of the simulated
    microscope. If the file has a run engine RE, that one is used. Ctrl-C stops the plan with its
    clean-up; a second one ends it without.

    Exit code: 0 the plan completed, 1 it failed, 2 bad usage, 130 it was stopped with Ctrl-C, 129
    and 143 likewise with SIGHUP and SIGTERM.
    """
    from freewheel import RunEngine
    from freewheel.core import is_engine
    from freewheel.terminal import log_as_lines

    file, name = split(plan)
    module = load(file)
    devices = _devices(module, sim)
    spec = _spec(plan_function(module, name, file), devices)
    arguments, keywords = _arguments(spec, context.args, devices)
    engine = getattr(module, "RE", None)
    if not is_engine(engine):
        engine = RunEngine()
    restore_logging = log_as_lines()
    try:
        assert spec.plan is not None
        job = Job(engine)
        with call_sites(stacks):
            code = job.run(spec.plan(*arguments, **keywords))
    finally:
        engine.close()
        restore_logging()
    if job.result is not None:
        typer.echo(repr(job.result))
    raise typer.Exit(code)


# What is not an option of the command is an argument of the plan.
run.context_settings = {  # type: ignore[attr-defined]
    "allow_extra_args": True,
    "ignore_unknown_options": True,
}


def _devices(module: ModuleType, sim: bool) -> dict[str, Any]:
    from freewheel.forms import public_devices

    devices: dict[str, Any] = {}
    if sim:
        from freewheel.sim import microscope

        devices.update(microscope())
    return {**devices, **public_devices(module)}


def _spec(function: Any, devices: Mapping[str, Any]) -> PlanSpec:
    from freewheel.forms import create_plan_spec

    try:
        return create_plan_spec(function, devices)
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None


def _arguments(
    spec: PlanSpec, given: Sequence[str], devices: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    from freewheel.forms import collect_arguments, resolve_arguments

    values: dict[str, Any] = {}
    for name, text in _pairs(given):
        known = {parameter.name: parameter for parameter in spec.parameters}.get(name)
        if known is not None and (known.multiselect or known.container is not None):
            values.setdefault(name, []).append(text)
        elif name in values:
            message = f"--{name} is given twice"
            raise typer.BadParameter(message)
        else:
            values[name] = text
    try:
        arguments = collect_arguments(spec, resolve_arguments(spec, values, devices))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return arguments


def _pairs(given: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Read ``--name value``, ``--name=value``, and ``--name`` alone, which means true."""
    words = list(given)
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            message = f"{word!r} belongs to no argument; write --name {word}"
            raise typer.BadParameter(message)
        name, equals, text = word[2:].partition("=")
        if equals:
            yield name.replace("-", "_"), text
        elif words and not words[0].startswith("--"):
            yield name.replace("-", "_"), words.pop(0)
        else:
            yield name.replace("-", "_"), True
