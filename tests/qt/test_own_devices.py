"""Devices of one's own in the window: connected while it is up, those that fail with the reason."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ophyd_async.core import StandardReadable, soft_signal_rw
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton

from freewheel.cli import main
from freewheel.cli._gui import _entries
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
    assert "being connected" in window.chooser.findChild(QComboBox, "plans").placeholderText()
    # The live view need not wait for the others.
    soon(lambda: [entry.name for entry in window.chooser.entries] == ["live_view"])
    form = window.chooser.form
    form.set_values({"detectors": ["camera"], "rate": 7.0})
    engine.loop.call_soon_threadsafe(broken.answers.set)
    soon(lambda: "no answer from the pump" in window.devices.rows["broken"].text())
    assert "broken is not connected" in window.log.text
    engine.loop.call_soon_threadsafe(late.answers.set)
    soon(lambda: "late" in window.chooser.form.spec["detectors"].choices)
    assert "late.level" in window.devices.rows
    form = window.chooser.form
    assert form.values()["rate"] == 7  # what was filled in stays
    assert form.values()["detectors"] == ["camera"]
    assert form.spec["detectors"].choices[0] == "camera"
    assert not any("broken" in choice for choice in form.spec["detectors"].choices)
    window.controls.run()
    soon(lambda: window.image.frame is not None)
    window.stop_and_close()
    soon(lambda: not window.isVisible())


def test_a_device_that_failed_is_connected_once_more(engine: Any, qtbot: Any, soon: Any) -> None:
    broken = Answering(ConnectionError("no answer from the pump"))
    broken.answers.set()
    window = open_window(engine, {"broken": broken}, qtbot)
    soon(lambda: "no answer from the pump" in window.devices.rows["broken"].text())
    broken.failure = None
    broken.answers.clear()
    retry = window.devices.findChild(QPushButton, "retry:broken")
    assert retry.accessibleName() == "Connect broken once more"
    retry.click()
    soon(lambda: window.devices.rows["broken"].text().startswith("connecting"))
    engine.loop.call_soon_threadsafe(broken.answers.set)
    soon(lambda: "broken.level" in window.devices.rows)
    soon(lambda: "broken" in window.chooser.form.spec["detectors"].choices)


def test_plans_are_loaded_again_when_their_file_changes(
    engine: Any, qtbot: Any, soon: Any, tmp_path: Path
) -> None:
    text = (
        "import bluesky.plan_stubs as bps\ndef waits(seconds: float = {}): yield from bps.null()\n"
    )
    file = tmp_path / "mine.py"
    file.write_text(text.format(1))
    window = AcquisitionWindow(engine, {}, lambda known: find_plans([tmp_path], known))
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    assert window.chooser.form.spec["seconds"].default == 1
    window.chooser.form.set_values({"seconds": 5.0})
    file.write_text(text.format(2) + "def more(): yield from bps.null()\n")
    soon(lambda: [entry.name for entry in window.chooser.entries] == ["waits", "more"])
    assert window.chooser.form.spec["seconds"].default == 2
    assert window.chooser.form.values() == {"seconds": 5}
    assert "loaded again: mine.py" in window.log.text
    file.write_text("1 / 0\n")
    soon(lambda: not window.chooser.entries[0].available)
    (tmp_path / "other.py").write_text(text.format(3))
    file.write_text(text.format(1))
    soon(lambda: [entry.name for entry in window.chooser.entries] == ["waits", "waits"])


def test_plans_come_back_to_a_file_that_was_empty_or_gone(
    engine: Any, qtbot: Any, soon: Any, tmp_path: Path
) -> None:
    text = "def waits(): yield\n"
    file = tmp_path / "mine.py"
    file.write_text(text)
    window = AcquisitionWindow(engine, {}, lambda known: find_plans([file], known))
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    file.write_text("")
    soon(lambda: not window.chooser.entries)
    file.write_text(text)
    soon(lambda: window.chooser.entries)
    file.unlink()
    soon(lambda: "there is no file" in str(window.errors.rows))
    file.write_text(text + "def more(): yield\n")
    soon(lambda: len(window.chooser.entries) == 2)


class Gate:
    """What files that are imported wait at."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.reached.set()
        assert self.opened.wait(60)


def loading() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "freewheel-plans"]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate()
    monkeypatch.setitem(sys.modules, "gate", made)  # type: ignore[arg-type]
    yield made
    made.opened.set()


def test_a_file_that_takes_long_to_be_imported_holds_up_no_window(
    engine: Any, qtbot: Any, soon: Any, tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freewheel.qt._plans._loading._TOLD_MS", 10)
    file = tmp_path / "mine.py"
    file.write_text("def waits(): yield\n")
    window = AcquisitionWindow(engine, {}, lambda known: find_plans([file], known))
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    said = window.chooser.findChild(QLabel, "plans:loading")
    assert not said.isVisibleTo(window)

    def names() -> list[str]:
        return [entry.name for entry in window.chooser.entries]

    # One that never ends: those that were there are on offer, and another try has others.
    monkeypatch.setattr("freewheel.qt._plans._loading._LONG", 0)
    file.write_text("import gate\ngate.wait()\ndef late(): yield\n")
    soon(gate.reached.is_set)
    soon(lambda: said.isVisibleTo(window))
    assert re.fullmatch(r"mine\.py is still being imported \(\d+ s\) …", said.text())
    assert f"{file} is still being imported" in window.log.text
    assert names() == ["waits"]
    file.write_text("def mended(): yield\n")
    soon(lambda: names() == ["mended"])
    assert not said.isVisibleTo(window)
    # What it has in the end is that of a file that is there no more.
    given_up = loading()
    assert given_up
    gate.opened.set()
    for thread in given_up:
        thread.join(60)
    file.write_text("def again(): yield\n")
    soon(lambda: names() == ["again"])


def test_a_window_opens_and_closes_while_a_file_is_imported(
    engine: Any, qtbot: Any, soon: Any, tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freewheel.qt._plans._loading._FIRST", 0)
    monkeypatch.setattr("freewheel.qt._plans._loading._LONG", 0)
    monkeypatch.setattr("freewheel.qt._plans._loading._TOLD_MS", 10)
    file = tmp_path / "mine.py"
    file.write_text("import gate\ngate.wait()\n")
    window = AcquisitionWindow(engine, {}, lambda known: find_plans([file], known))
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    soon(lambda: "is still being imported" in window.log.text)
    file.write_text("def mended(): yield\n")  # though it was never loaded it is looked after
    soon(lambda: [entry.name for entry in window.chooser.entries] == ["mended"])
    file.write_text("import gate\ngate.wait()\n")
    soon(lambda: window.chooser.findChild(QLabel, "plans:loading").isVisibleTo(window))
    assert window.close()
    assert loading()
    assert all(thread.daemon for thread in loading())  # so that the process ends


def test_a_file_that_is_saved_twice_in_a_second_is_read_twice(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    for default in (1, 2):
        file.write_text(f"def waits(n: int = {default}): yield\n")
        os.utime(file, (1e9, 1e9))
        assert find_plans([file])[0].spec["n"].default == default


def test_a_device_that_never_answers_is_given_up(engine: Any, qtbot: Any, soon: Any) -> None:
    window = open_window(engine, {"late": Answering()}, qtbot, timeout=0.1)
    soon(lambda: "did not connect within 0.1 s" in window.devices.rows["late"].text())
    soon(lambda: [entry.name for entry in window.chooser.entries] == ["live_view"])


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
        if isinstance(window, AcquisitionWindow) and not window.is_connecting:
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


@pytest.mark.parametrize("places", [True, False])
def test_scans_of_ones_own_motors_have_no_places_filled_in(places: bool, scope: Any) -> None:
    entries = {entry.name: entry for entry in _entries([], dict(scope), places=places)}
    for name, of_places in (("scan", 2), ("grid_scan", 4)):
        spec = entries[name].spec
        assert spec is not None
        asked = [each.name for each in spec.parameters if each.required]
        found = [each for each in asked if each.endswith(("start", "stop"))]
        assert len(found) == (0 if places else of_places)
        assert "num" not in asked


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
