"""A whole preview: a plan and its tasks, side by side in one time."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from bluesky.utils import InvalidCommand

from freewheel.core import ResourceConflictError
from freewheel.core._devices import devices_overlap

from ._account import Account
from ._contention import contended
from ._course import Course
from ._model import Devices
from ._preview import Preview
from ._verbs_devices import DeviceVerbs
from ._verbs_flow import FlowVerbs
from ._verbs_runs import RunVerbs
from ._verbs_tasks import TaskVerbs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bluesky.utils import Msg

    from ._budget import Budget
    from ._contention import Conflict
    from ._learned import Times
    from ._look import Looker
    from ._model import Model
    from ._verbs_tasks import ForeseenTask

__all__ = ["Journey"]

#: A plan may run so far ahead of the others before these go on [s].
_STEP: Final = 1e-6
#: How far a time that devices have told may be off, in parts of it.
_LESS, _MORE = 0.05, 0.10


@final
class Journey:
    """One preview under way. Of one thread.

    Parameters
    ----------
    plan : iterable of Msg
        The plan.
    name : str
        Its name.
    looker : Looker
        Who asks devices.
    times : Times
        What was measured before.
    budget : Budget
        What it may use up.
    commands : collection of str
        Commands of the user's own, whose answers nobody knows.
    """

    def __init__(
        self,
        plan: Any,
        name: str,
        *,
        looker: Looker,
        times: Times,
        budget: Budget,
        commands: Collection[str] = (),
    ) -> None:
        self._times = times
        self._budget = budget
        self._commands = frozenset(commands)
        self.account = Account(self._when)
        self.devices = Devices(looker, self.account.moved, self._looked)
        self._courses: list[Course] = []
        self._tasks: list[ForeseenTask] = []
        self._ends: list[Callable[[], None]] = []  # what is to be done when all is over
        self.main = self.add(plan, name, 0.0)
        self.main.is_watched = self.main.is_main = True

    def _when(self) -> tuple[int, float]:
        return self._budget.messages, self.main.clock.now

    def _looked(self, model: Model, key: str) -> None:
        self.account.guess(f"what {key} reads, which the plan looks at", astray=True)

    # -- plans --------------------------------------------------------------------------------

    def add(self, plan: Any, name: str, begin: float) -> Course:
        """Follow one more plan from a time on."""
        course = Course(plan, name, begin, self.account, self._budget)
        uses = DeviceVerbs(course, self.devices, self._times, partial(self._make_way, course))
        runs = RunVerbs(course, self.devices, uses)
        uses.told_of_move = runs.told_of_move
        flow = FlowVerbs(course, runs, uses)
        self._ends.append(flow.end)
        course.handlers = {
            **uses.handlers(),
            **runs.handlers(),
            **flow.handlers(),
            **TaskVerbs(course, self).handlers(),
        }
        course.unknown = partial(self._unknown, course)
        course.is_watched = False
        for other in self._courses:
            other.until = begin
        self._courses.append(course)
        return course

    def _unknown(self, course: Course, msg: Msg) -> Any:
        """Answer a command that is not known here."""
        if msg.command in self._commands:
            self.account.guess(f"what the command {msg.command!r} does and answers", astray=True)
            return None
        self.account.problem(f"{course.name} sends the message {msg.command!r}: no such command")
        raise InvalidCommand(f"no such command: {msg.command!r}")

    def name_of(self, payload: Any) -> str:
        """Return what a task without a name is called."""
        name = getattr(payload, "name", None) or getattr(payload, "__name__", None)
        return str(name or f"task {len(self._tasks) + 1}")

    def started(self, task: ForeseenTask) -> None:
        """Take note of a new task: what others hold is looked at anew."""
        self._tasks.append(task)
        for device in task.claims:
            self.account.need(self.devices.get(device))
        for course in self._courses:
            course.ready.clear()

    # -- who has what -------------------------------------------------------------------------

    def _make_way(self, course: Course, model: Model) -> None:
        """See whether somebody else has a device that a plan needs, and what comes of it."""
        for task in self._tasks:
            if task.owner is course:
                task.needed_later[id(model.device)] = model.device
            other = task.course
            if other is course or other is None or other.over or other.waits_for is not None:
                continue
            held = [*task.claims, *(each.device for each in other.holds.values())]
            if any(devices_overlap(model.device, device) for device in held):
                self._conflict(course, model, task)
        own = next((task for task in self._tasks if task.course is course), None)
        if own is None or any(devices_overlap(model.device, lent) for lent in own.claims):
            return
        for each in own.owner.holds.values():
            if not own.owner.over and devices_overlap(model.device, each.device):
                self._refuse(course, model, own.owner.name)

    def _conflict(self, course: Course, model: Model, task: ForeseenTask) -> None:
        assert task.course is not None
        if course is not task.owner or task.on_conflict == "error":
            self._refuse(course, model, task.name)
        if task.on_conflict == "pause":
            self.account.guess(f"for how long {task.name} gives way to {course.name}")
            task.course.waits_for = lambda: course.over or id(model.device) not in course.holds
        else:
            self.account.guess(
                f"when {task.name} is cancelled, for {course.name} needs {model.name}"
            )
            task.course.stop()

    def _refuse(self, course: Course, model: Model, holder: str) -> None:
        error = ResourceConflictError(model.device, holder, course.name)
        self.account.problem(str(error), model.name, is_guess=True)
        raise error

    # -- going --------------------------------------------------------------------------------

    def run(self) -> Preview:
        """Follow the plan and its tasks to their ends; say what they do."""
        while (course := self._next()) is not None:
            others = [other.clock.now for other in self._courses if self._may_go(other, course)]
            course.run(min(others, default=math.inf) + _STEP)
            if self.main.over:
                self._end_tasks()
        for end in self._ends:
            end()
        self._judge()
        return self._preview()

    def _may_go(self, course: Course, but: Course) -> bool:
        return course is not but and not course.over and course.waits_for is None

    def _next(self) -> Course | None:
        """Return the plan that is behind all others and does not wait for one of them."""
        able = [course for course in self._courses if not course.over and _is_ready(course)]
        if able:
            return min(able, key=lambda course: course.clock.now)
        if any(not course.over for course in self._courses):
            self.account.problem("plans wait for each other, and none goes on", is_guess=True)
        return None

    def _end_tasks(self) -> None:
        """Wait for the tasks that are left; those that go on by themselves are left behind."""
        for task in self._tasks:
            course = task.course
            if course is None or course.over:
                continue
            if task.detach or self.main.error is not None:
                course.stop()
            course.is_watched = True

    # -- the result ---------------------------------------------------------------------------

    def _judge(self) -> None:
        """Write down how the plans have ended."""
        for course in self._courses:
            if course.error is not None and not self._is_told(course.error):
                text = f"{course.name} raises {type(course.error).__name__}: {course.error}"
                self.account.problem(text, is_guess=_wants_loop(course.error))
            if course.is_cut:
                self.account.guess(
                    f"how {course.name} goes on: it was not followed further after "
                    f"{self._budget.text}"
                )

    def _is_told(self, error: BaseException) -> bool:
        """Tell whether an error comes from a problem that is written down already."""
        parts: list[str] = []
        at: BaseException | None = error
        while at is not None and len(parts) < 10:
            parts.append(str(at))
            at = at.__cause__ or at.__context__
        return any(
            problem.text in part or part in problem.text
            for problem in self.account.problems
            for part in parts
            if part
        )

    def _task_conflicts(self) -> dict[str, tuple[Conflict, ...]]:
        """Return which devices of their tasks plans need themselves while these may run."""
        found = {}
        for task in self._tasks:
            used = () if task.course is None else task.course.holds.values()
            theirs = [*task.claims, *(model.device for model in used)]
            if pairs := contended(task.needed_later.values(), theirs):
                found[task.name] = pairs
        return found

    def _preview(self) -> Preview:
        account, main = self.account, self.main
        owned = [task.course for task in self._tasks if task.course and not task.detach]
        ends = max(course.clock.now for course in (main, *owned))
        endless = math.isinf(ends) or any(course.is_endless for course in (main, *owned))
        complete = not endless and not any(course.is_cut for course in self._courses)
        less, more = account.slack
        longest = (
            math.inf if account.has_unknown_time or not complete else ends * (1 + _MORE) + more
        )
        return Preview(
            name=main.name,
            duration=math.inf if endless else ends,
            shortest=max(0.0, ends * (1 - _LESS) - less),
            longest=longest,
            events=dict(account.events),
            data_bytes=account.data_bytes,
            runs=account.runs,
            moves=account.moves(),
            claims=account.claims(),
            problems=tuple(account.problems),
            guesses=tuple(account.guesses),
            is_endless=endless,
            is_complete=complete,
            followed=ends,
            messages=self._budget.messages,
            milestones=account.milestones(),
            points=account.points(),
            task_conflicts=self._task_conflicts(),
        )


def _wants_loop(error: BaseException) -> bool:
    """Tell whether a plan has missed the event loop that it runs in on an engine."""
    return isinstance(error, RuntimeError) and "event loop" in str(error)


def _is_ready(course: Course) -> bool:
    if course.waits_for is None or not course.waits_for():
        return course.waits_for is None
    course.waits_for = None
    return True
