"""Plans on real EPICS records, by Channel Access and by PV Access."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from bluesky.preprocessors import run_decorator
from bluesky.utils import FailedStatus
from ophyd_async.core import (
    Array1D,
    AsyncStatus,
    Device,
    NotConnectedError,
    StandardReadable,
    StandardReadableFormat,
    StrictEnum,
    wait_for_value,
)
from ophyd_async.epics.core import epics_signal_r, epics_signal_rw
from ophyd_async.plan_stubs import ensure_connected

from freewheel import ResourceConflictError
from freewheel.forms import connect_devices
from freewheel.plan_stubs import background, cancel_background, mv, sleep
from freewheel.plans import live_view
from freewheel.testing import IocProcess, assert_events, assert_valid

pytestmark = pytest.mark.servers  # IOCs and device servers are processes of their own

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from freewheel import RunEngine
    from freewheel.testing import DocumentLog

WAIT = 60
SERVER = Path(__file__).parent / "servers" / "soft_ioc.py"


@pytest.fixture(scope="module")
def running() -> Iterator[IocProcess]:
    with IocProcess(SERVER, ready="FW is up") as server:
        yield server


@pytest.fixture
def ioc(running: IocProcess) -> IocProcess:
    running.start()  # if a test has killed it
    return running


@pytest.fixture(params=["ca", "pva"])
def protocol(request: Any) -> str:
    return request.param


class Mode(StrictEnum):
    IDLE = "Idle"
    COUNT = "Count"
    INTEGRATE = "Integrate"


class Detector(StandardReadable):
    """Counts when it is triggered."""

    def __init__(self, prefix: str, name: str) -> None:
        with self.add_children_as_readables(StandardReadableFormat.HINTED_UNCACHED_SIGNAL):
            self.value = epics_signal_r(float, f"{prefix}VALUE")
        with self.add_children_as_readables(StandardReadableFormat.UNCACHED_SIGNAL):
            self.frame = epics_signal_r(Array1D[np.float64], f"{prefix}FRAME")
        with self.add_children_as_readables(StandardReadableFormat.CONFIG_SIGNAL):
            self.exposure = epics_signal_rw(float, f"{prefix}EXPOSURE")
            self.mode = epics_signal_rw(Mode, f"{prefix}MODE")
        self.acquire = epics_signal_rw(float, f"{prefix}ACQUIRE")
        super().__init__(name=name)

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        await self.acquire.set(1)


@pytest.fixture
def bench(ioc: IocProcess, protocol: str, on_loop: Any) -> Any:
    return make_bench(protocol, on_loop)


def make_bench(protocol: str, on_loop: Any, **options: Any) -> Any:
    class Bench:
        x = epics_signal_rw(float, f"{protocol}://FW:X", name="x", **options)
        y = epics_signal_rw(float, f"{protocol}://FW:Y", name="y", **options)
        ticks = epics_signal_r(int, f"{protocol}://FW:TICKS", name="ticks", **options)
        detector = Detector(f"{protocol}://FW:", "detector")

    async def connect() -> None:
        for device in (Bench.x, Bench.y, Bench.ticks, Bench.detector):
            await device.connect(timeout=10)

    on_loop(connect())
    return Bench


def test_a_scan(RE: RunEngine, bench, documents: DocumentLog):
    RE(bps.mv(bench.y, 0, bench.detector.mode, "Count")).result(WAIT)
    RE(bp.scan([bench.detector], bench.x, 0, 2, 5)).result(WAIT)
    assert_valid(documents)
    places = np.linspace(0, 2, 5)
    assert_events(documents, x=places, detector_value=1000 * np.exp(-((places - 1) ** 2)))
    frames = documents.data("detector-frame")
    assert [frame[-1] for frame in frames] == pytest.approx(
        [99 * value for value in documents.data("detector-value")]
    )
    (descriptor,) = documents.of("descriptor")
    assert descriptor["data_keys"]["x"]["units"] == "mm"
    assert descriptor["data_keys"]["x"]["limits"]["control"] == {"low": -100, "high": 100}
    assert descriptor["data_keys"]["detector-frame"]["shape"] == [100]
    assert descriptor["configuration"]["detector"]["data"]["detector-mode"] == "Count"


def test_a_live_view_and_its_snapshots(RE: RunEngine, bench, documents: DocumentLog):
    def snap(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == 3:
            RE.unsubscribe(token)
            RE.trigger_action("snap")

    token = RE.subscribe(snap)
    view = RE(live_view([bench.detector], rate=20, frames=8)).result(WAIT).plan_result
    assert (view.frames, view.snapshots) == (8, 1)
    assert len(documents.events("live")) == 8
    assert len(documents.events("snapshot")) == 1


def test_a_monitor_in_the_background_of_a_scan(RE: RunEngine, bench, documents: DocumentLog):
    @run_decorator(md={"purpose": "watch"})
    def watch() -> Any:
        yield from bps.monitor(bench.ticks, name="ticks")
        while True:
            yield from sleep(0.05)

    def both() -> Any:
        yield from background(watch(), name="watch")
        yield from bp.scan([bench.detector], bench.x, 0, 2, 10, per_step=slowly)
        yield from cancel_background("watch")

    def slowly(detectors: Any, step: Any, pos_cache: Any) -> Any:
        yield from bps.one_nd_step(detectors, step, pos_cache)
        yield from sleep(0.05)

    RE(both()).result(WAIT)
    assert_valid(documents)
    seen = documents.data("ticks", "ticks")
    assert len(documents.events("primary")) == 10
    assert len(seen) > 3
    assert seen == sorted(seen)


def test_a_motor_that_a_scan_holds_is_refused_to_others(RE: RunEngine, bench):
    def meddle() -> Any:
        yield from mv(bench.x, 50)

    def both() -> Any:
        yield from bps.open_run()
        yield from background(meddle(), name="meddle", claims=[bench.x], on_conflict="error")
        yield from mv(bench.x, 1)

    error = RE(both()).exception(WAIT)
    assert isinstance(error, ResourceConflictError)
    assert "x" in str(error)
    assert "meddle" in str(error)


@pytest.mark.leaks("the server that is started again is the module's")
def test_an_ioc_that_is_killed_in_the_middle_of_a_run(RE, ioc, protocol, on_loop, documents):
    bench = make_bench(protocol, on_loop, timeout=1.0)

    def scan() -> Any:
        yield from bps.open_run()
        for place in range(100):
            yield from bps.checkpoint()
            yield from bps.mv(bench.x, place / 50)
            yield from bps.trigger_and_read([bench.x, bench.detector])
        yield from bps.close_run()

    def kill(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == 3:
            RE.unsubscribe(token)
            ioc.kill()

    token = RE.subscribe(kill)
    error = RE(scan()).exception(WAIT)
    stop = documents.of("stop")[-1]
    assert stop["exit_status"] == "fail"
    # Which PV, after which time; and which device.
    for text in (str(error), stop["reason"]):
        assert re.search(rf"{protocol}://FW:\w+, given up after \d+\.\d s", text), text
        assert "'x'" in text or "detector" in text
    # The same devices go on when it is back; nobody has to connect them again.
    ioc.start()
    RE(bps.wait_for([lambda: _answers(bench.x)])).result(WAIT)
    documents.clear()
    RE(bp.scan([bench.detector], bench.x, 0, 1, 3)).result(WAIT)
    assert_events(documents, x=[0, 0.5, 1])


@pytest.mark.leaks("the server that is started again is the module's")
def test_a_read_of_a_pv_that_is_gone_says_which_and_after_which_time(
    RE, ioc, protocol, on_loop, documents
):
    bench = make_bench(protocol, on_loop, timeout=0.5)

    def read() -> Any:
        yield from bps.open_run()
        ioc.kill()
        yield from bps.trigger_and_read([bench.x])

    error = RE(read()).exception(WAIT)
    assert isinstance(error, TimeoutError)
    said = rf"{protocol}://FW:X, given up after \d+\.\d s \(read of 'x'\)"
    assert re.fullmatch(said, str(error))
    assert documents.of("stop")[-1]["reason"] == str(error)


@pytest.mark.leaks("the server that is started again is the module's")
def test_an_interlock_whose_ioc_is_gone_is_tripped(RE, ioc, protocol, on_loop):
    bench = make_bench(protocol, on_loop, timeout=1.0)
    changed = threading.Event()
    RE.events.interlocks_changed.connect(changed.set, max_args=0)
    interlock = RE.interlocks.add("far", bench.x)

    def wait_until(tripped: bool) -> None:
        while interlock.tripped is not tripped:
            assert changed.wait(WAIT)
            changed.clear()

    wait_until(False)
    ioc.kill()
    wait_until(True)
    assert "no answer" in interlock.why
    interlock.remove()


async def _answers(signal: Any) -> None:
    """Wait until a signal's server is back; the libraries look for it more and more rarely."""
    while True:
        try:
            await signal.get_value(cached=False)
        except Exception as error:
            if "FW:X" not in f"{error} {error.__cause__}" and not isinstance(error, TimeoutError):
                raise
        else:
            return


@pytest.mark.leaks("the server that is started again is the module's")
def test_a_plan_can_wait_for_an_ioc_that_is_away(RE, ioc, on_loop, documents):
    bench = make_bench("pva", on_loop, timeout=WAIT)
    RE(bps.mv(bench.x, 5)).result(WAIT)
    ioc.kill()
    future = RE(bp.count([bench.y], num=2))
    ioc.start()
    future.result(WAIT)
    assert len(documents.events()) == 2


def test_a_pv_that_is_not_there(ioc, protocol, on_loop):
    nobody = epics_signal_rw(float, f"{protocol}://FW:NOBODY", name="nobody")
    with pytest.raises(NotConnectedError) as caught:
        on_loop(_connected(nobody, 0.5))
    assert f"{protocol}://FW:NOBODY" in str(caught.value)


def test_a_pv_that_is_not_there_is_told_with_the_time_it_was_waited_for(RE, ioc, protocol):
    bench = Device(name="bench")
    bench.nobody = epics_signal_rw(float, f"{protocol}://FW:NOBODY")
    for device in (bench, epics_signal_rw(float, f"{protocol}://FW:NOBODY", name="nobody")):
        error = connect_devices(RE, {"it": device}, 0.5)["it"].exception(WAIT)
        assert isinstance(error, NotConnectedError)
        assert re.search(rf"{protocol}://FW:NOBODY, given up after \d+\.\d s$", str(error).strip())


USES = {
    "set": lambda bench: bps.mv(bench.nobody, 1),
    "read": lambda bench: bps.rd(bench),
    "scan": lambda bench: bp.scan([bench.there], bench.nobody, 0, 1, 2),
    "live view": lambda bench: live_view([bench.there, bench], frames=1, at_once=True),
}


@pytest.mark.parametrize("use", [*USES, "by hand"])
def test_what_did_not_connect_is_refused_with_its_pvs(RE, ioc, protocol, use):
    bench = StandardReadable(name="bench")
    with bench.add_children_as_readables():
        bench.there = epics_signal_rw(float, f"{protocol}://FW:X")
        bench.nobody = epics_signal_rw(float, f"{protocol}://FW:NOBODY")

    def error_of_use() -> str:
        if use == "by hand":
            return str(RE.by_hand.set(bench.nobody, 1).exception(WAIT))
        error = RE(USES[use](bench)).exception(WAIT)
        return str(error.__cause__ if isinstance(error, FailedStatus) else error)

    RE(ensure_connected(bench.there)).result(WAIT)
    where = rf"{protocol}://FW:NOBODY\)"
    said = rf"^'bench(-nobody)?' was never connected \((.*, )?{where}. Connect it .*"
    assert re.match(said, error_of_use())
    assert connect_devices(RE, {"bench": bench}, 0.5)["bench"].exception(WAIT) is not None
    said = rf"^'bench(-nobody)?' is not connected: no answer from {protocol}://FW:NOBODY within \d"
    assert re.match(said, error_of_use())


def test_what_is_of_another_type_than_its_pv_is_refused_with_the_reason(RE, ioc, protocol):
    number = epics_signal_rw(int, f"{protocol}://FW:MODE", name="number")
    assert isinstance(connect_devices(RE, {"n": number}, 5)["n"].exception(WAIT), TypeError)
    error = RE(bps.rd(number)).exception(WAIT)
    assert str(error).startswith("'number' is not connected: FW:MODE with inferred datatype")


async def _connected(device: Any, seconds: float) -> None:
    await device.connect(timeout=seconds)


class Many(StandardReadable):
    """A lot of PVs, which are monitored while it is staged."""

    def __init__(self, protocol: str, count: int, name: str) -> None:
        self.parts = tuple(
            epics_signal_r(float, f"{protocol}://FW:MANY:{number}") for number in range(count)
        )
        for number, signal in enumerate(self.parts):
            setattr(self, f"n{number}", signal)
        self.add_readables(list(self.parts))
        super().__init__(name=name)


class Followers:
    """Remember what each of many signals has told; on the loop."""

    def __init__(self, signals: Sequence[Any]) -> None:
        self.told: dict[str, list[float]] = {signal.name: [] for signal in signals}
        self._signals = signals
        self._changed = asyncio.Event()

    def __call__(self, reading: dict[str, Any]) -> None:
        for name, one in reading.items():
            self.told[name].append(one["value"])
        self._changed.set()

    async def follow(self) -> None:
        for signal in self._signals:
            signal.subscribe_reading(self)

    async def all_tell(self, values: Mapping[str, float]) -> None:
        while any(self.told[name][-1:] != [value] for name, value in values.items()):
            self._changed.clear()
            await self._changed.wait()

    async def leave(self) -> None:
        for signal in self._signals:
            signal.clear_sub(self)


def test_a_live_view_of_a_thousand_pvs(RE, ioc, protocol, on_loop, documents: DocumentLog):
    many = Many(protocol, 1000, "many")
    ticking = epics_signal_rw(float, f"{protocol}://FW:TICKING", name="ticking")
    rested = epics_signal_r(int, f"{protocol}://FW:RESTED", name="rested")
    for device in (many, ticking, rested):
        on_loop(_connected(device, 30))
    followers = Followers(many.parts)
    on_loop(followers.follow())
    view = RE(live_view([many], rate=10, frames=10)).result(WAIT).plan_result
    assert view.frames == 10
    events = documents.events("live")
    assert {len(event["data"]) for event in events} == {1002}  # with the clock's two
    assert events[-1]["data"]["many-n999"] > events[0]["data"]["many-n999"]
    # When the server rests, its last values have come from each, and were never overtaken.
    RE(bps.mv(ticking, 0)).result(WAIT)
    on_loop(wait_for_value(rested, lambda number: number >= 0, WAIT))
    last = on_loop(rested.get_value())
    newest = {part.name: last - (last - number) % 4 for number, part in enumerate(many.parts)}
    on_loop(followers.all_tell(newest))
    assert all(values == sorted(values) for values in followers.told.values())
    documents.clear()
    RE(live_view([many], rate=1000, frames=1)).result(WAIT)
    (event,) = documents.events("live")
    assert {name: event["data"][name] for name in newest} == newest
    on_loop(followers.leave())
    RE(bps.mv(ticking, 1)).result(WAIT)
