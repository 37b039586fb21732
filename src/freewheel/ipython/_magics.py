"""Magics that treat plans as shells treat jobs."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bluesky.run_engine import TransitionError
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class

from freewheel.core import amount_text, duration_text, status_text
from freewheel.forms import find_plans, is_plan_function
from freewheel.terminal import DetachFirst, LiveProgress, Watcher, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from freewheel.core import EngineView, PlanFutureView
    from freewheel.terminal import Rules

    from ._jobs import Jobs

__all__ = ["JobMagics", "say"]

#: Seconds that a magic waits for a pause before the prompt comes back.
_PATIENCE = 10.0


def say(text: str) -> None:
    """Print a line, wherever the standard output goes at this moment."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def how_it_stands(engine: EngineView, future: PlanFutureView) -> str:
    """Return a line about a plan that has ended, or is paused."""
    took = duration_text(future.elapsed)
    if engine.current is not None and engine.current.outcome is future.outcome:
        return f"{future.plan_name} is {engine.state} after {took}. %resume, %stop or %abort it."
    return f"{future.plan_name} {status_text(future.status, future.failure)} after {took}."


def stay(engine: EngineView, future: PlanFutureView, rules: Rules, *, notebook: bool) -> bool:
    """Show a plan until it ends or pauses, or the user leaves; return false if the user does."""
    with Watcher(engine, rules, say) as watcher, LiveProgress(notebook=notebook) as display:

        def show(shown: PlanFutureView) -> None:
            display.show_plan(shown, engine.snapshot().progress)

        stayed = watcher.stay(future, show)
        if stayed:
            show(future)  # a card stays, and says how the plan stood
        return stayed


@magics_class
class JobMagics(Magics):
    """``%fg``, ``%pause``, ``%resume``, ``%stop``, ``%abort``, ``%halt``, ``%jobs``, and more.

    Parameters
    ----------
    shell : InteractiveShell
        The shell.
    jobs : Jobs
        Knows the engine.
    notebook : bool
        Whether the shell is a notebook's.
    """

    def __init__(self, shell: Any, jobs: Jobs, *, notebook: bool) -> None:
        super().__init__(shell)
        self._shell = shell
        self._jobs = jobs
        self._notebook = notebook

    # -- attaching ----------------------------------------------------------------------------

    @line_magic
    def fg(self, line: str) -> None:
        """Attach to the running plan: show its progress until it ends or pauses.

        Ctrl-C detaches: the plan goes on. Twice within a second asks for a deferred pause, three
        times pauses at once. Nothing of it ends the plan.
        """
        _no_arguments("fg", line)
        engine, future = self._running()
        if engine.state == "paused":
            say(how_it_stands(engine, future))
            return
        rules = DetachFirst()
        if not self._notebook:
            say(rules.hint)
        if stay(engine, future, rules, notebook=self._notebook):
            self._report(engine, future)
        else:
            say(f"Detached: {future.plan_name} goes on. %fg attaches again, %stop stops it.")

    def _report(self, engine: EngineView, future: PlanFutureView) -> None:
        future.exception(0)  # so that it counts as looked after
        if (failure := future.failure) is not None:
            raise failure
        say(how_it_stands(engine, future))

    def _running(self) -> tuple[EngineView, PlanFutureView]:
        engine = self._jobs.engine()
        future = engine.current
        if future is None:
            name = self._jobs.name()
            raise UsageError(f"No plan is running. Start one: {name}(plan()).")
        return engine, future

    # -- control ------------------------------------------------------------------------------

    @line_magic
    def pause(self, line: str) -> None:
        """Pause the running plan at once; with ``-d`` at its next checkpoint."""
        if line.strip() not in ("", "-d", "--defer"):
            raise UsageError("%pause takes nothing, or -d for a pause at the next checkpoint.")
        engine, future = self._running()
        defer = bool(line.strip())
        asked = self._ask(lambda: engine.request_pause(defer=defer))
        if defer:
            say(f"{future.plan_name} will pause at its next checkpoint.")
            return
        if wait_for(asked, _PATIENCE):
            say(how_it_stands(engine, future))
        else:
            say(f"{future.plan_name} is still pausing.")

    @line_magic
    def resume(self, line: str) -> None:
        """Resume the paused plan; the prompt stays free. ``%fg`` attaches to it."""
        _no_arguments("resume", line)
        engine, future = self._running()
        self._ask(engine.resume)
        say(f"{future.plan_name} goes on. %fg attaches to it.")

    @line_magic
    def stop(self, line: str) -> None:
        """Stop the plan, with its clean-up; it counts as a success."""
        _no_arguments("stop", line)
        engine, future = self._running()
        self._end(engine, future, self._ask(engine.stop))

    @line_magic
    def abort(self, line: str) -> None:
        """Abort the plan, with its clean-up: ``%abort [reason]``."""
        engine, future = self._running()
        self._end(engine, future, self._ask(lambda: engine.abort(line.strip())))

    @line_magic
    def halt(self, line: str) -> None:
        """End the plan without its own clean-up. Rather use ``%stop`` or ``%abort``."""
        _no_arguments("halt", line)
        engine, future = self._running()
        self._end(engine, future, self._ask(engine.halt))

    def _ask(self, request: Callable[[], Any]) -> Any:
        try:
            return request()
        except TransitionError as error:
            raise UsageError(str(error)) from None

    def _end(self, engine: EngineView, future: PlanFutureView, ending: Future[Any]) -> None:
        if not wait_for(ending):
            say(f"{future.plan_name} still cleans up; the prompt is free. %fg attaches to it.")
            return
        last = future if future.outcome.done() else None
        if last is not None:
            future.outcome.exception(0)  # so that it counts as looked after
            if (failure := future.failure) is not None:
                raise failure
        say(how_it_stands(engine, future))

    # -- looking ------------------------------------------------------------------------------

    @line_magic
    def jobs(self, line: str) -> None:
        """List the plan in the foreground, the queue, the background tasks and the claims."""
        _no_arguments("jobs", line)
        engine = self._jobs.engine()
        for text in _jobs(engine):
            say(text)

    @line_magic
    def action(self, line: str) -> None:
        """List the actions on offer, or trigger one: ``%action [NAME]``.

        ``%action -r NAME`` releases one that stays on.
        """
        engine = self._jobs.engine()
        words = line.split()
        release = "-r" in words[:1]
        name = " ".join(words[1:] if release else words)
        if not name:
            for text in _actions(engine):
                say(text)
            return
        try:
            (engine.release_action if release else engine.trigger_action)(name)
        except KeyError as error:
            raise UsageError(str(error.args[0])) from None

    @line_magic
    def plans(self, line: str) -> None:
        """List what can be run, with its signature: ``%plans [PART OF A NAME]``."""
        part = line.strip()
        lines = [text for text in _plans(self._shell.user_ns) if part in text.partition("(")[0]]
        if not lines:
            what = f"No plan in the namespace has {part!r} in its name." if part else "No plans."
            say(f"{what} Import some: import bluesky.plans as bp; from freewheel.plans import *")
        for text in sorted(lines):
            say(text)

    @line_magic
    def freewheel(self, line: str) -> None:
        """Choose the run engine that the magics are about: ``%freewheel use NAME``.

        ``%freewheel`` alone tells which it is; ``%freewheel traceback`` shows where the last plan
        failed that nobody waited for.
        """
        match line.split():
            case []:
                for name, engine in self._jobs.engines().items():
                    used = " (used)" if engine is self._jobs.peek() else ""
                    say(f"{name}: {engine.state}{used}")
                if self._jobs.peek() is None:
                    self._jobs.name()  # says what to do
            case ["use", name]:
                self._jobs.use(name)
                say(f"The magics and the prompt are about {name} now.")
            case ["traceback"]:
                self._show_traceback()
            case _:
                raise UsageError("%freewheel, %freewheel use NAME, or %freewheel traceback.")

    def _show_traceback(self) -> None:
        failed = self._jobs.last_failed
        error = None if failed is None else failed.failure
        if error is None:
            raise UsageError("No plan has failed.")
        self._shell.showtraceback((type(error), error, error.__traceback__))


def _no_arguments(name: str, line: str) -> None:
    if line.strip():
        raise UsageError(f"%{name} takes no arguments, not {line.strip()!r}.")


def _jobs(engine: EngineView) -> Iterator[str]:
    snapshot = engine.snapshot()
    if snapshot.plan_name is None:
        yield "foreground  nothing"
    else:
        took = duration_text(snapshot.elapsed)
        yield f"foreground  {snapshot.plan_name}: {snapshot.state}, {took}"
    for number, name in enumerate(snapshot.queue, 1):
        yield f"queued {number:<4} {name}"
    if snapshot.queue_held is not None:
        yield f"queue held  {snapshot.queue_held}: RE.queue.release() frees it"
    for task in snapshot.background:
        yield f"background  {task.name}: {task.status.value}"
    for progress in snapshot.progress:
        if progress.kind != "task":
            owner = f" of {progress.owner}" if progress.background else ""
            indent = "  " * progress.depth
            yield f"progress    {indent}{progress.name}{owner}: {amount_text(progress) or 'begun'}"
    for device, holder in snapshot.claims.items():
        yield f"claimed     {device} by {holder}"


def _actions(engine: EngineView) -> Iterator[str]:
    offered = engine.pending_actions
    if not offered:
        yield "No action is on offer: no plan waits for one."
    for name, latch in sorted(offered.items()):
        action = getattr(latch, "action", None)
        description = getattr(action, "description", "") or ""
        state = " (on)" if latch.is_set() else ""
        yield f"{name}{state}  {description}".rstrip()


def _plans(namespace: dict[str, Any]) -> Iterator[str]:
    """Return a line for each plan function in the namespace and in its modules."""
    for name, value in list(namespace.items()):
        if name.startswith("_"):
            continue
        if isinstance(value, ModuleType):
            if value.__name__.partition(".")[0] in ("bluesky", "freewheel") and value.__name__ in (
                "bluesky.plans",
                "freewheel.plans",
            ):
                for entry in find_plans([value]):
                    function = getattr(value, entry.name, None)
                    if function is not None:
                        yield f"{name}.{entry.name}{_signature(function)}"
        elif is_plan_function(value):
            yield f"{name}{_signature(value)}"


def _signature(function: Any) -> str:
    """Return the signature, without annotations, which fill lines and say little at a prompt."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "(...)"
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
