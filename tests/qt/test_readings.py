"""What devices read in the panel: read-only ones too, with alarms, limits and lost connections."""

from typing import Any

from ophyd_async.core import SignalR, SoftSignalBackend
from qtpy.QtWidgets import QLabel

from freewheel.qt import DevicePanel, MotorRow, ReadingRow, SettingRow
from freewheel.qt._link._feed import Feed
from freewheel.qt._link._signal_watch import Limits as Shown
from freewheel.qt._link._signal_watch import SignalWatch, Standing


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


async def test_a_signal_that_tells_nothing_is_asked() -> None:
    # As those of a Tango server without events are, whose type cannot be looked at by turns.
    class Silent(SignalR[str]):
        def subscribe_reading(self, function: Any) -> None: ...

    signal = Silent(SoftSignalBackend(str, "there"), name="status")
    await signal.connect()
    feed = Collected()
    await SignalWatch(signal, feed).start()
    assert feed.got == [("reading", "there")]


class Collected(Feed):
    def __init__(self) -> None:
        self.got: list[Any] = []

    def put(self, kind: str, *arguments: Any) -> None:
        self.got.append((kind, *arguments))


def test_a_signal_of_ophyd_that_has_lost_its_connection_is_stale() -> None:
    feed = Collected()
    watch = SignalWatch(object(), feed)
    watch.meta_changed(connected=False)
    watch.meta_changed(connected=False)
    watch.meta_changed(connected=True, severity=2)
    watch.meta_changed(connected=True, severity=0)
    assert [standing for _, standing in feed.got] == [
        Standing.LOST,
        Standing.MAJOR,
        Standing.FINE,
    ]


def test_limits_of_ophyd_that_are_equal_are_none() -> None:
    from freewheel.qt._link._signal_watch import _limits_of

    assert _limits_of({"lower_ctrl_limit": 0, "upper_ctrl_limit": 0}) == Shown()
    assert str(_limits_of({"lower_ctrl_limit": -1, "upper_ctrl_limit": 2})) == "from -1 to 2"
    assert str(Shown(high=3)) == "to 3"
