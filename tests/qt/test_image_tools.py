"""The tools of a picture: fit, freeze, regions, lines, scale, saturation, colours, channels."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QComboBox, QInputDialog, QLabel, QPushButton, QSlider

from freewheel.forms import find_plans
from freewheel.qt import ImageArea, LiveImage, PlanChooser, use_theme
from freewheel.qt._image._colours import COLOUR_MAPS, Curve, table_of
from freewheel.qt._image._frames import levels_of, prepare
from freewheel.qt._image._measure import measure
from freewheel.qt._image._scale_bar import round_length
from freewheel.qt._look._plots import plot_colours
from freewheel.qt._look._rates import RateMeter


class Shown:
    """A live image on the screen, and documents for it."""

    def __init__(self, bridge: Any, qtbot: Any, soon: Any) -> None:
        self.image = LiveImage(bridge)
        self._emit, self._qtbot, self.soon = bridge.documentReceived.emit, qtbot, soon
        self._number = 0
        qtbot.addWidget(self.image)
        self.image.resize(500, 600)
        self.image.show()

    def start(self, *keys: str, run: str = "a", stream: str = "primary", **more: Any) -> None:
        self._emit("start", {"uid": run, "time": 0.0, **more.pop("md", {})})
        self.describe(*keys, run=run, stream=stream, **more)

    def describe(self, *keys: str, run: str = "a", stream: str = "primary", **more: Any) -> None:
        about = {"dtype": "array", "shape": [4, 4], "source": "", "object_name": "camera"}
        keyed = {key: {**about, **more.pop("about", {})} for key in keys}
        self._emit(
            "descriptor",
            {
                "uid": f"{run} {stream}",
                "run_start": run,
                "name": stream,
                "data_keys": keyed,
                **more,
            },
        )

    def stop(self, run: str = "a") -> None:
        self._emit("stop", {"run_start": run})

    def show(self, frame: Any, *, run: str = "a", stream: str = "primary", **more: Any) -> None:
        with self._qtbot.waitSignal(self.image.frameShown, timeout=30_000):
            self.send(frame, run=run, stream=stream, **more)

    def send(self, frame: Any, *, run: str = "a", stream: str = "primary", **more: Any) -> None:
        self._number += 1
        head = {"descriptor": f"{run} {stream}", "seq_num": self._number}
        data = frame if isinstance(frame, dict) else {"image": frame}
        self._emit("event", {**head, "time": float(self._number), "data": data, **more})

    def press(self, name: str) -> None:
        self.image.tools.buttons[name].click()

    def text(self, name: str) -> str:
        return self.image.findChild(QLabel, name).text()


@pytest.fixture(name="shown")
def _shown(bridge: Any, qtbot: Any, soon: Any) -> Shown:
    return Shown(bridge, qtbot, soon)


RAMP = np.arange(100 * 200, dtype=np.uint16).reshape(100, 200)


def seen(shown: Shown) -> tuple[float, float]:
    (left, right), (top, bottom) = shown.image._graphics.view.viewRange()
    return right - left, bottom - top


def test_fit_is_kept_until_somebody_zooms_and_comes_back(shown: Shown) -> None:
    shown.show(RAMP)
    view = shown.image._graphics.view
    whole = seen(shown)
    assert whole[0] >= 200
    assert whole[1] >= 100
    shown.image.resize(400, 700)
    shown.soon(lambda: seen(shown)[0] >= 200 and seen(shown) != whole)
    view.sigRangeChangedManually.emit([True, True])
    view.scaleBy((0.1, 0.1))
    assert seen(shown)[0] < 100
    shown.image.resize(420, 700)
    assert seen(shown)[0] < 100
    shown.press("fit")
    assert seen(shown)[0] >= 200
    shown.press("actualSize")
    assert seen(shown)[0] == pytest.approx(view.width())
    shown.show(np.zeros((400, 300)))  # another size is another picture
    shown.press("fit")
    assert seen(shown)[1] >= 400


def test_a_frozen_picture_stays_and_the_rate_goes_on(shown: Shown) -> None:
    shown.start("image")
    shown.show(RAMP)
    shown.press("freeze")
    for _ in range(3):
        shown.send(RAMP + 1)
    assert shown.image.frozen
    assert shown.image.rates[0] == pytest.approx(1.0)
    assert "FROZEN" in shown.text("rates")
    np.testing.assert_array_equal(shown.image.frame, RAMP)
    shown.press("freeze")
    shown.show(RAMP + 2)
    np.testing.assert_array_equal(shown.image.frame, RAMP + 2)


def test_a_region_is_measured_in_the_whole_frame(shown: Shown, qtbot: Any) -> None:
    shown.show(RAMP)
    regions: list[Any] = []
    shown.image.roiChanged.connect(regions.append)
    shown.press("region")
    assert shown.image.roi is not None
    shown.image.roi = (10, 20, 30, 40)
    assert regions[-1] == (10, 20, 30, 40)
    part = RAMP[20:60, 10:40]
    shown.soon(lambda: shown.image.measured and shown.image.measured.region.count == 1200)
    found = shown.image.measured.region
    assert found.mean == pytest.approx(part.mean())
    assert found.deviation == pytest.approx(part.std())
    assert (found.minimum, found.maximum, found.total) == (part.min(), part.max(), part.sum())
    shown.soon(lambda: shown.text("statistics").startswith("mean"))
    assert shown.text("region") == "30 x 40 at (10, 20)"
    for step in range(3):
        shown.show(RAMP + step)
        shown.soon(
            lambda step=step: shown.image.history[1][-1] == pytest.approx(part.mean() + step)
        )
    assert shown.image.history.shape[0] == 5
    with qtbot.waitSignal(shown.image.roiWanted, timeout=30_000) as wanted:
        shown.image.findChild(QPushButton, "useRegion").click()
    assert wanted.args == [(10, 20, 30, 40)]
    shown.show(RAMP, time=-5.0)  # of a run that was before
    shown.soon(lambda: shown.image.history[0].tolist() == [-5.0])
    shown.image.roi = (0, 0, 5, 5)  # what was measured in another region is no history of this
    assert not shown.image.history.size
    shown.press("region")
    assert shown.image.roi is None


def test_statistics_can_be_read_whole_in_a_window_of_common_size(shown: Shown) -> None:
    shown.image.resize(600, 600)  # as in the middle of one of 1400 pixels
    frame = np.full((1024, 1024), 132, np.uint16)
    frame[310, 310:320] = 2188
    shown.start("camera")
    shown.show(frame)
    shown.image.roi = (300, 300, 200, 150)
    shown.soon(lambda: shown.text("statistics").startswith("mean"))
    words = shown.image.findChild(QLabel, "statistics")
    assert words.text().endswith("132 to 2188, sum 3.98e+06")
    shown.soon(lambda: words.fontMetrics().horizontalAdvance(words.text()) <= words.width())
    assert words.elide == Qt.TextElideMode.ElideRight  # where it is narrower the mean stays


def test_a_region_reaches_over_no_edge(shown: Shown) -> None:
    shown.show(RAMP)
    shown.image.roi = (190, 90, 500, 500)
    assert shown.image.roi == (190, 90, 10, 10)
    with pytest.raises(ValueError, match="a pixel wide"):
        shown.image.roi = (0, 0, 0, 5)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_nowhere_is_refused_and_changes_nothing(shown: Shown, number: float) -> None:
    image = shown.image
    image.roi, image.profile_line = (1, 1, 2, 2), ((0, 0), (3, 3))
    with pytest.raises(ValueError, match="a region is left, top, width and height"):
        image.roi = (number, 1, 2, 2)
    with pytest.raises(ValueError, match="a line goes from one point to another"):
        image.profile_line = ((number, 0), (3, 3))
    with pytest.raises(ValueError, match="gamma is a number above 0"):
        image.set_curve(gamma=number)
    with pytest.raises(ValueError, match="a pixel wide"):
        image.roi = (0, 0, 0, 2)
    shown.show(RAMP)
    assert image.roi == (1, 1, 2, 2)
    assert image.profile_line == ((0, 0), (3, 3))


def test_a_region_is_filled_into_a_form(bridge: Any, scope: Any, qtbot: Any, shown: Shown) -> None:
    def crop(roi: tuple[int, int, int, int] = (0, 0, 1, 1)) -> Any:
        yield from ()

    def other(num: int = 3) -> Any:
        yield from ()

    refused: list[str] = []
    bridge.requestRefused.connect(lambda what, error: refused.append(f"{what}: {error}"))
    chooser = PlanChooser(find_plans([crop, other], scope), scope, bridge)
    qtbot.addWidget(chooser)
    chooser.fill_region((1, 2, 3, 4))
    assert chooser.form.arguments()[0] == ((1, 2, 3, 4),)
    chooser.choose("other")
    chooser.fill_region((1, 2, 3, 4))
    assert refused == ["use the region: the plan that is chosen has no parameter roi or region"]


def test_values_along_a_line(shown: Shown) -> None:
    shown.show(RAMP)
    shown.press("line")
    shown.image.profile_line = ((10.5, 5.5), (20.5, 5.5))
    shown.soon(lambda: shown.image.measured and len(shown.image.measured.values) == 11)
    np.testing.assert_array_equal(shown.image.measured.values, RAMP[5, 10:21])
    assert shown.image.measured.distance[-1] == pytest.approx(10)
    shown.press("line")
    assert shown.image.profile_line is None


def test_statistics_of_frames_with_holes_and_of_colours() -> None:
    holed = np.full((300, 300), 5.0)
    holed[0, 0], holed[1, 1] = np.nan, np.inf
    found = measure(holed, 0.0, (0, 0, 300, 300), None, None).region
    assert (found.mean, found.deviation, found.count) == (5.0, 0.0, 89_998)
    assert measure(np.full((9, 9), np.nan), 0.0, (0, 0, 9, 9), None, None).region is None
    colour = np.zeros((4, 4, 3), np.uint8)
    colour[..., 0] = 255
    found = measure(colour, 0.0, (0, 0, 4, 4), ((0, 0), (3, 3)), 255)
    assert found.region.mean == 85
    assert found.region.saturated == 16
    assert found.values.tolist() == [85] * 6
    assert measure(colour, 0.0, (0, 0, 4, 4), None, 70_000).region.saturated == 0
    assert measure(colour / 255, 0.0, (0, 0, 4, 4), None, 0.5).region.saturated == 16
    large = np.array([[1e9, 1e9 + 1]])  # squares of these have no digits left
    assert measure(large, 0.0, (0, 0, 2, 1), None, None).region.deviation == pytest.approx(0.5)


def test_the_scale_is_in_the_units_of_the_device(shown: Shown, qtbot: Any) -> None:
    bar = shown.image._graphics.scale_bar
    assert not bar.isVisible()  # of nothing there is no scale
    shown.start("image")
    shown.show(RAMP)
    shown.soon(bar.isVisible)
    assert bar.text == "50 pixels"
    shown.image.scale.learn((0.4, "um"))
    assert bar.text == "20 um"  # nobody else tells one
    shown.press("scale")
    assert not bar.isVisible()
    shown.press("scale")
    setting = {
        "data": {"camera-pixel_size": 2.0},
        "data_keys": {"camera-pixel_size": {"units": "um"}},
    }
    shown.start("image", run="b", configuration={"camera": setting})
    shown.show(RAMP, run="b")
    assert shown.image.pixel_size == (2.0, "um")
    shown.soon(lambda: "um" in bar.text or shown.show(RAMP, run="b"))
    assert bar.text == "100 um"
    shown.start("image", run="c", md={"pixel_size": [0.5, "mm"]})
    shown.show(RAMP, run="c")
    assert shown.image.pixel_size == (0.5, "mm")
    shown.image.tools.pixelSizeWanted.emit()
    dialog = shown.image.findChild(QInputDialog)
    assert dialog.textValue() == "0.5 mm"
    dialog.textValueSelected.emit("4 nm")
    assert bar.text == "200 nm"
    dialog.textValueSelected.emit("wide")
    assert "'wide' is no size" in shown.image.message
    shown.press("scale")
    assert not bar.isVisible()


@pytest.mark.parametrize(
    ("longest", "length"), [(1.0, 1), (1.99, 1), (2.0, 2), (70, 50), (0.3, 0.2)]
)
def test_lengths_of_the_scale_are_round(longest: float, length: float) -> None:
    assert round_length(longest) == pytest.approx(length)


def test_saturated_pixels_are_marked(shown: Shown) -> None:
    frame = np.zeros((40, 50), np.uint16)
    frame[:10, :10] = 4095
    shown.start("image", about={"limits": {"control": {"low": 0, "high": 4095}}})
    shown.show(frame)
    assert shown.image.saturation == 4095
    assert "5.00% saturated" in shown.image.message
    assert shown.image._graphics._over.isVisible()
    shown.press("saturation")
    shown.soon(lambda: "saturated" not in shown.image.message)
    shown.press("saturation")
    shown.start("image", run="b")
    shown.show(frame, run="b")  # 16 bits
    assert shown.image.saturation == 65535
    assert shown.image.message == ""
    shown.image.tools.limitWanted.emit()
    dialog = shown.image.findChild(QInputDialog)
    dialog.textValueSelected.emit("4000")
    shown.soon(lambda: "saturated" in shown.image.message)
    dialog.textValueSelected.emit("")
    assert shown.image.saturation == 65535
    setting = {"data": {"camera-bit_depth": 12}, "data_keys": {}}
    shown.start("image", run="c", configuration={"camera": setting})
    shown.show(frame, run="c")
    assert shown.image.saturation == 4095


def test_every_colour_map_and_curve_is_shown(shown: Shown) -> None:
    shown.show(RAMP)
    for name in COLOUR_MAPS:
        shown.image.set_colours(name)
        shown.show(RAMP)
    with pytest.raises(ValueError, match="there are: grey"):
        shown.image.set_colours("rainbow")
    shown.image.set_colours("grey")
    shown.image.set_curve(gamma=0.5)
    for frame in (RAMP, RAMP.astype(float), (RAMP % 256).astype(np.uint8)):
        shown.show(frame)
    dark = table_of(np.repeat(np.arange(256)[:, None], 3, axis=1), Curve(gamma=0.5))
    assert dark.shape == (4096, 1)
    assert dark[1024, 0] == pytest.approx(128, abs=1)
    assert Curve(logarithmic=True)(np.array([0.0, 1.0])).tolist() == [0.0, 1.0]
    assert Curve(logarithmic=True)(np.array([0.03]))[0] == pytest.approx(0.5, abs=0.01)


def test_the_menu_of_colours_asks_the_picture(shown: Shown) -> None:
    shown.show(RAMP)
    actions = {a.text(): a for a in shown.image.tools.buttons["colours"].menu().actions()}
    actions["viridis"].trigger()
    assert shown.image._graphics.item.lut.shape == (256, 3)
    actions["logarithmic"].trigger()
    actions["gamma 0.5"].trigger()
    assert shown.image._graphics.curve == Curve(0.5, logarithmic=True)


# -- frames that were not right -----------------------------------------------------------------


def test_a_constant_frame_is_grey_and_no_warning(shown: Shown) -> None:
    for value in (0, 1000):
        low, high = levels_of(np.full((30, 30), value, np.uint16))
        assert low < value < high
        shown.show(np.full((30, 30), value, np.uint16))
        assert tuple(shown.image._graphics.item.levels) == (low, high)
    assert levels_of(np.eye(300)) == (0.0, 1.0)  # nearly


def test_colours_without_a_number_are_shown(shown: Shown) -> None:
    shown.show(np.full((20, 30, 3), np.nan))
    assert shown.image.message == "no value is finite"
    holed = np.ones((20, 30, 3))
    holed[0, 0] = np.inf
    shown.show(holed)
    assert shown.image.message == "some values are not finite"


def test_rates_and_sizes_do_not_stay_when_nothing_comes() -> None:
    meter = RateMeter()
    for number in range(1, 4):
        meter.count_to("d", number, number / 10)
    meter.came(100.0)
    assert meter.rate == pytest.approx(10)
    assert not meter.is_stale(100.9)
    assert meter.is_stale(101.1)
    slow = RateMeter()
    for number in range(1, 4):
        slow.count_to("d", number, number * 10.0)
    slow.came(100.0)
    assert not slow.is_stale(140)  # one in ten seconds: the next one may come


def test_a_frame_that_cannot_be_shown_leaves_no_old_one(shown: Shown) -> None:
    shown.show(RAMP)
    assert "200 x 100" in shown.text("rates")
    shown.image.key = "image"
    shown.show(np.zeros(5))
    assert shown.image.frame is None
    shown.soon(lambda: "no picture" in shown.text("rates") or shown.show(np.zeros(5)))


def test_a_run_beside_it_does_not_reset_the_rate(shown: Shown) -> None:
    shown.start("image")
    for _ in range(3):
        shown.show(RAMP)
    shown.start("x", run="scan", stream="scan")
    assert shown.image.rates[0] == pytest.approx(1)
    shown.stop("scan")
    assert shown.image.channels[0] == ("image", None)


# -- stacks, channels, several pictures -----------------------------------------------------------


def test_a_slider_goes_through_a_stack_in_one_event(shown: Shown) -> None:
    stack = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    shown.show(stack)
    np.testing.assert_array_equal(shown.image.frame, stack[1, 2])
    slider = shown.image.findChild(QSlider, "plane")
    assert slider.isVisible()
    assert shown.text("planeText") == "6 of 6 (2, 3)"
    slider.setValue(3)
    shown.soon(lambda: (shown.image.frame == stack[1, 0]).all())
    assert shown.text("planeText") == "4 of 6 (2, 1)"
    shown.show(stack + 1)  # stays where it was put
    np.testing.assert_array_equal(shown.image.frame, stack[1, 0] + 1)
    shown.show(RAMP)
    assert not slider.isVisible()
    assert prepare(np.zeros((7, 8, 9, 3)), 2).pixels.shape == (8, 9, 3)


def test_frames_that_were_taken_before_are_gone_through(shown: Shown) -> None:
    frames = [RAMP + number for number in range(10)]
    shown.image.show_stack(frames, 4)
    shown.soon(lambda: shown.image.frame is not None)
    np.testing.assert_array_equal(shown.image.frame, frames[4])
    assert shown.image.frozen
    shown.image.findChild(QSlider, "plane").setValue(9)
    shown.soon(lambda: (shown.image.frame == frames[9]).all())
    shown.send(RAMP)  # a live one does not come in between
    shown.press("freeze")
    shown.show(RAMP)
    np.testing.assert_array_equal(shown.image.frame, RAMP)
    assert not shown.image.findChild(QSlider, "plane").isVisible()


def test_a_frame_that_cannot_be_read_is_said(shown: Shown) -> None:
    class Gone(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            raise OSError("the disk is away")

    shown.image.show_stack(Gone([1, 2]))
    shown.soon(lambda: "the disk is away" in shown.image.message)


def test_channels_are_chosen_by_camera_and_stream(shown: Shown, qtbot: Any) -> None:
    box = shown.image.findChild(QComboBox, "channel")
    shown.start("left", "right")
    assert box.isVisible()
    shown.describe("left", stream="dark")
    texts = [box.itemText(index) for index in range(box.count())]
    assert texts == ["automatic", "left", "left, primary", "left, dark", "right"]
    shown.show({"left": RAMP, "right": RAMP + 1})
    np.testing.assert_array_equal(shown.image.frame, RAMP)
    box.setCurrentIndex(4)
    box.activated.emit(4)
    assert shown.image.key == "right"
    shown.show({"left": RAMP, "right": RAMP + 1})
    np.testing.assert_array_equal(shown.image.frame, RAMP + 1)
    shown.image.choose("left", "dark")
    shown.send({"left": RAMP}, stream="primary")
    shown.show({"left": RAMP + 7}, stream="dark")
    np.testing.assert_array_equal(shown.image.frame, RAMP + 7)


def test_nothing_moves_when_there_are_channels_to_choose(shown: Shown) -> None:
    tools = shown.image.tools
    width, places = tools.minimumSizeHint().width(), [b.pos() for b in tools.buttons.values()]
    shown.start("left", "right")
    shown.soon(tools.findChild(QComboBox, "channel").isVisible)
    assert tools.minimumSizeHint().width() == width
    assert [button.pos() for button in tools.buttons.values()] == places


def test_two_cameras_are_seen_side_by_side(bridge: Any, qtbot: Any, soon: Any) -> None:
    area = ImageArea(bridge)
    qtbot.addWidget(area)
    area.show()
    first = area.image
    tell = bridge.documentReceived.emit
    about = {"dtype": "array", "shape": [4, 4], "source": ""}
    keys = {"left": about, "right": about}
    tell("start", {"uid": "a", "time": 0.0})
    tell("descriptor", {"uid": "d", "run_start": "a", "name": "primary", "data_keys": keys})
    first.tools.buttons["beside"].click()
    second = area.views[1]
    assert second.key == "right"
    data = {"left": RAMP, "right": RAMP + 1}
    tell("event", {"descriptor": "d", "seq_num": 1, "time": 1.0, "data": data})
    soon(lambda: first.frame is not None and second.frame is not None)
    np.testing.assert_array_equal(second.frame, RAMP + 1)
    second.tools.buttons["close"].click()
    assert area.views == (first,)
    area.remove_view(first)
    assert area.views == (first,)


def test_the_mouse_reads_values(shown: Shown) -> None:
    shown.show(RAMP)
    view = shown.image._graphics.view
    shown.image._graphics.scene().sigMouseMoved.emit(view.mapViewToScene(QPointF(7.5, 3.5)))
    assert shown.text("cursor") == f"(7, 3) = {RAMP[3, 7]}"


@pytest.mark.usefixtures("looks")
def test_what_is_around_a_picture_follows_the_theme(shown: Shown) -> None:
    shown.show(RAMP)
    shown.image.roi = (0, 0, 10, 10)
    graphics, trend = shown.image._graphics, shown.image._panel._trend
    for theme in ("light", "dark"):
        use_theme(theme)
        colours = plot_colours()
        assert graphics.backgroundBrush().color().name() == colours.surroundings
        assert graphics._histogram.axis.textPen().color().name() == colours.text
        assert trend.backgroundBrush().color().name() == colours.background
        assert trend.curve.opts["pen"].color().name() in colours.curves


@pytest.mark.parametrize(
    ("told", "size"),
    [
        (0.5, (0.5, "um")),
        ([0.5, "mm"], (0.5, "mm")),
        ([0.5, 0.25], (0.5, "um")),
        ("half a micron", None),
        ([], None),
        ({"x": 0.5}, None),
        (-1, None),
        pytest.param(10**400, None, id="too large"),
    ],
)
def test_whatever_is_told_of_a_pixel_s_size_the_picture_is_shown(
    shown: Shown, told: Any, size: Any
) -> None:
    shown.start("image", md={"pixel_size": told})
    shown.show(RAMP)
    assert shown.image.pixel_size == size


def test_a_number_of_bits_that_is_none_is_not_believed(shown: Shown) -> None:
    about = {"data": {"camera-bit_depth": "Mono12"}, "data_keys": {}}
    shown.start("image", configuration={"camera": about})
    shown.show(RAMP)
    assert shown.image.saturation == 65535  # that of its type


@pytest.mark.parametrize("frame", [RAMP, np.zeros((4, 6, 3), np.uint8), RAMP / 7])
def test_a_picture_is_saved_as_it_looks_with_all_of_its_pixels(
    shown: Shown, tmp_path: Path, frame: Any
) -> None:
    with pytest.raises(ValueError, match="no frame"):
        shown.image.save_picture(tmp_path / "early.png")
    shown.show(frame)
    shown.image.set_colours("viridis")
    shown.image.save_picture(tmp_path / "a.png")
    saved = QImage(str(tmp_path / "a.png"))
    assert (saved.height(), saved.width()) == frame.shape[:2]
    assert saved.pixelColor(0, 0).name() == ("#000000" if frame.ndim == 3 else "#440154")
    with pytest.raises(OSError, match=r"a.png cannot be written: No such file or directory"):
        shown.image.save_picture(tmp_path / "nowhere" / "a.png")


def test_a_stack_that_was_closed_shows_nothing_later(shown: Shown, soon: Any) -> None:
    wait, read = threading.Event(), threading.Event()

    class Slow(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            read.set()
            wait.wait(30)
            return super().__getitem__(index)

    seen: list[Any] = []
    shown.image.frameShown.connect(seen.append)
    shown.image.show_stack(Slow([RAMP]))
    soon(read.is_set)
    shown.image.show_stack([RAMP + 1])
    wait.set()
    soon(lambda: seen)
    assert seen[0]["data"]["frame"][0, 0] == 1
