"""``freewheel tiled``, as a process that ``freewheel replay`` reads from."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from freewheel.recording import TiledRecorder

pytestmark = pytest.mark.servers
pytest.importorskip("tiled.server")


@pytest.mark.timeout(240)  # Tiled's server imports for 10 s and more, and has a process do so again
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Tiled's own
def test_what_is_recorded_there_is_replayed(command: Any, tmp_path: Path) -> None:
    import event_model

    server = command.start("tiled", "catalogue", "--port=0", "--api-key=abc123")
    said = command.read_until(server, "Tiled serves")
    assert str(tmp_path / "catalogue") in said
    address = command.read_until(server, "api_key=abc123").strip()

    run = event_model.compose_run()
    keys = {"x": {"dtype": "number", "shape": [], "source": "sim", "dtype_numpy": "<f8"}}
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    recorder = TiledRecorder(address, arrays=tmp_path / "catalogue" / "arrays")
    recorder("start", run.start_doc)
    recorder("descriptor", stream.descriptor_doc)
    for x in (1.5, 2.5):
        recorder("event", stream.compose_event(data={"x": x}, timestamps={"x": 1.0}))
    recorder("stop", run.compose_stop())
    recorder.close()

    ran = command.run("replay", address, "--speed=inf")
    assert ran.returncode == 0
    shown = [line.split(" s  ")[1].split() for line in ran.stdout.splitlines()]
    assert [words[0] for words in shown] == ["start", "descriptor", "event", "event", "stop"]
    assert shown[0][1] == run.start_doc["uid"]
    assert shown[2][-1] == "x=1.5"

    ran = command.run("replay", address.replace("abc123", "wrong1"))
    assert ran.returncode == 1
    assert "is the API key right?" in ran.stderr
    assert "wrong1" not in ran.stderr

    server.send_signal(signal.SIGINT)
    _, err = server.communicate(timeout=30)
    assert server.returncode == 0
    assert "Traceback" not in err


def test_a_directory_that_cannot_be_made(within: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    ran = within.run("tiled", "file/below")
    assert ran.returncode == 1
    assert ran.stderr.startswith("freewheel tiled: cannot keep a catalogue here: Not a directory")


def test_a_port_that_is_taken(command: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = command.run("tiled", "catalogue", "--port", str(port))
    assert ran.returncode == 1
    assert f"cannot listen at port {port}: Address already in use" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--port=65536", "--port"),
        ("--port=-1", "--port"),
        ("--api-key=a b", "must be of letters and digits alone"),
        ("--api-key=", "must be of letters and digits alone"),
    ],
)
def test_bad_options(within: Any, tmp_path: Path, option: str, message: str) -> None:
    ran = within.run("tiled", "catalogue", option)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert list(tmp_path.iterdir()) == []
