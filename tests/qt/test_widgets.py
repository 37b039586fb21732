"""Each widget by itself, driven as a person would."""

import enum
import logging
from collections.abc import Sequence
from contextvars import Context
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import event_model
import numpy as np
import pytest
from annotated_types import Ge, Gt, Unit
from bluesky.preprocessors import run_decorator
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator
from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QListWidget, QPushButton

from freewheel.core import Action, PlanCall, Progress
from freewheel.forms import InvalidArgumentsError, create_plan_spec, find_plans
from freewheel.plan_stubs import run_progress, wait_for_actions
from freewheel.qt import (
    ActionBar,
    ClaimGuard,
    ClaimsView,
    DevicePanel,
    EngineBridge,
    EngineControls,
    LiveImage,
    LivePlot,
    MotorRow,
    PlanChooser,
    PlanForm,
    PlanLog,
    ProgressPanel,
    SettingRow,
)
from freewheel.qt._image._frames import UnshowableFrameError, prepare
from freewheel.qt._look._rates import RateMeter
from freewheel.qt._look._readback import ShortLabel

LEFT = Qt.MouseButton.LeftButton


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def every_kind(
    detectors: Sequence[Readable],
    motor: Movable,
    colour: Colour = Colour.BLUE,
    speed: Literal["slow", "fast"] = "fast",
    exposure: Annotated[float, Gt(0), Unit("s")] = 0.25,
    num: Annotated[int, Ge(1)] = 3,
    title: str = "run",
    save: bool = True,
    limits: tuple[float, float] = (0.0, 2.5),
    offset: float | None = None,
    snap: Action = Action(name="snap"),  # noqa: B008
) -> MsgGenerator[None]:
    """Use each kind of field.

    Parameters
    ----------
    exposure
        How long the shutter is open.
    """
    yield from bps.null()


def enabled(controls: EngineControls) -> set[str]:
    return {name for name, button in controls.buttons.items() if button.isEnabled()}


# -- controls -------------------------------------------------------------------------------


def test_buttons_are_enabled_exactly_when_they_can_be_used(
    bridge: Any, qtbot: Any, soon: Any
) -> None:
    controls = EngineControls(bridge, lambda: bps.sleep(60))
    qtbot.addWidget(controls)
    assert enabled(controls) == {"run"}
    qtbot.mouseClick(controls.buttons["run"], LEFT)
    soon(lambda: enabled(controls) == {"run", "pause", "stop", "abort", "halt"})
    qtbot.mouseClick(controls.buttons["pause"], LEFT)
    soon(lambda: enabled(controls) == {"run", "resume", "stop", "abort", "halt"})
    qtbot.mouseClick(controls.buttons["resume"], LEFT)
    soon(lambda: "pause" in enabled(controls))
    qtbot.mouseClick(controls.buttons["stop"], LEFT)
    soon(lambda: enabled(controls) == {"run"})


def test_a_plan_that_may_not_be_paused_has_no_pause(bridge: Any, qtbot: Any, soon: Any) -> None:
    controls = EngineControls(bridge)
    qtbot.addWidget(controls)
    assert enabled(controls) == set()
    controls.set_plan(lambda: bps.sleep(60), pausable=False)
    controls.run()
    soon(lambda: "stop" in enabled(controls))
    assert "pause" not in enabled(controls)
    bridge.stop()
    soon(lambda: enabled(controls) == {"run"})


def test_plans_that_wait_can_be_removed(bridge: Any, qtbot: Any, soon: Any) -> None:
    controls = EngineControls(bridge, lambda: bps.sleep(60))
    qtbot.addWidget(controls)
    controls.show()
    controls.run()
    soon(lambda: "stop" in enabled(controls))
    waits = controls.run()
    soon(lambda: controls.findChild(QPushButton, "remove") is not None)
    qtbot.mouseClick(controls.findChild(QPushButton, "remove"), LEFT)
    soon(lambda: waits.cancelled())
    assert bridge.engine.queued == ()
    assert "sleep" in controls.findChild(QLabel, "elapsed").text()


def test_of_thousands_that_wait_the_first_are_listed(bridge: Any, qtbot: Any, soon: Any) -> None:
    engine = bridge.engine
    engine.queue.hold()
    for number in range(1000):
        engine(PlanCall(bps.sleep, (number,)))
    controls = EngineControls(bridge, lambda: None)
    qtbot.addWidget(controls)
    listed = controls.findChild(QListWidget)
    soon(lambda: listed.count() == 31)
    assert listed.item(30).text() == "and 970 more"
    engine.queue.clear()
    soon(lambda: listed.count() == 0)


def test_plans_that_wait_show_their_arguments_and_are_held(
    bridge: Any, qtbot: Any, soon: Any
) -> None:
    controls = EngineControls(bridge, lambda: PlanCall(bps.sleep, (60,)))
    qtbot.addWidget(controls)
    controls.show()
    hold = controls.findChild(QPushButton, "hold")
    assert not hold.isVisible()
    controls.run()
    waits = controls.run()
    soon(hold.isVisible)
    labels = partial(controls.findChild(QListWidget).findChildren, QLabel)
    assert [label.text() for label in labels()] == ["sleep(60)", "not known"]
    assert isinstance(labels()[0], ShortLabel)  # which is not cut off, but shortened
    bridge.engine.preview(bps.sleep, 60)  # somebody has asked: now it is
    soon(lambda: labels()[1].text().startswith("in about 5"))
    soon(lambda: controls.findChild(QLabel, "elapsed").text().endswith(" s left"))
    bridge.engine.queue.edit(waits, PlanCall(bps.sleep, (50,)))
    soon(lambda: [each.text() for each in labels()][:1] == ["sleep(50)"])
    qtbot.mouseClick(hold, LEFT)
    soon(lambda: bridge.engine.queue.held == "the Hold button")
    soon(lambda: not hold.isVisible())
    qtbot.mouseClick(controls.findChild(QPushButton, "release"), LEFT)
    soon(hold.isVisible)


# -- forms ----------------------------------------------------------------------------------


def test_what_is_filled_in_reaches_the_plan(scope: Any, qtbot: Any) -> None:
    form = PlanForm(create_plan_spec(every_kind, scope), scope)
    qtbot.addWidget(form)
    assert set(form.problems()) == {"detectors", "motor"}
    form.set_values(
        {"detectors": ["camera"], "motor": "stage.y", "colour": Colour.RED, "num": 7, "offset": 1.5}
    )
    assert form.is_valid
    args, kwargs = form.arguments()
    assert kwargs == {}
    assert args[:9] == (
        [scope.camera],
        scope.stage.y,
        Colour.RED,
        "fast",
        0.25,
        7,
        "run",
        True,
        (0.0, 2.5),
    )
    assert args[9] == 1.5


def test_bad_values_are_marked_where_they_were_typed(scope: Any, qtbot: Any) -> None:
    form = PlanForm(create_plan_spec(every_kind, scope), scope)
    qtbot.addWidget(form)
    form.show()
    form.set_values({"detectors": ["camera"], "motor": "focus"})
    with qtbot.waitSignal(form.validityChanged, timeout=30_000) as blocked:
        line = form.fields["exposure"].editor.lineEdit()
        line.selectAll()
        qtbot.keyClicks(line, "-3")
    assert blocked.args == [False]
    assert "greater than 0" in form.fields["exposure"].problem
    assert form.fields["num"].problem == ""
    with pytest.raises(InvalidArgumentsError, match="exposure"):
        form.arguments()
    line.selectAll()
    qtbot.keyClicks(line, "fast")
    assert "number" in form.fields["exposure"].problem
    line.selectAll()
    qtbot.keyClicks(line, "1e-3")
    assert form.is_valid
    assert form.values()["exposure"] == 0.001
    assert form.fields["exposure"].toolTip() == "How long the shutter is open."


def test_arrows_step_within_the_limits(scope: Any, qtbot: Any) -> None:
    form = PlanForm(create_plan_spec(every_kind, scope), scope)
    qtbot.addWidget(form)
    number = form.fields["num"].editor
    qtbot.keyClick(number, Qt.Key.Key_Up)
    assert number.value() == 4
    for _ in range(6):
        qtbot.keyClick(number, Qt.Key.Key_Down)
    assert number.value() == 1


def test_a_path_that_is_not_filled_in_is_missing(scope: Any, qtbot: Any) -> None:
    def load(file: Path, folder: Path = Path()) -> MsgGenerator[None]:
        yield from bps.null()

    chooser = PlanChooser(find_plans([load], scope), scope)
    qtbot.addWidget(chooser)
    form = chooser.choose("load")
    assert form.problems() == {"file": "is required"}
    form.set_values({"file": Path("stack.json")})
    assert form.values()["file"].name == "stack.json"
    assert form.is_valid


def test_an_unavailable_plan_is_listed_with_its_reason(
    scope: Any, qtbot: Any, tmp_path: Any
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    chooser = PlanChooser(find_plans([every_kind, bp.scan_nd, str(tmp_path)], scope), scope)
    qtbot.addWidget(chooser)
    assert chooser.form is not None
    assert chooser.choose("scan_nd") is None
    assert "Cycler" in chooser.findChild(QLabel, "reason").text()
    assert chooser.choose("broken") is None
    texts = [w.toPlainText() for w in chooser.findChildren(object, "traceback")]
    assert any("ZeroDivisionError" in text for text in texts)
    with pytest.raises(KeyError, match="every_kind"):
        chooser.choose("nothing")


def test_the_plan_that_is_chosen_first_is_one_that_can_be_run(scope: Any, qtbot: Any) -> None:
    chooser = PlanChooser(find_plans([bp.scan_nd, every_kind], scope), scope)
    qtbot.addWidget(chooser)
    assert chooser.form is not None
    # As while devices are being connected: nothing that needs one can be run then.
    chooser.set_plans(find_plans([bp.scan_nd], scope), {})
    assert chooser.form is None
    chooser.set_plans(find_plans([bp.scan_nd, every_kind], scope), scope)
    assert chooser.form is not None


# -- actions --------------------------------------------------------------------------------


def test_buttons_come_and_go_with_the_waits(bridge: Any, qtbot: Any, soon: Any) -> None:
    snap = Action(name="snap", description="Take one")
    lamp = Action(name="lamp", togglable=True, toggle_states=("Lit", "Dark"))
    seen: list[Any] = []

    def offers() -> Any:
        seen.append((yield from wait_for_actions(snap.event_map, timeout=None)))
        seen.append((yield from wait_for_actions(lamp.event_map, timeout=None)))
        seen.append((yield from wait_for_actions(lamp.event_map, timeout=None, wait_for="reset")))

    bar = ActionBar(bridge)
    qtbot.addWidget(bar)
    bridge.run(offers())
    soon(lambda: "snap" in bar.buttons)
    assert bar.buttons["snap"].toolTip() == "Take one"
    qtbot.mouseClick(bar.buttons["snap"], LEFT)
    soon(lambda: set(bar.buttons) == {"lamp"})
    assert bar.buttons["lamp"].text() == "Lamp: Dark"
    qtbot.mouseClick(bar.buttons["lamp"], LEFT)
    soon(lambda: len(seen) == 2)
    assert bar.buttons["lamp"].text() == "Lamp: Lit"
    qtbot.mouseClick(bar.buttons["lamp"], LEFT)
    soon(lambda: bar.buttons == {})
    assert [name for name, _ in seen] == ["snap", "lamp", "lamp"]


# -- pictures -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        np.arange(600, dtype=np.uint16).reshape(20, 30),
        np.full((20, 30), np.nan),
        np.where(np.eye(20, 30), np.inf, 1.0),
        np.ones((20, 30), np.complex64),
        np.zeros((20, 30, 3), np.uint8),
        np.random.default_rng(1).random((20, 30, 4)),
        np.eye(20, 30, dtype=bool),
        np.zeros((5, 20, 30), np.float32),
        np.zeros((1, 20, 30), np.int64),
        np.ones((20, 30), np.float16),
        np.full((20, 30), 2**64 - 1, np.uint64),
        np.full((20, 30), 1.7e308),
        np.where(np.eye(20, 30), 1.7e308, -1.7e308),
    ],
    ids=lambda f: f"{f.dtype}{f.shape}",
)
@pytest.mark.filterwarnings("ignore:overflow encountered")  # numpy's, of the mean
def test_frames_of_any_kind_are_shown(bridge: Any, qtbot: Any, frame: Any) -> None:
    image = LiveImage(bridge)
    qtbot.addWidget(image)
    image.show()
    with qtbot.waitSignal(image.frameShown, timeout=30_000):
        bridge.documentReceived.emit("event", event_of(frame))
    assert image.frame.shape[:2] == (20, 30)
    if frame.dtype.kind == "c":
        assert "magnitude" in image.message


@pytest.mark.parametrize(
    "value", [np.zeros(5), np.zeros((0, 3)), np.array([["a"]]), 3.0, np.empty((2, 2), object)]
)
def test_what_is_no_picture_is_refused_with_a_message(value: Any) -> None:
    with pytest.raises(UnshowableFrameError):
        prepare(value)


def test_a_refused_frame_leaves_the_next_one_be(bridge: Any, qtbot: Any) -> None:
    image = LiveImage(bridge, key="image")
    qtbot.addWidget(image)
    with qtbot.waitSignal(image.frameShown, timeout=30_000):
        bridge.documentReceived.emit("event", event_of(np.zeros(5)))
    assert "two dimensions" in image.message
    with qtbot.waitSignal(image.frameShown, timeout=30_000):
        bridge.documentReceived.emit("event", event_of(np.zeros((5, 5))))
    assert image.message == ""


def test_a_large_frame_is_thinned_and_the_cursor_reads_it_whole(bridge: Any, qtbot: Any) -> None:
    image = LiveImage(bridge)
    qtbot.addWidget(image)
    image.resize(400, 400)
    image.show()
    frame = np.arange(2048 * 2048, dtype=np.uint32).reshape(2048, 2048)
    for _ in range(2):
        with qtbot.waitSignal(image.frameShown, timeout=30_000):
            bridge.documentReceived.emit("event", event_of(frame))
    assert image._graphics.item.image.size < 1_000_000
    image._graphics.pointed.emit(7, 2001)
    assert str(frame[2001, 7]) in image.findChild(QLabel, "cursor").text()


def event_of(value: Any, number: int = 1, key: str = "image") -> dict[str, Any]:
    return {"descriptor": "d", "seq_num": number, "time": float(number), "data": {key: value}}


def test_rates_count_the_frames_that_never_came() -> None:
    meter = RateMeter()
    for number in (1, 11, 21):
        meter.count_to("d", number, number / 100)
    assert meter.rate == pytest.approx(100)


# -- plots ----------------------------------------------------------------------------------


def test_a_scan_is_plotted_against_its_motor(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    plot = LivePlot(bridge, y="temperature-readback", x="focus")
    keys: list[str] = []
    bridge.documentReceived.connect(
        lambda n, doc: keys.extend(doc["data_keys"]) if n == "descriptor" else None
    )
    qtbot.addWidget(plot)
    plot.set_keys(next(iter(scan_keys(bridge, scope, soon, keys))), "focus")
    bridge.run(bp.scan([scope.temperature], scope.focus, 0, 4, 5))
    soon(lambda: plot.points.shape == (2, 5))
    assert plot.points[0].tolist() == [0, 1, 2, 3, 4]


def scan_keys(bridge: Any, scope: Any, soon: Any, keys: list[str]) -> list[str]:
    bridge.run(bp.count([scope.temperature]))
    soon(lambda: keys)
    return keys


def test_what_is_no_number_is_said(bridge: Any, scope: Any, qtbot: Any, soon: Any) -> None:
    plot = LivePlot(bridge, y="camera-image")
    qtbot.addWidget(plot)
    keys: list[str] = []
    bridge.documentReceived.connect(
        lambda n, doc: keys.extend(doc["data_keys"]) if n == "descriptor" else None
    )
    bridge.run(bp.count([scope.camera]))
    soon(lambda: keys)
    plot.set_keys(next(key for key in keys if "image" in key or key == "camera"))
    bridge.run(bp.count([scope.camera]))
    soon(lambda: "image" in plot.message)
    assert plot.points.shape == (2, 0)


class Runs:
    """Documents of made-up runs, as a bridge passes them on."""

    def __init__(self, bridge: Any) -> None:
        self._emit = bridge.documentReceived.emit
        self._keys: dict[str, list[str]] = {}

    def start(self, run: str, *keys: str, stream: str = "primary") -> None:
        self._emit("start", {"uid": run, "time": 100.0})
        self.describe(run, *keys, stream=stream)

    def describe(self, run: str, *keys: str, stream: str = "primary") -> None:
        described = {key: {"dtype": "number", "shape": [], "units": "mm"} for key in keys}
        described["image"] = {"dtype": "array", "shape": [4, 4]}
        self._keys[f"{run} {stream}"] = list(keys)
        descriptor = {"uid": f"{run} {stream}", "run_start": run, "name": stream, "time": 100.0}
        self._emit("descriptor", {**descriptor, "data_keys": described})

    def event(self, run: str, *values: Any, stream: str = "primary", time: float = 101.0) -> None:
        keys = self._keys[f"{run} {stream}"]
        data = {"image": np.zeros((4, 4)), **dict(zip(keys, values, strict=True))}
        self._emit("event", {"descriptor": f"{run} {stream}", "time": time, "data": data})

    def stop(self, run: str) -> None:
        self._emit("stop", {"run_start": run})


def test_axes_are_chosen_and_what_came_before_is_shown_with_them(bridge: Any, qtbot: Any) -> None:
    plot, runs = LivePlot(bridge), Runs(bridge)
    qtbot.addWidget(plot)
    plot.show()
    runs.start("a", "signal", "motor")
    for number in range(3):
        runs.event("a", 10.0 + number, float(number), time=101.0 + number)
    assert plot.points.tolist() == [[1, 2, 3], [10, 11, 12]]
    assert plot.choices == ("signal", "motor")
    y, x = plot.findChild(QComboBox, "y"), plot.findChild(QComboBox, "x")
    assert [x.itemText(i) for i in range(x.count())] == [
        "automatic",
        "time",
        "signal",
        "motor",
    ]
    chosen: list[Any] = []
    plot.keysChosen.connect(lambda *keys: chosen.append(keys))
    choose(qtbot, x, "motor")
    assert chosen[-1] == (None, "motor")
    assert plot.points.tolist() == [[0, 1, 2], [10, 11, 12]]
    choose(qtbot, y, "motor")
    choose(qtbot, x, "signal")
    assert plot.points.tolist() == [[10, 11, 12], [0, 1, 2]]
    assert plot.keys == ("motor", "signal")
    runs.event("a", 13.0, 3.0)
    assert plot.points[:, -1].tolist() == [13, 3]


def choose(qtbot: Any, box: QComboBox, text: str) -> None:
    box.setFocus()
    for _ in range(box.count()):
        qtbot.keyClick(box, Qt.Key.Key_Up)
    for _ in range(box.findText(text)):
        qtbot.keyClick(box, Qt.Key.Key_Down)
    assert box.currentText() == text


def test_a_choice_holds_for_the_next_runs_that_can_follow_it(bridge: Any, qtbot: Any) -> None:
    plot, runs = LivePlot(bridge), Runs(bridge)
    qtbot.addWidget(plot)
    runs.start("a", "signal", "motor")
    plot.choose("motor", "signal")
    runs.event("a", 1.0, 2.0)
    runs.stop("a")
    runs.start("b", "current", "motor")  # has no signal: against time
    runs.event("b", 5.0, 6.0)
    assert plot.points.tolist() == [[1], [6]]
    runs.stop("b")
    runs.start("c", "current")  # has neither
    runs.event("c", 7.0)
    assert plot.points.tolist() == [[1], [7]]
    runs.stop("c")
    runs.start("d", "other", "signal", "motor")
    runs.event("d", 0.0, 8.0, 9.0)
    assert plot.points.tolist() == [[8], [9]]
    assert plot.keys == ("motor", "signal")


def test_a_live_view_beside_it_does_not_take_the_plot(bridge: Any, qtbot: Any) -> None:
    plot, runs = LivePlot(bridge), Runs(bridge)
    qtbot.addWidget(plot)
    runs.start("live", "rate", stream="live")
    runs.event("live", 30.0, stream="live")
    assert plot.points.tolist() == [[1], [30]]
    runs.start("scan", "signal", "motor")
    runs.event("scan", 1.0, 2.0)
    plot.choose("signal", "motor")
    runs.stop("scan")
    runs.event("live", 30.0, stream="live")
    assert plot.points.tolist() == [[2], [1]]
    plot.choose("rate")
    assert plot.points.tolist() == [[1, 1], [30, 30]]


def test_the_primary_stream_is_shown_rather_than_a_baseline(bridge: Any, qtbot: Any) -> None:
    plot, runs = LivePlot(bridge), Runs(bridge)
    qtbot.addWidget(plot)
    runs.start("a", "room", stream="baseline")
    runs.event("a", 20.0, stream="baseline")
    runs.describe("a", "signal")
    runs.event("a", 3.0)
    assert plot.points.tolist() == [[1], [3]]
    assert plot.choices == ("signal", "room")


def test_keys_of_the_program_are_not_replaced_by_others(bridge: Any, qtbot: Any) -> None:
    plot, runs = LivePlot(bridge, y="signal", x="motor"), Runs(bridge)
    qtbot.addWidget(plot)
    plot.show()
    assert not plot.findChild(QComboBox, "y").isVisible()
    runs.start("a", "current", "signal")
    runs.event("a", 1.0, 2.0)
    assert plot.points.shape == (2, 0)
    runs.start("b", "signal", "motor")
    runs.event("b", 1.0, "far")
    assert "'far'" in plot.message
    runs.event("b", 1.0, 2.0)
    assert plot.points.tolist() == [[2], [1]]


def test_earlier_runs_with_the_same_axes_stay(bridge: Any, qtbot: Any, soon: Any) -> None:
    plot, runs = LivePlot(bridge), Runs(bridge)
    qtbot.addWidget(plot)
    for number in range(9):
        runs.start(str(number), "signal")
        runs.event(str(number), float(number))
        runs.stop(str(number))
    soon(lambda: len(plot._curves._curves) == 5)
    runs.start("other", "current")
    runs.event("other", 1.0)
    soon(lambda: len(plot._curves._curves) == 1)
    assert plot._rows.plots[0].getAxis("left").labelText == "current [mm]"


def test_of_many_points_the_newer_half_is_kept(bridge: Any, qtbot: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("freewheel.qt._plot._tables._POINTS", 256)
    plot, runs = LivePlot(bridge), Runs(bridge)
    qtbot.addWidget(plot)
    runs.start("a", "signal")
    for number in range(600):
        runs.event("a", float(number))
    assert plot.points.shape[1] <= 256
    assert plot.points[1, -1] == 599


# -- progress, claims, devices, log -----------------------------------------------------------


def test_scopes_have_bars(bridge: Any, qtbot: Any) -> None:
    panel = ProgressPanel(bridge)
    qtbot.addWidget(panel)
    rows, wait = Progress("rows", fraction=0.25), Progress("wait", elapsed=3.0)
    bridge.progressChanged.emit((rows, wait, Progress("over", fraction=1.0, done=True)))
    assert [bar.value() for bar in panel.bars] == [250, 0]
    assert "3 s" in panel.bars[1].text()
    bridge.progressChanged.emit(())
    assert panel.bars == ()


def test_a_task_has_one_row_with_its_progress_in_it(bridge: Any, qtbot: Any, soon: Any) -> None:
    panel = ProgressPanel(bridge)
    qtbot.addWidget(panel)
    bridge.engine.preprocessors.append(run_progress)
    task = bridge.engine.background.launch(counts_and_waits(), name="count")
    soon(lambda: [bar.value() for bar in panel.bars] == [500])
    row = panel.findChild(object, "task:count")
    assert panel.bars[0].parent().parent() is row
    assert panel.bars[0].text().startswith("50 %")  # its name is above
    told = bridge.snapshot().progress
    bare = Progress("count", "count", kind="task", background=True)
    rows = Progress("rows", "count", background=True, fraction=0.1)
    plan = Progress("scan", "scan", fraction=0.2)
    bridge.progressChanged.emit((*told, bare, rows, plan))
    assert [bar.value() for bar in panel.bars] == [200, 500, 100]
    assert panel.task_names == ("count",)
    task.cancel()
    soon(lambda: panel.task_names == ())


@run_decorator(md={"num_points": 2, "plan_name": "count"})
def counts_and_waits() -> Any:
    yield from bps.create()
    yield from bps.save()
    yield from bps.sleep(60)


def test_a_bar_of_a_whole_plan_tells_the_time_that_stands_beside_the_state(
    bridge: Any, qtbot: Any, soon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = ProgressPanel(bridge)
    qtbot.addWidget(panel)
    told = replace(bridge.snapshot(), plan_name="scan", time_left=30.0)
    monkeypatch.setattr(EngineBridge, "snapshot", lambda _: told)
    scope = Progress("scan", fraction=0.25, elapsed=20.0, remaining=60.0)
    part = replace(scope, name="a part")
    bridge.progressChanged.emit((scope, part))
    assert [bar.text() for bar in panel.bars] == [
        "scan  25 %  30 s left",
        "a part  25 %  1 min 0 s left",
    ]


def test_tasks_can_be_paused_and_stopped(bridge: Any, qtbot: Any, soon: Any) -> None:
    panel = ProgressPanel(bridge)
    qtbot.addWidget(panel)
    task = bridge.engine.background.launch(bps.sleep(60), name="nap")
    soon(lambda: panel.task_names == ("nap",) and task.status.value == "running")
    row = panel.findChild(object, "task:nap")
    qtbot.mouseClick(row.findChild(QPushButton, "pause"), LEFT)
    soon(lambda: task.status.value == "paused")
    soon(lambda: row.findChild(QPushButton, "pause").text() == "Resume")
    qtbot.mouseClick(row.findChild(QPushButton, "cancel"), LEFT)
    soon(lambda: panel.task_names == ())


def test_a_held_device_is_greyed_out_with_its_holder(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    row = MotorRow(bridge, scope.stage.x, "x")
    view = ClaimsView(bridge)
    free = QPushButton("free")
    for widget in (row, view, free):
        qtbot.addWidget(widget)
    guard = ClaimGuard(bridge, scope.focus, free)
    with bridge.engine.claims.hold(scope.stage, holder="alignment"):
        soon(lambda: not row.findChild(QPushButton, "go").isEnabled())
        assert row.guard.holder == "alignment"
        assert row.findChild(QPushButton, "go").toolTip() == "held by alignment"
        assert row.findChild(QLabel, "holder").text() == "held by alignment"
        assert not row.findChild(QPushButton, "pauseAndMove").isEnabled()  # it is no plan
        soon(lambda: view.rowCount() == 1)
        assert view.item(0, 1).text() == "alignment"
        assert guard.holder is None
        assert free.isEnabled()
    soon(lambda: row.findChild(QPushButton, "go").isEnabled())


def test_a_row_names_the_unit(bridge: Any, scope: Any, qtbot: Any, soon: Any) -> None:
    motor = MotorRow(bridge, scope.focus)
    setting = SettingRow(bridge, scope.camera.exposure, "exposure")
    for row in (motor, setting):
        qtbot.addWidget(row)

    def labels(row: Any) -> list[str]:
        return [label.text() for label in row.findChildren(QLabel)]

    soon(lambda: "focus [um]" in labels(motor))
    soon(lambda: "exposure [s]" in labels(setting))


def test_a_motor_is_moved_by_hand_with_the_claim(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    row = MotorRow(bridge, scope.focus)
    qtbot.addWidget(row)
    claims: list[Any] = []
    # The engine's own: a window that is busy hears of the last one alone.
    bridge.engine.events.claims_changed.connect(lambda held: claims.append(dict(held)))
    target = row.findChild(object, "target").lineEdit()
    target.selectAll()
    qtbot.keyClicks(target, "2.5")
    qtbot.keyClick(target, Qt.Key.Key_Return)
    soon(lambda: row.findChild(QLabel, "readback").text() == "2.5")
    soon(lambda: {"focus": "manual move"} in claims)
    assert row.findChild(QPushButton, "go").isEnabled()
    target.selectAll()
    qtbot.keyClicks(target, "far")
    qtbot.keyClick(target, Qt.Key.Key_Return)
    assert "'far' is no number" in row.problem


def test_a_move_that_a_plan_is_in_the_way_of_says_so(
    bridge: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    row = MotorRow(bridge, scope.focus)
    qtbot.addWidget(row)
    row.set_target(1.0)
    with bridge.engine.claims.hold(scope.focus, holder="somebody"):
        Context().run(row.move)  # not whoever holds it, to whom that would lend it
        soon(lambda: "somebody" in row.problem)


def test_a_setting_is_changed_by_hand(bridge: Any, scope: Any, qtbot: Any, soon: Any) -> None:
    row = SettingRow(bridge, scope.camera.exposure, "exposure")
    qtbot.addWidget(row)
    soon(lambda: row.findChild(object, "value").value() == 0.005)
    row.set_value(0.02)
    qtbot.mouseClick(row.findChild(QPushButton, "set"), LEFT)
    soon(lambda: row.findChild(QLabel, "readback").text() == "0.02")
    row.set_value(-1)
    row.apply()
    soon(lambda: row.problem)


def test_devices_that_did_not_connect_are_shown(bridge: Any, scope: Any, qtbot: Any) -> None:
    panel = DevicePanel(bridge, {**scope, "pump": ConnectionError("no answer from the pump")})
    qtbot.addWidget(panel)
    assert "no answer from the pump" in panel.rows["pump"].text()
    assert {"stage.x", "focus", "camera.exposure", "shutter"} <= set(panel.rows)


def test_what_a_publisher_says_is_shown(bridge: Any, qtbot: Any, soon: Any, tmp_path: Path) -> None:
    """On its own thread; until the window is closed, and never after that."""
    from freewheel.publishing import Publisher

    pytest.importorskip("zmq")
    log = PlanLog(bridge)
    qtbot.addWidget(log)
    with (
        qtbot.waitSignal(log.failed, timeout=30_000) as blocked,
        Publisher("zmq://127.0.0.1:9", keep=tmp_path) as publisher,
    ):
        publisher("start", event_model.compose_run().start_doc)
    assert "zmq://127.0.0.1:9 is not there" in blocked.args[0]
    soon(lambda: "1 of the 1 documents" in log.text)
    log.unlisten()
    shown = log.text
    with Publisher("zmq://127.0.0.1:9", keep=None) as publisher:
        publisher("start", event_model.compose_run().start_doc)
    qtbot.wait(0)
    assert log.text == shown


def test_a_log_that_qt_has_deleted_costs_no_other_what_a_publisher_says(
    bridge: Any, qtbot: Any, soon: Any
) -> None:
    deleted, log = PlanLog(bridge), PlanLog(bridge)
    qtbot.addWidget(log)
    deleted.deleteLater()
    soon(lambda: not isalive(deleted))
    with qtbot.waitSignal(log.failed, timeout=30_000):
        logging.getLogger("freewheel.publishing").warning("the broker is away")
    assert "the broker is away" in log.text


def test_a_failure_is_shown_and_can_be_copied(bridge: Any, qtbot: Any, soon: Any) -> None:
    def breaks() -> Any:
        yield from bps.null()
        raise ValueError("the sample is upside down")

    log = PlanLog(bridge)
    qtbot.addWidget(log)
    with qtbot.waitSignal(log.failed, timeout=30_000) as blocked:
        bridge.run(breaks())
    assert "upside down" in blocked.args[0]
    assert "in breaks" not in log.text  # `ErrorList` has the traceback
    qtbot.mouseClick(log.findChild(QPushButton, "copy"), LEFT)
    assert "upside down" in QApplication.clipboard().text()
    bridge.resume()
    assert "resume is not possible" in log.text


def test_what_is_missing_in_a_form_is_told_without_a_traceback(
    bridge: Any, scope: Any, qtbot: Any
) -> None:
    log, controls = PlanLog(bridge), EngineControls(bridge)
    form = PlanForm(create_plan_spec(every_kind, scope), scope)
    for widget in (log, controls, form):
        qtbot.addWidget(widget)
    controls.set_plan(form.make_call)
    controls.run_in_foreground()
    assert "detectors: choose at least one" in log.text
    assert "Traceback" not in log.text
