"""A form for the plan's arguments, and devices to move by hand."""

from qtpy.QtWidgets import QApplication, QHBoxLayout, QVBoxLayout, QWidget

from freewheel import RunEngine
from freewheel.forms import create_plan_spec
from freewheel.plans import live_view
from freewheel.qt import (
    ActionBar,
    EngineBridge,
    EngineControls,
    LiveImage,
    MotorRow,
    PlanForm,
    PlanLog,
    SettingRow,
    end_on_signals,
    responsive,
)
from freewheel.sim import microscope


def build(engine, scope):
    bridge = EngineBridge(engine)
    form = PlanForm(create_plan_spec(live_view, scope), scope, bridge)
    form.set_values({"detectors": ["camera"]})
    window = QWidget()
    columns = QHBoxLayout(window)
    left = QVBoxLayout()
    left.addWidget(EngineControls(bridge, form.make_plan))
    left.addWidget(ActionBar(bridge))
    left.addWidget(form)
    left.addWidget(MotorRow(bridge, scope.stage.x, "x"))
    left.addWidget(MotorRow(bridge, scope.stage.y, "y"))
    left.addWidget(SettingRow(bridge, scope.camera.exposure, "exposure"))
    left.addWidget(PlanLog(bridge), 1)
    columns.addLayout(left)
    columns.addWidget(LiveImage(bridge), 1)
    window.resize(1150, 750)
    return window, bridge


if __name__ == "__main__":
    app = QApplication([])
    with RunEngine() as engine:
        window, bridge = build(engine, microscope())
        window.show()
        with responsive(), end_on_signals(bridge):
            app.exec()
