"""Servers as processes, for tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from freewheel.testing import IocProcess, local_epics

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
    assert variables["EPICS_CA_ADDR_LIST"] == "127.0.0.1"
    with IocProcess(script, ready="up", environment={"EXTRA": "more"}) as server:
        assert server.output[0] == f"port {variables['EPICS_CA_SERVER_PORT']} more"


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
    with pytest.raises(RuntimeError, match="did not say 'LAB is there' within 20 s") as caught:
        IocProcess(file, ready="LAB is there").start()
    assert "on my way" in str(caught.value)
    assert "no such port" in str(caught.value)
