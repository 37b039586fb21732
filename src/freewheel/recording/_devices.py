"""Devices that answer as recorded ones did."""

from __future__ import annotations

import asyncio
import copy
import itertools
import re
import time
import uuid
from typing import TYPE_CHECKING, Any, Literal, cast

from bluesky.protocols import (
    Collectable,
    Flyable,
    HasHints,
    Hints,
    Locatable,
    Location,
    Preparable,
    Reading,
    Stageable,
    Stoppable,
    Triggerable,
    WritesStreamAssets,
)
from ophyd_async.core import (
    AsyncConfigurable,
    AsyncReadable,
    AsyncStatus,
    Device,
    soft_signal_rw,
)

from ._errors import NotRecordedError
from ._lazy import LazyArray
from ._replay import check_speed
from ._table import DeviceRecord, Frame, Row, Session, Table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator

    from event_model import DataKey

    from ._run import RecordedRun

__all__ = [
    "ReplayDetector",
    "ReplayDevice",
    "ReplayDevices",
    "ReplayFileDetector",
    "ReplayMotor",
    "replay_devices",
]

_SCALARS: dict[str, type] = {"number": float, "integer": int, "string": str, "boolean": bool}


class ReplayDevices(dict[str, Device]):
    """The devices of a recorded run, by name.

    One that was never recorded raises `NotRecordedError`, with the names of those that were.
    """

    def __init__(self, table: Table) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, name: str) -> Device:
        """Say which there are."""
        raise self._table.unknown(name)


def replay_devices(
    run: RecordedRun,
    *,
    speed: float = 1.0,
    missing: Literal["error", "nearest", "last"] = "error",
    motors: Collection[str] = (),
    tolerance: float | None = None,
) -> dict[str, Device]:
    """Return devices that answer as the devices of a recorded run did.

    They are ophyd-async devices with the recorded names, data keys, configuration and hints. The
    same plan, run on them, gives the same event data: motors go where they are told and answer
    with the readback that was recorded there; detectors give the recorded readings in order, or,
    where motors stand elsewhere than they did then, those that were recorded there. Moves and
    exposures take the recorded times.

    Parameters
    ----------
    run : RecordedRun
        The run. Its arrays are read when they are asked for.
    speed : float
        How many times faster than it was; `math.inf` for no waiting.
    missing : {"error", "nearest", "last"}
        What a reading is that was never recorded: an error, the one recorded nearest to where
        the motors stand, or the one given last.
    motors : collection of str
        Devices that can be moved, beside those that the run's start document names.
    tolerance : float, optional
        How far, in the motor's units, a position may be from a recorded one to count as the
        same. By default a tenth of the smallest step that was recorded.

    Returns
    -------
    dict of str to Device
        By name. A name that was not recorded raises `NotRecordedError`.

    Raises
    ------
    ValueError
        When the speed is not positive, or ``missing`` is none of the three.
    NotRecordedError
        When the run has no device, or lacks one of ``motors``.
    RecordingError
        When the recording is damaged.
    """
    if missing not in ("error", "nearest", "last"):
        message = f'missing must be "error", "nearest" or "last", not {missing!r}'
        raise ValueError(message)
    table = Table(run)
    if not table.devices:
        message = "the run has no descriptor, so that nothing is known about its devices"
        raise NotRecordedError(message, file=run.origin, run=run.uid)
    session = Session(table, check_speed(speed), missing, tolerance)
    movable = table.movable_names(motors)
    devices = ReplayDevices(table)
    for name, record in table.devices.items():
        devices[name] = _kind(record, name in movable)(record, session)
    return devices


def _kind(record: DeviceRecord, movable: bool) -> Callable[[DeviceRecord, Session], ReplayDevice]:
    if record.writes_files:
        return ReplayFileDetector
    return ReplayMotor if movable else ReplayDetector


class ReplayDevice(Device, AsyncReadable, AsyncConfigurable, HasHints, Stageable):
    """What all replayed devices have: readings, configuration, hints.

    Parameters
    ----------
    record : DeviceRecord
        What was recorded of the device.
    session : Session
        What it shares with the other devices of the run.
    """

    def __init__(self, record: DeviceRecord, session: Session) -> None:
        self._record = record
        self._session = session
        self._row: Row | None = None
        self._is_fresh = False  # triggered, and not read since
        self._is_triggered = False  # has ever been
        self._settings: dict[str, Any] = {}
        super().__init__(name=record.name)
        self._add_settings()

    def _add_settings(self) -> None:
        """Make a signal for each configuration value, so that plans can set it."""
        values = self._record.configuration.get("data", {})
        for key, about in self._record.configuration.get("data_keys", {}).items():
            attribute = re.sub(r"\W", "_", key.removeprefix(self._record.name).lstrip("-_"))
            kind = _SCALARS.get(about["dtype"])
            if kind is None or about.get("shape") or not attribute.isidentifier():
                continue
            if hasattr(self, attribute):
                continue
            signal = soft_signal_rw(kind, kind(values[key]))
            setattr(self, attribute, signal)
            signal.set_name(key)
            self._settings[key] = signal

    @property
    def hints(self) -> Hints:
        """As recorded."""
        return dict(self._record.hints)  # type: ignore[return-value]

    async def describe(self) -> dict[str, DataKey]:
        """Describe the readings, as recorded."""
        return cast("dict[str, DataKey]", copy.deepcopy(self._record.data_keys))

    async def describe_configuration(self) -> dict[str, DataKey]:
        """Describe the configuration, as recorded."""
        about = self._record.configuration.get("data_keys", {})
        return cast("dict[str, DataKey]", copy.deepcopy(about))

    async def read_configuration(self) -> dict[str, Reading[Any]]:
        """Return the recorded configuration, and what was set since."""
        configuration = self._record.configuration
        result = {}
        for key, value in configuration.get("data", {}).items():
            if key in self._settings:
                result.update(await self._settings[key].read())
                result[key].pop("alarm_severity", None)
            else:
                timestamp = configuration.get("timestamps", {}).get(key, 0.0)
                result[key] = Reading(value=value, timestamp=timestamp)
        return result

    async def read(self) -> dict[str, Reading[Any]]:
        """Return the recorded reading that is due.

        Raises
        ------
        NotRecordedError
            When nothing was recorded for it.
        """
        if self._row is None or not (self._is_fresh or self._is_triggered):
            self._row = self._take()
        self._is_fresh = False
        now = time.time()
        return {
            key: Reading(value=_loaded(self._row.data[key]), timestamp=now)
            for key in self._record.data_keys
            if key in self._row.data
        }

    def _take(self) -> Row:
        return self._session.take(self._record)

    @AsyncStatus.wrap
    async def stage(self) -> None:
        """Prepare for a run."""
        self._is_fresh = False

    @AsyncStatus.wrap
    async def unstage(self) -> None:
        """Return to idle."""
        self._is_fresh = False

    async def _sleep(self, recorded_seconds: float) -> None:
        await asyncio.sleep(max(0.0, recorded_seconds) / self._session.speed)


def _loaded(value: Any) -> Any:
    return value.load() if isinstance(value, LazyArray) else value


class ReplayMotor(ReplayDevice, Locatable[Any], Stoppable):
    """A motor that goes where it is told, and reads back what was recorded there."""

    def __init__(self, record: DeviceRecord, session: Session) -> None:
        super().__init__(record, session)
        self._key = record.position_key or record.name
        self._position = _initial_position(record, session.table, self._key)
        self._move: asyncio.Task[None] | None = None

    def set(self, value: Any) -> AsyncStatus[Any]:
        """Go to a position, in the time that it took."""
        return AsyncStatus(self._set(value))

    async def _set(self, value: Any) -> None:
        session = self._session
        old, self._position = self._position, value
        session.move(self._key, value)
        index = session.find(self._record)
        if index is None:
            return
        self._move = asyncio.create_task(self._sleep(_move_time(self._record.rows[index], self)))
        try:
            await self._move
        except asyncio.CancelledError:
            # It did not arrive, and where it stopped nothing was recorded.
            self._position = old
            session.move(self._key, old)
            raise
        finally:
            self._move = None

    async def stop(self, success: bool = True) -> None:
        """Stop a move; it stays where it started from."""
        del success
        if self._move is not None:
            self._move.cancel()

    async def locate(self) -> Location[Any]:
        """Return where it was told to go, and where it is."""
        index = self._session.find(self._record) if self._key in self._session.positions else None
        row = self._session.last(self._record)
        if index is not None:
            row = self._record.rows[index]
        readback = self._position
        if row is not None and self._session.is_here(row):
            readback = row.data.get(self._key, self._position)
        return Location(setpoint=self._position, readback=readback)

    def _take(self) -> Row:
        # A motor that was moved and now stands still may be asked again: it reads the same.
        if self._key in self._session.positions and self._session.find(self._record) is None:
            last = self._session.last(self._record)
            if last is not None and self._session.is_here(last):
                return last
        return super()._take()


class ReplayDetector(ReplayDevice, Triggerable):
    """A device that gives the recorded readings, one for each trigger."""

    def __init__(self, record: DeviceRecord, session: Session) -> None:
        super().__init__(record, session)
        self._add_axes()

    def _add_axes(self) -> None:
        """Make a movable child for each number of a device made of several, like a stage."""
        prefix = f"{self._record.name}-"
        numbers = {
            key: key.removeprefix(prefix)
            for key, about in self._record.data_keys.items()
            if about["dtype"] in ("number", "integer") and not about.get("shape")
        }
        if not all(key.startswith(prefix) for key in self._record.data_keys):
            return
        for key, attribute in numbers.items():
            if attribute.isidentifier() and not hasattr(self, attribute):
                record = DeviceRecord(
                    key, {key: self._record.data_keys[key]}, {}, {}, self._record.rows
                )
                setattr(self, attribute, ReplayMotor(record, self._session))
                getattr(self, attribute).set_name(key)

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        """Take the next reading, in the time that it took.

        The status fails with `NotRecordedError` when there is none.
        """
        self._is_triggered = True
        self._row = row = self._take()
        self._is_fresh = True
        await self._sleep(_exposure_time(row, self._session))


class ReplayFileDetector(ReplayDetector, Preparable, Flyable, Collectable, WritesStreamAssets):
    """A detector that wrote files: it points to the recorded ones again, and can fly."""

    def __init__(self, record: DeviceRecord, session: Session) -> None:
        super().__init__(record, session)
        self._external = [key for key, about in record.data_keys.items() if "external" in about]
        self._pending: list[Row] = []  # taken, and not yet collected
        self._collected = 0
        self._to_take: int | None = None
        self._uids: dict[str, str] = {}  # of the recorded resources in this staging
        self._counts: dict[str, int] = {}
        self._flight: asyncio.Task[None] | None = None

    @AsyncStatus.wrap
    async def stage(self) -> None:
        """Prepare for a run: frames are counted from here."""
        self._forget()

    @AsyncStatus.wrap
    async def unstage(self) -> None:
        """Return to idle; a flight is over."""
        if self._flight is not None:
            self._flight.cancel()
        self._forget()

    def _forget(self) -> None:
        self._pending.clear()
        self._uids.clear()
        self._counts.clear()
        self._collected = 0
        self._to_take = None
        self._is_fresh = False

    def trigger(self) -> AsyncStatus[Any]:
        """Take the next frame."""
        return AsyncStatus(self._trigger())

    async def _trigger(self) -> None:
        self._is_triggered = True
        self._row = row = self._take()
        self._is_fresh = True
        await self._sleep(_exposure_time(row, self._session))
        self._pending.append(row)

    @AsyncStatus.wrap
    async def prepare(self, value: Any) -> None:
        """Take note of how many frames a flight is to take: ``value.number_of_events``."""
        self._to_take = getattr(value, "number_of_events", None) or None

    @AsyncStatus.wrap
    async def kickoff(self) -> None:
        """Begin a flight.

        The status fails with `NotRecordedError` when more frames are wanted than were recorded.
        """
        wanted = self._to_take
        rows: list[Row] = []
        while wanted is None or len(rows) < wanted:
            if wanted is None and self._session.find(self._record) is None:
                break
            rows.append(self._take())
            if wanted is None and rows[-1].stream != rows[0].stream:
                break
        self._flight = asyncio.create_task(self._fly(rows))

    async def _fly(self, rows: list[Row]) -> None:
        for previous, row in zip([None, *rows], rows, strict=False):
            origin = self._session.table.began(row.stream)
            before = origin if previous is None else max(previous.time, origin)
            await self._sleep(row.time - before)
            self._pending.append(row)

    def complete(self) -> AsyncStatus[Any]:
        """Wait for the end of a flight."""
        return AsyncStatus(self._complete())

    async def _complete(self) -> None:
        if self._flight is None:
            message = f"{self.name!r} was not kicked off"
            raise RuntimeError(message)
        await self._flight
        self._flight = None

    async def describe_collect(self) -> dict[str, DataKey]:
        """Describe what is collected, as recorded."""
        return await self.describe()

    async def get_index(self) -> int:
        """Return how many frames there are since staging."""
        return self._collected + len(self._pending)

    async def collect_asset_docs(self, index: int | None = None) -> AsyncIterator[Any]:
        """Yield documents about the frames that were taken and not collected yet."""
        count = len(self._pending) if index is None else max(0, index - self._collected)
        rows, self._pending = self._pending[:count], self._pending[count:]
        self._collected += len(rows)
        for key in self._external:
            frames = [row.frames[key] for row in rows if key in row.frames]
            for group in _contiguous(frames):
                for document in self._documents(group):
                    yield document

    def _documents(self, group: list[Frame]) -> Iterator[tuple[str, dict[str, Any]]]:
        recorded = group[0].resource
        if recorded not in self._uids:
            self._uids[recorded] = str(uuid.uuid4())
            resource = {**self._session.table.resources[recorded], "uid": self._uids[recorded]}
            resource.pop("run_start", None)
            yield "stream_resource", resource
        uid = self._uids[recorded]
        number = self._counts[recorded] = self._counts.get(recorded, -1) + 1
        yield (
            "stream_datum",
            {
                "uid": f"{uid}/{number}",
                "stream_resource": uid,
                "descriptor": "",  # the engine's to fill in, with the numbers of the events
                "indices": {"start": group[0].index, "stop": group[-1].index + 1},
                "seq_nums": {"start": 0, "stop": 0},
            },
        )


def _contiguous(frames: list[Frame]) -> list[list[Frame]]:
    groups: list[list[Frame]] = []
    for frame in frames:
        last = groups[-1][-1] if groups else None
        if last is not None and last == Frame(frame.resource, frame.index - 1):
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return groups


def _moved_at(row: Row, keys: Collection[str]) -> float:
    """Return when what ``keys`` tell about stood still for a row, at the earliest its beginning."""
    times: list[float] = [row.timestamps[key] for key in keys if key in row.timestamps]
    return min(max([row.before, *times]), row.time)


def _exposure_time(row: Row, session: Session) -> float:
    """Return the seconds from when the motors stood until the event was complete."""
    return row.time - _moved_at(row, session.positions.keys())


def _move_time(row: Row, motor: ReplayMotor) -> float:
    return _moved_at(row, [motor._key]) - row.before  # noqa: SLF001 - of the same module


def _initial_position(record: DeviceRecord, table: Table, key: str) -> Any:
    """Return where a motor stood before the plan moved it, as far as the documents tell."""
    first = next((row.data[key] for row in record.rows if key in row.data), None)
    if not str(table.start.get("plan_name", "")).startswith(("rel", "relative")):
        return first
    arguments = table.start.get("plan_pattern_args", table.start.get("plan_args", {}))
    if not isinstance(first, (int, float)) or not isinstance(arguments, dict):
        return first
    args = list(arguments.get("args", ()))
    this = re.compile(rf"name=['\"]{re.escape(record.name)}['\"]")
    for motor, offset in itertools.pairwise(args):
        if isinstance(motor, str) and this.search(motor):
            steps = offset if isinstance(offset, (list, tuple)) else [offset]
            if steps and isinstance(steps[0], (int, float)):
                return first - steps[0]
    return first
