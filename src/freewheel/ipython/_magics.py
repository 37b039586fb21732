"""Magics that treat plans as shells treat jobs."""

from __future__ import annotations

import inspect
import math
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from bluesky.run_engine import TransitionError
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class

from freewheel.core import PlanStatus, amount_text, duration_text, status_text
from freewheel.core._wording import start_text, took_text
from freewheel.forms import find_plans, is_plan_function
from freewheel.terminal import DetachFirst, LiveProgress, Watcher, wait_for

from ._tasks import find_task, follow_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from freewheel.core import EngineSnapshot, EngineView, PlanFutureView
    from freewheel.terminal import Rules

    from ._jobs import Jobs

__all__ = ["JobMagics", "asked", "no_arguments", "queue_lines", "say"]

#: So many of the plans that wait are listed.
_LINES: Final = 50

#: Seconds that a magic waits for a pause before the prompt comes back.
_PATIENCE = 10.0


def say(text: str) -> None:
    """Print a line, wherever the standard output goes at this moment."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def asked(request: Callable[[], Any]) -> Any:
    """Ask an engine for something; what it refuses needs no traceback.

    Raises
    ------
    UsageError
        If it can't be in this state, or our role does not allow it.
    """
    try:
        return request()
    except (TransitionError, PermissionError) as error:
        raise UsageError(str(error)) from None


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
            if shown.status is not PlanStatus.QUEUED:  # the progress is that of another plan then
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
        """Attach to the running plan, or to a task: show its progress until it ends or pauses.

        Ctrl-C detaches: the plan goes on. Twice within a second asks for a deferred pause, three
        times pauses at once. Nothing of it ends the plan. ``%fg NAME`` stays with a background
        task; there Ctrl-C only detaches.
        """
        __tracebackhide__ = True  # what is raised is the plan's
        if name := self._task_name(line):
            self._follow_task(name)
            return
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
        __tracebackhide__ = True
        future.exception(0)  # so that it counts as looked after
        if (failure := future.failure) is not None:
            raise failure
        say(how_it_stands(engine, future))

    def _task_name(self, line: str) -> str:
        """Return the name of the task that a magic is about; empty for the foreground plan."""
        name, engine = line.strip(), self._jobs.engine()
        current = engine.current
        return "" if current is not None and name == current.plan_name else name

    def _follow_task(self, name: str) -> None:
        __tracebackhide__ = True
        engine = self._jobs.engine()
        task = find_task(engine, name)
        if not self._notebook:
            say("Ctrl-C detaches.")
        if not follow_task(engine, task, notebook=self._notebook):
            say(f"Detached: {name} goes on. %fg {name} attaches again, %stop {name} stops it.")
            return
        if (error := task.exception(0)) is not None:
            raise error
        say(f"{name} {task.status}.")

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
        """Pause the running plan at once; with ``-d`` at its next checkpoint; or task ``NAME``."""
        if line.strip() not in ("", "-d", "--defer") and (name := self._task_name(line)):
            find_task(self._jobs.engine(), name).pause()
            say(f"{name} is asked to pause. %resume {name} lets it go on.")
            return
        engine, future = self._running()
        defer = bool(line.strip())
        pausing = asked(lambda: engine.request_pause(defer=defer))
        if defer:
            say(f"{future.plan_name} will pause at its next checkpoint.")
            return
        if wait_for(pausing, _PATIENCE):
            say(how_it_stands(engine, future))
        else:
            say(f"{future.plan_name} is still pausing.")

    @line_magic
    def resume(self, line: str) -> None:
        """Resume the paused plan, or a task; the prompt stays free. ``%fg`` attaches to it."""
        if name := self._task_name(line):
            find_task(self._jobs.engine(), name).resume()
            say(f"{name} goes on. %fg {name} attaches to it.")
            return
        engine, future = self._running()
        asked(engine.resume)
        say(f"{future.plan_name} goes on. %fg attaches to it.")

    @line_magic
    def stop(self, line: str) -> None:
        """Stop the plan, with its clean-up; it counts as a success. ``%stop NAME`` ends a task."""
        if name := self._task_name(line):
            self._stop_task(find_task(self._jobs.engine(), name))
            return
        engine, future = self._running()
        self._end(engine, future, asked(engine.stop))

    @line_magic
    def abort(self, line: str) -> None:
        """Abort the plan, with its clean-up: ``%abort [reason]``."""
        engine, future = self._running()
        self._end(engine, future, asked(lambda: engine.abort(line.strip())))

    @line_magic
    def halt(self, line: str) -> None:
        """End the plan without its own clean-up. Rather use ``%stop`` or ``%abort``."""
        no_arguments("halt", line)
        engine, future = self._running()
        self._end(engine, future, asked(engine.halt))

    def _stop_task(self, task: Any) -> None:
        task.cancel("%stop")
        if wait_for(task.future):
            say(f"{task.name} {task.status}.")
        else:
            say(f"{task.name} still cleans up; the prompt is free.")

    def _end(self, engine: EngineView, future: PlanFutureView, ending: Future[Any]) -> None:
        __tracebackhide__ = True
        if not wait_for(ending):
            say(f"{future.plan_name} still cleans up; the prompt is free. %fg attaches to it.")
            return
        if future.outcome.done():
            future.outcome.exception(0)  # so that it counts as looked after
            if (failure := future.failure) is not None:
                raise failure
        say(how_it_stands(engine, future))

    # -- looking ------------------------------------------------------------------------------

    @line_magic
    def jobs(self, line: str) -> None:
        """List the plan in the foreground, the queue, the background tasks and the claims.

        A task that has failed is listed until its traceback was shown.
        """
        no_arguments("jobs", line)
        engine = self._jobs.engine()
        for text in (*_jobs(engine), *self._jobs.failed()):
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
        trigger = engine.release_action if release else engine.trigger_action
        try:
            asked(lambda: trigger(name))
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
        for text in sorted(set(lines)):  # some have two names
            say(text)

    @line_magic
    def freewheel(self, line: str) -> None:
        """Choose the run engine that the magics are about: ``%freewheel use NAME``.

        ``%freewheel`` alone tells which it is; ``%freewheel traceback [NAME]`` shows where the last
        plan or task failed that nobody waited for, or the task of that name.
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
            case ["traceback", *name]:
                self._show_traceback(" ".join(name))
            case _:
                raise UsageError("%freewheel, %freewheel use NAME, or %freewheel traceback [NAME].")

    def _show_traceback(self, name: str) -> None:
        error = self._jobs.seen_failure(name)
        self._shell.showtraceback((type(error), error, error.__traceback__))


def no_arguments(name: str, line: str) -> None:
    """Refuse arguments of a magic that takes none."""
    if line.strip():
        raise UsageError(f"%{name} takes no arguments, not {line.strip()!r}.")


def _jobs(engine: EngineView) -> Iterator[str]:
    snapshot = engine.snapshot()
    if snapshot.plan_name is None:
        yield "foreground  nothing"
    else:
        took = took_text(snapshot.elapsed, snapshot.time_left)
        yield f"foreground  {snapshot.plan_name}: {snapshot.state}, {took}"
    for name in reversed(snapshot.parked):
        yield f"parked      {name}"
    if snapshot.queue_held is not None:
        yield f"queue held  {snapshot.queue_held} (%release frees it)"
    if snapshot.service_failed is not None:
        yield f"no plans    {snapshot.service_failed}"
    yield from queue_lines(snapshot)
    for task in snapshot.background:
        yield f"background  {task.name}: {task.standing}"
    for progress in snapshot.progress:
        if progress.kind != "task":
            owner = f" of {progress.owner}" if progress.background else ""
            indent = "  " * progress.depth
            yield f"progress    {indent}{progress.name}{owner}: {amount_text(progress) or 'begun'}"
    for device, holder in snapshot.claims.items():
        yield f"claimed     {device} by {holder}"
    for interlock in snapshot.interlocks:
        yield f"interlock   {interlock}"


def queue_lines(snapshot: EngineSnapshot) -> Iterator[str]:
    """Return a line for each plan that waits, and for each that is run again and again."""
    for number, waiting in enumerate(snapshot.waiting[:_LINES], 1):
        start = "" if snapshot.queue_held is not None else f"  ({start_text(waiting.starts_in)})"
        yield f"queued {number:<4} {waiting}{_priority_text(waiting.priority)}{start}"
    if (more := len(snapshot.waiting) - _LINES) > 0:
        yield f"queued      and {more} more: RE.queue has all of them"
    for number, periodic in enumerate(snapshot.periodic):
        yield f"periodic    {periodic} (RE.queue.periodic[{number}].cancel() ends it)"


def _priority_text(priority: float) -> str:
    if math.isinf(priority):
        return "  (goes first)"
    return f"  (priority {priority:g})" if priority else ""


def _actions(engine: EngineView) -> Iterator[str]:
    offered = engine.pending_actions
    if not offered:
        yield "No action is on offer: no plan waits for one."
    for name, latch in sorted(offered.items()):
        description = "" if latch.action is None else latch.action.description
        state = " (on)" if latch.is_set() else ""
        yield f"{name}{state}  {description}".rstrip()


def _plans(namespace: dict[str, Any]) -> Iterator[str]:
    """Return a line for each plan function in the namespace and in its modules."""
    for name, value in list(namespace.items()):
        if name.startswith("_"):
            continue
        if isinstance(value, ModuleType):
            if value.__name__ in ("bluesky.plans", "freewheel.plans"):
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
