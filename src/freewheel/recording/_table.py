"""What a recorded run knows about its devices, and which row of it answers next."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ._errors import NotRecordedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._run import Document, RecordedRun

__all__ = ["DeviceRecord", "Frame", "Missing", "Row", "Session", "Table"]

Missing: TypeAlias = Literal["error", "nearest", "last"]

_SETPOINT = re.compile(r"[-_](user_)?setpoint$")
_NOISE_RATIO = 30.0  # a gap so many times the next smaller one separates positions from noise


@dataclass(frozen=True, slots=True)
class Frame:
    """One index of one recorded stream resource."""

    resource: str
    index: int


@dataclass(slots=True)
class Row:
    """One point of a stream: an event, and the frames that detectors wrote for it."""

    stream: str
    seq_num: int
    time: float
    before: float  # the time of the row before it, or of the run's start
    data: dict[str, Any] = field(default_factory=dict)
    timestamps: dict[str, Any] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)
    is_event: bool = False


@dataclass(slots=True)
class DeviceRecord:
    """What was recorded of one device."""

    name: str
    data_keys: dict[str, dict[str, Any]]
    configuration: dict[str, Any]
    hints: dict[str, Any]
    rows: list[Row] = field(default_factory=list)

    @property
    def position_key(self) -> str | None:
        """The key that tells where it was: its setpoint, else what it hints at, else its name."""
        for key in self.data_keys:
            if _SETPOINT.search(key):
                return key
        candidates = [*self.hints.get("fields", ()), self.name, *self.data_keys]
        return next((key for key in candidates if key in self.data_keys), None)

    @property
    def writes_files(self) -> bool:
        """Whether it wrote data of its own into files."""
        return any("external" in about for about in self.data_keys.values())


class Table:
    """A run's documents, by device. Immutable once made.

    Parameters
    ----------
    run : RecordedRun
        The run. Its arrays are read when they are needed.

    Raises
    ------
    RecordingError
        When the recording is damaged.
    """

    def __init__(self, run: RecordedRun) -> None:
        self.run = run
        self.start = run.start
        self.devices: dict[str, DeviceRecord] = {}
        self.resources: dict[str, Document] = {}
        self._streams: dict[str, tuple[str, Mapping[str, Any]]] = {}  # by descriptor
        self._rows: dict[tuple[str, int], Row] = {}
        self._began: dict[str, float] = {}  # the time of the descriptor, by stream
        self._last_time = float(run.start["time"])
        for when, name, doc in run.timed_documents(lazy=True):
            self._take(when, name, doc)

    def _take(self, when: float, name: str, doc: Document) -> None:
        if name == "descriptor":
            self._take_descriptor(when, doc)
        elif name == "event":
            self._take_event(doc["descriptor"], doc["seq_num"], doc["time"], doc)
        elif name == "event_page":
            for i, (seq_num, time) in enumerate(zip(doc["seq_num"], doc["time"], strict=True)):
                columns = {
                    part: {key: column[i] for key, column in doc[part].items()}
                    for part in ("data", "timestamps")
                }
                self._take_event(doc["descriptor"], seq_num, time, columns)
        elif name == "stream_resource":
            self.resources[doc["uid"]] = doc
        elif name == "stream_datum":
            key = self.resources[doc["stream_resource"]]["data_key"]
            indices = range(doc["indices"]["start"], doc["indices"]["stop"])
            numbers = range(doc["seq_nums"]["start"], doc["seq_nums"]["stop"])
            for index, seq_num in zip(indices, numbers, strict=True):
                row = self._row(doc["descriptor"], seq_num, when, key)
                row.frames[key] = Frame(doc["stream_resource"], index)

    def _take_descriptor(self, when: float, doc: Document) -> None:
        stream = doc.get("name", "primary")
        self._streams[doc["uid"]] = stream, doc["object_keys"]
        self._began[stream] = when
        for name, keys in doc["object_keys"].items():
            if name in self.devices:
                continue
            about = {}
            for key in keys:
                data_key = dict(doc["data_keys"][key])
                data_key.pop("object_name", None)
                about[key] = data_key
            configuration = doc.get("configuration", {}).get(name, {})
            hints = doc.get("hints", {}).get(name, {})
            self.devices[name] = DeviceRecord(name, about, configuration, hints)

    def _take_event(
        self, descriptor: str, seq_num: int, time: float, doc: Mapping[str, Any]
    ) -> None:
        row = self._row(descriptor, seq_num, time, None)
        row.is_event = True
        row.time = self._last_time = time
        row.data.update(doc["data"])
        row.timestamps.update(doc["timestamps"])

    def _row(self, descriptor: str, seq_num: int, when: float, key: str | None) -> Row:
        """Return the row of a point, a new one if it is one more.

        A pause that rewinds repeats sequence numbers: what the row has already is a further point.
        """
        stream, object_keys = self._streams[descriptor]
        row = self._rows.get((stream, seq_num))
        if row is not None and not (row.is_event if key is None else key in row.frames):
            return row
        row = Row(stream, seq_num, when, self._last_time)
        self._rows[stream, seq_num] = row
        for name in object_keys:
            self.devices[name].rows.append(row)
        return row

    def began(self, stream: str) -> float:
        """Return when a stream began, in seconds since the epoch."""
        return self._began[stream]

    def movable_names(self, named: Iterable[str]) -> set[str]:
        """Return the devices that the plan moved, as far as the documents tell.

        Parameters
        ----------
        named : iterable of str
            Further ones, that the caller knows of.

        Raises
        ------
        NotRecordedError
            When one of those was not recorded.
        """
        named = set(named)
        unknown = named - self.devices.keys()
        if unknown:
            raise self.unknown(min(unknown))
        fields = set()
        for dimension in self.start.get("hints", {}).get("dimensions", ()):
            fields.update(dimension[0])
        named.update(name for name in self.start.get("motors", ()) if name in self.devices)
        named.update(
            name for name, record in self.devices.items() if fields & record.data_keys.keys()
        )
        return named

    def unknown(self, name: str) -> NotRecordedError:
        """Return the error about a device that was never recorded."""
        known = ", ".join(sorted(self.devices)) or "none"
        message = f"{name!r} was never recorded in this run; recorded were: {known}"
        return NotRecordedError(message, file=self.run.origin, run=self.run.uid, device=name)


class Session:
    """Where replayed devices stand: which rows were used, and where the motors are.

    All the devices of one `replay_devices` call share one. Used on the engine's loop alone.
    """

    def __init__(
        self, table: Table, speed: float, missing: Missing, tolerance: float | None
    ) -> None:
        self.table = table
        self.speed = speed
        self.missing = missing
        self.positions: dict[str, Any] = {}
        """By data key: where what was moved in this session is."""
        self._tolerance = tolerance
        self._tolerances: dict[str, float] = {}
        self._moves = 0
        self._next: dict[str, int] = {}
        self._used: dict[str, dict[int, int]] = {}  # by device: row -> number of moves at its use
        self._last: dict[str, Row] = {}

    def move(self, key: str, position: Any) -> None:
        """Put what ``key`` tells about at a position."""
        self.positions[key] = position
        self._moves += 1

    def take(self, record: DeviceRecord) -> Row:
        """Return the row that answers a reading of a device now, and count it as used.

        It is the next one in the recorded order, if the motors stand where they stood then; else
        another one that was recorded where the motors stand. No row answers twice, unless
        something was moved meanwhile.

        Raises
        ------
        NotRecordedError
            When there is none, and the session says that this is an error.
        """
        index = self.find(record)
        if index is None:
            return self._fallback(record)
        self._next[record.name] = index + 1
        self._used.setdefault(record.name, {})[index] = self._moves
        self._last[record.name] = row = record.rows[index]
        return row

    def find(self, record: DeviceRecord) -> int | None:
        """Return the index of the row that would answer; `None` if there is none."""
        used = self._used.get(record.name, {})
        following: int = self._next.get(record.name, 0)
        count = len(record.rows)
        order: list[int] = [*range(following, count), *range(following)]
        for index in order:
            if used.get(index) != self._moves and self._is_here(record.rows[index]):
                return index
        return None

    def last(self, record: DeviceRecord) -> Row | None:
        """Return the row that answered last."""
        return self._last.get(record.name)

    def is_here(self, row: Row) -> bool:
        """Tell whether the motors stand where they stood at a row."""
        return self._is_here(row)

    def _is_here(self, row: Row) -> bool:
        return all(
            self._same(key, position, row.data[key])
            for key, position in self.positions.items()
            if key in row.data
        )

    def _same(self, key: str, position: Any, recorded: Any) -> bool:
        if isinstance(position, (int, float)) and isinstance(recorded, (int, float)):
            return abs(position - recorded) <= self.tolerance(key)
        return bool(position == recorded)

    def tolerance(self, key: str) -> float:
        """Return how far a position may be from a recorded one to count as the same."""
        if self._tolerance is not None:
            return self._tolerance
        if key not in self._tolerances:
            rows = (row for record in self.table.devices.values() for row in record.rows)
            self._tolerances[key] = _tolerance({row.data[key] for row in rows if key in row.data})
        return self._tolerances[key]

    def _fallback(self, record: DeviceRecord) -> Row:
        if not record.rows:
            raise self._not_recorded(record)
        if self.missing == "last":
            return self._last.get(record.name, record.rows[-1])
        if self.missing == "nearest":
            row = min(record.rows, key=self._distance)
            exhausted = not self.positions or self._distance(row) == math.inf
            return self._last.get(record.name, record.rows[-1]) if exhausted else row
        raise self._not_recorded(record)

    def _distance(self, row: Row) -> float:
        total = 0.0
        for key, position in self.positions.items():
            if key not in row.data:
                continue
            recorded = row.data[key]
            if self._same(key, position, recorded):
                continue
            if not isinstance(position, (int, float)) or not isinstance(recorded, (int, float)):
                return math.inf
            total += ((position - recorded) / self.tolerance(key)) ** 2
        return total

    def _not_recorded(self, record: DeviceRecord) -> NotRecordedError:
        here = ", ".join(f"{key} = {position}" for key, position in self.positions.items())
        if record.rows and any(self._is_here(row) for row in record.rows):
            where = f" at {here}" if here else ""
            count = sum(1 for row in record.rows if self._is_here(row))
            message = (
                f"the plan asks {record.name!r} for more points than were recorded{where} ({count})"
            )
        else:
            message = f"{record.name!r} was not recorded at {here}{self._closest(record)}"
        message += '; missing="nearest" or missing="last" gives a recorded reading instead'
        run = self.table.run
        return NotRecordedError(message, file=run.origin, run=run.uid, device=record.name)

    def _closest(self, record: DeviceRecord) -> str:
        if not record.rows:
            return ""
        row = min(record.rows, key=self._distance)
        there = ", ".join(f"{key} = {row.data[key]}" for key in self.positions if key in row.data)
        return f" (the closest is {there})" if there else ""


def _tolerance(values: Iterable[Any]) -> float:
    """Tell how far apart positions may be and still be one, from those that were recorded.

    A tenth of the smallest step; where the same position was read back with noise, the gaps that
    noise makes are told from steps by their size.
    """
    numbers = sorted(float(value) for value in values if isinstance(value, (int, float)))
    scale = max((abs(number) for number in numbers), default=1.0) or 1.0
    floor = 1e-9 * scale
    gaps = sorted(b - a for a, b in itertools.pairwise(numbers) if b - a > floor)
    if not gaps:
        return max(1e-3 * scale, floor)
    for noise, step in itertools.pairwise(gaps):
        if step > _NOISE_RATIO * noise:
            return max(math.sqrt(noise * step), floor)
    return max(0.1 * gaps[0], floor)
