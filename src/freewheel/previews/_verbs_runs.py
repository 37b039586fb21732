"""Messages that open runs, take events and close them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final, final

from bluesky.utils import IllegalMessageSequence

from ._fleeting import Uid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bluesky.utils import Msg

    from ._course import Course
    from ._model import Devices, Model
    from ._verbs_devices import DeviceVerbs

__all__ = ["RunVerbs"]

_READ: Final = 0.2e-3
_SAVE: Final = 0.3e-3
_OPEN: Final = 1.0e-3
#: What an axis that moves tells whoever monitors it: ten times a second, and where it arrives.
_TOLD: Final = 0.1


class _Run:
    """One open run."""

    __slots__ = ("collected", "declared", "files", "has_read", "monitored", "size", "stream")

    def __init__(self) -> None:
        self.stream: str | None = None  # of the event that is open
        self.size = 0
        self.files: dict[str, int] = {}  # what of that goes to which folder
        self.has_read = False
        self.declared: dict[str, list[Any]] = {}
        self.collected: dict[str, int] = {}
        self.monitored: dict[int, str] = {}


@final
class RunVerbs:
    """What messages about runs and events do, in one plan's course.

    Parameters
    ----------
    course : Course
        The plan.
    devices : Devices
        The devices.
    uses : DeviceVerbs
        What has devices measure.
    """

    def __init__(self, course: Course, devices: Devices, uses: DeviceVerbs) -> None:
        self._course = course
        self._account = course.account
        self._devices = devices
        self._uses = uses
        self._runs: dict[Any, _Run] = {}
        self._any_monitored = False

    def handlers(self) -> Mapping[str, Callable[[Msg], Any]]:
        """Return what carries out which command."""
        return {
            "open_run": self.open,
            "close_run": self.close,
            "create": self.create,
            "read": self.read,
            "save": self.save,
            "drop": self.drop,
            "acquire": self.acquire,
            "monitor": self.monitor,
            "unmonitor": self.unmonitor,
            "declare_stream": self.declare,
            "collect": self.collect,
        }

    @property
    def any_open(self) -> bool:
        """Whether a run is open."""
        return bool(self._runs)

    @property
    def is_bundling(self) -> bool:
        """Whether an event is open."""
        for run in self._runs.values():  # at each checkpoint: any() makes a generator
            if run.stream is not None:
                return True
        return False

    def _illegal(self, text: str) -> IllegalMessageSequence:
        self._account.problem(text)
        return IllegalMessageSequence(text)

    def _run(self, msg: Msg, what: str) -> _Run:
        run = self._runs.get(msg.run)
        if run is None:
            raise self._illegal(f"{what} where no run is open")
        return run

    # -- runs ---------------------------------------------------------------------------------

    def open(self, msg: Msg) -> str:
        """Open a run."""
        if msg.run in self._runs:
            name = "a second run" if msg.run is None else f"a second run {msg.run!r}"
            raise self._illegal(f"{name} is opened before the first is closed")
        self._runs[msg.run] = _Run()
        self._account.runs += 1
        if "num_points" in msg.kwargs and msg.kwargs["num_points"] is None:
            self._course.cycle.says_endless = True
        self._course.clock.now += _OPEN
        return Uid(uuid.uuid4())

    def close(self, msg: Msg) -> str:
        """Close a run."""
        self._run(msg, "a run is closed")
        del self._runs[msg.run]
        self._course.clock.now += _OPEN
        return Uid(uuid.uuid4())

    # -- events -------------------------------------------------------------------------------

    def create(self, msg: Msg) -> None:
        """Open an event."""
        run = self._run(msg, "an event is opened")
        if run.stream is not None:
            raise self._illegal("a second event is opened before the first is saved")
        run.stream = msg.args[0] if msg.args else msg.kwargs.get("name", "primary")
        run.size = 0
        run.files.clear()
        run.has_read = False

    def read(self, msg: Msg) -> Mapping[str, Any]:
        """Read a device, into the event that is open."""
        model = self._devices.get(msg.obj)
        if model.facts.obstacle:
            self._uses.doubt(model)
        run = self._runs.get(msg.run)
        if run is not None and run.stream is not None:
            size = model.num_bytes
            run.size += size
            if folder := model.folder:
                run.files[folder] = run.files.get(folder, 0) + size
            run.has_read = True
        self._course.clock.now += _READ
        return model.reading()

    def save(self, msg: Msg) -> None:
        """Save the event, if anything was read into it."""
        run = self._run(msg, "an event is saved")
        if run.stream is None:
            raise self._illegal("an event is saved, and none is open")
        if run.has_read:
            self._taken(run.stream, run.size)
            for folder, size in run.files.items():
                self._wrote(folder, size)
        run.stream = None
        self._course.clock.now += _SAVE

    def _wrote(self, folder: str, size: int) -> None:
        wrote = self._account.wrote
        wrote[folder] = wrote.get(folder, 0) + size

    def _taken(self, stream: str, size: int, number: int = 1) -> None:
        self._account.event(stream, size, number)
        if self._course.is_main:
            self._account.mark(number, self._course.clock.now)

    def drop(self, msg: Msg) -> None:
        """Forget the event."""
        run = self._run(msg, "an event is dropped")
        if run.stream is None:
            raise self._illegal("an event is dropped, and none is open")
        run.stream = None

    def acquire(self, msg: Msg) -> dict[str, Any]:
        """Trigger, wait, read and save in one message."""
        self._run(msg, "an event is taken")
        size, readings, longest = 0, {}, 0.0
        for device in msg.args:
            model = self._devices.get(device)
            if hasattr(device, "trigger"):
                model = self._uses.needed(device, "trigger")
                longest = max(longest, self._uses.measured(model) or 0.0)
            size += model.num_bytes
            if folder := model.folder:
                self._wrote(folder, model.num_bytes)
            readings.update(model.reading())
        self._course.clock.advance(self._course.clock.now + longest + _SAVE)
        if msg.args:
            self._taken(msg.kwargs.get("name", "primary"), size)
        return readings

    # -- events that come by themselves -------------------------------------------------------

    def monitor(self, msg: Msg) -> None:
        """Take an event whenever a device changes: one at once, and nobody knows how many more."""
        run, model = self._run(msg, "a device is monitored"), self._devices.get(msg.obj)
        stream = msg.kwargs.get("name") or f"{model.name}_monitor"
        run.monitored[id(msg.obj)] = stream
        self._any_monitored = True
        self._account.event(stream, model.num_bytes)
        self._account.guess(f"how often {model.name} changes while it is monitored")

    def unmonitor(self, msg: Msg) -> None:
        """Take no more of them."""
        self._run(msg, "a device is not monitored any more").monitored.pop(id(msg.obj), None)

    def told_of_move(self, model: Model, seconds: float) -> None:
        """Count what a monitored axis tells while it moves."""
        for run in self._runs.values() if self._any_monitored else ():
            stream = run.monitored.get(id(model.device))
            if stream is not None:
                self._account.event(stream, model.num_bytes, max(1, round(seconds / _TOLD)))

    def declare(self, msg: Msg) -> tuple[Any, ...]:
        """Declare a stream of devices that fly."""
        run = self._run(msg, "a stream is declared")
        several = [device for device in (msg.obj, *msg.args) if device is not None]
        run.declared[msg.kwargs["name"]] = several
        return ()

    def collect(self, msg: Msg) -> Any:
        """Take the events that devices have by now."""
        run = self._run(msg, "events are collected")
        several = [
            self._uses.needed(
                device, "collect" if hasattr(device, "collect") else "describe_collect"
            )
            for device in (msg.obj, *msg.args)
            if device is not None
        ]
        stream = msg.kwargs.get("name")
        flying = [model for model in several if model.flight is not None and model.flight.number]
        if not flying:
            for model in several:
                self._account.guess(f"how many events {model.name} gives when it is collected")
            return []
        stream = stream or "primary"
        now = self._course.clock.now
        index = min(model.flight.index(now) for model in flying if model.flight is not None)
        new = index - run.collected.get(stream, 0)
        if new > 0:
            frames = 0
            for model in flying:
                each = model.num_bytes * (1 if model.flight is None else model.flight.collections)
                frames += each
                if folder := model.folder:
                    self._wrote(folder, each * new)
            run.collected[stream] = index
            self._taken(stream, frames, new)
        return []
