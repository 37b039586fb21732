"""``freewheel shell`` and ``freewheel run``, as processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

PLANS = Path(__file__).with_name("plans_at_the_prompt") / "prompt_plans.py"


def test_the_shell_has_a_banner_and_ends_a_plan_on_exit(new_terminal: Any, tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    shell = new_terminal("-m", "freewheel", "shell", "--instant")
    shell.wait("Five things to try first")
    shell.run("from prompt_plans import guarded")
    shell.run(f"f = RE(guarded({str(kept)!r}))")
    shell.wait(r"\[guarded [1-9]\d* s\]")
    shell.interrupt()  # while idle: nothing but an empty line
    shell.run("%jobs", "foreground  guarded: running")
    shell.start("exit")
    assert shell.end() == 0
    assert kept.read_text() == "cleaned up\n"


def test_the_shell_on_micro_managers_devices(new_terminal: Any) -> None:
    shell = new_terminal("-m", "freewheel", "shell", "--micromanager", "demo")
    shell.wait("and the devices")
    shell.wait("scope is all of them")  # and how to begin
    shell.run("RE(bps.mv(scope.focus, 5)).result(); scope.mmcore.getZPosition()", "5.0")
    shell.run(
        'f = RE(mda({"channels": ["DAPI", "FITC"]}, scope)); f.result().exit_status', "success"
    )
    shell.start("exit")
    assert shell.end() == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_closed_terminal_cleans_up(new_terminal: Any, tmp_path: Path, number: int) -> None:
    kept = tmp_path / "kept.txt"
    shell = new_terminal("-m", "freewheel", "shell", "--instant")
    shell.run("from prompt_plans import guarded")
    shell.run(f"f = RE(guarded({str(kept)!r}))")
    shell.wait(r"\[guarded [1-9]\d* s\]")
    os.kill(shell.child.pid, number)
    assert shell.end() == -number
    assert kept.read_text() == "cleaned up\n"


def test_a_plan_of_a_file_is_run_with_progress(new_terminal: Any) -> None:
    run = new_terminal("-m", "freewheel", "run", f"{PLANS}:add", "--number", "4", "--scale=2.5")
    run.wait(r"^10\.0")
    run.wait("add completed after")
    assert run.end() == 0


def test_a_run_shows_progress(new_terminal: Any) -> None:
    run = new_terminal("-m", "freewheel", "run", f"{PLANS}:slow", "--sim", "--camera", "camera")
    run.wait(r"slow running")
    run.wait(r"count\s+━+.*%\s+\d+/40 points")
    assert run.end() == 0
    assert "━" not in run.text()


def test_exit_codes(new_terminal: Any, tmp_path: Path) -> None:
    failing = new_terminal("-m", "freewheel", "run", f"{PLANS}:bad")
    assert failing.end() == 1
    assert "ValueError: no light" in failing.text()
    missing = new_terminal("-m", "freewheel", "run", f"{PLANS}:nothing")
    assert missing.end() == 2
    assert "has no plan" in missing.text()
    kept = tmp_path / "kept.txt"
    stopped = new_terminal("-m", "freewheel", "run", f"{PLANS}:guarded", "--path", str(kept))
    stopped.wait(r"guarded running \d+ s")
    stopped.interrupt()
    assert stopped.end() == 130
    assert kept.read_text() == "cleaned up\n"


def test_a_key_triggers_an_action(new_terminal: Any) -> None:
    run = new_terminal("-m", "freewheel", "run", f"{PLANS}:asks_twice")
    run.wait(r"The plan waits for the action go: press 1, or give --action go\.$")
    run.child.send("x1")
    run.wait("^once")
    run.child.send("1")
    assert run.end() == 0
    assert "asks_twice completed" in run.text()


def test_lines_of_a_run_stand_apart_from_its_progress(new_terminal: Any) -> None:
    run = new_terminal("-m", "freewheel", "run", f"{PLANS}:asks_twice")
    run.wait("asks_twice running")
    run.wait(r"^The plan waits for")
    run.interrupt()
    assert run.end() == 130
    assert [line for line in run.lines() if "SIGINT" in line] == ["SIGINT: stopping the plan ..."]


def test_the_prompt_of_a_laboratory_of_ones_own(new_terminal: Any, tmp_path: Path) -> None:
    (tmp_path / "my_lab.py").write_text(
        "from freewheel.sim import Axis\nlift = Axis('lift')\n"
        "class Broken(Axis):\n"
        "    async def connect(self, *_, **__):\n"
        "        raise OSError('no cable')\n"
        "bad = Broken('bad')\n"
    )
    (tmp_path / "startup.py").write_text(
        "RE.md['operator'] = 'me'\ndef up():\n    return bps.mv(lift, height)\nheight = 1\n"
    )
    options = ("--devices", str(tmp_path / "my_lab.py"), "--startup", str(tmp_path / "startup.py"))
    shell = new_terminal("-m", "freewheel", "shell", *options)
    shell.wait("and the devices:$")
    shell.wait("bad is not connected: OSError: no cable")
    shell.run("height = 2; RE(up()).result(); print(lift.position, RE.md['operator'])", "2.0 me")
    shell.run("'camera' in dir(), bad.name", r"\(False, 'bad'\)")
    shell.start("exit")
    assert shell.end() == 0
