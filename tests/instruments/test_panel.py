"""The panel of devices on real EPICS records: limits, alarms, and IOCs that go and come back."""

# ruff: noqa: N803

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ophyd_async.epics.core import epics_signal_r, epics_signal_rw
from ophyd_async.epics.motor import Motor
from qtpy.QtWidgets import QLabel

from freewheel.qt import DevicePanel, EngineBridge, MotorRow, ReadingRow, StagePad
from freewheel.testing import IocProcess

pytestmark = [
    pytest.mark.servers,  # IOCs are processes of their own
    pytest.mark.leaks("aioca keeps its thread, for the module's engine"),
]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from freewheel import RunEngine

PATIENCE = 60.0
SERVERS = Path(__file__).parent / "servers"


@pytest.fixture
def bridge(RE: RunEngine, qapp: Any) -> Iterator[EngineBridge]:
    bridge = EngineBridge(RE)
    yield bridge
    bridge.close()


@pytest.fixture
def soon(qtbot: Any) -> Callable[[Callable[[], Any]], None]:
    """Wait, with the window alive, until something is true."""
    return lambda condition: qtbot.waitUntil(
        lambda: bool(condition()), timeout=int(1000 * PATIENCE)
    )


@pytest.fixture
def motor_ioc() -> Iterator[IocProcess]:
    with IocProcess(SERVERS / "motor_ioc.py", ready="Server startup complete") as server:
        yield server


@pytest.fixture
def soft_ioc() -> Iterator[IocProcess]:
    with IocProcess(SERVERS / "soft_ioc.py", ready="FW is up") as server:
        yield server


async def put(signal: Any, value: float) -> None:
    await signal.set(value)


def shown(row: Any, name: str = "readback") -> str:
    return str(row.findChild(QLabel, name).text())


@pytest.mark.parametrize("protocol", ["ca", "pva"])
def test_what_an_ioc_said_that_is_gone_is_stale_until_it_is_back(
    protocol: str, bridge: Any, soft_ioc: IocProcess, qtbot: Any, soon: Any, on_loop: Any
) -> None:
    value = epics_signal_r(float, f"{protocol}://FW:ALARMING", name="value")
    severity = epics_signal_rw(float, f"{protocol}://FW:SEVERITY", name="severity")
    for signal in (value, severity):
        on_loop(signal.connect(timeout=20))
    row = ReadingRow(bridge, value)
    qtbot.addWidget(row)
    soon(lambda: shown(row) == "7")
    for number, mark in ((2.0, "▲ 7"), (3.0, "? 7"), (0.0, "7")):
        on_loop(put(severity, number))
        soon(lambda mark=mark: shown(row) == mark)
    soft_ioc.kill()
    soon(lambda: shown(row) == "\N{MULTIPLICATION SIGN} 7")
    assert "stale" in row.findChild(QLabel, "readback").accessibleName()
    soft_ioc.start()
    soon(lambda: shown(row) == "7")


def test_the_limits_of_a_motor_record_are_followed_and_kept(
    bridge: Any, motor_ioc: IocProcess, qtbot: Any, soon: Any, on_loop: Any
) -> None:
    motor = Motor("ca://FW:motor", name="motor")
    on_loop(motor.connect(timeout=20))
    panel, pad = DevicePanel(bridge, {"x": motor}), StagePad(bridge, {"x": motor})
    qtbot.addWidget(panel)
    qtbot.addWidget(pad)
    row = panel.rows["x"]
    assert isinstance(row, MotorRow)  # one row, though parts of it can be set, too
    soon(lambda: shown(row, "limits") == "limits: from -100 to 100")
    on_loop(put(motor.high_limit_travel, 50.0))
    soon(lambda: shown(row, "limits") == "limits: from -100 to 50")
    soon(lambda: pad.map.extent.right() == 50)
    asked: list[str] = []
    bridge.requestMade.connect(asked.append)
    row.set_target(60.0)
    assert (
        shown(row, "limits") == "\N{MULTIPLICATION SIGN} 60 is beyond the limits, from -100 to 50"
    )
    row.move()
    assert row.problem == "60 is beyond the limits, from -100 to 50"
    assert not pad.go({"x": 60.0})
    assert asked == []
    for end in (motor.dial_low_limit_travel, motor.dial_high_limit_travel):
        on_loop(put(end, 0.0))  # as a motor record says that it has none
    soon(lambda: shown(row, "limits") == "")
    motor_ioc.kill()
    soon(lambda: shown(row).startswith("\N{MULTIPLICATION SIGN}"))
