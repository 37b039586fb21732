"""bluesky's live plots at a real prompt, drawn with Qt while plans run off the main thread."""

from __future__ import annotations

import re
from typing import Any

import pytest


def test_best_effort_plots_are_drawn_on_the_main_thread(new_terminal: Any) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("PySide6")
    terminal = new_terminal(
        "-m",
        "IPython",
        "--no-banner",
        "--no-confirm-exit",
        "--colors=nocolor",
        QT_QPA_PLATFORM="offscreen",
        QT_API="pyside6",
    )
    for cell in (
        "%load_ext freewheel",
        # Without it matplotlib says that a machine without a display has no windows.
        "from PySide6 import QtWidgets; app = QtWidgets.QApplication([])",
        "%matplotlib qt",
        "from freewheel import RunEngine; import bluesky.plans as bp; import threading",
        "from freewheel.sim import microscope; import matplotlib.pyplot as plt",
        "from bluesky.callbacks.best_effort import BestEffortCallback",
        "RE = RunEngine(); scope = microscope(instant=True); scope.temperature.temperature",
        "drawn = []; real = plt.Figure.add_subplot",
        "plots = BestEffortCallback(); _ = RE.subscribe(plots)",
    ):
        terminal.run(cell)
    terminal.run(
        "plt.Figure.add_subplot = lambda *a, **k: "
        "(drawn.append(threading.current_thread().name), real(*a, **k))[1]"
    )
    terminal.run("plt.get_backend()", "(?i)qtagg")
    terminal.run("f = RE(bp.scan([scope.temperature], scope.stage.x, 0, 4, 5))")
    terminal.wait(r"\[scan\] completed after")
    terminal.wait(r"generator scan .* \(scan num: 1\)")
    terminal.run("plt.get_fignums()", r"\[1\]")
    terminal.run("len(plt.figure(1).axes[0].lines[0].get_xdata())", "5")
    text = terminal.run("set(drawn)", r"\{'MainThread'\}")
    assert not re.search("Warning|main thread|QObject", terminal.text()), text


def test_best_effort_and_live_plot_beside_a_live_view(new_terminal: Any) -> None:
    pytest.importorskip("matplotlib")
    terminal = new_terminal(
        "-m",
        "IPython",
        "--no-banner",
        "--no-confirm-exit",
        "--colors=nocolor",
        MPLBACKEND="Agg",
    )
    for cell in (
        "%load_ext freewheel",
        "from freewheel import RunEngine; import bluesky.plans as bp",
        "from freewheel.plans import live_view; from freewheel.sim import microscope",
        "from bluesky.callbacks.best_effort import BestEffortCallback",
        "from bluesky.callbacks.mpl_plotting import LivePlot",
        "RE = RunEngine(); scope = microscope(shape=(16, 16), instant=True)",
        "plot = LivePlot('temperature', 'stage-x'); _ = RE.subscribe(plot)",
        "_ = RE.subscribe(BestEffortCallback())",
        "t = RE.background.launch(live_view([scope.camera], rate=50), name='view')",
    ):
        terminal.run(cell)
    terminal.run("f = RE(bp.scan([scope.temperature], scope.stage.x, 0, 4, 5))")
    terminal.wait(r"\[scan\] completed after")
    text = terminal.text()
    assert text.count("seq_num") == 1, text
    assert len(re.findall(r"^\|\s+\d+ \|", text, re.MULTILINE)) == 5, text
    terminal.run(
        "[list(line.get_xdata()) for line in plot.ax.lines]", r"0\.0, 1\.0, 2\.0, 3\.0, 4\.0"
    )
    terminal.run("t.status.value", "running")
    terminal.run("%stop view", "view cancelled")
    assert not re.search("Traceback|error:|warning:", terminal.text()), terminal.text()
