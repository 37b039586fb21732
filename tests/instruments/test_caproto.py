"""Motors and a beamline of caproto's example IOCs: for ophyd-async, and for classic ophyd."""

# ruff: noqa: N803

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest
from bluesky.utils import RunEngineInterrupted
from ophyd_async.epics.motor import Motor

from freewheel import ResourceConflictError
from freewheel.testing import IocProcess, assert_events, assert_valid, local_epics

pytestmark = pytest.mark.servers  # IOCs and device servers are processes of their own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from freewheel import RunEngine
    from freewheel.testing import DocumentLog

WAIT = 60
SCRIPTS = Path(__file__).parent / "servers"


def example(name: str) -> IocProcess:
    command = [sys.executable, "-u", "-m", f"caproto.ioc_examples.{name}"]
    return IocProcess(command, ready="Server startup complete")


@pytest.fixture(scope="module")
def ioc() -> Iterator[IocProcess]:
    with IocProcess(SCRIPTS / "motor_ioc.py", ready="Server startup complete") as server:
        yield server


@pytest.fixture
def motor(ioc: IocProcess, on_loop: Any) -> Motor:
    device = Motor("ca://FW:motor", name="motor")

    async def connect() -> None:
        await device.connect(timeout=20)
        await device.velocity.set(100.0)

    on_loop(connect())
    return device


def test_a_scan_with_a_motor_record(RE: RunEngine, motor: Motor, documents: DocumentLog):
    RE(bp.scan([], motor, 0, 2, 3)).result(WAIT)
    assert_valid(documents)
    assert_events(documents, motor=[0, 1, 2], atol=0.01)
    (descriptor,) = documents.of("descriptor")
    assert descriptor["configuration"]["motor"]["data"]["motor-velocity"] == 100


def test_a_pause_in_the_middle_of_a_move(RE: RunEngine, motor: Motor, on_loop, documents):
    RE(bps.mv(motor, 0)).result(WAIT)
    RE(bps.mv(motor.velocity, 0.1)).result(WAIT)  # 40 s for the move
    moving = threading.Event()

    def started(msg: Any) -> None:
        if msg.command == "wait":
            moving.set()

    RE.msg_hook = started
    future = RE(bp.scan([], motor, 4, 5, 2))
    assert moving.wait(WAIT)
    RE.request_pause().result(WAIT)
    with pytest.raises(RunEngineInterrupted):
        future.result(WAIT)
    RE.msg_hook = None
    # It was stopped on its way, and stands still.
    place = on_loop(motor.user_readback.get_value())
    assert place < 4
    RE.by_hand.set(motor.velocity, 100.0).result(WAIT)
    RE.resume().result(WAIT)
    assert_events(documents, motor=[4, 5], atol=0.01)


def test_a_hand_moves_it_in_a_pause_and_not_before(RE: RunEngine, motor: Motor, on_loop, documents):
    RE(bps.mv(motor, 0)).result(WAIT)
    at_one = threading.Event()
    goes_on = threading.Event()

    def wait_at_one(name: str, doc: Any) -> None:
        if doc["data"]["motor"] > 0.5 and not at_one.is_set():
            at_one.set()
            goes_on.wait(WAIT)

    RE.subscribe(wait_at_one, "event")
    future = RE(bp.scan([], motor, 0, 3, 4))
    assert at_one.wait(WAIT)
    with pytest.raises(ResourceConflictError, match="needs 'motor', which 'scan' holds"):
        RE.by_hand.set(motor, 20)
    paused = RE.request_pause()
    goes_on.set()
    paused.result(WAIT)
    with pytest.raises(RunEngineInterrupted):
        future.result(WAIT)
    RE.by_hand.set(motor, 5).result(WAIT)
    assert on_loop(motor.user_readback.get_value()) == pytest.approx(5, abs=0.01)
    RE.resume().result(WAIT)
    # The event at 1 is taken again: the pause came before the checkpoint behind it.
    places = {event["seq_num"]: event["data"]["motor"] for event in documents.events()}
    assert list(places.values()) == pytest.approx([0, 1, 2, 3], abs=0.01)


def test_a_plan_that_is_stopped_stops_the_motor(RE: RunEngine, motor: Motor, on_loop):
    RE(bps.mv(motor, 0)).result(WAIT)
    RE(bps.mv(motor.velocity, 1.0)).result(WAIT)
    moving = threading.Event()
    RE.msg_hook = lambda msg: moving.set() if msg.command == "wait" else None
    future = RE(bps.mv(motor, 50))
    assert moving.wait(WAIT)
    RE.msg_hook = None
    RE.stop().result(WAIT)
    assert future.outcome.result(WAIT).exit_status in {"success", "abort"}
    assert on_loop(motor.user_readback.get_value()) < 50


def run_classic(script: str) -> Any:
    """Run a script on classic ophyd in a process of its own; return what it says."""
    answer = subprocess.run(
        [sys.executable, str(SCRIPTS / script)],
        env={**os.environ, **local_epics(), "OPHYD_CONTROL_LAYER": "pyepics"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return json.loads(answer.stdout.splitlines()[-1])


@pytest.mark.leaks("the server that makes room is the module's")
def test_a_scan_with_classic_ophyds_epics_motor(ioc: IocProcess):
    ioc.kill()
    with example("fake_motor_record"):
        said = run_classic("classic_motor.py")
    assert said["motor"] == pytest.approx([0, 1, 2], abs=0.02)
    assert said["layer"] == "pyepics"
    assert said["paused"]
    assert said["monitored"] > 1
    assert said["states"] == ["idle"]
    away = r"'nobody' is not connected: no answer from sim:nobody\.RBV, .* within \d\.\d s"
    assert re.fullmatch(away, said["nobody"])
    assert re.search(r"\(sim:nobody\.\w+\), given up after \d\.\d s$", said["not connected"])


def test_a_beamline_with_classic_signals(ioc: IocProcess):
    ioc.kill()
    with example("mini_beamline"):
        said = run_classic("classic_beamline.py")
    assert len(said["slit"]) == 5
    assert max(said["slit"]) > 0
    assert said["live"] == 5
    assert said["shape"] == [480 * 640]
