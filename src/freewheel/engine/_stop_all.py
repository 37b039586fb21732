"""The red button: every device is stopped, and everything that runs is ended."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.background import TaskStatus
from freewheel.core import EngineFuture, NotStoppedError, WaitTimeoutError
from freewheel.core._crossings import run_soon
from freewheel.core._errors import text_of

from ._device_stop import DeviceStop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._bluesky import EngineCore
    from ._by_hand import ByHand
    from ._foreground import Foreground

__all__ = ["StopAll"]

_log = logging.getLogger("freewheel")

#: Seconds until the answer comes, whatever hangs.
AT_MOST: Final = 10.0
#: Seconds that tasks have for their clean-up, before they are killed and then given up.
TASK_GRACE: Final = 8.0
#: Seconds between two looks at a device that says of itself whether it moves.
LOOK_EVERY: Final = 0.05


# What a device answers here may be code of its own that raises: that is to keep no other device,
# and no plan, from being stopped.


def _has_stop(device: Any) -> bool:
    try:
        return callable(getattr(device, "stop", None))
    except Exception:
        return True  # calling it tells why


def _moving(device: Any) -> object:
    try:
        return getattr(device, "moving", None)
    except Exception:
        return None


@final
class StopAll:
    """Stops everything of one engine. Any thread may call.

    Parameters
    ----------
    core, foreground, by_hand
        The parts of the engine.
    told
        Called with the reason each time, for those that would begin something by themselves.
    """

    def __init__(
        self,
        core: EngineCore,
        foreground: Foreground,
        by_hand: ByHand,
        told: Callable[[str], object],
    ) -> None:
        self._told = told
        self._core = core
        self._foreground = foreground
        self._by_hand = by_hand
        self._background = core.household.background
        self._tasks: set[asyncio.Task[Any]] = set()  # of the loop's thread: they are to live on

    def __call__(self, reason: str) -> EngineFuture[None]:
        """Stop everything; see `RunEngine.stop_all`."""
        future: EngineFuture[None] = EngineFuture.under_way(
            "the stop of everything", self._core.thread
        )
        why = f"everything was stopped{f': {reason}' if reason else ''}"
        before = self._foreground.current
        # Before any plan hears of it. Two at once that count as one do as well.
        self._core.household.stops_of_all += 1
        self._told(reason)
        stops = self._stops()
        _log.warning(
            "Stop all%s: %d device(s) are stopped, and everything that runs is aborted.",
            f" ({reason})" if reason else "",
            len(stops),
        )
        # The order counts: first what goes out without the loop, then what the loop does before
        # it hears that the plan is to end.
        self._begin(stops)
        self._core.call_on_loop(self._cancel_tasks, reason or why)
        self._core.call_on_loop(self._by_hand.give_up_waiting)
        ended = self._foreground.end_all(reason or why, why)
        threading.Thread(
            target=self._see_to_the_end,
            args=(future, stops, ended, before, reason or why),
            name="freewheel stop all",
            daemon=True,
        ).start()
        return future

    def _stops(self) -> list[DeviceStop]:
        claimed: Iterable[Any] = (*self._background.claims, *self._by_hand.moving)
        devices = self._core.household.touched.devices(claimed)
        return [
            DeviceStop(device, self._core.loop, success=True)
            for device in devices
            if _has_stop(device)
        ]

    def _begin(self, stops: list[DeviceStop]) -> None:
        """Call them all: at once, or on the loop what belongs there; from any thread."""
        for stop in stops:
            if not stop.on_loop:
                stop.begin()
        self._core.call_on_loop(self._begin_on_loop, stops)

    # -- on the loop --------------------------------------------------------------------------

    def _begin_on_loop(self, stops: list[DeviceStop]) -> None:
        for stop in stops:
            if stop.on_loop:
                task = stop.begin_on_loop()
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _cancel_tasks(self, reason: str) -> tuple[Any, ...]:
        lives = self._background.roster.alive
        going = ", ".join(repr(life.task.name) for life in lives if not life.ending)
        if going:
            _log.warning("Stop all: the background %s is aborted, as all that runs.", going)
        for life in lives:
            life.cancel("abort", reason, TASK_GRACE)
        return lives

    async def _tasks_ended(self, reason: str) -> list[str]:
        """Wait until no task runs, those that a clean-up has started too; name the lost ones."""
        lost: list[str] = []
        while lives := self._cancel_tasks(reason):
            await asyncio.wait([life.end for life in lives])
            lost += [
                f"the background task {life.task.name!r} was given up: {life.error}"
                for life in lives
                if life.task.status is TaskStatus.FAILED
                and isinstance(life.error, WaitTimeoutError)
            ]
        return lost

    # -- on a thread of its own ---------------------------------------------------------------

    def _see_to_the_end(
        self,
        future: EngineFuture[None],
        stops: list[DeviceStop],
        ended: EngineFuture[Any] | None,
        before: EngineFuture[Any] | None,
        reason: str,
    ) -> None:
        deadline = time.monotonic() + AT_MOST
        try:
            left = self._wait_for_plans(ended, reason, deadline)
            left += self._stop_again(stops, before, deadline)
        except BaseException as error:
            _log.exception("Stop all could not see to its end.")
            future.settle(error=error)
            return
        if left:
            failure = NotStoppedError(left)
            _log.error("%s", failure)
            future.settle(error=failure)
        else:
            go_on = self._foreground.obstacle or "RE(plan) starts the next plan."
            _log.warning("Stop all: everything is at rest. %s", go_on)
            future.settle(None)

    def _wait_for_plans(
        self, ended: EngineFuture[Any] | None, reason: str, deadline: float
    ) -> list[str]:
        """Wait for the ends of plan and tasks; return what has not ended."""
        left: list[str] = []
        if not self._core.thread.is_alive():
            return left  # the engine was closed, which has ended everything
        tasks = run_soon(self._core.loop, self._tasks_ended(reason))
        # The last second is for the devices.
        try:
            left += tasks.result(_until(deadline - 0.5))
        except (TimeoutError, CancelledError):
            names = ", ".join(repr(life.task.name) for life in self._background.roster.alive)
            if names:
                left.append(f"of the background {names} still runs")
        if ended is not None:
            try:
                ended.exception(_until(deadline - 0.5))
            except TimeoutError:
                left.append(
                    f"the plan {self._core.plan_name!r} is still {self._core.states.now}: "
                    "RE.halt() ends it without its own clean-up"
                )
        return left

    def _stop_again(
        self, first: list[DeviceStop], before: EngineFuture[Any] | None, deadline: float
    ) -> list[str]:
        """Stop what may still move, now that nobody moves it any more; return what does."""
        hangs = {id(stop.device) for stop in first if not stop.over.is_set()}
        spared = hangs | self._used_since(before)
        again = [
            stop
            for stop in self._stops()
            if id(stop.device) not in spared and _moving(stop.device) is not False
        ]
        self._begin(again)
        latest = {id(stop.device): stop for stop in (*first, *again)}
        found = (self._what_became_of(stop, before, deadline) for stop in latest.values())
        return [text for text in found if text]

    def _used_since(self, before: EngineFuture[Any] | None) -> set[int]:
        """Return the ids of what a plan uses that was begun since: it would take it for arrived."""
        if self._foreground.current is before:
            return set()
        # The claims tell also what it is about to set; the engine what it has set.
        used = (*self._background.claims, *self._core.devices_in_use())
        return {id(device) for device in used}

    def _what_became_of(
        self, stop: DeviceStop, before: EngineFuture[Any] | None, deadline: float
    ) -> str:
        if not stop.over.wait(_until(deadline)):
            if stop.begun:
                return f"stop() of {stop.name!r} has not come back"
            if not self._core.thread.is_alive():
                return ""
            return f"stop() of {stop.name!r} could not be called: the engine's thread is busy"
        if stop.error is not None:
            return (
                f"stop() of {stop.name!r} raised {type(stop.error).__name__}: {text_of(stop.error)}"
            )
        # A classic device says of itself whether it moves, and tells nobody when it comes to rest.
        look = threading.Event()
        while _moving(stop.device) is True and id(stop.device) not in self._used_since(before):
            if _until(deadline) <= 0.01:
                return f"{stop.name!r} still moves"
            look.wait(LOOK_EVERY)
        return ""


def _until(deadline: float) -> float:
    return max(0.01, deadline - time.monotonic())
