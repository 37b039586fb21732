"""Groups of settings that are set together."""

import json
import math
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from qtpy.QtCore import QSettings, Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QListWidget,
    QMessageBox,
    QPushButton,
)

from freewheel.core import mark_dangerous
from freewheel.plan_stubs import claim
from freewheel.qt import DevicePanel, PresetPanel


@pytest.fixture(name="settings")
def _settings(tmp_path: Any) -> QSettings:
    return QSettings(str(tmp_path / "presets.ini"), QSettings.Format.IniFormat)


@pytest.fixture(name="made")
def _made(bridge: Any, scope: Any, qtbot: Any, soon: Any, settings: Any) -> Any:
    def made() -> Any:
        devices = DevicePanel(bridge, dict(scope))
        presets = PresetPanel(devices, settings=settings)
        for widget in (devices, presets):
            qtbot.addWidget(widget)
            widget.show()
        soon(lambda: {"camera.exposure", "shutter", "lamp"} <= set(presets.readings))
        return presets

    return made


def test_a_preset_sets_all_that_is_in_it(made: Any, soon: Any, bridge: Any) -> None:
    presets = made()
    presets._panel.rows["lamp"].set_to(25.0)
    presets._panel.rows["camera.exposure"].set_to(0.123456789)
    presets._panel.rows["shutter"].set_to("Closed")
    soon(lambda: presets.readings["shutter"] == "Closed")
    soon(lambda: presets.readings["camera.exposure"] == 0.123456789)
    soon(lambda: presets.readings["lamp"] == 25)
    presets.save("dim", ["camera.exposure", "shutter", "lamp"])
    for name, value in (("lamp", 80.0), ("camera.exposure", 0.5), ("shutter", "Open")):
        presets._panel.rows[name].set_to(value)
    soon(lambda: presets.readings["shutter"] == "Open" and presets.readings["lamp"] == 80)
    told: list[str] = []
    bridge.requestMade.connect(told.append)
    again = made()  # from what was kept
    assert list(again.presets) == ["dim"]
    listed = again.findChild(QListWidget, "presets")
    listed.setCurrentRow(0)
    again.findChild(QPushButton, "preset:apply").click()
    soon(lambda: again.readings["shutter"] == "Closed" and again.readings["lamp"] == 25)
    soon(lambda: again.readings["camera.exposure"] == 0.123456789)  # to the last digit
    assert any(line.startswith("lamp → 25") for line in told)


def test_without_a_preset_nothing_can_be_applied(made: Any) -> None:
    presets = made()
    buttons = [presets.findChild(QPushButton, f"preset:{name}") for name in ("apply", "delete")]
    listed = presets.findChild(QListWidget, "presets")

    def said() -> list[tuple[bool, str]]:
        return [(button.isEnabled(), button.toolTip()) for button in buttons]

    assert said() == [(False, "none is saved")] * 2
    presets.save("dim", ["lamp"])
    assert said() == [(True, "Set all that is in the preset"), (True, "Forget the preset")]
    listed.setCurrentItem(None)
    assert said() == [(False, "no preset is chosen")] * 2
    listed.setCurrentRow(0)
    buttons[1].click()
    assert said() == [(False, "none is saved")] * 2


def test_a_person_chooses_what_is_saved(made: Any, qtbot: Any) -> None:
    presets = made()
    presets.findChild(QPushButton, "preset:save").click()
    dialog = presets.findChild(QDialog, "presetDialog")
    save = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Save)
    assert not save.isEnabled()
    dialog.findChild(QLineEdit).setText("bright")
    rows = dialog.findChild(QListWidget)
    (lamp,) = rows.findItems("lamp = 100", Qt.MatchFlag.MatchExactly)  # as rows show it
    lamp.setCheckState(Qt.CheckState.Checked)
    save.click()
    assert presets.presets == {"bright": {"lamp": presets.readings["lamp"]}}
    listed = presets.findChild(QListWidget, "presets")
    listed.setCurrentRow(0)
    listed.setFocus()
    qtbot.keyClick(listed, Qt.Key.Key_Delete)
    assert presets.presets == {}


def test_what_there_is_not_is_said_and_the_rest_is_set(made: Any, settings: Any, soon: Any) -> None:
    settings.setValue("presets", '{"bad": [1], "odd": {"laser.power": 3, "camera.gain": 2.0}}')
    presets = made()
    assert list(presets.presets) == ["odd"]
    presets.apply("odd")
    assert presets.message == "not here: laser.power"
    soon(lambda: presets.readings["camera.gain"] == 2)


def test_of_a_preset_of_which_a_part_cannot_be_set_nothing_is(
    made: Any, settings: Any, engine: Any, bridge: Any, scope: Any, soon: Any
) -> None:
    scope.focus.limits = (0.0, 10.0)
    settings.setValue(
        "presets",
        '{"odd": {"shutter": "Ajar", "lamp": 3.0}, "far": {"lamp": 3.0, "focus": 99.0},'
        ' "held": {"lamp": 3.0, "focus": 5.0}}',
    )
    presets = made()
    asked: list[str] = []
    bridge.requestMade.connect(asked.append)
    presets.apply("odd")
    assert presets.message == "nothing was set. shutter: Ajar is not on offer"
    soon(lambda: presets._panel.rows["focus"]._limits.high == 10)
    presets.apply("far")
    assert "focus: 99 is beyond the limits" in presets.message

    def hold() -> Any:
        yield from claim(scope.focus)
        yield from bps.sleep(60)

    engine(hold(), name="hold")
    soon(lambda: presets._panel.rows["focus"].guard.holder)
    presets.apply("held")
    assert presets.message.startswith("nothing was set. focus: held by")
    assert asked == []


def test_a_row_that_is_gone_when_it_is_saved_is_said(made: Any) -> None:
    presets = made()
    presets._save_asked("dim", ["lamp", "laser"])
    assert presets.message == "not saved: laser tells no value any more"
    assert presets.presets == {}


def test_a_dangerous_device_asks(made: Any, scope: Any, soon: Any) -> None:
    mark_dangerous(scope.lamp, "bright")
    presets = made()
    lamp = presets.readings["lamp"]
    presets.save("off", ["lamp"])
    presets._presets["off"]["lamp"] = 0.0
    presets.apply("off")
    box = presets._panel.rows["lamp"].findChild(QMessageBox, "danger")
    assert presets.readings["lamp"] == lamp
    box.button(QMessageBox.StandardButton.Yes).click()
    soon(lambda: presets.readings["lamp"] == 0)


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"a": 3}'])
def test_presets_that_are_damaged_are_left_out(made: Any, settings: Any, text: str) -> None:
    settings.setValue("presets", text)
    assert made().presets == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, [1], None, "long"])
def test_what_is_no_number_reaches_no_device(
    made: Any, settings: Any, bridge: Any, value: Any
) -> None:
    text = json.dumps({"odd": {"camera.exposure": value, "shutter": "Closed"}})
    settings.setValue("presets", text)
    told: list[str] = []
    bridge.requestMade.connect(told.append)
    presets = made()
    before = presets.readings
    presets.apply("odd")
    assert presets.message.startswith("nothing was set. camera.exposure: ")
    assert presets.readings == before
    assert told == []
