"""Detectors and motors that are prepared, kicked off and completed; and what detectors write."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ._facts import UNKNOWN
from ._times import exposure_time, move_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._seen import Seen

__all__ = ["Prepared", "detector_keys", "prepared"]

#: What ophyd-async's simulated detector writes, and how long it takes for a frame by default.
_BLOB_KEYS: Final[Mapping[str, Mapping[str, Any]]] = {
    "": {"dtype": "array", "shape": [240, 320], "dtype_numpy": "|u1"},
    "-sum": {"dtype": "number", "shape": [], "dtype_numpy": "<i8"},
}
_BLOB_PERIOD: Final = 0.2


@dataclass
class Prepared:
    """What a device was prepared for.

    Attributes
    ----------
    seconds : float or None
        How long all of it takes from the kick-off on; ``None`` if nobody knows.
    period : float
        How long one frame takes [s].
    number : int
        How many events it will have; 0 for a device without events.
    collections : int
        How many frames make an event.
    kickoff_seconds : float
        How long the kick-off takes.
    value : object
        What it was prepared with.
    began : float or None
        When it was kicked off.
    """

    seconds: float | None
    period: float = 0.0
    number: int = 0
    collections: int = 1
    kickoff_seconds: float = 0.0
    value: Any = None
    began: float | None = None

    def index(self, now: float) -> int:
        """Return how many events there are at some time."""
        if self.began is None or not self.number:
            return 0
        if not self.period:
            return self.number
        taken = (now - self.began + 1e-9) / (self.period * self.collections)
        return min(self.number, int(taken))


def prepared(model: Seen, value: Any) -> tuple[float | None, Prepared]:
    """Return how long a device takes to be prepared [s], and for what it is then."""
    if hasattr(value, "number_of_exposures"):
        return 0.0, _detector(model, value)
    if hasattr(value, "ramp_up_start_pos"):
        return _motor(model, value)
    says = getattr(model.device, "expected_time", None)
    if callable(says):
        whole = says("complete", value, model.known)
        return says("prepare", value, model.known), Prepared(whole, value=value)
    return None, Prepared(None, value=value)


def _detector(model: Seen, info: Any) -> Prepared:
    """Take ophyd-async's ``TriggerInfo``."""
    says = getattr(model.device, "expected_time", None)
    period: float | None = info.livetime + info.deadtime or None
    if callable(says):
        period = says("frame", info, model.known)
    elif is_blob(model):
        period = period or _BLOB_PERIOD
    elif not info.livetime:
        period = exposure_time(model)
    frames = info.number_of_exposures
    whole = None if period is None else period * frames
    each = info.exposures_per_collection * (period or 0.0)
    return Prepared(whole, each, info.number_of_events, info.collections_per_event, value=info)


def _motor(model: Seen, info: Any) -> tuple[float | None, Prepared]:
    """Take ophyd-async's ``FlyMotorInfo``."""
    ramp = model.part("acceleration_time")
    ramp = 0.0 if ramp is UNKNOWN else float(ramp)
    start, end = info.ramp_up_start_pos(ramp), info.ramp_down_end_pos(ramp)
    seconds = model.go(start)
    if "max_velocity" not in dir(model.device):  # the simulated motor jumps to where it starts
        seconds = 0.0
    flown = move_time(end - start, info.speed, ramp)
    model.go(end)
    return seconds, Prepared(flown, kickoff_seconds=ramp, value=info)


def is_blob(model: Seen) -> bool:
    """Tell whether a device is ophyd-async's simulated detector of images."""
    kind = getattr(sys.modules.get("ophyd_async.sim"), "SimBlobDetector", None)
    return kind is not None and isinstance(model.device, kind)


def default_period(model: Seen) -> float | None:
    """Return how long a detector takes for a frame that was not prepared for one [s]."""
    return _BLOB_PERIOD if is_blob(model) else None


def detector_keys(model: Seen) -> Mapping[str, Any]:
    """Return the data keys of a detector whose frames are as large as its settings say.

    Those of one that can only describe itself when it was prepared, too; else nothing.
    """
    says = getattr(model.device, "expected_data", None)
    if callable(says):
        told: Mapping[str, Any] = says(model.known)
        return told
    if is_blob(model):
        return {f"{model.name}{suffix}": key for suffix, key in _BLOB_KEYS.items()}
    size = model.part("array_size_y"), model.part("array_size_x")
    if UNKNOWN in size or model.facts.keys:
        return {}
    kind = model.part("data_type")
    dtype = "<u2" if kind is UNKNOWN else _DTYPES.get(str(getattr(kind, "value", kind)), "<u2")
    return {
        model.name: {"dtype": "array", "shape": [1, *map(int, size)], "dtype_numpy": dtype},
    }


#: How areaDetector calls them.
_DTYPES: Final = {
    "Int8": "|i1",
    "UInt8": "|u1",
    "Int16": "<i2",
    "UInt16": "<u2",
    "Int32": "<i4",
    "UInt32": "<u4",
    "Int64": "<i8",
    "UInt64": "<u8",
    "Float32": "<f4",
    "Float64": "<f8",
}
