"""Buttons: run, pause, resume, stop, and the plan's own actions."""

from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from freewheel import RunEngine
from freewheel.plans import live_view
from freewheel.qt import (
    ActionBar,
    EngineBridge,
    EngineControls,
    LiveImage,
    end_on_signals,
    responsive,
)
from freewheel.sim import microscope


def build(engine, scope):
    bridge = EngineBridge(engine)
    window = QWidget()
    layout = QVBoxLayout(window)
    layout.addWidget(EngineControls(bridge, lambda: live_view([scope.camera], rate=30)))
    layout.addWidget(ActionBar(bridge))
    layout.addWidget(LiveImage(bridge), 1)
    window.resize(700, 700)
    return window, bridge


if __name__ == "__main__":
    app = QApplication([])
    with RunEngine() as engine:
        window, bridge = build(engine, microscope())
        window.show()
        with responsive(), end_on_signals(bridge):
            app.exec()
