"""Messages that wait, mark places, or ask people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

import bluesky.run_engine
from bluesky.run_engine import WaitForTimeoutError
from bluesky.utils import IllegalMessageSequence

from freewheel.core import Pacer, ProgressScope, ReadingCache, Tick

from ._course import failed
from ._readings import Guess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bluesky.utils import Msg

    from ._clock import ForeseenStatus
    from ._course import Course
    from ._verbs_devices import DeviceVerbs
    from ._verbs_runs import RunVerbs

__all__ = ["FlowVerbs"]

#: What the engine takes for a message [s].
_MESSAGE: Final = 20e-6
_WAIT: Final = 0.2e-3
#: What changes nothing that a preview tells of.
_NOTHING: Final = (
    "clear_checkpoint",
    "unsubscribe",
    "install_suspender",
    "remove_suspender",
    "update_progress",
    "_count_stagings_again",
    "_count_stops_of_all",
    "_start_suspender",
    "_resume_from_suspender",
)
#: A plan that asks people so often goes on for as long as they like.
_ASKED: Final = 100


@final
class FlowVerbs:
    """What messages that wait do, in one plan's course.

    Parameters
    ----------
    course : Course
        The plan.
    runs : RunVerbs
        Its runs.
    uses : DeviceVerbs
        Its devices.
    """

    def __init__(self, course: Course, runs: RunVerbs, uses: DeviceVerbs) -> None:
        self._course = course
        self._account = course.account
        self._runs = runs
        self._uses = uses
        self._pacers: dict[float, Pacer] = {}
        self._token = 0
        self._caches: dict[int, ReadingCache] = {}
        self._asked = 0

    def handlers(self) -> Mapping[str, Callable[[Msg], Any]]:
        """Return what carries out which command."""
        return {
            **dict.fromkeys(_NOTHING, self.nothing),
            "null": self.null,
            "checkpoint": self.checkpoint,
            "rewindable": lambda _: True,
            "sleep": self.sleep,
            "wait": self.wait,
            "wait_for": self.wait_for,
            "pace": self.pace,
            "wait_for_actions": self.wait_for_actions,
            "input": self.input,
            "pause": self.pause,
            "subscribe": self.subscribe,
            "RE_class": lambda _: bluesky.run_engine.RunEngine,
            "declare_progress": self.progress,
            "monitor_progress": self.progress,
            "stash": self.stash,
            "clear_cache": self.clear_cache,
        }

    def nothing(self, _: Msg) -> None:
        """Do nothing."""
        self._course.clock.now += _MESSAGE

    def null(self, msg: Msg) -> None:
        """Do nothing but look at what a plan shows."""
        if msg.obj is not None:
            self._uses.adopt_clock(msg)
        self._pass(_MESSAGE)
        self._course.look_for_end()

    def checkpoint(self, _: Msg) -> None:
        """Mark a place; not within an event."""
        if self._runs.is_bundling:
            text = "a checkpoint within an event that is not saved"
            self._account.problem(text)
            raise IllegalMessageSequence(text)
        self._course.clock.now += _MESSAGE
        self._course.look_for_end()

    # -- time ---------------------------------------------------------------------------------

    def _pass(self, seconds: float) -> None:
        self._course.clock.advance(self._course.clock.now + seconds)
        self._course.take_failure()

    def sleep(self, msg: Msg) -> None:
        """Wait some time."""
        (seconds,) = msg.args
        self._pass(max(0.0, float(seconds)) + _WAIT)
        self._course.look_for_end()

    def wait(self, msg: Msg) -> bool:
        """Wait for what was started in a group."""
        course = self._course
        name = msg.args[0] if msg.args else msg.kwargs["group"]
        group = course.groups.get(name)
        clock = course.clock
        if group is None:
            clock.now += _MESSAGE
            return True
        timeout = msg.kwargs.get("timeout")
        ends = min(group.ends, group.fails)
        if timeout is not None and ends - clock.now > timeout:
            clock.advance(clock.now + timeout)
            if msg.kwargs.get("error_on_timeout", True):
                text = f"a wait of {timeout:g} s for what takes {ends - clock.now + timeout:.3g} s"
                self._account.problem(text, is_guess=True)
                raise WaitForTimeoutError("Plan failed to complete in the specified time")
            return False
        clock.advance(ends)
        del course.groups[name]
        if group.error is not None:
            raise failed(clock, group.error)
        clock.now += _WAIT
        return True

    def wait_for(self, msg: Msg) -> list[Any]:
        """Wait for something of the plan's own: done at once, for nobody knows what it is."""
        (factories,) = msg.args
        looks = [factory for factory in factories if hasattr(factory, "looks_at")]
        for factory in looks:
            self._uses.look(factory.looks_at, factory)
        if len(looks) < len(factories):
            self._account.guess(
                "what the plan waits for by itself (wait_for), and how long that takes", astray=True
            )
        self._pass(_MESSAGE)
        return []

    def pace(self, msg: Msg) -> Tick:
        """Wait for the next tick of a clock."""
        clock = self._course.clock
        pacer = msg.obj
        if pacer is None:
            (period,) = msg.args
            pacer = self._pacers.get(period)
            if pacer is None:
                pacer = self._pacers[period] = Pacer(period, clock=clock.monotonic)
        else:
            self._uses.adopt_clock(msg)
        left = pacer.next_deadline() - clock.monotonic()
        self._pass(max(0.0, left))
        self._course.look_for_end()
        tick: Tick = pacer.begin_turn()
        return tick

    # -- what the plan keeps ------------------------------------------------------------------

    def stash(self, msg: Msg) -> ForeseenStatus:
        """Keep a reading: in a cache of the plan's own, which is empty when it is first seen."""
        cache = msg.obj
        if id(cache) not in self._caches and isinstance(cache, ReadingCache) and not cache.keys():
            self._caches[id(cache)] = cache
        if id(cache) in self._caches:
            (reading,) = msg.args
            cache.stash({key: _plain(each) for key, each in reading.items()})
        return self._course.begin(msg.kwargs.get("group"), 0.0)

    def clear_cache(self, msg: Msg) -> ForeseenStatus:
        """Forget what was kept."""
        if id(msg.obj) in self._caches:
            msg.obj.clear()
        return self._course.begin(msg.kwargs.get("group"), 0.0)

    def end(self) -> None:
        """Leave the caches as they were: empty."""
        for cache in self._caches.values():
            cache.clear()

    # -- people -------------------------------------------------------------------------------

    def wait_for_actions(self, msg: Msg) -> Any:
        """Wait for an action: nobody triggers one, unless the plan waits for nothing else."""
        events, wanted = dict(msg.args[0]), msg.kwargs.get("wait_for", "set") == "set"
        timeout = msg.kwargs.get("timeout")
        if not msg.kwargs.get("fresh"):
            for name, latch in events.items():
                if latch.is_set() == wanted:
                    return name, latch
        if timeout is not None:
            self._pass(float(timeout) + _MESSAGE)
            self._course.look_for_end()
            return None
        names = ", ".join(events) or "nothing at all"
        self._account.guess(
            f"when somebody triggers what the plan waits for ({names})", astray=True
        )
        self._account.has_unknown_time = True
        self._asked += 1
        if not events or self._asked > _ASKED:
            self._course.is_endless = True
            raise self._course.stopping()
        name = list(events)[(self._asked - 1) % len(events)]
        return name, events[name]

    def input(self, msg: Msg) -> str:
        """Ask a person: the answer is taken for an empty one."""
        self._account.guess("what is typed where the plan asks for input, and when", astray=True)
        self._account.has_unknown_time = True
        return ""

    def pause(self, _: Msg) -> None:
        """Pause: for as long as somebody likes."""
        self._account.guess("for how long the plan stays paused where it pauses itself")
        self._account.has_unknown_time = True

    def subscribe(self, _: Msg) -> int:
        """Subscribe: there are no documents that could be sent."""
        self._token += 1
        return self._token

    def progress(self, msg: Msg) -> ProgressScope:
        """Open a scope that nobody looks at."""
        return ProgressScope(str(msg.kwargs.get("name") or "preview"))


def _plain(reading: Any) -> Any:
    return reading.quietly() if isinstance(reading, Guess) else reading
