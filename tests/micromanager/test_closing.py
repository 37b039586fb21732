"""Nothing calls the core once its devices are closed, or unloaded."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import pytest

from freewheel.micromanager import devices, load
from freewheel.micromanager._lanes import ClosedError, Gate, Lane
from freewheel.plans import live_view

if TYPE_CHECKING:
    from freewheel import RunEngine

WAIT = 30
CLOSED = "its devices were closed"


async def test_a_closed_gate_waits_for_the_call_inside_and_lets_nobody_in():
    gate = Gate()
    lane, other = Lane("one", gate), Lane("other", gate)
    begun, release = threading.Event(), threading.Event()
    inside = asyncio.create_task(lane.call(lambda: begun.set() or release.wait(WAIT)))
    behind = asyncio.create_task(lane.call(lambda: "behind"))
    await asyncio.to_thread(begun.wait, WAIT)
    assert gate.close()
    assert not gate.wait_empty(0)
    for call in (behind, asyncio.create_task(other.call(lambda: "other"))):
        release.set()
        with pytest.raises(ClosedError, match=CLOSED):
            await call
    assert await inside
    assert await asyncio.to_thread(gate.wait_empty, WAIT)


def test_what_is_asked_after_the_close_fails_with_the_devices_name(RE: RunEngine, core, scope):
    RE(bps.mv(scope.camera.free_running, True)).result(WAIT)
    scope.close()
    scope.close()  # twice is well
    for plan in (
        bps.trigger(scope.camera, wait=True),
        bps.mv(scope.focus, 1),
        bps.mv(scope.groups["Channel"], "DAPI"),
        bps.mv(scope.camera.properties["Gain"], 1),
        bps.rd(scope.xy.x),
    ):
        assert CLOSED in str(RE(plan).exception(WAIT))
    assert not scope.shutter.claimed_devices()
    core.setPosition("Z", 3)  # announced to nobody


@pytest.mark.parametrize("runs_freely", [False, True])
@pytest.mark.parametrize("how", ["unload", "load"])
def test_what_is_unloaded_under_a_live_view_fails_its_plan(
    RE: RunEngine, core, scope, documents, runs_freely, how
):
    RE(bps.mv(scope.camera.free_running, runs_freely)).result(WAIT)
    seen = threading.Event()
    RE.subscribe(lambda name, doc: doc["seq_num"] > 5 and seen.set(), "event")
    future = RE(live_view([scope.camera, scope.focus, scope.xy], rate=1e6, at_once=True))
    assert seen.wait(WAIT)
    if how == "unload":
        core.unloadAllDevices()
    else:
        core.loadSystemConfiguration(core.systemConfigurationFile())
    assert CLOSED in str(future.exception(WAIT))
    assert documents.of("stop")[-1]["exit_status"] == "fail"


def test_what_is_unloaded_under_a_flight_fails_its_plan(RE: RunEngine, core, scope):
    started = threading.Event()

    def fly() -> Any:
        yield from bps.open_run()
        yield from bps.prepare(scope.camera, 100_000, wait=True)
        yield from bps.kickoff(scope.camera, wait=True)
        started.set()
        yield from bps.complete(scope.camera, wait=True)

    future = RE(fly())
    assert started.wait(WAIT)
    core.unloadAllDevices()
    assert future.exception(WAIT) is not None


def test_devices_made_afterwards_are_not_touched_by_the_close_of_those_before(
    RE: RunEngine, core, scope, on_loop
):
    load(core=core)
    core.setExposure(1)
    assert CLOSED in str(RE(bps.trigger(scope.camera, wait=True)).exception(WAIT))
    anew = devices(core)
    on_loop(anew.connect())
    RE(bps.trigger(anew.camera, wait=True)).result(WAIT)


def test_a_program_that_ends_while_the_core_tells_of_changes_ends_well():
    program = """
        import time
        from freewheel.micromanager import load

        class Slow:  # the interpreter takes its time to go
            def __del__(self, sleep=time.sleep):
                sleep(0.5)

        _slow = Slow()
        core = load()
        core.events.propertyChanged.connect(lambda *_: time.sleep(0.02))
        for preset in ("DAPI", "FITC", "Cy5", "DAPI"):
            core.setConfig("Channel", preset)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
