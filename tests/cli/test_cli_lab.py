"""Plans, devices and actions that a command is given: ``run`` and ``record``."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from freewheel.recording import read_runs

LAB = """\
from freewheel import RunEngine
from freewheel.sim import Axis, SimCamera

def devices():
    return {"eye": SimCamera("eye", shape=(16, 16), exposure=0.001), "lift": Axis("lift")}
"""
STARTUP = """\
from freewheel.sim import Thermometer
import asyncio

def note(name, doc):
    print("noted", doc["plan_name"], flush=True)

warm = Thermometer("warm", seed=1)
asyncio.run_coroutine_threadsafe(warm.connect(), RE.loop).result()
RE.subscribe(note, "start")
RE.md["operator"] = eye.name
"""
PLANS = """\
import bluesky.plans as bp
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator
from typing import Annotated, Literal
from annotated_types import Unit
from freewheel import Action
from freewheel.plan_stubs import wait_for_action

def untyped(detectors, motor, start, stop, num=3):
    "Look around."
    return (yield from bp.scan(detectors, motor, start, stop, num))

def plain(det, text="x"):
    print(text)
    return bp.count([det], 2)

def typed(
    eye: Readable, time: Annotated[float, Unit("s")] = 0.5, mode: Literal["quick", "slow"] = "quick"
) -> MsgGenerator:
    \"\"\"Look for a while.

    Parameters
    ----------
    eye
        What looks.
    time
        For how long.
    \"\"\"
    yield from bp.count([eye])

def asking(go=Action(name="go", description="Go on.")) -> MsgGenerator:
    print("asks", flush=True)
    yield from wait_for_action(go)
    print("gone", flush=True)
    go.event_map["go"].reset()
    yield from wait_for_action(go)

def night(devices):
    return bp.scan([devices["eye"]], devices["lift"], 0, 1, 3)
"""
SIGNATURE = ["--detectors", "[camera]", "--motor", "stage.x", "--start", "0", "--stop", "2"]


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    (tmp_path / "my_lab.py").write_text(LAB)
    (tmp_path / "startup.py").write_text(STARTUP)
    path = tmp_path / "plans.py"
    path.write_text(PLANS)
    return path


def test_a_plan_of_a_module(within: Any) -> None:
    ran = within.run("run", "bluesky.plans:count", "--sim", "--detectors=camera", "--num", "2")
    assert ran.returncode == 0, ran.stderr
    assert "count completed" in ran.stderr
    ran = within.run("run", "bluesky.nothing:count")
    assert ran.returncode == 2
    assert "there is no file and no module 'bluesky.nothing'" in ran.stderr


def test_arguments_that_only_go_by_position(within: Any) -> None:
    words = ("--detectors", "[camera]", "--args", "[stage.x, 0, 1]", "--num", "3")
    ran = within.run("run", "bluesky.plans:scan", "--sim", *words)
    assert ran.returncode == 0, ran.stderr


def test_a_plan_without_annotations(within: Any, plans: Path) -> None:
    ran = within.run("run", f"{plans}:untyped", "--sim", *SIGNATURE)
    assert ran.returncode == 0, ran.stderr
    ran = within.run("run", f"{plans}:plain", "--sim", "--det", "camera", "--text", "blue")
    assert (ran.returncode, ran.stdout.splitlines()[0]) == (0, "blue"), ran.stderr
    assert "--text: there is no device 'blue', so it is taken as a text." in ran.stderr
    ran = within.run("run", f"{plans}:untyped", "--sim", *SIGNATURE[2:])
    assert ran.returncode == 2
    assert "missing a required argument: 'detectors'" in ran.stderr


def test_a_device_that_is_missing_is_told_of_before_the_plan_runs(within: Any, plans: Path) -> None:
    ran = within.run("run", f"{plans}:untyped", *SIGNATURE)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    said = " ".join(ran.stderr.split())
    assert "--detectors: there is no device 'camera'; no device is on offer: --sim" in said
    ran = within.run("run", f"{plans}:plain", "--det", "'camera'", "--text", "1")
    assert "no device is on offer" not in ran.stderr  # in quotes it is a text


def test_the_help_of_a_plan(within: Any, plans: Path) -> None:
    ran = within.run("run", f"{plans}:typed", "--devices", "my_lab.py", "--help")
    assert ran.returncode == 0, ran.stderr
    lines = [" ".join(line.split()) for line in ran.stdout.splitlines()]
    assert f"Usage: freewheel run {plans}:typed [--ARGUMENT VALUE]..." in lines
    assert "Look for a while." in lines
    assert "--eye device What looks. (one of: eye, lift) (required)" in lines
    assert "--time number [s] For how long. (default: 0.5)" in lines
    assert "--mode choice (one of: quick, slow) (default: quick)" in lines
    ran = within.run("run", f"{plans}:typed", "--help")
    assert "(no device is on offer: --sim and --devices offer some)" in " ".join(ran.stdout.split())
    ran = within.run("run", f"{plans}:untyped", "-h")
    assert "--num (default: 3)" in " ".join(ran.stdout.split())
    ran = within.run("run", f"{plans}:asking", "--help")
    assert "go Go on." in " ".join(ran.stdout.split())
    ran = within.run("run", "--help")
    assert ran.returncode == 0
    assert "--startup" in ran.stdout


def test_a_missing_device_says_where_there_are_some(within: Any, plans: Path) -> None:
    ran = within.run("run", f"{plans}:typed", "--eye", "camera")
    assert ran.returncode == 2
    assert "--sim offers those of the simulated microscope" in " ".join(ran.stderr.split())
    ran = within.run("run", f"{plans}:typed", "--sim", "--eye", "spectrometer")
    assert ran.returncode == 2
    assert "--sim offers" not in " ".join(ran.stderr.split())


def test_a_file_without_plans_of_its_own_says_what_a_plan_is(within: Any, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("from freewheel.plans import live_view\ndef main(): ...\n")
    ran = within.run("run", "program.py:scan")
    assert ran.returncode == 2
    said = " ".join(ran.stderr.split())
    assert "has no plan 'scan'; it has no plan of its own (a plan is a generator function" in said
    assert "but imports live_view; it is a program: run it with python" in said


def test_own_devices_and_a_start_up_file(within: Any, plans: Path, tmp_path: Path) -> None:
    own = ("--devices", "my_lab.py", "--startup", "startup.py")
    ran = within.run("run", f"{plans}:typed", "--eye", "eye", *own)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("noted count\n")
    ran = within.run("run", f"{plans}:typed", "--eye", "warm", *own)
    assert ran.returncode == 0, ran.stderr
    ran = within.run("record", "here", f"{plans}:night", *own)
    assert ran.returncode == 0, ran.stderr
    (run,) = read_runs(tmp_path / "here")
    assert run.start["operator"] == "eye"
    assert run.start["motors"] == ("lift",)


@pytest.mark.parametrize(("option", "text"), [("--devices", "1/0"), ("--startup", "1/0")])
def test_a_file_that_fails_is_told_of(
    within: Any, plans: Path, tmp_path: Path, option: str, text: str
) -> None:
    (tmp_path / "bad.py").write_text(text)
    ran = within.run("run", f"{plans}:typed", option, "bad.py", "--eye", "eye")
    assert ran.returncode == 2
    assert "ZeroDivisionError" in ran.stderr
    ran = within.run("run", f"{plans}:typed", option, "nothing.py", "--eye", "eye")
    assert ran.returncode == 2
    assert "there is no file" in ran.stderr


def test_a_device_that_does_not_connect_is_told_of(
    within: Any, plans: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(
        "from freewheel.sim import Axis\n"
        "class Broken(Axis):\n"
        "    async def connect(self, *_, **__):\n"
        "        raise OSError('no cable')\n"
        "bad, eye = Broken('bad'), Axis('eye')\n"
    )
    ran = within.run("run", f"{plans}:typed", "--devices", "broken.py", "--eye", "eye")
    assert ran.returncode == 0, ran.stderr
    assert "bad is not connected: OSError: no cable" in ran.stderr
    ran = within.run("run", f"{plans}:typed", "--devices", "broken.py", "--eye", "bad")
    assert ran.returncode == 2
    assert "'bad' is not on offer; there is: eye" in " ".join(ran.stderr.split())


def test_a_plan_that_waits_for_an_action_says_so(command: Any, plans: Path) -> None:
    process = command.start("run", f"{plans}:asking")
    command.read_until(process, "asks")
    said = process.stderr.readline()
    assert said == "The plan waits for the action go (Go on.): give --action go.\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130


def test_an_action_that_is_not_on_offer_is_told_of_at_once(command: Any, plans: Path) -> None:
    process = command.start("run", f"{plans}:asking", "--action", "goo")
    command.read_until(process, "asks")
    said = process.stderr.readline()
    assert said == "--action goo: not on offer so far. The plan offers go.\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130


def test_an_action_is_triggered_by_an_option(command: Any, plans: Path) -> None:
    ran = command.run("run", f"{plans}:asking", "--action", "go", "--action", "go@0.2")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.splitlines()[:2] == ["go triggered.", "go triggered."]
    ran = command.run("run", "bluesky.plans:count", "--sim", "--detectors=camera", "--action", "go")
    assert "The plan did not wait for the action 'go'" in ran.stderr
    ran = command.run("run", f"{plans}:asking", "--action", "go@soon")
    assert ran.returncode == 2
    assert "'go@soon' is no NAME@SECONDS" in " ".join(ran.stderr.split())
