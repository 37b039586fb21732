"""``freewheel demo``: the main job, run as a user runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import event_model
import numpy as np
import pexpect
import pytest

from freewheel.cli import main
from freewheel.cli._snapshots import SnapshotWriter


def documents(folder: Path) -> list[tuple[str, dict]]:
    lines = (folder / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    return [tuple(json.loads(line)) for line in lines]


def test_runs_takes_a_snapshot_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "folder"
    arguments = ["--seconds", "0.6", "--rate", "40", "--shape", "48x64", "--output", str(folder)]
    assert main(["demo", *arguments]) == 0
    out = capsys.readouterr().out
    assert str(folder / "documents.jsonl") in out
    last = [line for line in out.splitlines() if line.endswith("ended")][-1]
    assert int(re.search(r"frames +(\d+)", last)[1]) > 1
    docs = documents(folder)
    assert [name for name, _ in docs] == ["start", "descriptor", "event", "stop"]
    for name, doc in docs:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(doc)
    assert docs[0][1]["plan_name"] == "live_view"
    assert docs[-1][1]["exit_status"] == "success"
    frame = np.load(folder / docs[2][1]["data"]["camera-image"])
    assert frame.shape == (48, 64)
    assert frame.dtype == np.uint16
    assert frame.std() > 0


def test_it_is_not_over_before_the_snapshot_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However long that takes here, which is longer than it is to run."""
    arguments = ["--seconds", "0.01", "--rate", "40", "--shape", "16x16", "--output", str(tmp_path)]
    assert main(["demo", *arguments]) == 0
    assert [name for name, _ in documents(tmp_path)] == ["start", "descriptor", "event", "stop"]
    assert "No snapshot" not in capsys.readouterr().out


def test_temporary_folder_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["demo", "--seconds", "0.4", "--rate", "30", "--shape", "16x16"]) == 0
    (folder,) = tmp_path.glob("freewheel-demo-*")
    assert str(folder) in capsys.readouterr().out
    assert documents(folder)


def test_never_writes_over_another_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "documents.jsonl").write_text("precious")
    assert main(["demo", "--seconds", "0.2", "--output", str(tmp_path)]) == 2
    assert "--output" in capsys.readouterr().err
    assert (tmp_path / "documents.jsonl").read_text() == "precious"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seconds", "0"),
        ("--seconds", "-1"),
        ("--seconds", "nan"),
        ("--seconds", "inf"),
        ("--seconds", "soon"),
        ("--rate", "0"),
        ("--rate", "-5"),
        ("--rate", "nan"),
        ("--rate", "inf"),
        ("--shape", "512"),
        ("--shape", "512x"),
        ("--shape", "0x512"),
        ("--shape", "-1x512"),
        ("--shape", "9999x9999"),
        ("--shape", "axb"),
        ("--output", "/dev/null/folder"),
    ],
)
def test_bad_options_are_refused_by_name(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", f"{option}={value}"]) == 2
    assert option in capsys.readouterr().err


def test_full_disk_fails_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: SnapshotWriter, name: str, doc: dict) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SnapshotWriter, "__call__", full)
    arguments = ["--seconds", "5", "--shape", "16x16", "--output", str(tmp_path)]
    assert main(["demo", *arguments]) == 1
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_clean_up(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "freewheel", "demo", "--seconds", "60", "--shape", "32x32"]
    with subprocess.Popen(
        [*command, "--output", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        while not re.search(r"frames +[1-9]", process.stdout.readline()):
            assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert number.name in err
    assert "Traceback" not in err
    assert out.splitlines()[-1].startswith("No snapshot")
    stop = documents(tmp_path)[-1]
    assert stop[0] == "stop"
    assert stop[1]["exit_status"] == "success"


def test_summary_names_no_file_that_is_not_there(tmp_path: Path) -> None:
    assert list(SnapshotWriter("snapshot", tmp_path).summary()) == ["No snapshot was taken."]


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_on_a_terminal_the_line_is_overwritten(tmp_path: Path) -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "freewheel", "demo", "--seconds=1", "--shape=32x32", f"--output={tmp_path}"],
        encoding="utf-8",
        timeout=30,
        dimensions=(24, 120),
        env={**os.environ, "TERM": "xterm"},
    )
    child.expect("running")
    child.expect(pexpect.EOF)
    child.wait()
    child.close()
    assert child.exitstatus == 0
    assert "\x1b[2K" in child.before
    assert "ended" in child.before
    assert str(tmp_path)[:20] in child.before
