"""A real window for test_real_window: says on its standard output where its parts are.

One JSON object a line: the places of the widgets that a person would press, on the screen, and
the state, whenever something has changed.
"""

import json
import sys
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QMessageBox, QPushButton, QWidget

import freewheel.plans
from freewheel.engine import RunEngine
from freewheel.forms import find_plans
from freewheel.qt import AcquisitionWindow, demo_plans, responsive
from freewheel.sim import microscope


def place(widget: QWidget) -> list[int]:
    centre = widget.mapToGlobal(widget.rect().center())
    return [centre.x(), centre.y()]


def picture_of(window: AcquisitionWindow, snapshots: list[Any]) -> dict[str, Any]:
    widgets: dict[str, QWidget] = dict(window.controls.buttons)
    widgets["plans"] = window.chooser.findChild(QComboBox, "plans")
    widgets["detectors"] = window.chooser.form.fields["detectors"].editor.viewport()
    exposure = window.devices.rows["camera.exposure"]
    widgets["exposure"] = exposure.findChild(QWidget, "value")
    widgets["set"] = exposure.findChild(QPushButton, "set")
    widgets.update({f"action:{n}": b for n, b in window.actions.buttons.items()})
    row = window.progress.findChild(QWidget, "task:live_view")
    if row is not None:
        for name in ("pause", "cancel"):
            widgets[f"live:{name}"] = row.findChild(QPushButton, name)
    for box in window.findChildren(QMessageBox):
        if box.isVisible():
            widgets["yes"] = box.button(QMessageBox.StandardButton.Yes)
    return {
        "places": {n: place(w) for n, w in widgets.items() if w.isVisible() and w.isEnabled()},
        "state": window.bridge.snapshot().state,
        "plan": window.chooser.form.spec.name,
        "live": "" if row is None else row.findChild(QLabel, "status").text(),
        "log": window.log.text.splitlines(),
        "shown": window.image.frame is not None,
        "snapshots": len(snapshots),
        "exposure": exposure.findChild(QWidget, "readback").text(),
        "detectors": window.chooser.form.values().get("detectors"),
    }


def main() -> None:
    app = QApplication(sys.argv)
    scope = microscope(shape=(256, 256))
    snapshots: list[Any] = []
    streams: dict[str, str] = {}

    def note(name: str, doc: Any) -> None:
        if name == "descriptor":
            streams[doc["uid"]] = doc["name"]
        elif name == "event" and streams.get(doc["descriptor"]) == "snapshot":
            snapshots.append(doc)

    with RunEngine() as engine:
        plans = find_plans([freewheel.plans.live_view, demo_plans.scan], scope)
        devices = {"camera": scope.camera, "stage": scope.stage}
        window = AcquisitionWindow(engine, devices, plans)
        window.chooser.choose("scan").set_values({"motor": "stage.x", "num": 30, "stop": -5.0})
        window.chooser.choose("live_view")
        window.bridge.documentReceived.connect(note)
        window.move(0, 0)
        window.show()
        said = ""

        def say() -> None:
            nonlocal said
            now = json.dumps(picture_of(window, snapshots))
            if now != said:
                said = now
                print(now, flush=True)

        clock = QTimer()
        clock.timeout.connect(say)
        clock.start(30)
        if len(sys.argv) > 1:
            window.log.failed.connect(lambda line: print(line, file=sys.stderr))
        with responsive():
            app.exec()
    print(json.dumps({"state": "closed", "places": {}}), flush=True)


if __name__ == "__main__":
    main()
