"""Subscribers that can take one run at a time are served one run at a time."""

from __future__ import annotations

import io
import logging
import re
import threading
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest
from bluesky.callbacks import LiveTable
from bluesky.plans import scan
from bluesky.utils import Msg

from doubles import Detector
from freewheel.background import TaskStatus
from freewheel.plan_stubs import background
from freewheel.plans import live_view
from freewheel.sim import microscope

if TYPE_CHECKING:
    from freewheel import RunEngine


def a_run(name: str, *inside: Any) -> Any:
    yield Msg("open_run", None, plan=name)
    for each in inside:
        yield from each
    yield Msg("create", None, name="primary")
    yield Msg("read", Detector("det"))
    yield Msg("save")
    yield Msg("close_run")


def task_beside(engine: RunEngine, *, task_first: bool) -> None:
    """Have a task's run and the foreground's overlap."""
    gate = engine.loop.create_future()

    async def until_gate() -> None:
        await gate

    def wait() -> Any:
        yield Msg("wait_for", None, [until_gate])

    def plan() -> Any:
        if task_first:
            yield from background(a_run("task", wait()), name="task")
            while not any(doc == "task" for doc in seen_by_all):
                yield Msg("sleep", None, 0.001)
            yield from a_run("foreground")
            yield Msg("null")
            gate.set_result(None)
        else:
            yield Msg("open_run", None, plan="foreground")
            task = yield from background(a_run("task"), name="task")
            while not task.done:
                yield Msg("sleep", None, 0.001)
            yield Msg("create", None, name="primary")
            yield Msg("read", Detector("det"))
            yield Msg("save")
            yield Msg("close_run")

    seen_by_all: list[str] = []
    engine.subscribe(lambda _, doc: seen_by_all.append(doc["plan"]), "start")
    engine(plan()).result(10)


@pytest.mark.parametrize("delivery", ["inline", "queued"])
@pytest.mark.parametrize("task_first", [True, False])
def test_a_subscriber_has_one_run_at_a_time_and_the_foregrounds_first(
    RE: RunEngine,  # noqa: N803
    task_first: bool,
    delivery: Any,
) -> None:
    seen: list[tuple[str, Any]] = []
    RE.subscribe(lambda *each: seen.append(each), delivery=delivery, runs="one")
    task_beside(RE, task_first=task_first)
    starts = [doc["plan"] for name, doc in seen if name == "start"]
    assert starts == (["task", "foreground"] if task_first else ["foreground"])
    names = [name for name, _ in seen]
    last = len(names) - names[::-1].index("start") - 1
    assert names[last:] == ["start", "descriptor", "event", "stop"]
    (stop,) = [doc for name, doc in seen if name == "stop"]
    assert stop["run_start"] == seen[last][1]["uid"]


def test_a_tasks_run_is_passed_on_when_no_other_is_open(RE: RunEngine) -> None:  # noqa: N803
    seen: list[str] = []
    RE.subscribe(lambda name, _: seen.append(name), runs="one")
    RE.background.launch(a_run("task")).result(10)
    assert seen == ["start", "descriptor", "event", "stop"]


def test_runs_that_one_plan_nests_come_all(RE: RunEngine) -> None:  # noqa: N803
    seen: list[str] = []
    RE.subscribe(lambda name, _: seen.append(name), runs="one")

    def nested() -> Any:
        yield Msg("open_run", run="outer")
        yield Msg("open_run", run="inner")
        yield Msg("close_run", run="inner")
        yield Msg("close_run", run="outer")

    RE(nested()).result(10)
    assert seen == ["start", "start", "stop", "stop"]


def test_blueskys_table_gets_that_by_itself(
    RE: RunEngine,  # noqa: N803
    caplog: pytest.LogCaptureFixture,
) -> None:
    detector = Detector("det")
    out = io.StringIO()

    def read_run(*inside: Any) -> Any:
        yield Msg("open_run")
        for each in inside:
            yield from each
        yield Msg("create", None, name="primary")
        yield Msg("read", detector)
        yield Msg("save")
        yield Msg("close_run")

    def beside() -> Any:
        task = yield from background(read_run(), name="live", detach=True)
        while not task.done:
            yield Msg("sleep", None, 0.001)

    RE.subscribe(LiveTable(["det"], out=out.write))
    with redirect_stdout(io.StringIO()):
        RE(read_run(beside())).result(10)
    assert out.getvalue().count("seq_num") == 1
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


@pytest.mark.filterwarnings("ignore:Omitting camera-image from plot")
def test_blueskys_best_effort_callback_and_plot_beside_a_live_view(
    RE: RunEngine,  # noqa: N803
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from bluesky.callbacks.best_effort import BestEffortCallback
    from bluesky.callbacks.mpl_plotting import LivePlot
    from matplotlib import pyplot

    scope = microscope(shape=(16, 16), instant=True)
    frames = threading.Event()
    plot = LivePlot("temperature", "stage-x")
    RE.subscribe(BestEffortCallback())
    RE.subscribe(plot)
    RE.subscribe(lambda *_: frames.set(), "event")
    task = RE.background.launch(live_view([scope.camera], rate=100), name="view")
    try:
        assert frames.wait(10)
        for number in (1, 2):
            RE(scan([scope.temperature], scope.stage.x, 0, 4, 5)).result(30)
            shown = capsys.readouterr()
            assert shown.out.count("seq_num") == 1, shown.out
            assert len(re.findall(r"^\|\s+\d+ \|", shown.out, re.MULTILINE)) == 5
            assert "Traceback" not in shown.out + shown.err
            lines = [list(line.get_xdata()) for line in plot.ax.lines]
            # The view's own run, which has nothing to plot, came before there was a scan.
            assert lines == [[], *[[0, 1, 2, 3, 4]] * number]
            assert task.status is TaskStatus.RUNNING
            frames.clear()
            assert frames.wait(10)  # the live view goes on
        assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    finally:
        task.cancel()
        assert task.exception(10) is None
        pyplot.close("all")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"runs": "two"}, "runs is"), ({"runs": "one", "name": "event"}, "known by its start")],
)
def test_what_makes_no_sense_is_refused(
    RE: RunEngine,  # noqa: N803
    arguments: dict[str, Any],
    text: str,
) -> None:
    with pytest.raises(ValueError, match=text):
        RE.subscribe(print, **arguments)
