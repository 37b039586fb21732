# ruff: noqa: N803
"""``RE.interlocks``: what may not be done waits, or fails, and everything else goes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from bluesky.suspenders import SuspendBoolHigh
from bluesky.utils import Msg, RunEngineInterrupted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ophyd import Signal
from ophyd_async.core import NotConnectedError, soft_signal_rw

from doubles import Device, at_log, at_message, quick
from freewheel import EngineClosedError, InterlockError, RunEngine
from freewheel.core import EngineSnapshot, PlanStatus
from freewheel.engine import _signal_conditions
from freewheel.plan_stubs import (
    acquire,
    background,
    mv,
    uninterrupted,
    wait_for_background,
)

T = 10


class Switch:
    """A signal of ophyd's kind, which tells in the thread that changes it."""

    connected = True

    def __init__(self, name: str = "door", value: Any = 0) -> None:
        self.name = name
        self._value = value
        self._callbacks: list[Any] = []

    def get(self) -> Any:
        return self._value

    def subscribe(self, callback: Any, **_: Any) -> None:
        self._callbacks.append(callback)

    def clear_sub(self, callback: Any) -> None:
        self._callbacks.remove(callback)

    def put(self, value: Any) -> None:
        self._value = value
        for callback in list(self._callbacks):
            callback(value=value, obj=self)


class Waits:
    """Knows when somebody waits for an interlock."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.changed = threading.Event()
        engine.events.interlocks_changed.connect(lambda _: self.changed.set())

    def begin(self) -> None:
        while not any(each.waiting for each in self.engine.interlocks.picture()):
            assert self.changed.wait(T), "nobody waits"
            self.changed.clear()


@pytest.fixture
def waits(RE: RunEngine) -> Waits:
    return Waits(RE)


@pytest.fixture
def door() -> Switch:
    return Switch()


@pytest.fixture
def motor() -> Device:
    return Device("motor")


def test_what_is_forbidden_waits_until_it_is_allowed(
    RE: Any, waits: Waits, door: Switch, motor: Device, caplog: pytest.LogCaptureFixture
) -> None:
    interlock = RE.interlocks.add("door", door, devices=motor)
    RE(mv(motor, 1)).result(T)
    door.put(1)
    assert interlock.tripped
    with caplog.at_level(logging.INFO, "freewheel"):
        future = RE(mv(motor, 2))
        waits.begin()
        assert motor.position == 1
        (picture,) = RE.snapshot().interlocks
        assert picture == ("door", True, "door is 1", ("'mv', to set 'motor'",))
        for text in (RE.explain(), repr(RE)):
            assert "door: tripped, door is 1; it is waited for by 'mv', to set 'motor'" in text
        assert EngineSnapshot.from_json(RE.snapshot().to_json()).interlocks == (picture,)
        door.put(0)
        future.result(T)
    assert motor.position == 2
    assert RE.snapshot().interlocks == (("door", False, "", ()),)
    assert "'mv', to set 'motor', waits for 'door' (door is 1)" in caplog.text
    assert "'mv' goes on" in caplog.text


def test_one_that_lets_go_just_before_somebody_begins_to_wait(
    RE: Any, door: Switch, motor: Device
) -> None:
    door.put(1)
    RE.interlocks.add("door", door)
    with at_log("Interlocked", lambda: door.put(0)):  # after the look, and before the wait
        RE(mv(motor, 1)).result(T)
    assert motor.position == 1


def test_a_function_that_answers_by_turns_does_not_hold_up_the_loop(RE: Any, motor: Device) -> None:
    asked: list[bool] = []

    def by_turns() -> bool:
        asked.append(True)
        return len(asked) < 5 or len(asked) % 2 == 0

    RE.interlocks.add("door", by_turns)
    RE(mv(motor, 1)).result(T)
    assert len(asked) < 20


def test_everything_else_goes_on(RE: Any, door: Switch, motor: Device) -> None:
    RE.interlocks.add("door", door, devices=motor, verbs="set")
    door.put(True)
    other = Device("other")

    def plan() -> Any:
        yield Msg("stage", motor)
        yield Msg("trigger", motor, group="a")
        yield Msg("read", motor)
        yield from mv(other, 5)
        yield Msg("stop", motor)
        yield Msg("unstage", motor)

    RE(plan()).result(T)
    assert other.position == 5
    assert motor.did[:4] == ["stage", "trigger", "stop", "unstage"]


def test_it_fails_where_that_was_chosen(RE: Any, door: Switch, motor: Device) -> None:
    RE.interlocks.add("door", door, devices=[motor], otherwise="fail")
    door.put(1)
    error = RE(mv(motor, 1)).exception(T)
    assert isinstance(error, InterlockError)
    assert str(error) == (
        "'mv' may not set 'motor': the interlock 'door' is tripped (door is 1). RE.interlocks "
        "shows them all."
    )
    named = InterlockError("door", "door is 1", "set", "motor", "mv")
    assert str(pickle.loads(pickle.dumps(named))) == str(error)
    assert motor.did == []


@pytest.mark.parametrize("end", ["stop", "abort", "halt"])
def test_an_end_gets_out_and_the_clean_up_is_not_judged(
    RE: Any, waits: Waits, door: Switch, motor: Device, end: str
) -> None:
    RE.interlocks.add("door", door)
    shutter = Device("shutter")

    def plan() -> Any:
        yield Msg("stage", motor)
        try:
            yield from mv(motor, 1)
        finally:
            yield from mv(shutter, "closed")

    door.put(1)
    future = RE(plan())
    waits.begin()
    getattr(RE, end)().result(T)
    assert future.outcome.result(T).exit_status == ("success" if end == "stop" else "abort")
    assert motor.did == ["stage", "unstage"]
    assert shutter.did == ([] if end == "halt" else [("set", "closed"), "stop"])
    assert RE.snapshot().interlocks[0].waiting == ()


def test_a_pause_gets_out_and_a_resume_waits_again(
    RE: Any, waits: Waits, door: Switch, motor: Device
) -> None:
    RE.interlocks.add("door", door, devices=motor, verbs=["stage", "set"])
    door.put(1)

    def plan() -> Any:
        yield Msg("checkpoint")
        yield Msg("stage", motor)
        yield from mv(motor, 1)
        yield Msg("unstage", motor)

    future = RE(plan())
    waits.begin()
    RE.request_pause().result(T)
    assert isinstance(future.exception(T), RunEngineInterrupted)
    assert motor.did == []
    resumed = RE.resume()
    waits.begin()
    door.put(0)
    resumed.result(T)
    assert motor.did == ["stage", ("set", 1), "unstage", "stop"] or motor.did == [
        "stage",
        ("set", 1),
        "unstage",
    ]


def test_tasks_obey(RE: Any, waits: Waits, door: Switch, motor: Device) -> None:
    RE.interlocks.add("door", door, devices=motor)
    door.put(1)
    task = RE.background.launch(mv(motor, 1), name="focus")
    waits.begin()
    assert RE.snapshot().interlocks[0].waiting == ("'focus', to set 'motor'",)
    assert motor.did == []
    door.put(0)
    task.result(T)
    assert motor.position == 1
    door.put(1)
    task = RE.background.launch(mv(motor, 2), name="focus")
    waits.begin()
    task.cancel()
    task.exception(T)
    assert motor.position == 1


def test_hands_obey(RE: Any, waits: Waits, door: Switch, motor: Device) -> None:
    RE.interlocks.add("door", door, devices=motor)
    door.put(1)
    move = RE.by_hand.set(motor, 1, holder="Ada")
    waits.begin()
    assert RE.snapshot().interlocks[0].waiting == ("'Ada', to set 'motor'",)
    door.put(0)
    move.result(T)
    assert motor.position == 1
    door.put(1)
    refused = RE.by_hand.set(motor, 2, between=True, holder="Ada").exception(T)
    assert isinstance(refused, InterlockError)
    assert motor.position == 1


@pytest.mark.parametrize("how", ["stop_all", "close"])
def test_a_move_by_hand_that_waits_is_given_up_when_everything_is_stopped(
    RE: Any, waits: Waits, door: Switch, motor: Device, how: str
) -> None:
    RE.interlocks.add("door", door, devices=motor)
    door.put(1)
    move = RE.by_hand.set(motor, 1)
    waits.begin()
    if how == "close":
        RE.close()
        assert "closed" in str(move.exception(T))
    else:
        RE.stop_all().result(T)
        assert "Everything was stopped" in str(move.exception(T))
    door.put(0)
    assert ("set", 1) not in motor.did
    assert not RE.claims


@pytest.mark.parametrize("stopped", ["axis", "stage"])
def test_a_move_by_hand_that_waits_is_given_up_when_its_device_is_stopped(
    RE: Any, waits: Waits, door: Switch, stopped: str
) -> None:
    stage = Device("stage")
    axis = Device("axis", parent=stage)
    other = Device("other")
    RE.interlocks.add("door", door)
    door.put(1)
    move, goes_on = RE.by_hand.set(axis, 1), RE.by_hand.set(other, 1)
    waits.begin()
    RE.by_hand.stop(axis if stopped == "axis" else stage).result(T)
    assert f"{stopped!r} was stopped by hand while the move of 'axis'" in str(move.exception(T))
    door.put(0)
    goes_on.result(T)
    assert ("set", 1) not in axis.did
    assert not RE.claims
    with pytest.raises(TypeError, match="devices that can be stopped, not 'axis'"):
        RE.by_hand.stop("axis")


def test_it_is_removed(RE: Any, waits: Waits, door: Switch, motor: Device) -> None:
    interlock = RE.interlocks.add("door", door, devices=motor)
    door.put(1)
    assert list(RE.interlocks) == ["door"]
    assert RE.interlocks["door"] is interlock
    assert "set" in repr(interlock)
    assert "motor; tripped: door is 1" in repr(RE.interlocks)
    future = RE(mv(motor, 1))
    waits.begin()
    interlock.remove()
    future.result(T)
    assert len(RE.interlocks) == 0
    assert door._callbacks == []
    assert "removed" in repr(interlock)
    with pytest.raises(KeyError, match="no interlock is called 'door'; there are: none"):
        RE.interlocks.remove("door")


# -- conditions ----------------------------------------------------------------------------------


def test_signals_of_both_libraries(RE: Any, waits: Waits, motor: Device) -> None:
    classic = Signal(name="classic", value=1)
    lately = soft_signal_rw(bool, True, name="lately")
    asyncio.run_coroutine_threadsafe(lately.connect(), RE.loop).result(T)
    RE.interlocks.add("classic", classic)
    RE.interlocks.add("lately", lately)
    future = RE(mv(motor, 1))
    waits.begin()
    classic.put(0)
    RE([Msg("null")])
    asyncio.run_coroutine_threadsafe(_set(lately, False), RE.loop).result(T)
    future.result(T)
    asyncio.run_coroutine_threadsafe(_set(lately, True), RE.loop).result(T)
    assert RE.interlocks["lately"].why == "lately is True"
    RE.interlocks.remove("lately")
    RE(mv(motor, 2)).result(T)


async def _set(signal: Any, value: Any) -> None:
    await signal.set(value)


def test_a_function_is_asked_at_each_message_and_again_while_somebody_waits(
    RE: Any, waits: Waits, motor: Device
) -> None:
    closed = threading.Event()

    def door_is_open() -> bool:
        return not closed.is_set()

    interlock = RE.interlocks.add("door", door_is_open, devices=motor)
    future = RE(mv(motor, 1))
    waits.begin()
    assert interlock.why == "door_is_open() is True"
    closed.set()
    interlock.look_again()
    future.result(T)
    closed.clear()
    future = RE(mv(motor, 2))
    waits.begin()
    closed.set()  # and nobody tells
    future.result(T)


def test_it_is_told_once_that_somebody_waits_for_a_function(
    RE: Any, waits: Waits, motor: Device
) -> None:
    asked = threading.Semaphore(0)
    told: list[Any] = []
    over: list[bool] = []

    def closed() -> bool:
        asked.release()
        return not over

    RE.interlocks.add("door", closed, devices=motor)
    RE.events.interlocks_changed.connect(told.append)
    future = RE(mv(motor, 1))
    waits.begin()
    count = len(told)
    for _ in range(20):
        assert asked.acquire(timeout=T)
    assert len(told) <= count + 2  # that it waits may be told yet, and not each look
    over.append(True)
    future.result(T)


def test_a_suspender_counts_with_its_sleep(
    RE: Any, waits: Waits, motor: Device, caplog: pytest.LogCaptureFixture
) -> None:
    beam = Signal(name="beam", value=0)
    suspender = SuspendBoolHigh(beam, sleep=0.02, tripped_message="no beam")
    RE.interlocks.add("beam", suspender, devices=motor)
    RE(mv(motor, 1)).result(T)
    beam.put(1)
    future = RE(mv(motor, 2))
    waits.begin()
    assert "no beam" in RE.interlocks["beam"].why
    assert RE.state == "running"  # it suspends nobody
    beam.put(0)
    future.result(T)
    RE.install_suspender(suspender2 := SuspendBoolHigh(beam))
    with pytest.raises(ValueError, match="is installed in an engine as a suspender"):
        RE.interlocks.add("again", suspender2)
    RE.interlocks.remove("beam")
    beam.put(1)
    RE.remove_suspender(suspender2)
    RE(mv(motor, 3)).result(T)
    assert not [r for r in caplog.records if r.exc_info]  # ophyd logs what its subscribers raise


class LetsGoFirst:
    """A suspender's lock, which somebody else gets first, once: the signal that lets go."""

    def __init__(self, lock: Any, signal: Switch) -> None:
        self._lock = lock
        self._signal: Switch | None = signal

    def __enter__(self) -> Any:
        signal, self._signal = self._signal, None
        if signal is not None:
            signal.put(0)
        return self._lock.__enter__()

    def __exit__(self, *error: Any) -> Any:
        return self._lock.__exit__(*error)

    def locked(self) -> bool:
        return bool(self._lock.locked())


def test_a_suspender_that_lets_go_while_it_is_asked_why_has_let_go(RE: Any, motor: Device) -> None:
    beam = Switch("beam")
    suspender = SuspendBoolHigh(beam)
    RE.interlocks.add("beam", suspender, devices=motor)
    beam.put(1)
    suspender._lock = LetsGoFirst(suspender._lock, beam)
    RE.interlocks["beam"].why  # noqa: B018 - asks, in this thread
    beam.put(0)  # if it was asked without its lock
    RE(mv(motor, 1)).result(T)


@pytest.mark.parametrize("error", [SystemExit(1), asyncio.CancelledError("no")])
def test_nothing_that_a_function_raises_gets_out(RE: Any, motor: Device, error: Any) -> None:
    def broken() -> bool:
        raise error

    RE.interlocks.add("broken", broken, devices=motor, otherwise="fail")
    (picture,) = RE.snapshot().interlocks  # which a window asks for in its own thread
    assert picture.tripped
    assert type(error).__name__ in picture.why
    assert isinstance(RE(mv(motor, 1)).exception(T), InterlockError)


def test_a_condition_that_fails_now_and_then_does_not_fill_the_log(
    RE: Any, motor: Device, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[bool] = []

    def flaky() -> bool:
        asked.append(True)
        if len(asked) % 2:
            raise TimeoutError("no answer")
        return False

    interlock = RE.interlocks.add("flaky", flaky, devices=motor)
    states = {interlock.tripped for _ in range(100)}
    assert states == {True, False}
    assert len([r for r in caplog.records if "does not answer" in r.getMessage()]) == 1
    for picture in [RE.snapshot().interlocks[0] for _ in range(10)]:
        assert picture.tripped is ("no answer" in picture.why)  # of one and the same look


@pytest.mark.parametrize("what", ["function", "signal", "array"])
def test_a_condition_that_raises_counts_as_tripped_and_is_told(
    RE: Any, waits: Waits, motor: Device, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    class Broken(Switch):
        def get(self) -> Any:
            raise TimeoutError("no answer")

    def broken() -> bool:
        raise TimeoutError("no answer")

    condition = {
        "function": broken,
        "signal": Broken(),
        "array": Switch("pixels", np.ones(2)),
    }[what]
    interlock = RE.interlocks.add("broken", condition, devices=motor)
    future = RE(mv(motor, 1))
    waits.begin()
    (picture,) = RE.snapshot().interlocks
    assert picture.tripped
    assert ("no answer" if what != "array" else "ambiguous") in picture.why
    told = [r for r in caplog.records if "does not answer" in r.getMessage()]
    assert len(told) == 1
    assert "'broken'" in told[0].getMessage()
    if what == "function":
        interlock.remove()
    else:
        condition.put(0)  # type: ignore[attr-defined]
    future.result(T)


def test_a_signal_that_has_not_told_its_value_counts_as_tripped(
    RE: Any, waits: Waits, door: Switch, motor: Device
) -> None:
    door.connected = False  # type: ignore[misc]
    RE.interlocks.add("door", door, devices=motor)
    assert RE.interlocks["door"].why == "door has not told its value yet"
    future = RE(mv(motor, 1))
    waits.begin()
    door.put(0)
    future.result(T)


def test_a_signal_of_ophyd_that_is_disconnected_counts_as_tripped(
    RE: Any, waits: Waits, motor: Device
) -> None:
    class Pv(Switch):
        SUB_META = "meta"

        def __init__(self) -> None:
            super().__init__()
            self.listeners: list[Any] = []

        def subscribe(self, callback: Any, event_type: Any = None, **_: Any) -> None:
            (self._callbacks if event_type is None else self.listeners).append(callback)

        def clear_sub(self, callback: Any) -> None:
            for several in (self._callbacks, self.listeners):
                while callback in several:
                    several.remove(callback)

        def is_now(self, connected: bool) -> None:
            for callback in self.listeners:
                callback(connected=connected, obj=self)

    door = Pv()
    interlock = RE.interlocks.add("door", door, devices=motor)
    RE(mv(motor, 1)).result(T)
    door.is_now(False)
    future = RE(mv(motor, 2))
    waits.begin()
    assert "door is disconnected" in interlock.why
    door.is_now(True)
    assert interlock.tripped  # until it has told its value
    door.put(0)
    future.result(T)
    interlock.remove()
    assert door._callbacks == door.listeners == []


def test_a_signal_of_ophyd_async_is_asked_whether_it_answers(
    RE: Any, waits: Waits, motor: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_signal_conditions, "BEAT", 0.01)
    monkeypatch.setattr(_signal_conditions, "PATIENCE", 0.02)
    silent: list[Any] = [NotConnectedError("not yet")]

    class Pv:
        name, parent = "door", None
        followed: Any = None

        def subscribe_reading(self, callback: Any) -> None:
            if silent:
                raise silent[0]
            self.followed = callback
            callback({"door": {"value": False}})

        def clear_sub(self, callback: Any) -> None:
            assert callback == self.followed
            self.followed = None

        async def get_value(self, cached: Any = None) -> bool:
            assert cached is False
            if "hangs" in silent:
                await asyncio.Event().wait()
            if silent:
                raise silent[0]
            return False

    door: Any = Pv()
    interlock = RE.interlocks.add("door", door, devices=motor)
    future = RE(mv(motor, 0))
    waits.begin()  # it is not connected yet
    silent.clear()
    future.result(T)
    for state, says in ((["hangs"], "no answer for 0.02 s"), ([ConnectionError("gone")], "gone")):
        silent.extend(state)
        changed = threading.Event()
        RE.events.interlocks_changed.connect(changed.set, max_args=0)
        while not interlock.tripped:
            assert changed.wait(T)
            changed.clear()
        assert says in interlock.why
        future = RE(mv(motor, 1))
        waits.begin()
        silent.clear()
        future.result(T)
    RE.close()
    assert door.followed is None


def test_a_signal_without_a_value_counts_as_tripped(RE: Any, door: Switch) -> None:
    interlock = RE.interlocks.add("door", door)
    door.put(None)
    assert interlock.tripped
    assert interlock.why == "door has no value"


def test_a_closed_engine_follows_nothing(RE: Any, door: Switch) -> None:
    RE.interlocks.add("door", door)
    RE.close()
    assert door._callbacks == []
    with pytest.raises(EngineClosedError, match="judges nothing any more"):
        RE.interlocks.add("door", door)
    assert door._callbacks == []


def test_a_function_that_has_to_be_awaited_counts_as_tripped(RE: Any) -> None:
    interlock = RE.interlocks.add("door", lambda: asyncio.sleep(0))
    assert interlock.tripped
    assert "has to be awaited" in interlock.why


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"condition": lambda door: door}, TypeError, "needs arguments"),
        ({"devices": []}, ValueError, "of no devices"),
        ({"condition": 3}, TypeError, "on a signal, on a function"),
        ({"condition": Switch}, TypeError, "on a signal, on a function"),
        ({"condition": _set}, TypeError, "coroutine function"),
        ({"devices": "motor"}, TypeError, "Pass the device itself"),
        ({"verbs": "stop"}, ValueError, "never kept waiting"),
        ({"verbs": ["set", "unstage"]}, ValueError, "never kept waiting"),
        ({"verbs": ["fly"]}, ValueError, "'fly' is no verb"),
        ({"verbs": ["read"]}, ValueError, "'read' is no verb"),
        ({"verbs": []}, ValueError, "judges no verb"),
        ({"otherwise": "hold"}, ValueError, '"wait" or "fail"'),
        ({"name": ""}, TypeError, "name of an interlock"),
        ({"name": "taken"}, ValueError, r"RE.interlocks.remove\('taken'\)"),
    ],
)
def test_bad_input(RE: Any, door: Switch, given: Any, error: Any, says: str) -> None:
    RE.interlocks.add("taken", door)
    arguments = {"name": "new", "condition": door, **given}
    with pytest.raises(error, match=says):
        RE.interlocks.add(arguments.pop("name"), arguments.pop("condition"), **arguments)
    assert list(RE.interlocks) == ["taken"]
    assert len(door._callbacks) == 1


def test_one_that_cannot_be_followed_is_not_added(RE: Any) -> None:
    class Deaf(Switch):
        def subscribe(self, callback: Any, **_: Any) -> None:
            raise ConnectionError("nobody there")

    with pytest.raises(ConnectionError):
        RE.interlocks.add("deaf", Deaf())
    assert len(RE.interlocks) == 0


# -- which messages ------------------------------------------------------------------------------


class Driver(Device):
    """Moves another device when it is moved."""

    def __init__(self, name: str, *driven: Device) -> None:
        super().__init__(name)
        self.driven = driven

    def claimed_devices(self) -> tuple[Device, ...]:
        return self.driven


def family() -> dict[str, Device]:
    table = Device("table")
    x, y = Device("x", table), Device("y", table)
    return {each.name: each for each in (table, x, y, Driver("pseudo", x), Device("lone"))}


#: Of each interlocked device, whose messages it keeps waiting.
COVERS = {
    "table": {"table", "x", "y", "pseudo"},
    "x": {"table", "x", "pseudo"},
    "y": {"table", "y"},
    "pseudo": {"table", "x", "pseudo"},
    "lone": {"lone"},
}


@pytest.mark.parametrize("name", COVERS)
def test_parts_owners_and_drivers_are_judged(RE: Any, door: Switch, name: str) -> None:
    devices = family()
    RE.interlocks.add("door", door, devices=devices[name], otherwise="fail")
    door.put(1)
    refused = set()
    for each in devices.values():
        if RE(mv(each, 1)).exception(T) is not None:
            refused.add(each.name)
    assert refused == COVERS[name]


def test_an_acquisition_triggers(RE: Any, waits: Waits, door: Switch) -> None:
    camera = Device("camera")
    RE.interlocks.add("door", door, verbs="trigger", devices=camera)
    door.put(1)

    def plan() -> Any:
        yield Msg("open_run")
        yield from acquire([camera])
        yield Msg("close_run")

    future = RE(plan())
    waits.begin()
    assert camera.did == []
    door.put(0)
    future.result(T)
    assert camera.did == ["trigger"]


@pytest.mark.filterwarnings("ignore::freewheel.background.BackgroundWarning")
def test_nobody_gives_way_to_what_may_not_be_done(
    RE: Any, waits: Waits, door: Switch, motor: Device
) -> None:
    RE.interlocks.add("door", door, devices=motor, verbs="set")

    def holder() -> Any:
        yield Msg("claim", None, motor)
        yield Msg("sleep", None, 600)

    begun = threading.Event()
    RE.events.claims_changed.connect(lambda held: begun.set() if held else None)
    task = RE.background.launch(holder())
    assert begun.wait(T)
    door.put(1)
    future = RE(mv(motor, 1))
    waits.begin()
    assert not task.done
    door.put(0)
    future.result(T)
    task.exception(T)
    assert motor.position == 1


@pytest.mark.filterwarnings("ignore::freewheel.background.BackgroundWarning")
def test_one_that_trips_while_a_task_gives_way(RE: Any, waits: Waits, door: Switch) -> None:
    motor = Device("motor")
    RE.interlocks.add("door", door, devices=motor, verbs="set")

    def holder() -> Any:
        yield Msg("claim", None, motor)
        try:
            yield Msg("sleep", None, 600)
        finally:
            door.put(1)
            yield Msg("null")

    begun = threading.Event()
    RE.events.claims_changed.connect(lambda held: begun.set() if held else None)
    task = RE.background.launch(holder())
    assert begun.wait(T)
    future = RE(mv(motor, 1))
    waits.begin()
    task.exception(T)
    assert ("set", 1) not in motor.did
    door.put(0)
    future.result(T)
    assert motor.position == 1


def test_within_a_section_that_no_pause_comes_in_between(
    RE: Any, waits: Waits, door: Switch, motor: Device
) -> None:
    RE.interlocks.add("door", door, devices=motor)
    door.put(1)
    future = RE(uninterrupted(mv(motor, 1)))
    waits.begin()
    door.put(0)
    future.result(T)
    door.put(1)
    caught: list[BaseException] = []

    def section() -> Any:
        try:
            yield from mv(motor, 2)
        except InterlockError as error:
            caught.append(error)
            yield Msg("stop", motor)
            yield from mv(motor, 3)  # still forbidden, and it waits no more

    future = RE(uninterrupted(section()))
    waits.begin()
    RE.stop().result(T)
    assert future.status is PlanStatus.STOPPED
    assert "'uninterrupted' may not set 'motor'" in str(caught[0])
    assert motor.position == 1


def test_one_that_is_added_while_a_plan_runs(RE: Any, waits: Waits, door: Switch) -> None:
    motor = Device("motor")
    door.put(1)
    at_message(RE, 3, lambda: RE.interlocks.add("door", door, devices=motor))

    def plan() -> Any:
        yield from mv(motor, 1)
        yield from mv(motor, 2)

    future = RE(plan())
    waits.begin()
    assert motor.position == 1
    door.put(0)
    future.result(T)


# -- no forbidden message ever passes ------------------------------------------------------------

VERBS = ("set", "trigger", "stage", "configure")
NAMES = sorted(COVERS)
LOCKS = st.lists(
    st.tuples(
        st.integers(0, 2),  # which switch
        st.sets(st.sampled_from(NAMES), min_size=1, max_size=3),
        st.sets(st.sampled_from(VERBS), min_size=1),
        st.sampled_from(["wait", "wait", "fail"]),
    ),
    max_size=3,
)
FLIPS = st.tuples(st.just("flip"), st.integers(0, 2), st.booleans())
MESSAGES = st.tuples(
    st.sampled_from(["plan", "plan", "task", "hand", "acquire"]),
    st.sampled_from(VERBS),
    st.sampled_from(NAMES),
)
STEPS = st.lists(st.one_of(FLIPS, MESSAGES), max_size=12)


class World:
    """Devices that know, by the table above, what may not be done to them."""

    def __init__(self, engine: Any, locks: Any) -> None:
        self.engine, self.locks = engine, locks
        self.switches = [Switch(f"switch {n}") for n in range(3)]
        self.devices = family()
        self.forbidden: list[str] = []
        self.done = 0
        for device in self.devices.values():
            for verb in VERBS:
                setattr(device, verb, self._watched(verb, device, getattr(device, verb)))
        for n, (switch, names, verbs, otherwise) in enumerate(locks):
            engine.interlocks.add(
                f"lock {n}",
                self.switches[switch],
                devices=[self.devices[name] for name in names],
                verbs=verbs,
                otherwise=otherwise,
            )

    def _watched(self, verb: str, device: Device, do: Any) -> Any:
        def watched(*args: Any, **kwargs: Any) -> Any:
            self.done += 1
            for switch, names, verbs, _ in self.locks:
                covered = any(device.name in COVERS[name] for name in names)
                if self.switches[switch].get() and verb in verbs and covered:
                    self.forbidden.append(f"{verb} {device.name}")
            return do(*args, **kwargs)

        return watched

    def let_go(self, pictures: tuple[Any, ...]) -> None:
        """Let go of what is waited for: one switch after the other."""
        for picture in pictures:
            if picture.waiting and picture.tripped:
                switch = self.locks[int(picture.name.removeprefix("lock "))][0]
                self.switches[switch].put(0)
                return

    def plan(self, steps: Any) -> Any:
        for what, *step in steps:
            if what == "flip":
                self.switches[step[0]].put(step[1])
                continue
            try:
                yield from self._one(what, *step)
            except InterlockError:
                pass

    def _one(self, what: str, verb: str, name: str) -> Any:
        device = self.devices[name]
        if what == "task":
            task = yield from background(self._message(verb, device))
            yield from wait_for_background(task)
        elif what == "hand":
            move = self.engine.by_hand.set(device, 1)
            yield Msg("wait_for", None, [lambda: _over(move)])
        elif what == "acquire":
            yield Msg("open_run")
            try:
                yield from acquire([device])
            except InterlockError:
                yield Msg("close_run")
                raise
            yield Msg("close_run")
        else:
            yield from self._message(verb, device)

    def _message(self, verb: str, device: Device) -> Any:
        if verb == "stage":
            yield Msg("stage", device)
            yield Msg("unstage", device)
        elif verb == "configure":
            yield Msg("configure", device, {})
        else:
            arguments = (1,) if verb == "set" else ()
            yield Msg(verb, device, *arguments, group="g")
            yield Msg("wait", None, group="g")


async def _over(move: Any) -> None:
    with contextlib.suppress(InterlockError):
        await move


@pytest.fixture(scope="module")
def engine_of_all_cases() -> Any:
    engine = RunEngine()
    yield engine
    engine.close()


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(locks=LOCKS, steps=STEPS)
def test_no_forbidden_message_ever_passes(engine_of_all_cases: Any, locks: Any, steps: Any) -> None:
    engine = engine_of_all_cases
    world = World(engine, locks)
    slot = engine.events.interlocks_changed.connect(world.let_go)
    try:
        engine(world.plan(steps)).result(T)
    finally:
        engine.events.interlocks_changed.disconnect(slot)
        for name in list(engine.interlocks):
            engine.interlocks.remove(name)
    assert world.forbidden == []
    if not locks:
        assert world.done >= sum(what != "flip" for what, *_ in steps)


def test_the_table_above_finds_what_passes(RE: Any) -> None:
    world = World(RE, [(0, {"x"}, {"set"}, "wait")])
    RE.interlocks.remove("lock 0")
    RE(world.plan([("flip", 0, True), ("plan", "set", "pseudo")])).result(T)
    assert world.forbidden == ["set pseudo"]


def test_trips_from_other_threads(RE: Any, motor: Device) -> None:
    """A message that passes had been seen to pass: it does not begin after the trip was told."""
    door, begun, passed = Switch(), [], []
    RE.interlocks.add("door", door, devices=motor)
    over = threading.Event()
    RE.msg_hook = lambda msg: begun.append(door.get()) if msg.command == "set" else None

    def person() -> None:
        while not over.is_set():
            door.put(1)
            before = motor.position
            # One may be on its way between its verdict and the device; no second one.
            if motor.position - before > 1:
                passed.append(motor.position)
            door.put(0)

    def plan() -> Any:
        for n in range(300):
            yield from mv(motor, n)

    thread = threading.Thread(target=person)
    thread.start()
    RE(plan()).result(60)
    over.set()
    thread.join(T)
    assert not passed
    assert motor.position == 299
    assert RE(quick(1)).result(T).plan_result == 1
