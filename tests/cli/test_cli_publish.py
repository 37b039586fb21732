"""``--publish``: wrong addresses, nobody there, and sending later, from the command line."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from freewheel.cli import main
from freewheel.recording import read_runs
from freewheel.testing import free_port
from queueservers import Process

pytest.importorskip("h5py")
pytest.importorskip("zmq")
NOBODY = "zmq://127.0.0.1:9"
COUNT = ["run", "bluesky.plans:count", "--sim", "--detectors=temperature", "--num=3"]


@pytest.mark.parametrize("name", ["run", "record", "shell", "gui"])
def test_a_wrong_address_is_refused_before_anything_else(within: Any, name: str) -> None:
    others = {"run": ["nowhere.py:plan"], "record": ["recording"]}.get(name, [])
    ran = within.run(name, *others, "--publish=amqp://localhost:5672")
    assert ran.returncode == 2
    assert "--publish" in ran.stderr
    assert "there is no scheme 'amqp'. Write zmq://HOST:PORT" in ran.stderr
    assert not Path("recording").exists()


def test_an_address_that_is_given_twice_is_refused(within: Any) -> None:
    ran = within.run(*COUNT, f"--publish={NOBODY}", f"--publish={NOBODY}")
    assert ran.returncode == 2
    assert f"{NOBODY} is given twice" in ran.stderr


def test_nobody_there_fails_no_plan(command: Any, within: Any) -> None:
    ran = command.run(*COUNT, f"--publish={NOBODY}", "--unsent=later")
    assert ran.returncode == 0
    assert "count completed" in ran.stderr
    assert f"warning: {NOBODY} is not there: Connection refused." in ran.stderr
    (run,) = read_runs("later/zmq-127.0.0.1-9")
    assert run.complete
    remedy = f"freewheel replay later/zmq-127.0.0.1-9 --run {run.uid[:8]} --publish {NOBODY}"
    assert f"6 of the 6 documents of the run {run.uid[:8]} were not sent" in ran.stderr
    assert remedy in ran.stderr

    again = within.run(*remedy.split()[1:])
    assert again.returncode == 1
    assert f"freewheel replay: {NOBODY} is not there: Connection refused" in again.stderr
    assert "0 of 1 runs were sent" in again.stderr


def test_a_recording_is_where_it_is_kept(within: Any, caplog: pytest.LogCaptureFixture) -> None:
    ran = within.run("record", "here", "--points=2", "--shape=16", f"--publish={NOBODY}")
    assert ran.returncode == 0
    (run,) = read_runs("here")
    assert f"freewheel replay here --run {run.uid[:8]} --publish {NOBODY}" in caplog.text
    assert [each.name for each in Path().iterdir()] == ["here"]


def test_it_goes_to_a_proxy_now_and_later(within: Any, caplog: pytest.LogCaptureFixture) -> None:
    import zmq

    port, out = free_port(), free_port()
    assert within.run(*COUNT, f"--publish=zmq://127.0.0.1:{port}").returncode == 0
    command = [sys.executable, "-m", "bluesky.commandline.zmq_proxy"]
    command += [f"--in-address=127.0.0.1:{port}", f"--out-address=127.0.0.1:{out}"]
    proxy = Process(command, {**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        proxy.wait_for("Use Ctrl+C")
        with zmq.Context() as context, context.socket(zmq.SUB) as listener:
            listener.set(zmq.RCVTIMEO, 30_000)
            listener.connect(f"tcp://127.0.0.1:{out}")
            listener.subscribe(b"")
            kept = f"freewheel-unsent/zmq-127.0.0.1-{port}"
            ran = within.run("replay", kept, f"--publish=zmq://127.0.0.1:{port}")
            assert (ran.returncode, ran.stderr) == (0, "")
            (run,) = read_runs(kept)
            assert ran.stdout == f"{run.uid}  count  6 documents sent\n"
            caplog.clear()
            assert within.run(*COUNT, f"--publish=zmq://127.0.0.1:{port}").returncode == 0
            assert not caplog.records
            names = b""
            while names[-4:] != b"stop":  # of the last; a proxy forgets what comes too early
                names += listener.recv().split(b" ", 2)[1]
    finally:
        proxy.end()


@pytest.mark.servers  # which wait for seconds
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_sends_keeps_the_rest(
    command: Any, tmp_path: Path, number: signal.Signals
) -> None:
    """A Tiled server that takes connections, and never answers."""
    import socket

    pytest.importorskip("tiled.client")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = command.start(*COUNT, f"--publish=tiled://127.0.0.1:{port}")
        for line in process.stderr:
            if "are still to be sent to" in line:
                break
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0  # the plan was over
    assert "were not sent: nobody waited for it. It is kept: freewheel replay" in said
    (run,) = read_runs(tmp_path / "freewheel-unsent" / f"tiled-127.0.0.1-{port}")
    assert run.complete


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "bluesky_kafka", None)
    monkeypatch.delitem(sys.modules, "freewheel.publishing._kafka", raising=False)
    assert main([*COUNT, "--publish=kafka://127.0.0.1:9"]) == 2
    assert 'pip install "freewheel[kafka]"' in capsys.readouterr().err
