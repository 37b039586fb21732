"""Messages about background tasks, and about several things at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, final

from bluesky.utils import ensure_generator

from freewheel.core import PlanCall, SRLatch
from freewheel.core._devices import checked_devices

from ._clock import ForeseenStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bluesky.utils import Msg

    from ._course import Course

__all__ = ["ForeseenTask", "Party", "TaskVerbs"]

_START: Final = 0.2e-3


@final
class ForeseenTask:
    """What a plan gets for a background task.

    Parameters
    ----------
    name : str
        Its name.
    course : Course or None
        Its plan; ``None`` for a function, which is not called.
    owner : Course
        The plan that has started it.
    claims : tuple
        The devices that it was lent.
    on_conflict : str
        What becomes of it when its plan needs one of its devices.
    detach : bool
        Whether it outlives its plan.
    """

    def __init__(
        self,
        name: str,
        course: Course | None,
        owner: Course,
        claims: tuple[Any, ...],
        on_conflict: str,
        detach: bool,
    ) -> None:
        self.name = name
        self.course = course
        self.owner = owner
        self.claims = claims
        self.on_conflict = on_conflict
        self.detach = detach
        #: What its owner needs after it was started, by id.
        self.needed_later: dict[int, Any] = {}

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.course is None or self.course.over

    @property
    def value(self) -> Any:
        """What its plan returned."""
        return None if self.course is None else self.course.value

    def result(self, timeout: float | None = None) -> Any:
        """Return what its plan returned."""
        return self.value

    def cancel(self, reason: str = "") -> bool:
        """Have its plan end."""
        if self.course is None or self.course.over:
            return False
        self.course.stop()
        return True

    def pause(self) -> None:
        """Do nothing: nobody pauses a preview."""

    def resume(self) -> None:
        """Do nothing."""


class Party(Protocol):
    """Where the plans of tasks are followed; `freewheel.previews._journey.Journey` is it."""

    def add(self, plan: Any, name: str, begin: float) -> Course:
        """Follow one more plan from a time on."""
        ...

    def started(self, task: ForeseenTask) -> None:
        """Take note of a new task."""
        ...

    def name_of(self, payload: Any) -> str:
        """Return what a task without a name is called."""
        ...


@final
class TaskVerbs:
    """What messages about tasks do, in one plan's course.

    Parameters
    ----------
    course : Course
        The plan.
    journey : Party
        Where the tasks run.
    """

    def __init__(self, course: Course, journey: Party) -> None:
        self._course = course
        self._journey = journey
        self._tasks: dict[str, ForeseenTask] = {}

    def handlers(self) -> Mapping[str, Callable[[Msg], Any]]:
        """Return what carries out which command."""
        return {
            "background": self.background,
            "wait_for_background": self.wait_for,
            "background_results": self.results,
            "cancel_background": self.cancel,
            "wait_any": self.wait_any,
            "uninterrupted": self.uninterrupted,
        }

    def background(self, msg: Msg) -> ForeseenTask:
        """Start a task."""
        course, kwargs = self._course, msg.kwargs
        (payload,) = msg.args
        name = kwargs.get("name") or self._journey.name_of(payload)
        claims = checked_devices(kwargs.get("claims") or ())
        plan = _plan_of(payload)
        course.clock.now += _START
        if plan is None:
            course.account.guess(
                f"what {name} does and how long it takes: a function is not called"
            )
        child = None if plan is None else self._journey.add(plan, name, course.clock.now)
        task = ForeseenTask(
            name,
            child,
            course,
            claims,
            kwargs.get("on_conflict", "cancel"),
            bool(kwargs.get("detach")),
        )
        self._tasks[name] = task
        self._journey.started(task)
        return task

    def _found(self, name: Any) -> ForeseenTask:
        name = getattr(name, "name", name)
        if name not in self._tasks:
            raise KeyError(f"no task {name!r}; there are: {', '.join(self._tasks) or 'none'}")
        return self._tasks[name]

    def wait_for(self, msg: Msg) -> Any:
        """Wait for one task, or for all."""
        name = msg.args[0] if msg.args else msg.kwargs.get("name")
        tasks = list(self._tasks.values()) if name is None else [self._found(name)]

        def value() -> Any:
            return {task.name: task.value for task in tasks} if name is None else tasks[0].value

        return self._until_over(tasks, value)

    def _until_over(self, tasks: list[ForeseenTask], value: Callable[[], Any]) -> Any:
        course = self._course
        waited = [task.course for task in tasks if task.course is not None]
        for child in waited:
            child.is_watched = True

        def ready() -> bool:
            if not all(child.over for child in waited):
                return False
            course.clock.advance(max((child.clock.now for child in waited), default=0.0))
            failures = [child.error for child in waited if child.error is not None]
            if failures:
                course.fail(failures[0])
            elif any(child.is_endless for child in waited):
                course.is_endless = True
                course.stop()
            else:
                course.answer(value())
            return True

        if all(child.over for child in waited) and not any(
            child.error or child.is_endless for child in waited
        ):
            course.clock.advance(max((child.clock.now for child in waited), default=0.0))
            return value()
        course.waits_for = ready
        return None

    def results(self, _: Msg) -> dict[str, Any]:
        """Return the results that there are."""
        return {task.name: task.value for task in self._tasks.values() if task.done}

    def cancel(self, msg: Msg) -> None:
        """Cancel a task, and wait for its end."""
        task = self._found(msg.args[0])
        if task.cancel():
            self._course.account.guess(f"how far {task.name} has come when it is cancelled")
            self._until_over([task], lambda: None)

    def wait_any(self, msg: Msg) -> Any:
        """Wait for the first of several things; a latch is set where there is nothing else."""
        course, things = self._course, msg.args
        timeout = msg.kwargs.get("timeout")
        statuses = [thing for thing in things if isinstance(thing, ForeseenStatus)]
        tasks = [thing for thing in things if isinstance(thing, ForeseenTask)]
        if tasks and not any(task.done for task in tasks) and timeout is None:
            course.waits_for = lambda: self._first_over(tasks)
            return None
        if done := [task for task in tasks if task.done]:
            return done[0]
        first = min(statuses, key=lambda status: status.ends, default=None)
        if first is not None and (timeout is None or first.ends - course.clock.now <= timeout):
            course.clock.advance(first.ends)
            return first
        if timeout is not None:
            course.clock.advance(course.clock.now + timeout)
            return None
        latches = [thing for thing in things if isinstance(thing, SRLatch)]
        course.account.guess(
            "when somebody sets the latch that the plan waits for (wait_any)", astray=True
        )
        course.account.has_unknown_time = True
        return latches[0] if latches else None

    def _first_over(self, tasks: list[ForeseenTask]) -> bool:
        for task in tasks:
            if task.done:
                if task.course is not None:
                    self._course.clock.advance(task.course.clock.now)
                self._course.answer(task)
                return True
        return False

    def uninterrupted(self, msg: Msg) -> Any:
        """Carry out messages that no pause comes in between."""
        (plan,) = msg.args
        foreseen = msg.kwargs.get("foreseen")
        if foreseen is not None:
            close = getattr(plan, "close", None)
            if close is not None:
                close()
            plan = foreseen()
        return self._course.carry_out(ensure_generator(plan))


def _plan_of(payload: Any) -> Any:
    """Return the messages of a payload, or ``None`` for a function."""
    if isinstance(payload, PlanCall):
        # A plan of another engine needs nothing of this one.
        elsewhere = hasattr(payload.function, "runner_elsewhere")
        return None if elsewhere else payload.make()
    if hasattr(payload, "send") or isinstance(payload, (list, tuple)):
        return payload
    return None
