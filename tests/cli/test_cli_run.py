"""``freewheel run`` that a signal or a closed terminal ends: the plan has its clean-up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bluesky.utils import Plan

from freewheel.cli import main

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

PLANS = """\
import json
from pathlib import Path

import bluesky.plan_stubs as bps
from bluesky.preprocessors import run_decorator, stage_decorator
from bluesky.utils import MsgGenerator

from freewheel import RunEngine

LOG = Path(__file__).with_name("log.jsonl")

def note(*what):
    with LOG.open("a") as file:
        file.write(json.dumps(what) + "\\n")

class Detector:
    name, parent = "detector", None

    def stage(self):
        note("staged")
        return [self]

    def unstage(self):
        note("unstaged")
        return [self]

detector = Detector()
RE = RunEngine()
RE.subscribe(lambda name, doc: note(name, doc.get("exit_status")))

@stage_decorator([detector])
@run_decorator(md={})
def endless():
    yield from bps.null()
    print("it runs", flush=True)
    yield from bps.sleep(600)

@run_decorator(md={})
def stubborn():
    try:
        print("it runs", flush=True)
        yield from bps.sleep(600)
    finally:
        print("it cleans up", flush=True)
        yield from bps.sleep(600)

def pausing() -> MsgGenerator:
    yield from bps.checkpoint()
    yield from bps.pause()

def nothing() -> MsgGenerator:
    pass
"""


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    path = tmp_path / "plans.py"
    path.write_text(PLANS)
    return path


def noted(plans: Path) -> list[list[Any]]:
    return [json.loads(line) for line in plans.with_name("log.jsonl").read_text().splitlines()]


CLEANED_UP = [["staged"], ["start", None], ["stop", "success"], ["unstaged"]]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_stops_the_plan_with_its_clean_up(command: Any, plans: Path, name: str) -> None:
    number = getattr(signal, name)
    process = command.start("run", f"{plans}:endless")
    command.read_until(process, "it runs")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}[name]
    assert err.startswith(f"{name}: stopping the plan ...\nendless stopped after ")
    assert "Traceback" not in err
    assert out == ""
    assert noted(plans) == CLEANED_UP


def test_a_second_signal_ends_it_without_the_clean_up(command: Any, plans: Path) -> None:
    process = command.start("run", f"{plans}:stubborn")
    command.read_until(process, "it runs")
    process.send_signal(signal.SIGTERM)
    command.read_until(process, "it cleans up")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143  # the first is what ended it
    assert "Again: ending it without its clean-up." in err
    assert noted(plans)[-1] == ["stop", "abort"]


def test_a_closed_terminal_stops_the_plan_with_its_clean_up(plans: Path) -> None:
    """The kernel sends SIGHUP, and nothing can be written to the terminal any more."""
    script = 'exec "$1" -m freewheel run "$2" <"$3" >"$3" 2>&1'
    ours, theirs = os.openpty()
    # The first terminal that the leader of a session opens becomes the one that controls it.
    process = subprocess.Popen(
        ["sh", "-c", script, "sh", sys.executable, f"{plans}:endless", os.ttyname(theirs)],
        env={**os.environ, "TERM": "linux"},
        start_new_session=True,
    )
    try:
        written = b""
        while b"it runs" not in written:
            written += os.read(ours, 4096)
        os.close(theirs)
        os.close(ours)
        assert process.wait(30) == 129
    finally:
        process.kill()
        process.wait()
    assert noted(plans) == CLEANED_UP


def test_under_nohup_a_closed_terminal_changes_nothing(command: Any, plans: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which a process inherits
    try:
        process = command.start("run", f"{plans}:endless")
    finally:
        signal.signal(signal.SIGHUP, before)
    command.read_until(process, "it runs")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "SIGHUP" not in err


def test_a_file_with_dataclasses_and_paths_is_run(command: Any, tmp_path: Path) -> None:
    path = tmp_path / "scan.py"
    path.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import KW_ONLY, dataclass\n"
        "from pathlib import Path\n"
        "from bluesky.utils import Msg, MsgGenerator\n"
        "HERE = Path('.')\n"
        "@dataclass\n"
        "class Region:\n"
        "    width: int\n"
        "    _: KW_ONLY\n"
        "    height: int\n"
        "def look() -> MsgGenerator:\n"
        "    yield Msg('null')\n"
        "    print(Region(1, height=2), flush=True)\n"
    )
    ran = command.run("run", f"{path}:look")
    assert ran.returncode == 0, ran.stderr
    assert "Region(width=1, height=2)" in ran.stdout


def test_a_plan_that_pauses_itself_says_so_and_can_be_stopped(command: Any, plans: Path) -> None:
    process = command.start("run", f"{plans}:pausing")
    assert process.stderr is not None
    while "pausing has paused itself" not in (line := process.stderr.readline()):
        assert line
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130


def test_a_plan_that_nobody_ran_is_told_of_with_its_line(command: Any, tmp_path: Path) -> None:
    path = tmp_path / "forgetful.py"
    path.write_text(
        "import bluesky.plan_stubs as bps\n"
        "from bluesky.utils import Msg, MsgGenerator\n"
        "def forgetful() -> MsgGenerator:\n"
        "    yield Msg('null')\n"
        "    bps.null()\n"
    )
    warning = "plan `null` was never iterated, did you mean to use `yield from`?"
    line = f'File "{path}", line 5, in forgetful'
    for options, whole in ([], False), (["--stacks"], True):
        ran = command.run("run", f"{path}:forgetful", *options)
        assert ran.returncode == 0, ran.stderr
        assert warning in ran.stderr
        assert line in ran.stderr
        assert ("run_forever" in ran.stderr) is whole


@pytest.mark.parametrize("options", [[], ["--stacks"]])
def test_the_prompt_remembers_call_sites(
    options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = pytest.importorskip("IPython")
    plain = Plan.__init__
    seen: list[object] = []
    monkeypatch.setattr(prompt, "start_ipython", lambda **_: seen.append(Plan.__init__))
    assert main(["shell", "--instant", "--shape", "16", *options]) == 0
    assert [each is plain for each in seen] == [bool(options)]
    assert Plan.__init__ is plain


@pytest.mark.parametrize("options", [[], ["--stacks"]])
def test_the_window_remembers_call_sites(
    options: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("qtpy")
    from freewheel.qt import AcquisitionWindow

    plain = Plan.__init__
    seen: list[object] = []
    grab = AcquisitionWindow.grab

    def grabbed(window: Any) -> Any:
        seen.append(Plan.__init__)
        return grab(window)

    monkeypatch.setattr(AcquisitionWindow, "grab", grabbed)
    picture = tmp_path / "window.png"
    assert main(["gui", "--shape", "16", "--screenshot", str(picture), *options]) == 0
    assert picture.stat().st_size
    assert [each is plain for each in seen] == [bool(options)]
    assert Plan.__init__ is plain


def test_no_plan(command: Any, plans: Path) -> None:
    ran = command.run("run", f"{plans}:nothing")
    assert ran.returncode == 1
    assert ran.stderr.startswith("freewheel: None is no plan.")
    assert "Traceback" not in ran.stderr


def test_full_collections_do_not_hold_the_plan_up(command: Any, tmp_path: Path) -> None:
    path = tmp_path / "frozen.py"
    path.write_text(
        "import gc\n"
        "from bluesky.utils import Msg, MsgGenerator\n"
        "def look() -> MsgGenerator:\n"
        "    yield Msg('null')\n"
        "    print(gc.get_freeze_count(), len(gc.get_objects()), flush=True)\n"
    )
    ran = command.run("run", f"{path}:look")
    assert ran.returncode == 0, ran.stderr
    frozen, looked_at = map(int, ran.stdout.split()[:2])
    assert frozen > 10 * looked_at


def test_a_preview_runs_nothing_and_says_whether_it_would_fail(
    command: Any, tmp_path: Path
) -> None:
    path = tmp_path / "lamps.py"
    path.write_text(
        "import bluesky.plans as bp\n"
        "from bluesky.protocols import Movable, Readable\n"
        "from bluesky.utils import MsgGenerator\n"
        "def brighten(lamp: Movable, camera: Readable, power: float) -> MsgGenerator:\n"
        "    yield from bp.scan([camera], lamp, 0, power, 5)\n"
    )
    given = ("run", f"{path}:brighten", "--sim", "--lamp", "lamp", "--camera", "camera")
    good = command.run(*given, "--power", "80", "--preview")
    assert good.returncode == 0, good.stderr
    assert "5 events, 2.62 MB" in good.stdout
    assert "moves lamp 0 … 80" in good.stdout
    assert "completed" not in good.stderr
    bad = command.run(*given, "--power", "200", "--preview")
    assert bad.returncode == 1
    assert "fails: lamp takes a power from 0 to 100 %, not 150" in bad.stdout
