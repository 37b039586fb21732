"""The window on Micro-Manager's demo configuration: devices, and a sequence from a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bluesky.plans import count
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QLabel, QPushButton

from freewheel.cli._micromanager import sequence_plan
from freewheel.forms import find_plans
from freewheel.micromanager import devices, load
from freewheel.plans import live_view
from freewheel.qt import AcquisitionWindow, connect_devices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymmcore_plus import CMMCorePlus

SEQUENCE = """
stage_positions: [{x: 0, y: 0, z: 0}, {x: 50, y: 0, z: 5}]
z_plan: {range: 4, step: 1}
"""


@pytest.fixture
def core(qtbot: Any) -> Iterator[CMMCorePlus]:
    # Made while a Qt application runs: its signals are Qt's.
    core = load()
    core.setExposure(5)
    yield core
    core.unloadAllDevices()


@pytest.fixture
def window(core: CMMCorePlus, engine: Any, qtbot: Any, soon: Any) -> Any:
    # The core first, for its devices are unloaded last: when nobody reads them any more.
    scope = devices(core)
    window = AcquisitionWindow(
        engine,
        connect_devices(engine, dict(scope), 10.0),
        lambda connected: find_plans([live_view, sequence_plan(scope)], connected),
    )
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    window.show()
    soon(lambda: not window.is_connecting)
    return window


def test_a_sequence_from_a_file(window: Any, engine: Any, soon: Any, tmp_path: Path) -> None:
    file = tmp_path / "sequence.yaml"
    file.write_text(SEQUENCE)
    output = tmp_path / "stack.ome.zarr"
    seen: list[Any] = []
    engine.subscribe(lambda name, doc: seen.append((name, doc)))
    form = window.chooser.choose("microscopy")
    form.set_values({"file": file, "output": str(output)})
    window.controls.run()
    soon(lambda: [name for name, _ in seen].count("stop") == 1 and not window.busy)
    assert [name for name, _ in seen].count("event") == 10
    soon(lambda: window.image.frame is not None and window.image.frame.shape == (512, 512))
    assert output.exists()


def test_a_change_made_elsewhere_is_shown(window: Any, core: CMMCorePlus, soon: Any) -> None:
    soon(lambda: "z" in window.devices.rows)
    core.setPosition("Z", 7.5)
    labels = window.devices.rows["z"].findChildren(QLabel)
    soon(lambda: any("7.5" in label.text() for label in labels))


@pytest.mark.parametrize(
    ("name", "target", "shown"),
    [
        ("channel_group", "FITC", "FITC"),
        ("objective", "Nikon 20X Plan Fluor ELWD", "Nikon 20X Plan Fluor ELWD"),
        ("led_shutter", "Open", "Open"),
        ("xy.x", 30.0, "30"),
    ],
)
def test_what_takes_a_name_or_has_axes_is_moved_by_hand(
    window: Any, soon: Any, name: str, target: Any, shown: str
) -> None:
    soon(lambda: name in window.devices.rows)
    row = window.devices.rows[name]
    row.set_target(target)
    row.findChild(QPushButton, "go").click()
    soon(lambda: row.findChild(QLabel, "readback").text() == shown or row.problem)
    assert row.problem == ""


def test_pictures_have_a_scale_and_places_in_them_can_be_gone_to_without_a_calibration(
    window: Any, core: CMMCorePlus, engine: Any, soon: Any
) -> None:
    core.setPixelSizeAffine("Res20x", (0.0, 0.5, 0.0, -0.5, 0.0, 0.0))  # turned by 90 degrees
    core.setProperty("Objective", "Label", "Nikon 20X Plan Fluor ELWD")
    pad = window.stage
    soon(lambda: {"xy.x", "xy.y"} < set(pad.place))
    click = pad.findChild(QPushButton, "clickToMove")
    assert not click.isEnabled()
    engine(count([window.bar._devices["camera"]]))
    soon(lambda: window.image.pixel_size == (0.5, "um"))
    soon(click.isEnabled)
    assert "0.5 um, as the camera tells" in pad._click.text
    click.click()
    soon(lambda: not window.busy)
    pad._click._clicks.clicked.emit(256.0 + 20, 256.0)  # to the right of the middle
    soon(lambda: pad.place["xy.y"] == pytest.approx(-10, abs=0.1))
    assert pad.place["xy.x"] == pytest.approx(0, abs=0.1)
    window.bar.start_live()
    soon(lambda: window.bar._switch.is_running)
    core.setProperty("Objective", "Label", "Nikon 40X Plan Fluor ELWD")  # nobody has measured it
    soon(lambda: window.image.pixel_size == (0.25, "um"))  # it goes on in a run that says so
    soon(lambda: not click.isEnabled())
    assert pad._click.text == "not calibrated"
    window.bar.stop_live()
    soon(lambda: not window.busy)


def test_a_property_takes_a_text(window: Any, core: CMMCorePlus, soon: Any) -> None:
    name = "camera.properties.AsyncPropertyLeader"
    soon(lambda: name in window.devices.rows)
    row = window.devices.rows[name]
    row.set_value("follow me")
    row.findChild(QPushButton, "set").click()
    soon(lambda: row.findChild(QLabel, "readback").text() == "follow me" or row.problem)
    assert core.getProperty("Camera", "AsyncPropertyLeader") == "follow me"


def test_long_names_push_no_button_out_of_the_panel(window: Any, soon: Any) -> None:
    # As it wants to be: the screen of the tests is smaller, and its docks were squeezed for that.
    window.resize(1400, 860)
    docks = [window.findChild(QDockWidget, name) for name in ("Plan", "Devices")]
    window.resizeDocks(docks, [390, 420], Qt.Orientation.Horizontal)
    soon(lambda: "camera.properties.ReadNoise_electrons" in window.devices.rows)
    soon(lambda: window.devices.width() <= window.devices.parentWidget().width())


@pytest.mark.parametrize(
    ("argument", "said"),
    [("nope.cfg", "no Micro-Manager configuration nope.cfg"), ("bad.cfg", "bad.cfg:2: Device,")],
)
def test_a_configuration_that_does_not_load(tmp_path: Path, argument: str, said: str) -> None:
    (tmp_path / "bad.cfg").write_text("# mine\nDevice,Cam,NoSuchLibrary,Cam\n")
    done = subprocess.run(
        [sys.executable, "-m", "freewheel", "gui", "--micromanager", argument],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr.replace("\n", "").replace("│", "")


def test_without_a_file_it_is_the_demo_configuration(tmp_path: Path) -> None:
    picture = tmp_path / "window.png"
    done = subprocess.run(
        [sys.executable, "-m", "freewheel", "gui", "--micromanager", "--screenshot", picture],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert picture.exists()
