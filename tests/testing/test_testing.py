"""What users are given to test their plans."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest
from ophyd_async.core import soft_signal_rw

import freewheel.testing as testing
from freewheel import RunEngine
from freewheel.recording import replay_devices
from freewheel.testing import (
    VirtualClock,
    VirtualTimeLoop,
    assert_emitted,
    assert_events,
    assert_valid,
    no_leaks,
)

pytestmark = pytest.mark.usefixtures("leak_check")


@pytest.fixture
def signal():
    return soft_signal_rw(float, 1.5, name="my-signal")


def steps(signal):
    yield from bps.open_run()
    for value in (1.0, 2.0, 3.0):
        yield from bps.abs_set(signal, value, wait=True)
        yield from bps.create()
        yield from bps.read(signal)
        yield from bps.save()
    yield from bps.close_run()


def test_log_and_checks(request, signal):
    engine, log = request.getfixturevalue("RE"), request.getfixturevalue("documents")
    engine(steps(signal)).result(5)
    assert_emitted(log, start=1, descriptor=1, event=3, stop=1)
    assert_events(log, my_signal=[1, 2, 3])
    assert_valid(log)
    assert log.data("my-signal") == [1, 2, 3]
    assert log.names() == ["start", "descriptor", "event", "event", "event", "stop"]
    assert len(log) == 6
    with pytest.raises(AssertionError, match="event: 3 instead of 2"):
        assert_emitted(log, start=1, descriptor=1, event=2, stop=1)
    with pytest.raises(AssertionError, match="event 2 of 'primary'"):
        assert_events(log, my_signal=[1, 5, 3])
    with pytest.raises(AssertionError, match="3 events, and 2 are expected"):
        assert_events(log, my_signal=[1, 2])
    with pytest.raises(AssertionError, match="no key 'other'; it has: my-signal"):
        assert_events(log, other=[1])
    with pytest.raises(AssertionError, match="runs that were started"):
        assert_valid(log.all()[:-1])
    with pytest.raises(AssertionError, match="not valid"):
        assert_valid([("start", {"uid": 3})])


def test_runs_of_a_log(request, signal):
    engine, log = request.getfixturevalue("RE"), request.getfixturevalue("documents")
    engine(bp.count([signal], 3)).result(5)
    (run,) = log.runs()
    assert run.complete
    assert list(replay_devices(run)) == ["my-signal"]
    log.clear()
    assert not log.all()


def test_time_that_need_not_be_waited_for(request, signal):
    clock, engine = request.getfixturevalue("clock"), request.getfixturevalue("RE")
    log = request.getfixturevalue("documents")
    began = time.monotonic()
    engine(bp.count([signal], 4, delay=600)).result(20)
    assert_emitted(log, start=1, descriptor=1, event=4, stop=1)
    assert clock.time() >= 1800
    assert time.monotonic() - began < 600


def test_advance_by_hand():
    clock = VirtualClock(autojump=False)
    loop = VirtualTimeLoop(clock)
    woken = threading.Event()
    loop.call_later(10, woken.set)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    clock.advance(9)
    assert not woken.is_set()
    clock.advance(1.5)
    assert woken.wait(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    with pytest.raises(ValueError, match="forwards"):
        clock.advance(-1)


def test_leaks_are_found():
    stay = threading.Event()
    thread = threading.Thread(target=stay.wait, name="forgotten")

    def forget():
        with no_leaks(grace=0.01):
            thread.start()

    with pytest.raises(AssertionError, match="forgotten"):
        forget()
    stay.set()
    thread.join()


def test_what_an_engine_has_in_hand_when_it_is_dropped_is_no_leak():
    busy = threading.Event()

    def keep(_: object) -> None:
        busy.set()
        threading.Event().wait(0.2)

    with no_leaks(collect=False):
        engine = RunEngine()
        engine.loop.call_soon_threadsafe(keep, engine)
        assert busy.wait(10)
        del engine


@pytest.mark.parametrize("module", ["asyncio", "uvloop"])
def test_loops_that_are_left_open_are_found(module):
    make = pytest.importorskip(module).new_event_loop
    made = []

    def forget(close):
        with no_leaks(collect=False):
            made.append(sys.modules[module].new_event_loop())
            if close:
                made[-1].close()

    with pytest.raises(AssertionError, match="the event loop"):
        forget(close=False)
    forget(close=True)
    made[0].close()
    assert sys.modules[module].new_event_loop is make


def test_all_is_exported():
    assert set(testing.__all__) <= set(vars(testing))


def test_plugin_loads_nothing_before_it_is_used():
    script = (
        "import sys, freewheel.testing.plugin\n"
        "print([m for m in ('freewheel.recording', 'ophyd_async', 'h5py') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
