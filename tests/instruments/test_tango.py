"""Plans on a Tango device server, in a process of its own and without a database."""

# ruff: noqa: N803

from __future__ import annotations

import contextlib
import re
import sys
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from bluesky.preprocessors import run_decorator
from bluesky.utils import RunEngineInterrupted
from ophyd_async.core import (
    AsyncStatus,
    MovableLogic,
    SignalR,
    SignalRW,
    StandardMovable,
    StandardReadable,
    StandardReadableFormat,
    TimeoutCalculator,
    TriggerableCommand,
    wait_for_value,
)
from ophyd_async.tango.core import TangoDevice, TangoPolling
from tango import AttrQuality, DevFailed

from freewheel import ResourceConflictError
from freewheel.core._errors import text_of
from freewheel.forms import connect_devices
from freewheel.plan_stubs import background, cancel_background, sleep
from freewheel.plans import live_view
from freewheel.qt._link._feed import Feed
from freewheel.qt._link._signal_watch import SignalWatch, Standing, _standing_of
from freewheel.remote._values import _with_severity
from freewheel.testing import IocProcess, assert_events, assert_valid, free_port

pytestmark = pytest.mark.servers  # IOCs and device servers are processes of their own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from freewheel import RunEngine
    from freewheel.testing import DocumentLog

WAIT = 60
PORT = free_port()
SERVER = Path(__file__).parent / "servers" / "tango_server.py"
TRL = f"tango://127.0.0.1:{PORT}/test/bench/1#dbase=no"
POLLED = TangoPolling(0.05)


@dataclass
class _Logic(MovableLogic[float]):
    halt: TriggerableCommand

    async def stop(self) -> None:
        await self.halt.trigger()

    async def move(self, new_position: float, timeout: TimeoutCalculator) -> None:  # noqa: ASYNC109
        await self.setpoint.set(new_position, timeout=timeout())
        # Not until its state says ON: that is polled, and may be the one of before the move.
        await wait_for_value(self.readback, new_position, timeout=timeout())

    async def calculate_timeout(self, old_position: float, new_position: float) -> float:
        return 30.0


class Axis(TangoDevice, StandardReadable, StandardMovable[float]):
    """A stage's axis: it has arrived when it is where it was told to go."""

    x: Annotated[SignalRW[float], POLLED, StandardReadableFormat.HINTED_SIGNAL]
    velocity: Annotated[SignalRW[float], POLLED, StandardReadableFormat.CONFIG_SIGNAL]
    halt: TriggerableCommand

    @cached_property
    def movable_logic(self) -> MovableLogic[float]:
        return _Logic(readback=self.x, setpoint=self.x, halt=self.halt)


class Detector(TangoDevice, StandardReadable):
    """Counts when it is triggered."""

    value: Annotated[SignalR[float], POLLED, StandardReadableFormat.HINTED_UNCACHED_SIGNAL]
    acquire: TriggerableCommand

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        await self.acquire.trigger()


@pytest.fixture(scope="module")
def running() -> Iterator[IocProcess]:
    command = [sys.executable, "-u", str(SERVER), str(PORT)]
    with IocProcess(command, ready="Ready to accept request") as server:
        yield server


@pytest.fixture
def server(running: IocProcess) -> IocProcess:
    running.start()
    return running


@pytest.fixture
def bench(server: IocProcess, on_loop: Any) -> Any:
    class Bench:
        axis: Any
        detector: Any

    async def connect() -> None:
        Bench.axis = Axis(TRL, name="axis")
        Bench.detector = Detector(TRL, name="detector")
        await Bench.axis.connect(timeout=10)
        await Bench.detector.connect(timeout=10)
        await Bench.axis.velocity.set(200.0)

    on_loop(connect())
    return Bench


def test_a_scan(RE: RunEngine, bench, documents: DocumentLog):
    RE(bp.scan([bench.detector], bench.axis, 0, 2, 5)).result(WAIT)
    assert_valid(documents)
    places = np.linspace(0, 2, 5)
    assert_events(documents, axis=places, detector_value=1000 * np.exp(-((places - 1) ** 2)))
    (descriptor,) = documents.of("descriptor")
    assert descriptor["data_keys"]["axis"]["units"] == "mm"
    assert descriptor["configuration"]["axis"]["data"]["axis-velocity"] == 200


def test_a_live_view_with_a_monitor_beside_it(RE: RunEngine, bench, documents: DocumentLog):
    @run_decorator()
    def watch() -> Any:
        yield from bps.monitor(bench.axis.x, name="place")
        while True:
            yield from sleep(0.02)

    def both() -> Any:
        yield from background(watch(), name="watch")
        yield from bps.mv(bench.axis, 0)
        yield from bps.mv(bench.axis, 20)
        yield from live_view([bench.detector], rate=20, frames=5)
        yield from cancel_background("watch")

    RE(both()).result(WAIT)
    assert_valid(documents)
    assert len(documents.events("live")) == 5
    assert len(documents.events("place")) >= 2


def test_a_pause_in_the_middle_of_a_move(RE: RunEngine, bench, on_loop, documents: DocumentLog):
    RE(bps.mv(bench.axis, 0)).result(WAIT)
    RE(bps.mv(bench.axis.velocity, 0.1)).result(WAIT)  # 40 s for the move
    moving = threading.Event()
    RE.msg_hook = lambda msg: moving.set() if msg.command == "wait" else None
    future = RE(bp.scan([], bench.axis, 4, 5, 2))
    assert moving.wait(WAIT)
    RE.msg_hook = None
    RE.request_pause().result(WAIT)
    with pytest.raises(RunEngineInterrupted):
        future.result(WAIT)
    assert on_loop(bench.axis.x.get_value()) < 4
    RE.by_hand.set(bench.axis.velocity, 200.0).result(WAIT)
    RE.resume().result(WAIT)
    assert_events(documents, axis=[4, 5])


def test_a_hand_moves_it_when_no_plan_holds_it(RE: RunEngine, bench, on_loop):
    RE.by_hand.set(bench.axis, 1).result(WAIT)
    assert on_loop(bench.axis.x.get_value()) == pytest.approx(1)
    RE(bps.mv(bench.axis.velocity, 1.0)).result(WAIT)
    moving = threading.Event()
    RE.msg_hook = lambda msg: moving.set() if msg.command == "wait" else None
    future = RE(bps.mv(bench.axis, 50))
    assert moving.wait(WAIT)
    RE.msg_hook = None
    with pytest.raises(ResourceConflictError, match="needs 'axis', which 'mv' holds"):
        RE.by_hand.set(bench.axis, 2)
    RE.stop().result(WAIT)
    assert future.outcome.result(WAIT).exit_status in {"success", "abort"}
    assert on_loop(bench.axis.x.get_value()) < 50


def test_what_the_server_refuses_fails_the_plan(RE: RunEngine, bench, documents: DocumentLog):
    error = RE(bp.scan([], bench.axis, 0, 500, 2)).exception(WAIT)
    assert "(set of 'axis')" in str(error)
    assert "above the maximum authorized" in str(error)
    assert documents.of("stop")[0]["exit_status"] == "fail"


class _Told(Feed):
    """Keeps what a window would show of a signal."""

    def __init__(self) -> None:
        self.reads = threading.Event()

    def put(self, kind: str, *arguments: Any) -> None:
        if (kind, arguments) == ("reading", (7.5,)):
            self.reads.set()


@pytest.mark.leaks("the thread that asks whether the server is there is of the module's engine")
def test_a_window_that_shows_what_has_no_events_is_in_nobodys_way(RE: RunEngine, bench, on_loop):
    velocity = bench.detector.velocity  # not polled, as the axis' own is
    watch = SignalWatch(velocity, told := _Told(), silence=0.1, period=0.1)
    on_loop(watch.start())
    try:
        RE(bps.mv(bench.axis.velocity, 7.5)).result(WAIT)
        assert told.reads.wait(WAIT)
        assert RE(bps.rd(velocity)).result(WAIT).plan_result == 7.5
        foreseen = RE.preview(bp.count, [bench.detector], 3)
        assert not foreseen.problems
    finally:
        RE.loop.call_soon_threadsafe(watch.stop)


@pytest.mark.leaks("the server that is started again is the module's")
def test_a_server_that_is_killed_in_the_middle_of_a_run(
    RE: RunEngine, server, bench, documents: DocumentLog
):
    def kill(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == 2:
            RE.unsubscribe(token)
            server.kill()

    token = RE.subscribe(kill)
    error = RE(bp.count([bench.detector], num=50)).exception(WAIT)
    assert "of 'detector')" in str(error)
    assert documents.of("stop")[0]["exit_status"] == "fail"
    # The same devices go on when it is back.
    server.start()
    documents.clear()
    RE(bps.wait_for([lambda: _answers(bench.detector)])).result(WAIT)
    RE(bp.count([bench.detector], num=2)).result(WAIT)
    assert len(documents.events()) == 2


async def _answers(detector: Detector) -> None:
    """Wait until a detector's server is back.

    Each signal and command has a connection of its own, which Tango tries again at most once a
    second: one that answers says nothing about the next.
    """
    while True:
        with contextlib.suppress(DevFailed, RuntimeError, TimeoutError):
            await detector.trigger()
            await detector.read()
            return


def test_a_server_that_is_not_there(on_loop: Any):
    nobody = f"tango://127.0.0.1:{free_port()}/test/bench/1#dbase=no"

    async def connect() -> None:
        await Detector(nobody, name="nobody").connect(timeout=5)

    with pytest.raises(DevFailed) as caught:
        on_loop(connect())
    assert "test/bench/1" in str(caught.value)


def test_a_server_that_is_not_there_is_told_wherever_its_device_is_used(RE: RunEngine):
    nobody = f"tango://127.0.0.1:{free_port()}/test/bench/1#dbase=no"
    detector = Axis(nobody, name="axis")
    never = said_of(RE(bps.mv(detector.x, 1)))
    assert never.startswith(f"'axis' was never connected ({nobody}). Connect it")
    error = connect_devices(RE, {"axis": detector}, 5)["axis"].exception(WAIT)
    reason = rf"{nobody}: Failed to connect to device test/bench/1 .*, given up after \d+\.\d s"
    assert re.fullmatch(reason, str(error))
    for plan in (bps.mv(detector.x, 1), bps.trigger(Detector(nobody, name="detector"), wait=True)):
        assert nobody in said_of(RE(plan))
    failed = str(RE.by_hand.set(detector.x, 1).exception(WAIT))
    assert failed.startswith(f"'axis' is not connected to {nobody}: Failed to connect")


@pytest.mark.leaks("the server that is started again is the module's")
def test_what_a_server_said_that_is_gone_is_stale_in_the_window_until_it_is_back(
    RE: RunEngine, server, bench, qtbot: Any
):
    # Not with the other panels: pytango keeps to the first loop of a process that asks it.
    from qtpy.QtWidgets import QLabel

    from freewheel.qt import EngineBridge, ReadingRow

    bridge = EngineBridge(RE)
    rows = [ReadingRow(bridge, signal) for signal in (bench.axis.x, bench.axis.velocity)]
    for row in rows:
        qtbot.addWidget(row)
    labels = [row.findChild(QLabel, "readback") for row in rows]

    def wait_for(mark: str, velocity: int) -> None:
        def shown() -> bool:
            marked = all(label.text().startswith(mark) for label in labels)
            return marked and labels[1].text() == f"{mark}{velocity}"

        qtbot.waitUntil(shown, timeout=1000 * WAIT)

    wait_for("", 200)
    server.kill()
    wait_for("\N{MULTIPLICATION SIGN} ", 200)
    assert all("stale" in label.accessibleName() for label in labels)
    server.start()
    wait_for("", 50)  # the new one's
    bridge.close()


@pytest.mark.leaks("the server that is started again is the module's")
def test_a_server_that_was_there_is_named_when_it_is_away(RE: RunEngine, server, bench):
    server.kill()
    failed = said_of(RE(bps.mv(bench.axis.x, 1)))
    assert failed.startswith(f"'axis' got no answer from {TRL}; pytango says ")
    error = RE(bps.rd(bench.detector.value)).exception(WAIT)
    # Of twenty lines, what it means, the device first.
    assert text_of(error).startswith("Failed to read_attribute on device test/bench/1, attribute")
    assert "\n" not in text_of(error)


def test_the_qualities_of_tango_are_shown_as_what_they_are():
    shown = {quality.name: _standing_of(quality) for quality in AttrQuality.values.values()}
    # From afar they come as EPICS' severities: as numbers of their own they would mean others.
    afar = {
        name: _standing_of(_with_severity({"alarm_severity": quality})["alarm_severity"])
        for name, quality in AttrQuality.names.items()
    }
    assert afar == shown
    assert shown == {
        "ATTR_VALID": Standing.FINE,
        "ATTR_CHANGING": Standing.FINE,  # it moves
        "ATTR_WARNING": Standing.MINOR,
        "ATTR_ALARM": Standing.MAJOR,
        "ATTR_INVALID": Standing.INVALID,
    }


def said_of(future: Any) -> str:
    error = future.exception(WAIT)
    return str(error.__cause__)
