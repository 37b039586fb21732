"""Signals end a window's plan with its clean-up, and then the program; as processes."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication

from freewheel.qt._link._ending import Ending

ROOT = Path(__file__).parents[2]
STEPS = sorted((ROOT / "docs/tutorials/window").glob("step*.py"))
ENVIRONMENT = {"QT_QPA_PLATFORM": "offscreen", "PYTHONUNBUFFERED": "1"}

# Starts a plan when the window's loop runs, and says how it goes on.
DRIVER = """\
import runpy, sys
from qtpy.QtCore import QTimer
from bluesky import plan_stubs as bps
from bluesky.preprocessors import finalize_wrapper
import freewheel.engine

def plan(stubborn):
    def wait():
        print("begun", flush=True)
        yield from bps.sleep(600)

    def clean_up():
        print("cleaning", flush=True)
        if stubborn:
            yield from bps.sleep(600)
        print("cleaned", flush=True)
        yield from bps.null()

    return finalize_wrapper(wait(), clean_up())

def begin(engine):
    if engine.state == "running":
        engine.stop()
    engine(plan("stubborn" in sys.argv))

engines = []
made = freewheel.engine.RunEngine.__init__
def note(self, *args, **kwargs):
    made(self, *args, **kwargs)
    engines.append(self)
    QTimer.singleShot(0, lambda: begin(self))
freewheel.engine.RunEngine.__init__ = note
what = sys.argv[1]
if what == "gui":
    from freewheel.cli import main
    sys.exit(main(["gui", "--shape", "64"]))
runpy.run_path(what, run_name="__main__")
print("the end", flush=True)
"""


class Program:
    """A program with a window, whose output is read line by line."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **ENVIRONMENT, **environment},
        )

    def read_until(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if text in line:
                return
        assert self.process.stderr is not None
        pytest.fail(f"{text!r} was never written; {self.process.stderr.read()}")

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture(name="start")
def _start() -> Iterator[Any]:
    started: list[Program] = []

    def start(*arguments: str, **environment: str) -> Program:
        started.append(Program(*arguments, **environment))
        return started[-1]

    yield start
    for program in started:
        with program.process as process:
            process.kill()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_the_plan_with_its_clean_up(start: Any, name: str) -> None:
    program = start("-c", DRIVER, "gui")
    program.read_until("begun")
    number = getattr(signal, name)
    program.process.send_signal(number)
    code, out, err = program.end()
    assert out.splitlines() == ["cleaning", "cleaned"]
    assert f"{name}: stopping the plan ..." in err.splitlines()
    assert "Traceback" not in err
    assert code == 128 + number


def test_a_second_signal_halts(start: Any) -> None:
    program = start("-c", DRIVER, "gui", "stubborn")
    program.read_until("begun")
    program.process.send_signal(signal.SIGINT)
    program.read_until("cleaning")
    program.process.send_signal(signal.SIGINT)
    code, out, err = program.end()
    assert out == ""
    assert "without its clean-up" in err
    assert "Traceback" not in err
    assert code == 128 + signal.SIGINT


@pytest.mark.parametrize("step", STEPS, ids=lambda path: path.stem)
def test_the_windows_of_the_tutorial_end_likewise(start: Any, step: Path) -> None:
    program = start("-c", DRIVER, str(step))
    program.read_until("begun")
    program.process.send_signal(signal.SIGTERM)
    code, out, err = program.end()
    assert out.splitlines() == ["cleaning", "cleaned", "the end"]
    assert "Traceback" not in err
    assert code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
def test_without_a_display_one_line_says_so(start: Any) -> None:
    program = start("-m", "freewheel", "gui", QT_QPA_PLATFORM="xcb", DISPLAY=":7654")
    code, out, err = program.end()
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("freewheel: no window can be opened here: there is no display")
    assert "7654" in err


def test_one_that_is_deleted_before_it_tells_tells_nobody(bridge: Any, qtbot: Any) -> None:
    owner = QObject()
    ending = Ending(bridge, owner)
    ending.stop("to see")
    del owner  # and what it owns, as with a window that is closed
    gc.collect()
    with qtbot.captureExceptions() as errors:
        QApplication.processEvents()
    assert ending.asked
    assert not errors
