"""The programs of the page on QThreads, qasync, pymmcore-widgets and napari."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bluesky.plan_stubs import sleep
from qtpy.QtWidgets import QSpinBox

from freewheel.plan_stubs import claim
from freewheel.plans import live_view
from pages import ROOT, blocks_of

PAGE = ROOT / "docs/how-to/qt-programs.md"


def program(name: str, folder: Path) -> Path:
    (block,) = [block for block in blocks_of(PAGE) if block.file == name]
    path = folder / name
    path.write_text(block.text)
    return path


def module(name: str, folder: Path) -> Any:
    path = program(name, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_a_worker_in_a_qthread_measures(
    engine: Any, scope: Any, qtbot: Any, soon: Any, tmp_path: Path
) -> None:
    label = module("threads.py", tmp_path).build(engine, scope)
    qtbot.addWidget(label)
    bridge, thread, _ = label.parts
    soon(lambda: label.text() != "…" and label.toolTip() == "idle")
    assert float(label.text()) > 0
    soon(thread.isFinished)
    bridge.close()


@pytest.mark.servers
def test_a_plan_is_awaited_within_qasync(tmp_path: Path) -> None:
    pytest.importorskip("qasync")
    path = program("with_qasync.py", tmp_path)
    # qasync's loop complains when it is collected after the application.
    end = "import os, runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')\n"
    end += "sys.stdout.flush(); os._exit(0)"
    ran = subprocess.run(
        [sys.executable, "-c", end, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.splitlines() == ["success"], ran.stderr


def property_widgets() -> list[Any]:
    """Return a widget of Qt that sets the core's property; and theirs, where it is installed."""

    def plain(device: str, name: str, mmcore: Any) -> QSpinBox:
        box = QSpinBox()
        box.setRange(-10, 10)
        box.valueChanged.connect(lambda value: mmcore.setProperty(device, name, value))
        return box

    return [pytest.param(plain, id="plain"), pytest.param(None, id="pymmcore-widgets")]


@pytest.mark.servers
@pytest.mark.parametrize("make", property_widgets())
def test_theirs_and_ours_show_one_camera(
    make: Any, engine: Any, qtbot: Any, soon: Any, tmp_path: Path
) -> None:
    micromanager = pytest.importorskip("freewheel.micromanager")
    if make is None:
        make = pytest.importorskip("pymmcore_widgets", exc_type=ImportError).PropertyWidget
    core = micromanager.load(None)
    build = module("beside_pymmcore.py", tmp_path).build
    window, scope, widget = build(engine, core, make)
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    window.show()
    soon(lambda: window.presets.readings.get("camera.properties.Gain") == 0)
    widget.setValue(3)  # by hand, in theirs
    soon(lambda: window.presets.readings["camera.properties.Gain"] == 3)

    def hold() -> Any:
        yield from claim(scope.camera)
        yield from sleep(60)

    assert widget.isEnabled()
    future = engine(hold())
    soon(lambda: not widget.isEnabled())
    engine.stop()
    soon(lambda: widget.isEnabled() and future.outcome.done())
    window.preview.end()
    scope.close()


def test_a_viewer_shows_the_newest_frame(
    engine: Any, bridge: Any, scope: Any, soon: Any, tmp_path: Path
) -> None:
    feed = module("napari_viewer.py", tmp_path).feed

    class Layer:
        def __init__(self, data: Any) -> None:
            self.data = data

    class Viewer:  # as much of napari's as the page uses
        def __init__(self) -> None:
            self.layers: dict[str, Layer] = {}

        def add_image(self, data: Any, *, name: str) -> None:
            self.layers[name] = Layer(data)

    if importlib.util.find_spec("napari"):
        from napari.components import ViewerModel

        viewer: Any = ViewerModel()
    else:
        viewer = Viewer()
    feed(viewer, bridge, "camera-image")
    future = engine(live_view([scope.camera], rate=50))
    soon(lambda: "camera-image" in viewer.layers)
    first = np.array(viewer.layers["camera-image"].data)
    assert first.shape == (64, 64)
    soon(lambda: not np.array_equal(viewer.layers["camera-image"].data, first))
    engine.stop()
    soon(future.outcome.done)
