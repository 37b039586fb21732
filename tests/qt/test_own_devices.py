"""Devices of one's own in the window: connected while it is up, those that fail with the reason."""

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from ophyd_async.core import StandardReadable, soft_signal_rw
from qtpy.QtWidgets import QComboBox

from freewheel.cli import main
from freewheel.forms import find_plans
from freewheel.plans import live_view
from freewheel.qt import AcquisitionWindow, connect_devices
from freewheel.sim import Axis, SimCamera


class Answering(StandardReadable):
    """Connects when the test says so, or fails as the test says."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.level = soft_signal_rw(float, 1.5)
        self.failure = failure
        self.asked = threading.Event()
        self.answers: asyncio.Event = asyncio.Event()
        super().__init__("device")

    async def connect(self, *args: Any, **kwargs: Any) -> None:
        self.asked.set()
        await self.answers.wait()
        if self.failure is not None:
            raise self.failure
        await super().connect(*args, **kwargs)


def open_window(engine: Any, devices: Any, qtbot: Any, timeout: float = 10.0) -> Any:
    window = AcquisitionWindow(
        engine,
        connect_devices(engine, devices, timeout),
        lambda connected: find_plans([live_view], connected),
    )
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    window.show()
    return window


def test_the_window_is_up_while_devices_are_connected(engine: Any, qtbot: Any, soon: Any) -> None:
    late, broken = Answering(), Answering(ConnectionError("no answer from the pump"))
    camera = SimCamera("camera", shape=(64, 64))
    devices = {"camera": camera, "theta": Axis("theta"), "late": late, "broken": broken}
    window = open_window(engine, devices, qtbot)
    soon(lambda: {"camera.exposure", "theta"} <= set(window.devices.rows))
    assert late.asked.wait(10)
    assert window.devices.rows["late"].text().startswith("connecting")
    assert window.chooser.entries == ()
    assert not window.controls.buttons["run"].isEnabled()
    assert "being connected" in window.chooser.findChild(QComboBox, "plans").placeholderText()
    engine.loop.call_soon_threadsafe(broken.answers.set)
    soon(lambda: "no answer from the pump" in window.devices.rows["broken"].text())
    assert "broken is not connected" in window.log.text
    engine.loop.call_soon_threadsafe(late.answers.set)
    soon(lambda: [entry.name for entry in window.chooser.entries] == ["live_view"])
    assert "late.level" in window.devices.rows
    form = window.chooser.form
    assert form.spec["detectors"].choices[0] == "camera"
    assert not any("broken" in choice for choice in form.spec["detectors"].choices)
    form.set_values({"detectors": ["camera"]})
    window.controls.run()
    soon(lambda: window.image.frame is not None)
    window.stop_and_close()
    soon(lambda: not window.isVisible())


def test_a_device_that_never_answers_is_given_up(engine: Any, qtbot: Any, soon: Any) -> None:
    window = open_window(engine, {"late": Answering()}, qtbot, timeout=0.1)
    soon(lambda: "did not connect within 0.1 s" in window.devices.rows["late"].text())
    assert [entry.name for entry in window.chooser.entries] == ["live_view"]


def test_a_window_closed_while_devices_are_connected(engine: Any, qtbot: Any) -> None:
    late = Answering()
    window = open_window(engine, {"late": late}, qtbot)
    assert late.asked.wait(10)
    assert window.close()
    engine.close()
    assert not window.isVisible()


class Plain:
    """A device with bluesky's methods alone."""

    name, parent = "plain", None

    def read(self) -> Any:
        return {}

    def describe(self) -> Any:
        return {}


class OfOphyd(Plain):
    """One that is waited for, as ophyd's are."""

    def wait_for_connection(self, timeout: float) -> None:
        if timeout < 1:
            raise TimeoutError("PV not found")


def test_devices_of_other_kinds(engine: Any) -> None:
    plain, ophyd = Plain(), OfOphyd()
    assert connect_devices(engine, {"a": plain})["a"].result(10) is plain
    assert connect_devices(engine, {"a": ophyd}, timeout=5)["a"].result(10) is ophyd
    with pytest.raises(TimeoutError, match="PV not found"):
        connect_devices(engine, {"a": ophyd}, timeout=0.5)["a"].result(10)


LAB = """
from freewheel.sim import Axis, SimCamera

detector = SimCamera("detector", shape=(32, 32))
theta = Axis("theta")
"""

DRIVE = """
import json, sys
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from freewheel.cli import main
from freewheel.qt import AcquisitionWindow

app = QApplication([])
clock = QTimer()

def look():
    for window in app.topLevelWidgets():
        if isinstance(window, AcquisitionWindow) and window.chooser.entries:
            clock.stop()
            names = [entry.name for entry in window.chooser.entries]
            print(json.dumps([sorted(window.devices.rows), names]), flush=True)
            window.close()

clock.timeout.connect(look)
clock.start(50)
sys.exit(main(["gui", *sys.argv[1:]]))
"""


def gui(folder: Path, *arguments: str) -> Any:
    return subprocess.run(
        [sys.executable, "-c", DRIVE, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_takes_a_module(tmp_path: Path) -> None:
    (tmp_path / "my_lab.py").write_text(LAB)
    ran = gui(tmp_path, "--devices", "my_lab")
    assert ran.returncode == 0, ran.stderr
    rows, plans = json.loads(ran.stdout)
    assert {"detector.exposure", "theta"} <= set(rows)
    assert "camera.exposure" not in rows
    assert {"live_view", "scan"} <= set(plans)


def test_the_command_takes_a_file_and_its_engine_beside_the_microscope(tmp_path: Path) -> None:
    engine = "from freewheel import RunEngine\nRE = RunEngine()\n"
    (tmp_path / "my_lab.py").write_text(engine + LAB)
    ran = gui(tmp_path, "--devices", "my_lab.py", "--sim", "--shape", "32")
    assert ran.returncode == 0, ran.stderr
    rows, _ = json.loads(ran.stdout)
    assert {"detector.exposure", "camera.exposure", "stage.x"} <= set(rows)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no file or module"),
        ("x = (", "SyntaxError"),
        ("number = 3", "has no devices"),
    ],
)
def test_bad_files_are_refused_before_a_window_opens(
    tmp_path: Path, text: str | None, words: str, capsys: Any, qapp: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = tmp_path / "my_lab.py"
    if text is not None:
        file.write_text(text)
    assert main(["gui", "--devices", str(file)]) == 2
    assert words in unboxed(capsys.readouterr().err)


def test_plans_that_are_not_there_are_refused(tmp_path: Path, capsys: Any, qapp: Any) -> None:
    assert main(["gui", str(tmp_path / "no_plans")]) == 2
    assert "to take plans from" in unboxed(capsys.readouterr().err)


def unboxed(text: str) -> str:
    return " ".join(text.replace("│", " ").split())
