"""Servers as processes, for tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from freewheel.testing import IocProcess, free_port, local_epics

if TYPE_CHECKING:
    from pathlib import Path

ECHO = """
import os, time
print("port", os.environ["EPICS_CA_SERVER_PORT"], os.environ["EXTRA"])
print("up")
time.sleep(60)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "server.py"
    file.write_text(ECHO)
    return file


def test_ports_are_the_same_for_clients_and_servers_of_a_process(script: Path) -> None:
    variables = local_epics()
    assert variables == local_epics()
    assert os.environ["EPICS_CA_SERVER_PORT"] == variables["EPICS_CA_SERVER_PORT"]
    looked_at = variables["EPICS_CA_ADDR_LIST"].split()
    assert looked_at[0] == f"127.0.0.1:{variables['EPICS_CA_SERVER_PORT']}"
    with IocProcess(script, ready="up", environment={"EXTRA": "more"}) as server:
        assert server.output[0] == f"port {variables['EPICS_CA_SERVER_PORT']} more"


def test_each_server_has_ports_of_its_own(script: Path) -> None:
    looked_at = local_epics()["EPICS_CA_ADDR_LIST"].split()
    servers = [IocProcess(script, ready="up", environment={"EXTRA": ""}) for _ in range(9)]

    def port(number: int) -> str:
        return servers[number].output[-2].removeprefix("port ").strip()

    try:
        for server in servers[:8]:
            server.start()
        assert [f"127.0.0.1:{port(number)}" for number in range(8)] == looked_at
        with pytest.raises(RuntimeError, match="8 servers of this process run already"):
            servers[8].start()
        servers[3].kill()
        servers[8].start()
        assert f"127.0.0.1:{port(8)}" == looked_at[3]
    finally:
        for server in servers:
            server.kill()


def test_a_command_that_is_not_there_keeps_no_ports(script: Path) -> None:
    for _ in range(9):
        with pytest.raises(FileNotFoundError):
            IocProcess(["no-such-command"], ready="up").start()
    with IocProcess(script, ready="up", environment={"EXTRA": ""}) as server:
        assert server.is_running


def test_it_can_be_killed_and_started_again(start_ioc, script: Path) -> None:
    server = start_ioc(script, ready="up", environment={"EXTRA": ""})
    assert server.is_running
    server.kill()
    assert not server.is_running
    server.start()
    assert server.is_running
    server.freeze()
    server.thaw()
    server.kill()
    server.kill()  # once more does no harm


def test_what_does_not_come_up_says_why(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("print('on my way')\nraise RuntimeError('no such port')\n")
    with pytest.raises(RuntimeError, match="did not say 'LAB is there' before it ended") as caught:
        IocProcess(file, ready="LAB is there").start()
    assert "on my way" in str(caught.value)
    assert "no such port" in str(caught.value)


SERVER = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    print("up", flush=True)
    line, _ = server.accept()
    line.recv(1)
"""
STARTER = """
import sys
from freewheel.testing import IocProcess
IocProcess([sys.executable, *sys.argv[1:]], ready="up").start()
print("started", flush=True)
sys.stdin.read()
"""


@pytest.mark.servers
def test_it_ends_with_the_process_that_has_started_it(tmp_path: Path) -> None:
    file, port = tmp_path / "server.py", free_port()
    file.write_text(SERVER)
    command = [sys.executable, "-c", STARTER, str(file), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"started\n"
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.settimeout(20)
            starter.send_signal(signal.SIGKILL)
            with suppress(ConnectionError):  # it may not have taken up the line
                assert line.recv(1) == b""


def test_one_that_has_ended_by_itself_is_started_anew(start_ioc, tmp_path: Path) -> None:
    file = tmp_path / "brief.py"
    file.write_text("print('up', flush=True)\n")
    server = start_ioc(file, ready="up")
    server._process.wait()
    server.start()
    assert list(server.output) == ["up", "up"]


def test_what_it_has_started_ends_with_it(start_ioc, tmp_path: Path) -> None:
    file, port = tmp_path / "server.py", free_port()
    file.write_text(SERVER)
    shell = ["/bin/sh", "-c", '"$0" "$@"; true', sys.executable, str(file), str(port)]
    server = start_ioc(shell, ready="up")
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.settimeout(20)
        server.kill()  # which waits for the end of what it prints
        # Its socket is closed after that, and before the lines that it has taken up.
        with suppress(ConnectionError):
            assert line.recv(1) == b""
    with socket.create_server(("127.0.0.1", port)):
        pass
