"""A program for test_exit: ends with its window still there, and says what is left of it.

What it says is said where PyQt begins to clean up, after all that freewheel does at the end.
"""

import atexit
import gc
import json
import sys

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QApplication


def say() -> None:
    left = [each for each in gc.get_objects() if isinstance(each, QObject) and isalive(each)]
    names = sorted({type(each).__name__ for each in left})
    print(json.dumps({"objects": names, "windows": len(QApplication.topLevelWidgets())}))


atexit.register(say)

import freewheel.plans  # noqa: E402 - what it registers at the end has to come before `say`
from freewheel import RunEngine  # noqa: E402
from freewheel.forms import find_plans  # noqa: E402
from freewheel.qt import AcquisitionWindow, responsive  # noqa: E402
from freewheel.sim import microscope  # noqa: E402

app = QApplication(sys.argv)
with RunEngine() as engine:
    devices = dict(microscope(shape=(64, 64)))
    window = AcquisitionWindow(engine, devices, find_plans([freewheel.plans], devices))
    window.show()
    kept = [window, lambda: window]  # as a slot of a program's own would
    QTimer.singleShot(100, window.close)
    with responsive():
        app.exec()
