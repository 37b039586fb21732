"""A program with widgets of its own, and an engine in it."""

from bluesky.plans import count
from qtpy.QtWidgets import QApplication, QLabel, QMainWindow, QPushButton, QVBoxLayout, QWidget

from freewheel import RunEngine
from freewheel.qt import EngineBridge, end_on_signals, responsive
from freewheel.sim import microscope


class Program(QMainWindow):
    """What you have already; the engine is told of by signals, and never waited for."""

    def __init__(self, engine, detectors):
        super().__init__()
        self.bridge = EngineBridge(engine)
        self.detectors = detectors
        self.measure, self.stop = QPushButton("Measure"), QPushButton("Stop")
        self.state, self.points = QLabel("idle"), QLabel("0 points")
        body = QWidget()
        layout = QVBoxLayout(body)
        for widget in (self.measure, self.stop, self.state, self.points):
            layout.addWidget(widget)
        self.setCentralWidget(body)
        self.measure.clicked.connect(self.begin)
        self.stop.clicked.connect(self.bridge.stop)
        self.bridge.stateChanged.connect(lambda new, old: self.state.setText(new))
        self.bridge.documentReceived.connect(self.show_document)
        self.bridge.planEnded.connect(lambda future: self.statusBar().showMessage(str(future)))
        self.bridge.requestRefused.connect(
            lambda what, error: self.statusBar().showMessage(f"{what}: {error}")
        )

    def begin(self):
        """Start a plan; returns at once."""
        self.bridge.run(count(self.detectors, num=5, delay=0.2))

    def show_document(self, name, doc):
        """Show what a document says; arrives on the window's thread."""
        if name == "event":
            self.points.setText(f"{doc['seq_num']} points")


if __name__ == "__main__":
    app = QApplication([])
    with RunEngine() as engine:
        window = Program(engine, [microscope().camera])
        window.show()
        with responsive(), end_on_signals(window.bridge):
            app.exec()
