"""The whole window: every plan, background tasks, claims, closing with clean-up."""

import bluesky.plans
from qtpy.QtWidgets import QApplication

import freewheel.plans
from freewheel import RunEngine
from freewheel.forms import find_plans
from freewheel.qt import AcquisitionWindow, end_on_signals, responsive
from freewheel.sim import microscope


def build(engine, scope):
    plans = find_plans([freewheel.plans, bluesky.plans], scope)
    window = AcquisitionWindow(engine, dict(scope), plans)
    return window, window.bridge


if __name__ == "__main__":
    app = QApplication([])
    with RunEngine() as engine:
        window, bridge = build(engine, microscope())
        window.show()
        with responsive(), end_on_signals(bridge):
            app.exec()
