"""What is asked of a device before it is followed through a plan: once for each preview."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from freewheel.core._devices import device_children, device_name

from ._look import data_keys, is_local, place, uncached_value, value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from ._look import Looker

__all__ = ["AWAY", "UNKNOWN", "Facts", "facts_of"]


class _Unknown:
    def __repr__(self) -> str:
        return "unknown"


#: Stands for a value that nobody knows.
UNKNOWN: Final = _Unknown()

#: The parts of devices that say how far and how long: ophyd's, ophyd-async's and ours.
_PARTS: Final = (
    "velocity",
    "acceleration_time",
    "acceleration",
    "exposure",
    "exposure_time",
    "acquire_time",
    "acquire_period",
    "binning",
    "roi",
    "low_limit_travel",
    "high_limit_travel",
    "dial_low_limit_travel",
    "dial_high_limit_travel",
    "array_size_x",
    "array_size_y",
    "data_type",
)
#: How the problem ends that a device cannot be used now, and may be later.
AWAY: Final = (" is not connected", " does not answer")
#: What ophyd, ophyd-async and aioca raise.
_NOT_CONNECTED: Final = ("NotConnectedError", "NotConnected", "DisconnectedError", "CANothing")
#: Where they keep what they write files with.
_WRITERS: Final = ("fileio", "hdf", "hdf1", "hdf5")
#: Where detectors of areaDetector keep them.
_DRIVERS: Final = ("driver", "drv", "cam")


@dataclass
class Facts:
    """What a device said.

    Attributes
    ----------
    keys : mapping
        Its data keys, as ``describe`` returns them; empty if it does not say.
    parts : mapping of str to signal
        Its parts that matter for times and limits, by name.
    values : mapping of str to object
        Their values.
    units : mapping of str to str
        Their units, where they have one.
    position : object
        Where it stands, if it says so.
    folder : str
        Where it writes files, if it says so.
    obstacle : str
        Why it cannot be used at all: it is not connected. Empty if it can.
    is_late : bool
        Whether the obstacle is no more than that it has not answered in time, and what it says
        here is what it had said until then: on a busy machine, or to a plan that waits longer, it
        may answer yet.
    """

    keys: Mapping[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    position: Any = UNKNOWN
    folder: str = ""
    obstacle: str = ""
    is_late: bool = False

    def be_late(self, device: Any) -> None:
        """Note that the device has not answered in time."""
        if not self.obstacle:
            self.obstacle, self.is_late = f"{device_name(device)}{AWAY[1]}", True


def facts_of(device: Any, looker: Looker) -> Facts:
    """Ask a device, of whatever library."""
    facts = Facts(parts=dict(_parts_of(device)))
    if getattr(device, "connected", True) is False:  # ophyd's: asking would wait for a time-out
        facts.obstacle = f"{device_name(device)}{AWAY[0]}"
        return facts
    _ask_now(device, facts)
    with suppress(Exception):  # a property of somebody's
        facts.folder = str(getattr(device, "writes_to", None) or "")
    questions = _Questions(device, facts)
    if questions.are_asked:
        try:
            looker.ask(device, questions.ask)
        except TimeoutError:
            facts.be_late(device)
        except Exception as error:
            questions.note(error)
    return facts


def _parts_of(device: Any) -> Iterable[tuple[str, Any]]:
    homes = [device, *(getattr(device, name, None) for name in _DRIVERS)]
    for home in homes:
        if home is None:
            continue
        for name in _PARTS:
            part = getattr(home, name, None)
            if part is not None:
                yield name, part
    for writer in _WRITERS:
        part = getattr(getattr(device, writer, None), "file_path", None)
        if part is not None:
            yield "file_path", part


def _ask_now(device: Any, facts: Facts) -> None:
    """Ask what answers at once: ophyd's devices, and numbers that are no signals."""
    for name, part in facts.parts.items():
        if isinstance(part, (int, float, tuple)):
            facts.values[name] = part
        elif not hasattr(part, "get_value") and callable(getattr(part, "get", None)):
            try:
                facts.values[name] = part.get()
            except Exception:  # a part that does not answer is one that is not known
                continue
    try:
        position = getattr(device, "position", UNKNOWN)
    except Exception:
        position = UNKNOWN
    if not callable(position) and position is not None:
        facts.position = position


class _Questions:
    """What has to be awaited of a device, all at once."""

    def __init__(self, device: Any, facts: Facts) -> None:
        self._device = device
        self._facts = facts
        self._signals = {
            name: part for name, part in facts.parts.items() if hasattr(part, "get_value")
        }
        self._describe = getattr(device, "describe", None)
        self._is_local = is_local(device)

    @property
    def are_asked(self) -> bool:
        """Whether there is anything to ask on a loop."""
        if self._signals or any(hasattr(self._device, name) for name in ("locate", "get_value")):
            return True
        if self._describe is None or inspect.iscoroutinefunction(self._describe):
            return self._describe is not None
        self._keep_keys(self._call(self._describe))
        return False

    def _call(self, question: Any) -> Any:
        try:
            return question()
        except Exception as error:
            self.note(error)
            return {}

    def _keep_keys(self, keys: Any) -> None:
        if isinstance(keys, dict):
            self._facts.keys = keys

    def note(self, error: Exception) -> None:
        """Remember that the device cannot be used, if that is what an error says."""
        if type(error).__name__ in _NOT_CONNECTED or "connect() has not been" in str(error):
            self._facts.obstacle = f"{device_name(self._device)}{AWAY[0]}"

    async def ask(self) -> None:
        """Ask everything; at once where each answer has a long way."""
        questions: list[Callable[[], Awaitable[None]]] = [self._ask_keys, self._ask_position]
        questions += [partial(self._ask_part, name, part) for name, part in self._signals.items()]
        if not self._is_local:
            await asyncio.gather(*(question() for question in questions))
            return
        for question in questions:
            await question()

    async def _ask_keys(self) -> None:
        describe = self._describe
        try:
            if describe is None:
                return
            if self._is_local and inspect.iscoroutinefunction(describe):
                self._keep_keys(await data_keys(describe))
                return
            keys = describe()
            self._keep_keys(await keys if inspect.isawaitable(keys) else keys)
        except Exception as error:
            self.note(error)

    async def _ask_position(self) -> None:
        device, facts = self._device, self._facts
        try:
            if hasattr(device, "get_value") and not device_children(device):
                facts.position = await self._value(device)
            elif self._is_local and inspect.iscoroutinefunction(getattr(device, "locate", None)):
                facts.position = await place(device)
            elif hasattr(device, "locate"):
                location = device.locate()
                location = await location if inspect.isawaitable(location) else location
                facts.position = location["readback"]
        except Exception as error:
            self.note(error)

    async def _value(self, signal: Any) -> Any:
        return await (value(signal) if self._is_local else uncached_value(signal))

    async def _ask_part(self, name: str, part: Any) -> None:
        try:
            self._facts.values[name] = await self._value(part)
            says = hasattr(self._device, "expected_time")
            if not says and name in ("exposure", "acquire_time", "exposure_time"):
                (key,) = (await part.describe()).values()
                self._facts.units[name] = key.get("units") or "s"
        except Exception as error:
            self.note(error)
