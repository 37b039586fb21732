"""An engine, a live view, and a window that shows it."""

from qtpy.QtWidgets import QApplication

from freewheel import RunEngine
from freewheel.plans import live_view
from freewheel.qt import EngineBridge, LiveImage, end_on_signals, responsive
from freewheel.sim import microscope


def build(engine, scope):
    bridge = EngineBridge(engine)
    image = LiveImage(bridge)
    image.resize(700, 600)
    bridge.run(live_view([scope.camera], rate=30))
    return image, bridge


if __name__ == "__main__":
    app = QApplication([])
    with RunEngine() as engine:
        window, bridge = build(engine, microscope())
        window.show()
        with responsive(), end_on_signals(bridge):
            app.exec()
