"""Runs of many kinds, on bluesky's engine and on this one: the same documents, field by field.

Uids and times differ between any two runs; everything else is compared, in order, and all of it
is validated with event-model's schemas.
"""

from __future__ import annotations

import asyncio
import copy
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import bluesky
import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import event_model
import numpy as np
import pytest
from bluesky.run_engine import DuringTask, RunEngineInterrupted
from bluesky.tests.test_external_assets_and_paging import (
    DatumReadable,
    OldPvCollectable,
    PvAndDatumReadable,
    PvCollectable,
    PvPageCollectable,
    StreamDatumReadableCollectable,
    collect_plan,
)
from bluesky.utils import FailedStatus, Msg
from ophyd.sim import hw as make_hardware
from ophyd_async.core import soft_signal_rw

import freewheel
import freewheel.plan_stubs as fps
from doubles import FaultyCamera, PlainSensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
SHORT_UID = re.compile(r"\b(monitor|trigger|set|acquire|mv)-[0-9a-f]{6}\b")


# -- two engines, one face ---------------------------------------------------------------------


class Peer:
    """bluesky's own engine."""

    def __init__(self) -> None:
        self.engine = bluesky.RunEngine(
            {}, context_managers=[], during_task=DuringTask(), call_returns_result=True
        )

    def run(self, plan: Any, **md: Any) -> Any:
        try:
            return self.engine(plan, **md)
        except RunEngineInterrupted:
            return self._resume()

    def _resume(self) -> Any:
        while True:
            try:
                return self.engine.resume()
            except RunEngineInterrupted:
                continue

    def close(self) -> None:
        loop, thread = self.engine.loop, self.engine._th
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Ours:
    """freewheel's."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.engine = freewheel.RunEngine({}, loop=loop)

    def run(self, plan: Any, **md: Any) -> Any:
        future = self.engine(plan, **md)
        while True:
            try:
                return future.result(30)
            except RunEngineInterrupted:
                future = self.engine.resume()

    def close(self) -> None:
        self.engine.close()


# -- documents -----------------------------------------------------------------------------------


def collect(host: Peer | Ours, scenario: Scenario) -> tuple[list[Any], BaseException | None]:
    """Run a scenario; return its documents, and what it failed with."""
    documents: list[Any] = []
    token = host.engine.subscribe(lambda name, doc: documents.append((name, copy.deepcopy(doc))))
    failure = None
    host.engine.md.clear()
    host.engine.md["versions"] = {}
    try:
        with scenario.setting(host.engine):
            host.run(scenario.plan(Devices()), **scenario.md)
    except Exception as error:
        failure = error
    finally:
        host.engine.unsubscribe(token)
    return documents, failure


def normalise(documents: list[Any]) -> list[Any]:
    """Put numbers for uids, by first appearance, and leave out times."""
    seen: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return seen.setdefault(match[0], f"uid {len(seen)}")

    def plain(value: Any) -> Any:
        match value:
            case dict():
                return {
                    plain(k): plain(v)
                    for k, v in value.items()
                    if not (k == "time" and isinstance(v, float | list))
                }
            case list() | tuple():
                return [plain(v) for v in value]
            case np.ndarray():
                return [str(value.dtype), value.tolist()]
            case str():
                return SHORT_UID.sub(r"\1", ADDRESS.sub("", UID.sub(number, value)))
            case _:
                return value

    result = []
    for name, doc in documents:
        tidy = {
            key: dict.fromkeys(value) if key == "timestamps" else value
            for key, value in doc.items()
        }
        for config in tidy.get("configuration", {}).values():
            config["timestamps"] = dict.fromkeys(config["timestamps"])
        result.append((name, plain(tidy)))
    return result


def in_order(value: Any) -> Any:
    """Make the order of keys count."""
    if isinstance(value, dict):
        return [(key, in_order(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [in_order(item) for item in value]
    return value


def words(failure: BaseException | None) -> list[str]:
    """Return the words of an error; sorted, for some texts are of sets."""
    return sorted(re.findall(r"\w+", ADDRESS.sub("", str(failure))))


def faults_of(documents: list[Any]) -> list[tuple[str, str]]:
    """Return what the schemas have against documents."""
    return [
        (name, error.message)
        for name, doc in documents
        for error in event_model.schema_validators[event_model.DocumentNames[name]].iter_errors(
            event_model.sanitize_doc(doc)
        )
    ]


# -- devices -------------------------------------------------------------------------------------


class Devices:
    """Fresh devices for a run."""

    def __init__(self) -> None:
        self.hw = make_hardware()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.hw, name)


@contextmanager
def no_setting(_: Any) -> Iterator[None]:
    yield


@contextmanager
def interruptions_recorded(engine: Any) -> Iterator[None]:
    engine.record_interruptions = True
    try:
        yield
    finally:
        engine.record_interruptions = False


@contextmanager
def baseline(engine: Any) -> Iterator[None]:
    extra = PlainSensor("room")
    engine.preprocessors.append(bpp.SupplementalData(baseline=[extra]))
    try:
        yield
    finally:
        engine.preprocessors.pop()


@contextmanager
def streams_declared(engine: Any) -> Iterator[None]:
    engine._require_stream_declaration = True
    try:
        yield
    finally:
        engine._require_stream_declaration = False


@dataclass
class Scenario:
    name: str
    plan: Callable[[Devices], Any]
    md: dict[str, Any] = field(default_factory=dict)
    setting: Callable[[Any], Any] = no_setting
    ordered: bool = True  # whether the order of keys is the same each time


SCENARIOS: list[Scenario] = []


def scenario(
    setting: Callable[[Any], Any] = no_setting, *, ordered: bool = True, **md: Any
) -> Callable[[Callable[[Devices], Any]], Callable[[Devices], Any]]:
    def add(plan: Callable[[Devices], Any]) -> Callable[[Devices], Any]:
        SCENARIOS.append(Scenario(plan.__name__, plan, md, setting, ordered))
        return plan

    return add


def standard(name: str, plan: Callable[[Devices], Any]) -> None:
    SCENARIOS.append(Scenario(name, plan))


# The standard plans.
standard("count", lambda d: bp.count([d.det], 5))
standard("count of several", lambda d: bp.count([d.det, d.det1, d.motor], 3))
standard("count with a delay", lambda d: bp.count([d.det], 3, delay=0.001))
standard("scan", lambda d: bp.scan([d.det], d.motor, -1, 1, 5))
standard("scan of two motors", lambda d: bp.scan([d.det4], d.motor1, 0, 1, d.motor2, 1, 2, 4))
standard("rel_scan", lambda d: bp.rel_scan([d.det], d.motor, -1, 1, 4))
standard("list_scan", lambda d: bp.list_scan([d.det], d.motor, [3, 1, 2]))
standard("log_scan", lambda d: bp.log_scan([d.det], d.motor, 1, 10, 4))
standard(
    "grid_scan",
    lambda d: bp.grid_scan([d.det4], d.motor1, 0, 1, 3, d.motor2, 0, 1, 2, snake_axes=True),
)
standard(
    "list_grid_scan",
    lambda d: bp.list_grid_scan([d.det4], d.motor1, [1, 3, 2], d.motor2, [5, 4]),
)
standard(
    "adaptive_scan",
    lambda d: bp.adaptive_scan([d.det], "det", d.motor, -2, 2, 0.2, 1, 0.1, backstep=True),
)
standard("tune_centroid", lambda d: bp.tune_centroid([d.det], "det", d.motor, -1, 1, 0.5, 5))
standard("fly", lambda d: bp.fly([d.trivial_flyer]))


@scenario(operator="me", sample={"name": "glass"})
def metadata(d: Devices) -> Any:
    yield from bp.count([d.det], 2, md={"purpose": "test"})


@scenario(setting=baseline)
def preprocessed(d: Devices) -> Any:
    yield from bp.count([d.det], 2)


@scenario()
def images(d: Devices) -> Any:
    yield from bp.count([FaultyCamera(), FaultyCamera("other", (2, 2))], 4)


@scenario()
def many_keys(d: Devices) -> Any:
    sensor = PlainSensor("trace", [f"point {i}" for i in range(300)])
    yield from bp.count([sensor, FaultyCamera()], 3)


@scenario()
@bpp.run_decorator(md={})
def several_streams(d: Devices) -> Any:
    for i in range(3):
        yield from bps.trigger_and_read([d.det], name="primary")
        yield from bps.trigger_and_read([d.det, d.motor], name="both")
        if i == 1:
            yield from bps.trigger_and_read([d.motor], name="late")


@scenario()
@bpp.run_decorator(md={})
def another_order(d: Devices) -> Any:
    for devices in ([d.det, d.motor], [d.motor, d.det], [d.det, d.motor], [d.det, d.motor]):
        yield from bps.trigger_and_read(devices)


@scenario()
@bpp.run_decorator(md={})
def other_devices(d: Devices) -> Any:
    yield from bps.trigger_and_read([d.det, d.motor])
    yield from bps.trigger_and_read([d.det])


@scenario()
@bpp.run_decorator(md={})
def dropped_and_empty(d: Devices) -> Any:
    yield from bps.trigger_and_read([d.det])
    yield from bps.create("primary")
    yield from bps.read(d.det)
    yield from bps.drop()
    yield from bps.create("primary")
    yield from bps.save()
    yield from bps.trigger_and_read([d.det])


@scenario()
def nested_runs(d: Devices) -> Any:
    @bpp.set_run_key_decorator("inner")
    @bpp.run_decorator(md={"level": "inner"})
    def inner() -> Any:
        for _ in range(2):
            yield from bps.trigger_and_read([d.det1])

    @bpp.set_run_key_decorator("outer")
    @bpp.run_decorator(md={"level": "outer"})
    def outer() -> Any:
        for _ in range(2):
            yield from bps.trigger_and_read([d.det])
            yield from inner()

    yield from outer()


@scenario()
def monitored(d: Devices) -> Any:
    signal = soft_signal_rw(int, name="level")
    yield from bps.wait_for([signal.connect])

    @bpp.monitor_during_decorator([signal])
    @bpp.run_decorator(md={})
    def plan() -> Any:
        for value in (3, 4):
            yield from bps.mv(signal, value)
            yield from bps.trigger_and_read([d.det])

    yield from plan()


@scenario()
@bpp.run_decorator(md={})
def configured(d: Devices) -> Any:
    camera = FaultyCamera()
    for gain in (1, 3, 5):
        yield from bps.configure(camera, gain)
        for _ in range(2):
            yield from bps.checkpoint()
            yield from bps.trigger_and_read([camera, d.det])


@scenario()
@bpp.run_decorator(md={})
def configured_device_of_ophyd(d: Devices) -> Any:
    for _ in range(2):
        yield from bps.trigger_and_read([d.det_with_conf, d.det_with_count_time])


@scenario()
def paused(d: Devices) -> Any:
    yield from bps.open_run()
    for i in range(3):
        yield from bps.checkpoint()
        yield from bps.trigger_and_read([d.det])
        yield from bps.trigger_and_read([d.motor], name="positions")
        if i == 1:
            yield from bps.pause()
    yield from bps.close_run()


@scenario(setting=interruptions_recorded)
def paused_in_the_middle_of_an_event(d: Devices) -> Any:
    yield from bps.open_run()
    yield from bps.trigger_and_read([d.det])
    yield from bps.checkpoint()
    yield from bps.create()
    yield from bps.read(d.det)
    yield from bps.pause()
    yield from bps.save()
    yield from bps.trigger_and_read([d.det])
    yield from bps.close_run()


@scenario()
def paused_where_nothing_is_repeated(d: Devices) -> Any:
    yield from bps.open_run()
    yield from bps.trigger_and_read([d.det])

    def part() -> Any:
        yield from bps.trigger_and_read([d.det])
        yield from bps.pause()
        yield from bps.trigger_and_read([d.det])

    yield from bpp.rewindable_wrapper(part(), False)
    yield from bps.close_run()


@scenario()
def files(d: Devices) -> Any:
    yield from bp.count([DatumReadable("file"), PvAndDatumReadable("both")], 3)


@scenario()
def stream_files(d: Devices) -> Any:
    yield from bp.count([StreamDatumReadableCollectable("stream")], 3)


@scenario()
def collected_events(d: Devices) -> Any:
    yield from collect_plan(PvCollectable("pv"), pre_declare=True, stream_name="main")


@scenario()
def collected_pages(d: Devices) -> Any:
    yield from collect_plan(PvPageCollectable("pv"), pre_declare=True, stream_name="main")


@scenario(ordered=False)  # bluesky goes through a set of the devices
def collected_streams(d: Devices) -> Any:
    objs = [StreamDatumReadableCollectable("a"), StreamDatumReadableCollectable("b")]
    yield from collect_plan(*objs, pre_declare=True, stream_name="main")


@scenario()
def collected_without_declaration(d: Devices) -> Any:
    yield from collect_plan(OldPvCollectable("old"), pre_declare=False)


@scenario(setting=streams_declared)
@bpp.run_decorator(md={})
def declared(d: Devices) -> Any:
    yield from bps.declare_stream(d.motor, name="primary")
    for _ in range(2):
        yield from bps.trigger_and_read([d.motor])


@scenario(setting=streams_declared)
@bpp.run_decorator(md={})
def not_declared(d: Devices) -> Any:
    yield from bps.trigger_and_read([d.det])


@scenario()
@bpp.run_decorator(md={})
def handled_failure(d: Devices) -> Any:
    camera = FaultyCamera(fails_at=2)
    for _ in range(3):
        try:
            yield from bps.trigger_and_read([camera])
        except Exception:
            yield from bps.trigger_and_read([d.det], name="instead")


# What devices may do wrong.
def _faulty(**faults: Any) -> Callable[[Devices], Any]:
    def plan(d: Devices) -> Any:
        yield from bp.count([FaultyCamera(**faults), d.det], 3)

    return plan


_GOOD = {"value": 1, "timestamp": 1.0}
standard("trigger fails", _faulty(fails_at=2))
standard("reading has a wrong key", _faulty(reading={"what": _GOOD}))
standard("reading has one key too many", _faulty(reading={"camera": _GOOD, "what": _GOOD}))
standard("reading is empty", _faulty(reading={}))
standard("reading is None", _faulty(reading=None))
standard("reading has no value", _faulty(reading={"camera": {"timestamp": 1.0}}))
standard("reading has no timestamp", _faulty(reading={"camera": {"value": 1}}))
standard("reading has the other's key", _faulty(reading={"det": _GOOD}))


@scenario()
def colliding_keys(d: Devices) -> Any:
    yield from bp.count([d.det, d.identical_det], 2)


@scenario()
@bpp.run_decorator(md={})
def checkpoint_in_an_event(d: Devices) -> Any:
    yield from bps.create()
    yield from bps.checkpoint()


@scenario()
@bpp.run_decorator(md={})
def second_create(d: Devices) -> Any:
    yield from bps.trigger_and_read([d.det])
    yield from bps.create()
    yield from bps.create()


@scenario()
@bpp.run_decorator(md={})
def not_readable(d: Devices) -> Any:
    yield Msg("read", object())


@scenario()
def no_run(d: Devices) -> Any:
    yield from bps.trigger_and_read([d.det])


# -- tests ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    host = Peer()
    yield host
    host.close()


@pytest.fixture(scope="module")
def ours() -> Iterator[Ours]:
    host = Ours()
    yield host
    host.close()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("one", SCENARIOS, ids=lambda one: one.name.replace(" ", "_"))
def test_documents_are_blueskys(peer: Peer, ours: Ours, one: Scenario) -> None:
    expected, expected_failure = collect(peer, one)
    documents, failure = collect(ours, one)

    assert [name for name, _ in documents] == [name for name, _ in expected]
    for mine, theirs in zip(normalise(documents), normalise(expected), strict=True):
        if mine[0] == "stop" and expected_failure is not None:
            # The one wanted difference: the reason names the cause of a failed status.
            mine[1].pop("reason"), theirs[1].pop("reason")
        assert mine == theirs
        if one.ordered:
            assert in_order(mine) == in_order(theirs)
    assert isinstance(failure, type(expected_failure))
    if not isinstance(failure, FailedStatus):
        assert words(failure) == words(expected_failure)
    # bluesky's own test devices make some documents that the schemas refuse.
    assert faults_of(documents) == faults_of(expected)


def test_there_are_enough_of_them() -> None:
    assert len(SCENARIOS) >= 30


def take(devices: list[Any], how: Callable[[list[Any]], Any], turns: int = 4) -> Any:
    yield from bps.open_run()
    for i in range(turns):
        yield from bps.checkpoint()
        readings = yield from how(devices)
        assert set(readings) == {device.name for device in devices}
        if i == 2:
            yield from bps.pause()
    yield from bps.close_run()


@pytest.mark.parametrize("how", [fps.trigger_and_read, fps.acquire], ids=lambda how: how.__name__)
def test_stubs_give_blueskys_documents(
    peer: Peer, ours: Ours, how: Callable[[list[Any]], Any]
) -> None:
    expected, _ = collect(
        peer,
        Scenario("", lambda _: take([FaultyCamera(), PlainSensor("room")], bps.trigger_and_read)),
    )
    documents, failure = collect(
        ours, Scenario("", lambda _: take([FaultyCamera(), PlainSensor("room")], how))
    )

    assert failure is None
    assert normalise(documents) == normalise(expected)
    assert sum(name == "event" for name, _ in documents) == 5


@pytest.mark.parametrize(
    "faults",
    [
        {"fails_at": 2},
        {"reading": {"what": _GOOD}},
        {"reading": None},
        {"reading": {"camera": {"value": 1}}},
    ],
    ids=["trigger", "key", "none", "timestamp"],
)
def test_acquire_fails_as_the_steps_do(peer: Peer, ours: Ours, faults: dict[str, Any]) -> None:
    def plan(how: Any) -> Any:
        return take([FaultyCamera(**faults)], how)

    expected, expected_failure = collect(peer, Scenario("", lambda _: plan(bps.trigger_and_read)))
    documents, failure = collect(ours, Scenario("", lambda _: plan(fps.acquire)))

    assert isinstance(failure, type(expected_failure))
    assert type(failure.__cause__) is type(expected_failure.__cause__)
    assert [name for name, _ in documents] == [name for name, _ in expected]
    assert documents[-1][1]["exit_status"] == "fail"
