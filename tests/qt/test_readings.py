"""What devices read in the panel: read-only ones too, with alarms, limits and lost connections."""

import asyncio
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from ophyd_async.core import SignalR
from qtpy.QtWidgets import QLabel, QPushButton

from doubles import Silent
from freewheel.core._server_watch import ServerWatch
from freewheel.plan_stubs import claim
from freewheel.qt import DevicePanel, MotorRow, ReadingRow, SettingRow
from freewheel.qt._link._feed import Feed
from freewheel.qt._link._limits import Limits, LimitsWatch, limits_in
from freewheel.qt._link._signal_watch import SignalWatch, Standing
from freewheel.sim import Axis


def shown(row: Any) -> QLabel:
    return row.findChild(QLabel, "readback")


def test_what_is_only_read_is_in_the_panel(bridge: Any, scope: Any, qtbot: Any, soon: Any) -> None:
    panel = DevicePanel(bridge, dict(scope))
    qtbot.addWidget(panel)
    row = panel.rows["temperature.readback"]
    assert isinstance(row, ReadingRow)
    soon(lambda: shown(row).text().startswith("2"))
    soon(lambda: "readback [degC]" in [label.text() for label in row.findChildren(QLabel)])
    assert isinstance(panel.rows["file_camera.frames_written"], ReadingRow)
    assert "camera.image" not in panel.rows  # no line for a picture


class Alarming:
    """A signal as ophyd-async has them, whose readings carry a severity."""

    name, parent, datatype = "pressure", None, float

    def subscribe_reading(self, function: Any) -> None:
        self.tell = lambda value, severity: function(
            {"pressure": {"value": value, "timestamp": 0.0, "alarm_severity": severity}}
        )

    subscribe = subscribe_reading

    async def read(self) -> Any:
        return {}

    async def describe(self) -> Any:
        return {"pressure": {"units": "mbar", "limits": {"control": {"low": 0.0, "high": 5.0}}}}

    def set(self, value: Any) -> None: ...


def test_an_alarm_is_marked_in_words_and_signs(bridge: Any, qtbot: Any, soon: Any) -> None:
    signal = Alarming()
    row = ReadingRow(bridge, signal)
    qtbot.addWidget(row)
    soon(lambda: hasattr(signal, "tell"))
    for severity, mark, said in ((2, "▲ 3", "major"), (1, "△ 3", "minor"), (3, "? 3", "invalid")):
        signal.tell(3.0, severity)
        soon(lambda mark=mark: shown(row).text() == mark)
        assert said in shown(row).toolTip()
        assert said in shown(row).accessibleName()
    signal.tell(3.0, 0)
    soon(lambda: shown(row).text() == "3")


class Plain:
    """A device with bluesky's methods alone, as a person writes one for a serial line."""

    name, parent = "gauge", None

    def __init__(self, **values: Any) -> None:
        self.values, self.error = values, ""

    def describe(self) -> Any:
        about = {"source": "serial", "dtype": "number", "shape": [], "units": "mbar"}
        return {f"gauge_{key}": about for key in self.values}

    def read(self) -> Any:
        if self.error:
            raise OSError(self.error)
        return {f"gauge_{k}": {"value": v, "timestamp": 1.0} for k, v in self.values.items()}


def test_a_plain_device_has_what_it_reads_and_what_plans_read(
    bridge: Any, qtbot: Any, soon: Any
) -> None:
    gauge = Plain(low=1.5)
    panel = DevicePanel(bridge, {"gauge": gauge})
    qtbot.addWidget(panel)
    row = panel.rows["gauge"]
    soon(lambda: shown(row).text() == "1.5")
    assert "gauge [mbar]" in [label.text() for label in row.findChildren(QLabel)]
    gauge.values["low"] = 2.0
    done = bridge.run(bp.count([gauge])).outcome
    soon(lambda: done.done() and shown(row).text() == "2")
    soon(lambda: not row._streams)  # of a run that is over
    gauge.error = "no answer"
    row.findChild(QPushButton, "read").click()
    soon(lambda: row.problem == "OSError: no answer")
    gauge.error, gauge.values["low"] = "", 3.0
    row.findChild(QPushButton, "read").click()
    soon(lambda: shown(row).text() == "3" and not row.problem)


def test_several_values_of_a_plain_device_are_told_apart(
    bridge: Any, qtbot: Any, soon: Any
) -> None:
    row = DevicePanel(bridge, {"gauge": Plain(low=1.5, map=np.zeros((4, 3)))})
    qtbot.addWidget(row)
    soon(lambda: shown(row).text() == "low 1.5 mbar, map 4 \N{MULTIPLICATION SIGN} 3")


def test_a_plain_device_that_is_triggered_is_not_read_before(
    bridge: Any, qtbot: Any, soon: Any
) -> None:
    class Counter(Plain):
        def trigger(self) -> Any: ...

    panel = DevicePanel(bridge, {"gauge": Counter(low=1.5)})
    qtbot.addWidget(panel)
    row = panel.rows["gauge"]
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), bridge.engine.loop).result(10)
    row._feed.deliver()
    assert shown(row).text() == "-"


def test_limits_are_shown_and_kept(bridge: Any, qtbot: Any, soon: Any) -> None:
    row = SettingRow(bridge, Alarming())
    qtbot.addWidget(row)
    editor = row.findChild(object, "value")
    soon(lambda: editor.toolTip() == "from 0 to 5")
    asked: list[str] = []
    bridge.requestMade.connect(asked.append)
    row.set_value(6.0)
    row.apply()
    assert row.problem == "6 is beyond the limits, from 0 to 5"
    editor.set_value(4.5)
    editor.stepBy(1)
    assert editor.value() == 5
    assert asked == []


def test_a_step_beyond_the_limits_is_refused(bridge: Any, qtbot: Any, soon: Any) -> None:
    signal = Alarming()
    row = MotorRow(bridge, signal)
    qtbot.addWidget(row)
    soon(lambda: hasattr(signal, "tell"))
    signal.tell(4.5, 0)
    soon(lambda: row.findChild(object, "target").value() == 4.5)
    soon(lambda: row.findChild(object, "target").toolTip())
    row.step(1.0)
    assert "5.5 is beyond the limits" in row.problem


def limits_of(row: Any) -> str:
    return str(row.findChild(QLabel, "limits").text())


def test_a_target_beyond_the_limits_of_a_motor_is_marked_and_refused(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    scope.focus.limits = (-20.0, 30.0)
    row = MotorRow(bridge, scope.focus)
    qtbot.addWidget(row)
    soon(lambda: limits_of(row) == "limits: from -20 to 30")
    assert "from -20 to 30" in row.findChild(QLabel, "").toolTip()
    target = row.findChild(object, "target")
    soon(lambda: target.value() == 0)
    row.set_target(31.0)
    assert limits_of(row) == "\N{MULTIPLICATION SIGN} 31 is beyond the limits, from -20 to 30"
    assert target.accessibleDescription() == target.toolTip() == limits_of(row)[2:]
    assert "border" in target.styleSheet()
    asked: list[str] = []
    bridge.requestMade.connect(asked.append)
    row.move()
    row.set_to(-21.0)
    row.step(31.0)
    assert "31 is beyond" in row.problem
    assert asked == []
    row.set_target(30.0)
    assert limits_of(row) == "limits: from -20 to 30"
    assert target.styleSheet() == ""
    row.move()
    soon(lambda: shown(row).text() == "30")


def test_nobody_is_paused_for_a_move_beyond_the_limits(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    scope.focus.limits = (-20.0, 30.0)
    row = MotorRow(bridge, scope.focus)
    qtbot.addWidget(row)
    soon(lambda: limits_of(row))

    def hold() -> Any:
        yield from claim(scope.focus)
        yield from bps.checkpoint()
        yield from bps.sleep(60)

    bridge.run(hold())
    soon(lambda: row.findChild(QPushButton, "pauseAndMove").isEnabled())
    row.set_target(31.0)
    row.pause_and_move()
    assert "beyond the limits" in row.problem
    assert bridge.snapshot().state == "running"
    bridge.stop()
    soon(lambda: bridge.snapshot().state == "idle")


def test_limits_of_motors_of_ophyd_are_asked_for_or_followed(
    bridge: Any, qtbot: Any, soon: Any
) -> None:
    from ophyd import Component, Device, Signal, SoftPositioner

    class Record(Device):  # as EpicsMotor is made
        user_readback = Component(Signal, value=0.0)
        low_limit_travel = Component(Signal, value=-1.0)
        high_limit_travel = Component(Signal, value=2.0)

        def set(self, value: float) -> Any: ...

    soft = MotorRow(bridge, SoftPositioner(name="soft", limits=(-5, 5), init_pos=0.0))
    record = Record(name="record")
    followed = MotorRow(bridge, record)
    for row in (soft, followed):
        qtbot.addWidget(row)
    soon(lambda: limits_of(soft) == "limits: from -5 to 5")
    soon(lambda: limits_of(followed) == "limits: from -1 to 2")
    record.high_limit_travel.put(7.0)
    soon(lambda: limits_of(followed) == "limits: from -1 to 7")


async def test_limits_are_those_of_the_setpoint_rather_than_of_the_readback() -> None:
    class Described:
        def __init__(self, low: float, high: float) -> None:
            self._key = {"limits": {"control": {"low": low, "high": high}}}

        async def describe(self) -> Any:
            return {"it": self._key}

    class Motor(Described):
        readback, setpoint = Described(0, 1000), Described(0, 5)

    told: list[Limits] = []
    await LimitsWatch(Motor(0, 2000), told.append).ask()
    assert told == [Limits(0.0, 5.0)]


async def test_an_axis_tells_its_limits_to_whoever_sees_no_more_of_it() -> None:
    axis = Axis("focus", limits=(-20.0, float("inf")))
    await axis.connect()
    assert limits_in((await axis.describe())["focus"]) == Limits(-20.0, None)


async def test_a_signal_that_tells_nothing_is_asked_again_and_again() -> None:
    signal = SignalR(backend := Silent(str, "there"), name="status")
    await signal.connect()
    feed = Collected()
    watch = SignalWatch(signal, feed, silence=0, period=0)
    await watch.start()
    assert feed.got == [("reading", "there")]
    backend.set_value("here")
    await feed.gets("reading", "here")
    backend.is_away = True
    await feed.gets("standing", Standing.LOST)
    backend.is_away = False
    await feed.gets("standing", Standing.FINE)
    watch.stop()
    assert watch._readings._turns is not None
    with pytest.raises(asyncio.CancelledError):
        await watch._readings._turns


async def test_who_reads_a_signal_that_tells_nothing_is_answered_beside_the_window() -> None:
    signal = SignalR(Silent(str, "there"), name="status")
    await signal.connect()
    feed = Collected()
    watch = SignalWatch(signal, feed, silence=0, period=0)
    await watch.start()
    await feed.gets("reading", "there")  # again
    assert await signal.get_value() == "there"  # which waited for what is never told
    watch.stop()


class Collected(Feed):
    def __init__(self) -> None:
        self.got: list[Any] = []
        self._came = asyncio.Event()

    def put(self, kind: str, *arguments: Any) -> None:
        self.got.append((kind, *arguments))
        self._came.set()

    async def gets(self, *news: Any) -> None:
        """Wait until something is told that was not told before."""
        self.got.clear()
        while news not in self.got:
            self._came.clear()
            await self._came.wait()


class Classic:
    """As a signal of ophyd tells of itself."""

    SUB_META = "meta"

    def __init__(self) -> None:
        self.told: list[Any] = []

    def subscribe(self, function: Any, event_type: str = "value") -> None:
        if event_type == "meta":
            self.told.append(function)

    def clear_sub(self, function: Any) -> None:
        if function in self.told:
            self.told.remove(function)


async def test_a_signal_of_ophyd_that_has_lost_its_connection_is_stale() -> None:
    feed, signal = Collected(), Classic()
    watch = SignalWatch(signal, feed)
    await watch.start()
    for news in (
        {"connected": False},
        {"connected": False},
        {"connected": True, "severity": 2},
        {"connected": True, "severity": 0},
    ):
        for function in signal.told:
            function(**news)
    watch.stop()
    assert signal.told == []
    assert [standing for _, standing in feed.got] == [
        Standing.LOST,
        Standing.MAJOR,
        Standing.FINE,
    ]


def test_limits_of_ophyd_that_are_equal_are_none() -> None:
    assert limits_in({"lower_ctrl_limit": 0, "upper_ctrl_limit": 0}) == Limits()
    assert str(limits_in({"lower_ctrl_limit": -1, "upper_ctrl_limit": 2})) == "from -1 to 2"
    assert str(Limits(high=3)) == "to 3"


def test_a_server_that_goes_before_it_was_first_asked_is_lost_if_it_has_told_something() -> None:
    told: list[bool] = []
    watch = ServerWatch(object(), told.append)
    watch._hears(False)
    assert told == []  # it has to be there first
    watch.was_there()
    watch._hears(False)
    watch._hears(True)
    assert told == [False, True]
