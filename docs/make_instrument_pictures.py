"""Make the pictures of other people's instruments: ``python docs/make_instrument_pictures.py``.

Needs the extras ``qt``, ``micromanager``, ``epics`` and ``tango``, and softioc. The window is the
real one, on MMCore, on an IOC and on a Tango device server; it needs no display.
"""

# ruff: noqa: E402

import os
import re
import sys
import tempfile
from functools import partial
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import freewheel.plans
from freewheel import RunEngine
from freewheel.cli._micromanager import sequence_plan, what_is_moved_first
from freewheel.forms import find_plans
from freewheel.micromanager import devices, load
from freewheel.testing import IocProcess, free_port, local_epics

local_epics()

from picture_tools import TARGET, save, settle, wait, wait_until
from qtpy.QtWidgets import QApplication, QLineEdit

from freewheel.qt import AcquisitionWindow, connect_devices, demo_plans, use_theme
from freewheel.terminal import follow_progress

HERE = Path(__file__).parent
SERVERS = HERE.parent / "tests" / "instruments" / "servers"
sys.path.insert(0, str(HERE.parent / "tests" / "instruments"))

SEQUENCE = """
stage_positions: [{x: 0, y: 0, z: 0}, {x: 200, y: 0, z: 5}]
channels: [DAPI, FITC]
z_plan: {range: 8, step: 0.5}
time_plan: {interval: 1, loops: 20}
"""


def picture(name, own, plan, values, extra=()):
    """Run a plan in the window on some devices, and take its picture."""
    with RunEngine() as engine:
        follow_progress(engine)
        sources = [freewheel.plans, demo_plans, *extra]
        window = AcquisitionWindow(
            engine, connect_devices(engine, own, 10), partial(find_plans, sources)
        )
        window.resize(1400, 860)
        window.show()
        wait_until(lambda: not window.is_connecting)
        window.chooser.choose(plan).set_values(values)
        for edit in window.findChildren(QLineEdit):
            if Path(edit.text()).is_absolute():  # the picture is to show no folder of this machine
                edit.setText(Path(edit.text()).name)
        window.controls.run()
        if name.startswith("micro"):
            wait_until(lambda: window.image.frame is not None)
        else:
            window.tabs.setCurrentWidget(window.plot)
        wait(4)
        wait_until(lambda: window.preview.text)
        save(window.grab(), TARGET / name)
        settle(window.bridge)
        window.close()
        wait(0.5)
    KEPT.append(window)


def of_micro_manager():
    """A useq sequence on Micro-Manager's demo configuration."""
    core = load()
    core.setExposure(10)
    scope = devices(core)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        file = Path("sequence.yaml")
        file.write_text(SEQUENCE)
        picture(
            "micro-manager.png",
            what_is_moved_first(scope),
            "microscopy",
            {"file": file},
            [sequence_plan(scope)],
        )
        os.chdir(HERE)


def of_epics():
    """The scan of the page on EPICS, with the IOC and the detector of that page."""
    from ophyd_async.epics.core import epics_signal_rw

    page = (HERE / "how-to" / "epics.md").read_text()
    ioc, _, devices, *_ = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    namespace = {}
    exec(devices.split("\nRE = ")[0], namespace)  # the imports and the class
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "my_ioc.py"
        file.write_text(ioc)
        with IocProcess(file, ready="LAB is up"):
            own = {
                "x": epics_signal_rw(float, "pva://LAB:X", name="x"),
                "detector": namespace["Detector"]("ca://LAB:", "detector"),
            }
            values = {"detectors": ["detector"], "motor": "x", "start": 0, "stop": 2, "num": 300}
            picture("epics.png", own, "scan", values)


def of_tango():
    """A scan with an axis of a device server."""
    from test_tango import Axis, Detector

    port = free_port()
    where = f"tango://127.0.0.1:{port}/test/bench/1#dbase=no"
    command = [sys.executable, "-u", str(SERVERS / "tango_server.py"), str(port)]
    with IocProcess(command, ready="Ready to accept request"):
        own = {"axis": Axis(where, name="axis"), "detector": Detector(where, name="detector")}
        values = {"detectors": ["detector"], "motor": "axis", "start": -2, "stop": 4, "num": 300}
        picture("tango.png", own, "scan", values)


KEPT = []

if __name__ == "__main__":
    app = QApplication([])
    use_theme("light")
    chosen = sys.argv[1:] or ["micro_manager", "epics", "tango"]
    for each in chosen:
        globals()[f"of_{each}"]()
    os._exit(0)  # what the libraries of EPICS and Tango keep is no matter here
