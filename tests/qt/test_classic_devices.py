"""Devices of ophyd in the window's panel: callbacks take keywords, parts are components."""

import subprocess
import sys
from typing import Any

import pytest
from qtpy.QtWidgets import QLabel

from freewheel.qt import DevicePanel, EngineBridge, MotorRow, SettingRow

pytest.importorskip("ophyd")


@pytest.fixture(name="panel")
def _panel(engine: Any, qtbot: Any) -> Any:
    from ophyd import Component, Device, Signal, SoftPositioner
    from ophyd.sim import SynAxis

    class Source(Device):
        current = Component(Signal, value=1.5)
        gap = Component(SoftPositioner, init_pos=4.0, egu="mm")

    bridge = EngineBridge(engine)
    devices = {"motor": SynAxis(name="motor", value=2.5), "source": Source(name="source")}
    panel = DevicePanel(bridge, devices)
    panel.of = devices
    qtbot.addWidget(panel, before_close_func=lambda _: bridge.close())
    return panel


def shown(row: Any) -> str:
    return str(row.findChild(QLabel, "readback").text())


def test_a_device_has_a_row_for_each_component(panel: Any) -> None:
    assert isinstance(panel.rows["source.current"], SettingRow)
    assert isinstance(panel.rows["source.gap"], MotorRow)
    assert isinstance(panel.rows["motor"], MotorRow)


def test_readbacks_are_shown_from_the_start_and_when_they_change(panel: Any, soon: Any) -> None:
    motor, current = panel.rows["motor"], panel.rows["source.current"]
    soon(lambda: shown(motor) == "2.5")
    soon(lambda: shown(current) == "1.5")
    soon(lambda: shown(panel.rows["source.gap"]) == "4")
    panel.of["source"].current.put(7.25)
    soon(lambda: shown(current) == "7.25")
    motor.set_target(3.5)
    motor.move()
    soon(lambda: shown(motor) == "3.5")
    current.set_value(2.0)
    current.apply()
    soon(lambda: shown(current) == "2")


PROGRAM = """\
import asyncio, os, sys
sys.modules["uvloop"] = None  # as where it is not installed
from qtpy.QtWidgets import QApplication
import qasync
from bluesky.plan_stubs import sleep
from freewheel import RunEngine

async def main():
    with RunEngine() as RE:
        print(type(RE.loop).__module__.split(".")[0])
        result = await asyncio.wait_for(asyncio.wrap_future(RE(sleep(0.01)).outcome), 20)
        print(result.exit_status)

app = QApplication([])
qasync.run(main())
sys.stdout.flush()
os._exit(0)  # qasync's loop complains when it is collected after the application
"""


def test_an_engine_made_within_qasync_runs_its_plans() -> None:
    pytest.importorskip("qasync")
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stdout.splitlines() == ["asyncio", "success"], ran.stderr
