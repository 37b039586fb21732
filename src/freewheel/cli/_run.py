"""``freewheel run``: run a plan of a file, with progress."""

from __future__ import annotations

import importlib.util
import queue
import signal
import sys
import threading
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType, ModuleType

    from freewheel import PlanFuture, RunEngine
    from freewheel.forms import PlanSpec

_REFRESH = 0.1  # s between two pictures of the progress
_ENDED = object()


def run(
    context: typer.Context,
    plan: Annotated[
        str, typer.Argument(help="FILE.py:PLAN, a plan function in a file.", metavar="FILE:PLAN")
    ],
    sim: Annotated[
        bool,
        typer.Option(help="Offer the devices of the simulated microscope: camera, stage, ..."),
    ] = False,
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
    from freewheel.ipython import log_as_lines

    file, name = _split(plan)
    module = _module(file)
    devices = _devices(module, sim)
    spec = _spec(module, name, file, devices)
    arguments, keywords = _arguments(spec, context.args, devices)
    engine = getattr(module, "RE", None)
    if not isinstance(engine, RunEngine):
        engine = RunEngine()
    restore_logging = log_as_lines()
    try:
        assert spec.plan is not None
        code = _Job(engine).run(spec.plan(*arguments, **keywords))
    finally:
        engine.close()
        restore_logging()
    raise typer.Exit(code)


# What is not an option of the command is an argument of the plan.
run.context_settings = {  # type: ignore[attr-defined]
    "allow_extra_args": True,
    "ignore_unknown_options": True,
}


def _split(text: str) -> tuple[Path, str]:
    file, _, name = text.rpartition(":")
    path = Path(file)
    if not file or not name:
        message = f"{text!r} is no FILE.py:PLAN"
        raise typer.BadParameter(message)
    if not path.is_file():
        message = f"there is no file {file!r}"
        raise typer.BadParameter(message)
    return path, name


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        message = f"{path} is no Python file"
        raise typer.BadParameter(message)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception:
        typer.echo(traceback.format_exc(), err=True)
        message = f"{path} could not be loaded, see above"
        raise typer.BadParameter(message) from None
    return module


def _devices(module: ModuleType, sim: bool) -> dict[str, Any]:
    devices: dict[str, Any] = {}
    if sim:
        from freewheel.sim import microscope

        devices.update(microscope())
    own = {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, type) and hasattr(value, "parent")
    }
    return {**devices, **own}


def _spec(module: ModuleType, name: str, path: Path, devices: Mapping[str, Any]) -> PlanSpec:
    from freewheel.forms import create_plan_spec, is_plan_function

    function = getattr(module, name, None)
    if not callable(function):
        plans = [n for n, v in vars(module).items() if is_plan_function(v) and _is_own(v, module)]
        known = ", ".join(n for n in plans if not n.startswith("_")) or "none"
        message = f"{path} has no plan {name!r}; it has: {known}"
        raise typer.BadParameter(message)
    try:
        return create_plan_spec(function, devices)
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None


def _is_own(value: Any, module: ModuleType) -> bool:
    return getattr(value, "__module__", "") == module.__name__


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


class _Job:
    """The main thread's part: it shows the progress, and passes signals on."""

    def __init__(self, engine: RunEngine) -> None:
        self._engine = engine
        # Put into by signal handlers and the engine's thread, which SimpleQueue allows.
        self._news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._signal: int | None = None

    def run(self, plan: Any) -> int:
        """Run the plan; return the exit code."""
        from freewheel.ipython import LiveProgress
        from freewheel.plan_stubs import run_progress

        if run_progress not in self._engine.preprocessors:
            self._engine.preprocessors.append(run_progress)
        with _signals(self._news.put), LiveProgress() as display:
            future = self._engine(plan)
            future.outcome.add_done_callback(lambda _: self._news.put(_ENDED))
            while (news := self._next()) is not _ENDED:
                if news is not None:
                    self._end_early(news)
                display.show(
                    future.plan_name,
                    future.status,
                    future.elapsed,
                    self._engine.snapshot().progress,
                )
        return self._report(future)

    def _next(self) -> Any:
        try:
            return self._news.get(timeout=_REFRESH)
        except queue.Empty:
            return None

    def _end_early(self, number: int) -> None:
        if self._signal is None:
            self._signal = number
            typer.echo(f"{signal.Signals(number).name}: stopping the plan ...", err=True)
            self._engine.stop()
        else:
            typer.echo("Again: ending it without its clean-up.", err=True)
            self._engine.halt()

    def _report(self, future: PlanFuture) -> int:
        took = "" if future.elapsed is None else f" after {future.elapsed:.1f} s"
        error = future.failure
        if error is not None:
            traceback.print_exception(error)
            typer.echo(f"{future.plan_name} failed{took}.", err=True)
            return 1
        typer.echo(f"{future.plan_name} {future.status}{took}.", err=True)
        if self._signal is not None:
            return 128 + self._signal
        result = future.outcome.result()
        if result.interrupted:
            return 1
        if result.plan_result is not None and result.plan_result is not self._engine.NO_PLAN_RETURN:
            typer.echo(repr(result.plan_result))
        return 0


@contextmanager
def _signals(told: Any) -> Iterator[None]:
    """Have the signals that end a process told, where that can be done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        told(number)

    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), handle) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
