"""``freewheel record`` and ``freewheel replay``, as processes."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from freewheel.recording import read_runs

pytest.importorskip("h5py")
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")

PLANS = """\
import bluesky.plan_stubs as bps
import bluesky.plans as bp
from bluesky.preprocessors import run_wrapper

def endless(devices):
    def told(detectors):
        yield from bps.one_shot(detectors)
        print("point", flush=True)
    return (yield from bp.count([devices["camera"]], None, per_shot=told))

def three(devices):
    return bp.count([devices["camera"]], 3)

def by_name(camera, stage, count=2):
    return bp.scan([camera], stage.x, 0, 1, count)

def unknown(devices):
    return bp.count([devices["spectrometer"]])

def fails(devices):
    def plan():
        yield from bps.null()
        raise ValueError("no light")
    return run_wrapper(plan(), md={"plan_name": "fails"})

def nothing(devices):
    pass

number = 7
"""


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    path = tmp_path / "plans.py"
    path.write_text(PLANS)
    return path


def uid_in(line: str) -> str:
    return line.split()[0]


def test_recorded_is_replayed(command: Any, within: Any, tmp_path: Path) -> None:
    ran = command.run("record", "here", "scan", "--points", "3", "--shape", "32")
    assert ran.returncode == 0
    assert "scan completed" in ran.stderr
    (line,) = ran.stdout.splitlines()
    assert line.endswith("  scan  3 events")
    (run,) = read_runs(tmp_path / "here")
    assert run.uid == uid_in(line)
    assert run.complete

    again = within.run("record", "here", "count", "--points=2", "--compression=gzip")
    assert again.returncode == 0
    assert re.fullmatch(r"\S+  count  2 events\n", again.stdout)
    assert len(read_runs(tmp_path / "here")) == 2

    ran = command.run("replay", "here", "--speed", "inf")
    assert (ran.returncode, ran.stderr) == (0, "")
    kinds = [line.split(" s  ")[1].split()[0] for line in ran.stdout.splitlines()]
    assert kinds == [
        *("start", "descriptor", "event", "event", "event", "stop"),
        *("start", "descriptor", "event", "event", "stop"),
    ]
    assert "camera-image=uint16 32 x 32" in ran.stdout

    second = uid_in(again.stdout)
    ran = within.run("replay", f"here/{second}.jsonl", "--speed=1000", "--run", second[:6])
    assert ran.returncode == 0
    assert f"{second} count" in ran.stdout
    assert run.uid not in ran.stdout


def test_a_plan_of_a_file(within: Any, plans: Path) -> None:
    ran = within.run("record", "here", f"{plans}:three", "--shape=16")
    assert ran.returncode == 0
    assert ran.stdout.endswith("count  3 events\n")


def test_a_plan_of_a_file_that_names_its_devices(within: Any, plans: Path) -> None:
    ran = within.run("record", "here", f"{plans}:by_name", "--shape=16")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.endswith("scan  2 events\n")


BAD_RECORDS = {
    "no such plan": ("nonsense", 2, "'nonsense' is none of count, scan, grid_scan"),
    "no such file": ("nothing.py:plan", 2, "there is no file 'nothing.py'"),
    "no such function": ("plans.py:no_plan", 2, "plans.py has no plan 'no_plan'"),
    "no function": ("plans.py:number", 2, "plans.py has no plan 'number'"),
    "broken file": ("broken.py:plan", 2, "broken.py could not be loaded, see above"),
    "no Python": ("plans.txt:plan", 2, "plans.txt is no Python file"),
    "unknown device": ("plans.py:unknown", 1, "there is no device 'spectrometer'; there is cam"),
    "no plan": ("plans.py:nothing", 1, "None is no plan"),
}


def check_bad_record(runner: Any, plans: Path, case: str) -> None:
    plans.with_name("broken.py").write_text("import no_such_module\n")
    plans.with_suffix(".txt").write_text("plan = 3\n")
    plan, code, message = BAD_RECORDS[case]
    ran = runner.run("record", "here", plan)
    assert message in ran.stderr
    assert ran.returncode == code
    assert ran.stdout == ""
    if case == "broken file":
        assert "No module named 'no_such_module'" in ran.stderr
    elif case != "unknown device":  # whose line in the plan is worth showing
        assert "Traceback" not in ran.stderr
    assert not (plans.parent / "here").is_dir() or read_runs(plans.parent / "here") == []


@pytest.mark.parametrize("case", BAD_RECORDS)
def test_a_bad_plan_is_refused(within: Any, plans: Path, case: str) -> None:
    check_bad_record(within, plans, case)


@pytest.mark.parametrize("case", ["no such plan", "broken file", "unknown device"])
def test_a_bad_plan_is_refused_by_the_process(command: Any, plans: Path, case: str) -> None:
    check_bad_record(command, plans, case)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--points=0", "--points"),
        ("--shape=4", "--shape"),
        ("--shape=100000", "--shape"),
        ("--exposure=nan", "must be above 0 and at most 3600 s, not nan"),
        ("--exposure=0", "must be above 0"),
        ("--compression=zip", "must be one of gzip, lzf, not zip"),
    ],
)
def test_bad_options_of_record(within: Any, tmp_path: Path, option: str, message: str) -> None:
    ran = within.run("record", "here", option)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_nowhere_to_record(command: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    ran = command.run("record", "file/below")
    assert ran.returncode == 1
    assert ran.stderr.startswith("freewheel record: cannot record here: Not a directory (file ")
    assert ran.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "precious"


def test_a_failed_plan_is_recorded_as_such(command: Any, plans: Path) -> None:
    ran = command.run("record", "here", f"{plans}:fails")
    assert ran.returncode == 1
    assert "ValueError: no light" in ran.stderr
    assert ran.stdout.endswith("fails  0 events\n")
    (run,) = read_runs(plans.parent / "here")
    assert run.stop["exit_status"] == "fail"


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_stops_the_plan_and_completes_the_recording(
    command: Any, plans: Path, name: str
) -> None:
    number = getattr(signal, name)
    process = command.start("record", "here", f"{plans}:endless", "--shape=16")
    command.read_until(process, "point")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert f"{name}: stopping the plan" in err
    assert "Traceback" not in err
    (run,) = read_runs(plans.parent / "here")
    assert run.complete
    assert run.stop["exit_status"] == "success"
    assert f"{run.uid}  count  {run.stop['num_events']['primary']} events" in out


@posix
def test_what_a_killed_process_recorded_is_replayed(command: Any, plans: Path) -> None:
    # This one tells of documents when the recorder has written them.
    plans.write_text(
        f"""{PLANS}
from freewheel.recording import Recorder

begin = Recorder.begin_batch

def told(recorder, documents):
    finish = begin(recorder, documents)

    def tell():
        finish()
        for name, _ in documents:
            print("recorded", name, flush=True)

    return tell

Recorder.begin_batch = told
"""
    )
    process = command.start("record", "here", f"{plans}:endless", "--shape=16")
    for _ in range(5):
        command.read_until(process, "recorded event")
    process.kill()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL

    (run,) = read_runs(plans.parent / "here")
    assert not run.complete
    ran = command.run("replay", "here", "--speed", "inf")
    assert ran.returncode == 0
    assert "freewheel replay: the run was not recorded to its end" in ran.stderr
    events = re.findall(r"event +primary (\d+): camera-image=uint16 16 x 16$", ran.stdout, re.M)
    assert len(events) >= 5
    assert events == [str(number) for number in range(1, len(events) + 1)]
    assert "stop " not in ran.stdout


BAD_REPLAYS = {
    "nothing there": (["nothing"], 1, "there is no such file or directory (file nothing)"),
    "no recording": (["text.jsonl"], 1, "this is no recording: its lines are not of the form"),
    "an empty folder": (["empty"], 1, "this directory holds no recording"),
    "no such run": (["good", "--run=zz"], 1, "no such run in good"),
    "no server": (["http://127.0.0.1:9/api/v1"], 1, "Is it running, and is the API key right?"),
    "no speed": (["good", "--speed=fast"], 2, "must be a positive number, or inf for no waiting"),
    "no time": (["good", "--speed=nan"], 2, "not nan"),
    "backwards": (["good", "--speed=-1"], 2, "not -1"),
}


def check_bad_replay(runner: Any, folder: Path, case: str) -> None:
    (folder / "text.jsonl").write_text("once upon a time\n")
    (folder / "empty").mkdir()
    (folder / "good").mkdir()
    (folder / "good" / "a.jsonl").write_text('["start", {"uid": "abc", "time": 1.0}]\n')
    arguments, code, message = BAD_REPLAYS[case]
    ran = runner.run("replay", *arguments)
    assert message in ran.stderr
    assert ran.returncode == code
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("case", [case for case in BAD_REPLAYS if case != "no server"])
def test_a_bad_replay_is_refused(within: Any, tmp_path: Path, case: str) -> None:
    check_bad_replay(within, tmp_path, case)


@pytest.mark.parametrize("case", ["nothing there", "no recording", "no server", "no speed"])
def test_a_bad_replay_is_refused_by_the_process(command: Any, tmp_path: Path, case: str) -> None:
    if case == "no server":
        pytest.importorskip("tiled.client")
    check_bad_replay(command, tmp_path, case)


def test_a_damaged_recording_is_replayed_up_to_the_damage(
    command: Any, within: Any, tmp_path: Path
) -> None:
    within.run("record", "here", "count", "--points=3", "--shape=64")
    (arrays,) = (tmp_path / "here").rglob("*.h5")
    arrays.unlink()
    ran = command.run("replay", "here", "--speed=inf")
    assert ran.returncode == 1
    assert ran.stderr.startswith("freewheel replay: the array of 'camera-image' is gone")
    assert f"file {arrays.relative_to(tmp_path)}" in ran.stderr
    assert "device camera" in ran.stderr
    assert [line.split()[2] for line in ran.stdout.splitlines()] == ["start", "descriptor"]
