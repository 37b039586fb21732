"""Devices as a preview sees them: where they stand in the plan, and how long they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core._devices import device_children, device_name, is_device

from ._facts import UNKNOWN, Facts, facts_of
from ._flights import detector_keys
from ._limits import check_of
from ._pseudo import pseudo_of
from ._readings import Guess, plausible, size_of
from ._times import set_time_of, trigger_time_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from ._flights import Prepared
    from ._look import Looker

__all__ = ["Devices", "Model", "NotADeviceError"]

_NO_PART: Final = (0, UNKNOWN)  # no object has that id


class NotADeviceError(TypeError):
    """A message is about something that is no device."""


@final
class Model:
    """One device in one preview.

    Parameters
    ----------
    device : object
        The device.
    facts : Facts
        What it said.
    devices : Devices
        The others.

    Attributes
    ----------
    name : str
        Its name.
    position : object
        Where it stands as far as the plan has come; `UNKNOWN` if nobody knows.
    flight : Prepared or None
        What it was prepared for.
    """

    def __init__(self, device: Any, facts: Facts, devices: Devices) -> None:
        self.device = device
        self.name = device_name(device)
        self.facts = facts
        self.flight: Prepared | None = None
        self._devices = devices
        self._position = facts.position
        self.pseudo = pseudo_of(device, devices.get)
        self.fails_later = hasattr(device, "children")  # ophyd-async: its status fails
        self.is_set = callable(getattr(device, "set", None))
        self._set_time = set_time_of(self)
        self._trigger_time = trigger_time_of(self)
        self._says_times = callable(getattr(device, "expected_time", None))
        self.check = None if self.pseudo else check_of(self, devices.looker)
        self._reading: dict[str, Any] | None = None
        self._seen = -1  # how often something had changed when the reading was made
        self._is_made_up = False  # all of it, so that no move changes it
        #: What it has said of its parts, and their ids.
        self._parts = {
            name: (id(part), facts.values.get(name, UNKNOWN)) for name, part in facts.parts.items()
        }
        self._of_part = dict(self._parts.values())
        # What was reckoned from what the plan has set; none of it any more when that changes.
        self._num_bytes: int | None = None
        self._folder: str | None = None
        self._measures: tuple[float | None, bool] | None = None
        for part in facts.parts.values():
            devices.watch(part, self)
        self.keys: Mapping[str, Any] = facts.keys or detector_keys(self)

    # -- where it stands ----------------------------------------------------------------------

    @property
    def position(self) -> Any:
        """Where it stands as far as the plan has come."""
        return self._position if self.pseudo is None else self.pseudo.position()

    def go(self, value: Any) -> float | None:
        """Send it somewhere; return how long that takes [s], ``None`` if it does not say.

        Raises
        ------
        Exception
            What the device refuses the value with.
        """
        if self.pseudo is not None:
            return self._go_all(value)
        if self.check is not None:
            self.check(value)
        if isinstance(value, float):  # numpy's compare and add ten times as slowly
            value = float(value)
        seconds = self._set_time(value)
        self._position = value
        self._devices.moved(self, value)
        return seconds

    def _go_all(self, value: Any) -> float | None:
        assert self.pseudo is not None
        several = [real.go(place) for real, place in self.pseudo.reach(value)]
        known = [seconds for seconds in several if seconds is not None]
        if len(known) < len(several):
            return None
        return max(known, default=0.0) if self.pseudo.is_concurrent else sum(known)

    def measure(self) -> float | None:
        """Return how long one measurement takes [s], ``None`` if it does not say."""
        if not self._says_times:
            return self._trigger_time("trigger")
        if self._measures is None:
            self._measures = self._trigger_time("trigger"), False
        elif not self._measures[1]:
            again = self._trigger_time("again")
            self._measures = self._measures[0] if again is None else again, True
        return self._measures[0]

    def forget(self) -> None:
        """Reckon anew: the plan has set something that it hangs on."""
        self._num_bytes = self._folder = self._measures = None

    # -- what it says -------------------------------------------------------------------------

    def part(self, name: str) -> Any:
        """Return the value of one of its parts as the plan has set it, or `UNKNOWN`."""
        key, told = self._parts.get(name, _NO_PART)
        return self._devices.planned.get(key, told)

    def known(self, part: Any) -> Any:
        """Return the value of a signal as the plan has set it, or `None`."""
        self._devices.watch(part, self)
        place = self._devices.planned.get(id(part), UNKNOWN)
        if place is UNKNOWN:
            place = self._of_part.get(id(part), UNKNOWN)
        if place is UNKNOWN:
            model = self._devices.get(part)
            for real in () if model.pseudo is None else model.pseudo.reals:
                self._devices.watch(real.device, self)
            place = model.position
        return None if place is UNKNOWN else place

    def reading(self) -> dict[str, Any]:
        """Return what reading it gives, as far as that can be told."""
        reading = self._reading
        if reading is not None and (self._is_made_up or self._seen == self._devices.changes):
            return reading
        self._seen = self._devices.changes
        reading = self._reading = {key: self._value_of(key) for key in self.keys or (self.name,)}
        self._is_made_up = all(type(each) is Guess for each in reading.values())
        return reading

    def _value_of(self, key: str) -> Any:
        place = self._devices.place_of(key)
        if place is not UNKNOWN:
            return {"value": place, "timestamp": 0.0}
        described = self.keys.get(key, {})
        return Guess(lambda: plausible(described), lambda: self._devices.looked(self, key))

    @property
    def folder(self) -> str:
        """Where it writes files; empty if it does not say."""
        if self._folder is None:
            path = self.part("file_path")
            self._folder = self.facts.folder or ("" if path is UNKNOWN else str(path))
        return self._folder

    @property
    def num_bytes(self) -> int:
        """How many bytes of an event come of it."""
        if self._num_bytes is None:
            keys = detector_keys(self) or self.keys
            self._num_bytes = sum(size_of(described) for described in keys.values())
        return self._num_bytes


@final
class Devices:
    """All devices of a preview.

    Parameters
    ----------
    looker : Looker
        Who asks them.
    moved : callable
        Told of each move: model and value.
    looked : callable
        Told when the plan looks at a value that was made up: model and data key.
    """

    def __init__(
        self,
        looker: Looker,
        moved: Callable[[Model, Any], None],
        looked: Callable[[Model, str], None],
    ) -> None:
        self.looker = looker
        self.looked = looked
        self._moved = moved
        # By id; the models keep the devices, so that no id is anybody else's meanwhile.
        self._models: dict[int, Model] = {}
        #: What the plan has set devices and signals to, by id.
        self.planned: dict[int, Any] = {}
        self._by_key: dict[str, Model] = {}
        # Who has reckoned with a value, by the id of what has it.
        self._watchers: dict[int, list[Model]] = {}
        #: How often something has changed that readings tell of.
        self.changes = 0

    def get(self, device: Any) -> Model:
        """Return the model of a device.

        Raises
        ------
        NotADeviceError
            For something that is none.
        """
        model = self._models.get(id(device))
        return self._new(device) if model is None else model

    def _new(self, device: Any) -> Model:
        if not is_device(device) and not hasattr(device, "read"):
            raise NotADeviceError(f"{device!r} is no device")
        model = Model(device, facts_of(device, self.looker), self)
        self._models[id(device)] = model
        self.add_parts(device, model.keys)
        if model.is_set:
            self._by_key.setdefault(model.name, model)
            for key in model.keys:
                if key.endswith("setpoint"):
                    self._by_key.setdefault(key, model)
        return model

    def place_of(self, key: str) -> Any:
        """Return the value of a data key that tells where something stands."""
        model = self._by_key.get(key)
        return UNKNOWN if model is None else model.position

    def add_parts(self, device: Any, keys: Container[str]) -> None:
        """Look at the parts of a device whose positions are among its data keys."""
        for part in device_children(device).values():
            if part.name in keys and callable(getattr(part, "set", None)):
                self.get(part)

    def watch(self, part: Any, model: Model) -> None:
        """Have a model told when the plan sets something."""
        watchers = self._watchers.setdefault(id(part), [])
        if model not in watchers:
            watchers.append(model)

    def moved(self, model: Model, value: Any) -> None:
        """Note where a device was sent."""
        self.changes += 1
        key = id(model.device)
        self.planned[key] = value
        for watcher in self._watchers.get(key, ()):
            watcher.forget()
        self._moved(model, value)
