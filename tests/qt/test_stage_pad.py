"""A stage moved by hand: steps, positions, limits, holders, and clicks on the picture."""

import math
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky.protocols import Movable
from qtpy.QtCore import QEvent, QPointF, QSettings, Qt
from qtpy.QtWidgets import QApplication, QLabel, QListWidget, QMessageBox, QPushButton

from freewheel.core import mark_dangerous
from freewheel.plan_stubs import claim
from freewheel.plans import live_view
from freewheel.qt import LiveImage, StagePad
from freewheel.qt._stage._axis import axes_of
from freewheel.qt._stage._calibration import Calibration
from freewheel.qt._stage._positions import place_text
from freewheel.sim import Fail, inject


@pytest.fixture(name="settings")
def _settings(tmp_path: Any) -> QSettings:
    return QSettings(str(tmp_path / "stage.ini"), QSettings.Format.IniFormat)


@pytest.fixture(name="pad")
def _pad(bridge: Any, scope: Any, qtbot: Any, soon: Any) -> Any:
    pad = StagePad(bridge, dict(scope))
    qtbot.addWidget(pad)
    pad.show()
    soon(lambda: len(pad.place) == 3)
    return pad


def at(pad: Any, **places: float) -> bool:
    names = {"x": "stage.x", "y": "stage.y", "focus": "focus"}
    return all(pad.place.get(names[n]) == pytest.approx(v) for n, v in places.items())


def test_axes_are_found_and_chosen_by_their_names(pad: Any, scope: Any) -> None:
    assert {"stage.x", "stage.y", "focus"} <= set(axes_of(scope))
    assert "shutter" not in axes_of(scope)  # it goes to words
    assert {role: box.value() for role, box in pad._roles.items()} == {
        "x": "stage.x",
        "y": "stage.y",
        "focus": "focus",
    }


def test_where_several_would_do_none_is_chosen(bridge: Any, scope: Any, qtbot: Any) -> None:
    pad = StagePad(bridge, {"one": scope.stage, "two": scope.stage})
    qtbot.addWidget(pad)
    assert pad._roles["x"].value() == "none"
    assert not pad.findChild(QPushButton, "jog:left").isEnabled()


def test_one_axis_has_one_role(
    pad: Any, bridge: Any, scope: Any, qtbot: Any, settings: QSettings
) -> None:
    pad._roles["y"].set_value("stage.x")
    assert pad._roles["y"].value() == "stage.y"
    assert pad.message == "stage.x is the axis of x: choose another one there first"
    pad._roles["x"].set_value("none")
    pad._roles["y"].set_value("stage.x")
    assert pad._roles["y"].value() == "stage.x"
    pad._roles["x"].set_value("stage.y")  # so they are exchanged
    assert [pad._axes[role].name for role in ("x", "y", "focus")] == ["stage.y", "stage.x", "focus"]
    # Nor under another name, or as settings had it.
    settings.setValue("stage/axes", '{"x": "one.x", "y": "two.x"}')
    both = StagePad(bridge, {"one": scope.stage, "two": scope.stage}, settings=settings)
    qtbot.addWidget(both)
    assert [both._roles[role].value() for role in ("x", "y")] == ["one.x", "none"]


def test_arrows_and_arrow_keys_step(pad: Any, qtbot: Any, soon: Any) -> None:
    pad._jog.set_sizes({"xy": 0.1, "focus": 0.5})
    pad.findChild(QPushButton, "jog:right").click()
    soon(lambda: at(pad, x=0.1))
    pad.map.setFocus()
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_PageDown):
        qtbot.keyClick(pad.map, key)
    soon(lambda: at(pad, x=0.3, y=0.1, focus=-0.5))  # no step is lost, however fast they come
    qtbot.keyClick(pad.map, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    soon(lambda: at(pad, x=-0.7))


def test_back_goes_to_where_the_stage_was_before(pad: Any, soon: Any) -> None:
    back = pad._positions.buttons["back"]
    assert not back.isEnabled()
    pad.go({"stage.x": 5.0, "stage.y": 2.0})
    soon(lambda: at(pad, x=5, y=2))
    for _ in range(3):
        pad.step(x=1)  # steps are one move
    soon(lambda: at(pad, x=35))
    back.click()
    soon(lambda: at(pad, x=5, y=2))
    back.click()
    soon(lambda: at(pad, x=0, y=0))
    assert not back.isEnabled()


def test_positions_have_names_and_are_kept(
    pad: Any, bridge: Any, scope: Any, settings: Any, qtbot: Any, soon: Any
) -> None:
    first = StagePad(bridge, dict(scope), settings=settings)
    qtbot.addWidget(first)
    soon(lambda: len(first.place) == 3)
    first.go({"stage.x": 3.0, "focus": 1.0})
    soon(lambda: at(first, x=3, focus=1))
    first.findChild(QPushButton, "position:add").click()
    assert first.positions == {"Position 1": {"stage.x": 3.0, "stage.y": 0.0, "focus": 1.0}}
    listed = first.findChild(QListWidget, "positions")
    listed.item(0).setText("a cell")
    first.save_position("a cell")  # in the place of the other
    first.save_position("Position 1")
    listed.item(1).setText("a cell")  # which could not be told from the first
    assert list(first.positions) == ["a cell", "Position 1"]
    first.go({"stage.x": 0.0})
    soon(lambda: at(first, x=0))
    again = StagePad(bridge, {}, settings=settings)
    qtbot.addWidget(again)
    again.show()
    again.set_devices(dict(scope))  # as in the window, where they come later
    soon(lambda: len(again.place) == 3)
    assert list(again.positions) == ["a cell", "Position 1"]
    again.go({"stage.x": -50.0})
    soon(lambda: at(again, x=-50))
    assert again.map.extent.right() == 3.0 + 100  # both positions are on the map
    assert again.go_to("a cell")
    soon(lambda: at(again, x=3, focus=1))
    listed = again.findChild(QListWidget, "positions")
    listed.setFocus()
    qtbot.keyClick(listed, Qt.Key.Key_Delete)
    assert list(again.positions) == ["Position 1"]


def test_a_position_says_where_it_is(pad: Any, soon: Any) -> None:
    listed = pad.findChild(QListWidget, "positions")
    pad.go({"stage.x": 3.0})
    soon(lambda: at(pad, x=3))
    pad.save_position("a")
    assert listed.item(0).toolTip() == "a: x 3, y 0, z 0 um"
    assert listed.item(0).data(Qt.ItemDataRole.AccessibleDescriptionRole) == "x 3, y 0, z 0 um"
    listed.setFixedWidth(300)
    row = listed.visualItemRect(listed.item(0))
    listed.clearSelection()
    picture = listed.viewport().grab(row.adjusted(150, 0, 0, 0)).toImage()
    places = [(x, y) for x in range(picture.width()) for y in range(picture.height())]
    assert len({picture.pixel(x, y) for x, y in places}) > 2  # written, and not only a background
    listed.item(0).setText("b")
    assert listed.item(0).toolTip() == "b: x 3, y 0, z 0 um"


def test_units_that_differ_are_told_each() -> None:
    place = {"s.x": 1.0, "f": 2.5, "other": 3.0}
    assert place_text(place, {"s.x": ("x", "mm"), "f": ("z", "um")}) == "x 1 mm, z 2.5 um, other 3"
    assert place_text(place) == "s.x 1, f 2.5, other 3"


def test_without_a_position_nothing_can_be_gone_to(pad: Any, soon: Any) -> None:
    buttons = pad._positions.buttons
    listed = pad.findChild(QListWidget, "positions")

    def said() -> tuple[str, str]:
        assert buttons["go"].isEnabled() == buttons["delete"].isEnabled()
        return ("on" if buttons["go"].isEnabled() else "off"), buttons["go"].toolTip()

    assert said() == ("off", "no position is saved")
    pad.save_position()
    assert said() == ("on", "Go to the position that is chosen")
    listed.setCurrentItem(None)
    assert said() == ("off", "no position is chosen")
    listed.setCurrentRow(0)
    buttons["delete"].click()
    assert said() == ("off", "no position is saved")


def test_beyond_the_limits_nothing_moves(bridge: Any, scope: Any, qtbot: Any, soon: Any) -> None:
    scope.stage.x.limits = (-20.0, 30.0)
    pad = StagePad(bridge, dict(scope))
    qtbot.addWidget(pad)
    soon(lambda: len(pad.place) == 3 and pad._axes["x"].limits.high is not None)
    assert (pad.map.extent.left(), pad.map.extent.right()) == (-20, 30)
    assert not pad.go({"stage.x": 31.0, "stage.y": 1.0})
    assert "beyond the limits" in pad.message
    assert at(pad, x=0, y=0)


def test_no_axis_moves_when_one_is_held_by_the_time_of_the_answer(
    pad: Any, engine: Any, scope: Any, soon: Any
) -> None:
    mark_dangerous(scope.stage.x, "it is close to the lens")
    assert pad.go({"stage.x": 5.0, "stage.y": 5.0})
    engine(hold(scope.stage.y))
    soon(lambda: pad._axes["y"].holder)
    (box,) = pad.findChildren(QMessageBox, "danger")
    box.button(QMessageBox.StandardButton.Yes).click()
    assert "held by" in pad.message
    assert not engine.by_hand.moving
    engine.stop()
    soon(lambda: pad.message == "")
    assert at(pad, x=0, y=0)


def test_what_is_nowhere_is_refused_and_what_went_wrong_stays(
    pad: Any, bridge: Any, scope: Any, soon: Any
) -> None:
    assert not pad.go({"stage.x": float("nan")})
    assert "nan is nothing that can be set" in pad.message
    inject(scope.stage.x, Fail("set", error=OSError("its cable is out")))
    assert pad.go({"stage.x": 3.0, "stage.y": 3.0})
    soon(lambda: at(pad, y=3) and not pad._axes["y"].is_moving)
    soon(lambda: "its cable is out" in pad.message)
    pad._axis_said("stage.y", "")  # as the end of another axis' move, which may come later
    assert "its cable is out" in pad.message
    for role in ("x", "focus"):
        pad._roles[role].set_value("none")
    pad.step(focus=1)
    assert pad.message == "no axis is chosen for focus"


def test_a_way_back_that_was_refused_is_still_there(pad: Any, scope: Any, soon: Any) -> None:
    assert pad.go({"stage.x": 5.0})
    soon(lambda: at(pad, x=5) and not pad._axes["x"].is_moving)
    mark_dangerous(scope.stage.x, "it is close to the lens")
    pad.back()
    (box,) = pad.findChildren(QMessageBox, "danger")
    box.reject()
    assert pad._before
    pad.back()
    box = next(b for b in pad.findChildren(QMessageBox, "danger") if b.isVisible())
    box.button(QMessageBox.StandardButton.Yes).click()
    soon(lambda: at(pad, x=0))
    assert not pad._before


def test_names_that_differ_in_blanks_alone_are_one(pad: Any) -> None:
    for name in ("a", "b"):
        pad.save_position(name)
    item = pad.findChild(QListWidget, "positions").item(1)
    item.setText(" a ")
    assert list(pad.positions) == ["a", "b"]


def test_one_damaged_position_loses_no_other(
    bridge: Any, scope: Any, settings: Any, qtbot: Any
) -> None:
    kept = '{"good": {"stage.x": 1.5}, "bad": {"stage.x": "far"}, "worse": 7, "none": {"x": NaN}}'
    settings.setValue("stage/positions", kept)
    settings.setValue("stage/calibration", "[[0.5, 0, 0, 0.5]]")
    image = LiveImage(bridge)
    pad = StagePad(bridge, dict(scope), image, settings=settings)
    for widget in (image, pad):
        qtbot.addWidget(widget)
    assert pad.positions == {"good": {"stage.x": 1.5}}
    assert pad.message == "saved positions that cannot be read: bad, worse, none"
    assert pad._click.calibration == Calibration(0.5, 0, 0, 0.5)
    assert settings.value("stage/positions") == kept  # nothing is written over unasked


def hold(*devices: Movable) -> Any:
    yield from claim(*devices)
    yield from bps.sleep(60)


@pytest.mark.parametrize("place", [math.nan, math.inf, -math.inf])
def test_what_is_no_place_moves_nothing(pad: Any, soon: Any, place: float) -> None:
    soon(lambda: "stage.x" in pad.place)
    assert not pad.go({"stage.x": place})
    assert "nothing that can be set" in pad.message


def test_while_a_plan_holds_it_the_pad_is_grey_and_stop_is_not(
    pad: Any, engine: Any, scope: Any, soon: Any
) -> None:
    future = engine(hold(scope.stage.x))
    arrow = pad.findChild(QPushButton, "jog:left")
    soon(lambda: not arrow.isEnabled())
    assert arrow.toolTip() == pad.message == "held by hold"
    assert pad.findChild(QPushButton, "jog:stop").isEnabled()
    pad.step(x=1)
    assert not pad.go({"stage.x": 1.0})
    assert at(pad, x=0)
    engine.stop()
    soon(lambda: arrow.isEnabled() and not pad.message)
    soon(future.outcome.done)


def test_a_dangerous_axis_asks(bridge: Any, scope: Any, qtbot: Any, soon: Any) -> None:
    mark_dangerous(scope.focus, "it may touch the sample")
    pad = StagePad(bridge, dict(scope))
    qtbot.addWidget(pad)
    pad.show()
    soon(lambda: len(pad.place) == 3)
    pad.go({"focus": 2.0, "stage.x": 1.0})
    box = pad.findChild(QMessageBox, "danger")
    assert "it may touch the sample" in box.informativeText()
    assert at(pad, x=0, focus=0)
    box.button(QMessageBox.StandardButton.Yes).click()
    soon(lambda: at(pad, x=1, focus=2))


def test_hand_moves_are_told_to_the_log(pad: Any, bridge: Any, soon: Any) -> None:
    told: list[str] = []
    bridge.requestMade.connect(told.append)
    pad.go({"stage.x": 4.0})
    soon(lambda: at(pad, x=4))
    assert told == ["stage-x → 4"]


def test_a_double_click_on_the_map_goes_there(pad: Any, soon: Any) -> None:
    pad.map.chosen.emit(6.0, -2.0)
    soon(lambda: at(pad, x=6, y=-2))
    for place in ((0.0, 0.0), (6.0, -2.0), (-40.0, 33.0)):
        assert pad.map.on_stage(pad.map.on_screen(*place)) == pytest.approx(place)


def test_the_map_names_the_place_that_a_double_click_would_go_to(
    pad: Any, qtbot: Any, soon: Any
) -> None:
    area = pad.map
    area.resize(300, 200)
    assert area.pointed == ""
    point = area.on_screen(30.0, -20.0).toPoint()
    qtbot.mouseMove(area, point)
    soon(lambda: area.pointed)
    x, y = (float(each) for each in area.pointed.split(", "))
    assert (x, y) == pytest.approx(area.on_stage(QPointF(point)), abs=1.0)
    assert "." not in area.pointed  # a pixel is more than a unit here
    QApplication.sendEvent(area, QEvent(QEvent.Type.Leave))
    assert area.pointed == ""


def test_devices_that_come_later_are_offered_and_choices_stay(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    pad = StagePad(bridge, {"stage": scope.stage})
    qtbot.addWidget(pad)
    assert pad._roles["focus"].value() == "none"
    pad._roles["y"].set_value("none")
    pad.set_devices({"stage": scope.stage, "focus": scope.focus})
    assert {role: box.value() for role, box in pad._roles.items()} == {
        "x": "stage.x",
        "y": "none",
        "focus": "focus",
    }
    soon(lambda: set(pad.place) == {"stage.x", "focus"})


def test_stop_all_forgets_what_waits(pad: Any, bridge: Any, soon: Any) -> None:
    axis = pad._axes["x"]
    axis._under_way, axis._next = 1.0, 2.0  # as in the middle of a move
    bridge.stop_all()
    assert axis._next is None
    axis._under_way = None


# -- the picture ------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [0.0, 0.4, 2.0])
@pytest.mark.parametrize("flip", [1, -1])
def test_a_calibration_is_what_two_moves_show(turned: float, flip: int) -> None:
    c, s = np.cos(turned), np.sin(turned)
    pixels = np.array([[c, -s], [s, c]]) @ np.diag([2.0, 2.0 * flip])  # for a unit of the stage
    thing = np.array([30.0, 40.0])
    x_step, y_step = 5.0, -3.0
    after_x = thing + pixels @ (x_step, 0)
    after_y = after_x + pixels @ (0, y_step)
    made = Calibration.from_moves(
        [tuple(each) for each in (thing, after_x, after_y)], x_step, y_step
    )
    assert made.pixel_size == pytest.approx(0.5)
    move = made.move_to((50.0, 70.0), (32.0, 32.0))
    assert np.array((50.0, 70.0)) + pixels @ move == pytest.approx((32.0, 32.0))


def test_moves_that_show_nothing_are_refused() -> None:
    for places in (
        [(1.0, 1.0), (1.0, 1.0), (1.0, 1.0)],
        [(0.0, 0.0), (5.0, 0.0), (10.0, 0.1)],
    ):
        with pytest.raises(ValueError, match="the picture did not move"):
            Calibration.from_moves(places, 1.0, 1.0)


def clicked(image: Any, qtbot: Any, x: float, y: float) -> None:
    """Double click on a pixel of the picture."""
    import pyqtgraph as pg

    graphics = image.findChild(pg.GraphicsView)
    (item,) = [i for i in graphics.scene().items() if isinstance(i, pg.ImageItem)
               and i.image is not None and i.image.ndim == 2][:1]  # fmt: skip
    scene = item.getViewBox().mapViewToScene(QPointF(x, y))
    place = graphics.mapFromScene(scene)
    qtbot.mouseDClick(graphics.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_what_is_clicked_on_comes_to_the_middle(
    bridge: Any, engine: Any, scope: Any, settings: Any, qtbot: Any, soon: Any
) -> None:
    image = LiveImage(bridge)
    qtbot.addWidget(image)
    image.resize(600, 500)
    image.show()
    pad = StagePad(bridge, dict(scope), image, settings=settings)
    qtbot.addWidget(pad)
    pad.show()
    future = engine(live_view([scope.camera], rate=20))
    soon(lambda: image.frame is not None and len(pad.place) == 3)
    on, learn = (pad.findChild(QPushButton, name) for name in ("clickToMove", "calibrate"))
    assert not on.isEnabled()
    assert on.toolTip().startswith("Calibrate first")
    pad._jog.set_sizes({"xy": 4.0})
    learn.click()
    assert pad._click.text.startswith("1 of 3")
    label = pad.findChild(QLabel, "calibration")
    assert label.heightForWidth(pad.width()) <= label.minimumHeight()  # it is read whole
    clicked(image, qtbot, 20, 20)
    soon(lambda: at(pad, x=4) and not pad._axes["x"].is_moving)
    clicked(image, qtbot, 28, 20)  # as if two pixels were one of the stage's units
    soon(lambda: at(pad, y=4) and not pad._axes["y"].is_moving)
    clicked(image, qtbot, 28, 12)
    soon(lambda: at(pad, x=0, y=0) and not engine.by_hand.moving)  # it goes back
    size = pad._click.calibration.pixel_size
    assert size == pytest.approx(0.5, rel=0.2)
    assert image.pixel_size == (size, "um")  # on the picture's scale, too
    assert on.isEnabled()
    clicked(image, qtbot, 40, 20)
    assert not engine.by_hand.moving  # it was not switched on
    on.click()
    clicked(image, qtbot, 40, 20)
    soon(lambda: pad.place["stage.x"] != 0)
    soon(lambda: pad.place["stage.x"] == pytest.approx(-4.0, abs=1.0))
    soon(lambda: pad.place["stage.y"] == pytest.approx(-6.0, abs=1.5))
    again = StagePad(bridge, dict(scope), image, settings=settings)
    qtbot.addWidget(again)
    assert again._click.calibration == pad._click.calibration
    engine.stop()
    soon(future.outcome.done)


def test_a_calibration_can_be_cancelled_and_says_what_is_missing(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    image = LiveImage(bridge)
    qtbot.addWidget(image)
    pad = StagePad(bridge, {}, image)
    qtbot.addWidget(pad)
    learn = pad.findChild(QPushButton, "calibrate")
    learn.click()
    assert "choose the axes" in pad._click.text
    pad.set_devices(dict(scope))
    learn.click()
    assert "there is no picture" in pad._click.text
    assert learn.text() == "Calibrate"


@pytest.mark.parametrize("text", ["[1]", "{}", "nonsense", '["a", 1, 2, 3]', '{"p": 3}'])
def test_what_was_kept_and_is_damaged_is_left_out(
    bridge: Any, scope: Any, settings: Any, qtbot: Any, text: str
) -> None:
    for name in ("positions", "steps", "axes", "calibration"):
        settings.setValue(f"stage/{name}", text)
    image = LiveImage(bridge)
    pad = StagePad(bridge, dict(scope), image, settings=settings)
    for widget in (image, pad):
        qtbot.addWidget(widget)
    assert pad.positions == {}
