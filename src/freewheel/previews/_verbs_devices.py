"""Messages that have devices do something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core._devices import device_name

from ._facts import AWAY, UNKNOWN
from ._flights import Prepared, default_period, prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bluesky.utils import Msg

    from ._clock import ForeseenStatus
    from ._course import Course
    from ._learned import Times
    from ._model import Devices, Model

__all__ = ["DeviceVerbs"]

#: What the engine and a device take for a message beside the device's own time [s].
_SET: Final = 1.0e-3
_TRIGGER: Final = 0.5e-3
_STAGE: Final = 0.5e-3


@final
class DeviceVerbs:
    """What messages to devices do, in one plan's course.

    Parameters
    ----------
    course : Course
        The plan.
    devices : Devices
        The devices.
    times : Times
        What was measured before.
    conflicts : callable
        Told of each device that the plan needs, before it is used; it raises if somebody else
        keeps it.
    """

    def __init__(
        self,
        course: Course,
        devices: Devices,
        times: Times,
        conflicts: Callable[[Model], None],
    ) -> None:
        self._course = course
        self._devices = devices
        self._times = times
        self._conflicts = conflicts
        self._staged: set[int] = set()
        self._triggered: dict[int, float] = {}  # when the last measurement of a device is over
        #: Told of each move, and how long it takes.
        self.told_of_move: Callable[[Model, float], None] = lambda _model, _seconds: None

    def handlers(self) -> Mapping[str, Callable[[Msg], Any]]:
        """Return what carries out which command."""
        return {
            "set": self.set,
            "trigger": self.trigger,
            "stage": self.stage,
            "unstage": self.unstage,
            "prepare": self.prepare,
            "kickoff": self.kickoff,
            "complete": self.complete,
            "configure": self.configure,
            "stop": self.stop,
            "locate": self.locate,
            "claim": self.claim,
            "release": self.release,
        }

    def needed(self, device: Any, ability: str, *, anew: bool = False) -> Model:
        """Return a device's model, and note that the plan needs it."""
        course, key = self._course, (id(device), ability)
        known = course.ready.get(key)
        if known is not None and not anew:
            return known
        model = self._devices.get(device)
        if not callable(getattr(device, ability, None)):
            raise self._refusal(f"{model.name} has no {ability}()", model)
        if model.facts.obstacle:
            self.doubt(model)
        self._conflicts(model)
        course.ready[key] = course.holds[id(device)] = model
        course.account.need(model, anew=anew)
        return model

    def doubt(self, model: Model) -> None:
        """Go on with a device that has not answered in time, which is told; with no other one.

        Raises
        ------
        RuntimeError
            If it is known that it cannot be used.
        """
        facts = model.facts
        if not facts.is_late:
            raise self._refusal(facts.obstacle, model)
        self._course.account.problem(facts.obstacle, model.name, is_guess=True)

    def _refusal(self, text: str, model: Model) -> Exception:
        self._course.account.problem(text, model.name)
        return RuntimeError(text)

    def _begin(self, msg: Msg, model: Model, seconds: float | None, extra: float) -> ForeseenStatus:
        """Have a device take its time: what it says, or what it took before, or none."""
        if seconds is None:
            seconds = self._before(msg.command, model)
        return self._course.begin(msg.kwargs.get("group"), seconds + extra)

    def _before(self, verb: str, model: Model) -> float:
        measured, account = self._times.of(model.name, verb), self._course.account
        if measured is None:
            account.has_unknown_time = True
            account.guess(f"{model.name} does not say how long {verb} takes: taken for no time")
            return 0.0
        account.slack[0] += measured.typical - measured.shortest
        account.slack[1] += measured.longest - measured.typical
        return measured.typical

    # -- moving and measuring -----------------------------------------------------------------

    def set(self, msg: Msg) -> ForeseenStatus:
        """Send a device somewhere."""
        course = self._course
        model = self.needed(msg.obj, "set")
        if "propr" in msg.kwargs:  # a property of it, by name
            return self._begin(msg, model, None, _SET)
        value = msg.args[0] if msg.args else next(iter(msg.kwargs.values()))
        begin = model.position
        course.account.moving(model, begin)
        try:
            seconds = model.go(value)
        except Exception as error:
            course.account.problem(_words(model, value, error), model.name)
            if model.fails_later:
                return course.begin(msg.kwargs.get("group"), 0.0, error)
            raise
        if model.facts.obstacle:  # since it was asked whether it takes the value
            self.doubt(model)
        if begin is UNKNOWN and "velocity" in model.facts.values:
            course.account.guess(f"where {model.name} stands before it is moved")
        self.told_of_move(model, seconds or 0.0)
        return self._begin(msg, model, seconds, _SET)

    def trigger(self, msg: Msg) -> ForeseenStatus:
        """Have a device measure."""
        model = self.needed(msg.obj, "trigger")
        left = 0.0
        if msg.kwargs.get("ahead"):  # after the one that is under way
            left = max(0.0, self._triggered.get(id(msg.obj), 0.0) - self._course.clock.now)
        status = self._begin(msg, model, self.measured(model), _TRIGGER + left)
        self._triggered[id(msg.obj)] = status.ends
        return status

    def measured(self, model: Model) -> float | None:
        """Return how long a measurement takes [s], if the device says so."""
        seconds = model.measure()
        return default_period(model) if seconds is None else seconds

    def stage(self, msg: Msg) -> Any:
        """Stage a device; one of ophyd must not be staged twice."""
        if not hasattr(msg.obj, "stage"):
            return []
        model = self.needed(msg.obj, "stage", anew=True)
        if id(msg.obj) in self._staged and type(msg.obj).__mro__[-2].__module__.startswith("ophyd"):
            self._course.account.problem(f"{model.name} is staged twice", model.name)
        self._staged.add(id(msg.obj))
        model.flight = None
        return self._course.begin(msg.kwargs.get("group"), _STAGE)

    def unstage(self, msg: Msg) -> Any:
        """Unstage a device."""
        if not hasattr(msg.obj, "unstage"):
            return []
        self.needed(msg.obj, "unstage")
        self._staged.discard(id(msg.obj))
        return self._course.begin(msg.kwargs.get("group"), _STAGE)

    # -- flying -------------------------------------------------------------------------------

    def prepare(self, msg: Msg) -> ForeseenStatus:
        """Prepare a device for a flight, or for a number of triggers."""
        model = self.needed(msg.obj, "prepare")
        value = msg.args[0] if msg.args else None
        try:
            seconds, model.flight = prepared(model, value)
        except Exception as error:
            self._course.account.problem(_words(model, value, error), model.name)
            if model.fails_later:
                return self._course.begin(msg.kwargs.get("group"), 0.0, error)
            raise
        return self._begin(msg, model, seconds, _SET)

    def kickoff(self, msg: Msg) -> ForeseenStatus:
        """Have a device begin its flight."""
        model = self.needed(msg.obj, "kickoff", anew=True)
        flight = model.flight = model.flight or Prepared(None)
        flight.began = self._course.clock.now
        return self._begin(msg, model, flight.kickoff_seconds, _SET)

    def complete(self, msg: Msg) -> ForeseenStatus:
        """Have a device come to the end of its flight."""
        model = self.needed(msg.obj, "complete")
        flight = model.flight
        if flight is None or flight.seconds is None:
            return self._begin(msg, model, None, _SET)
        began = self._course.clock.now if flight.began is None else flight.began
        left = began + flight.seconds - self._course.clock.now
        return self._begin(msg, model, max(0.0, left), _SET)

    # -- the others ---------------------------------------------------------------------------

    def configure(self, msg: Msg) -> tuple[Any, Any]:
        """Configure a device: nobody knows what with, so nothing changes in the preview."""
        self.needed(msg.obj, "configure")
        return {}, {}

    def stop(self, msg: Msg) -> None:
        """Stop a device, which stays where it is in the preview."""
        self.needed(msg.obj, "stop")

    def locate(self, msg: Msg) -> Any:
        """Say where devices are."""
        found = [self._location(self._devices.get(obj)) for obj in (msg.obj, *msg.args)]
        if len(found) == 1 and msg.kwargs.get("squeeze", True):
            return found[0]
        return found

    def _location(self, model: Model) -> Any:
        place = model.position
        if place is UNKNOWN:
            self._devices.looked(model, model.name)
            place = 0.0
        return {"setpoint": place, "readback": place}

    def claim(self, msg: Msg) -> None:
        """Claim devices."""
        for device in msg.args:
            model = self._devices.get(device)
            self._conflicts(model)
            self._course.holds[id(device)] = model
            self._course.account.need(model)

    def release(self, msg: Msg) -> None:
        """Release devices."""
        for device in msg.args:
            self._course.holds.pop(id(device), None)

    def look(self, device: Any, question: Any) -> None:
        """Ask a device what the plan wants to know of it.

        Raises
        ------
        RuntimeError
            If it has not answered in time: nobody knows how the plan goes on.
        """
        try:
            self._devices.looker.ask(device, question)
        except TimeoutError as error:
            text = f"{device_name(device)}{AWAY[1]}"
            self._course.account.problem(text, device_name(device), is_guess=True)
            raise RuntimeError(text) from error

    def adopt_clock(self, msg: Msg) -> None:
        """Give a clock that the plan has shown the time of the preview."""
        follow = getattr(msg.obj, "follow", None)
        if callable(follow):
            follow(self._course.clock.monotonic)


def _words(model: Model, value: Any, error: Exception) -> str:
    said = str(error) or type(error).__name__
    return said if model.name in said else f"{model.name} cannot be set to {value!r}: {said}"
