"""Ports for the servers of tests."""

from __future__ import annotations

import socket
import subprocess
import sys

from freewheel.testing import free_port

#: Takes ports, tells of them, and keeps them until it is told to end.
TAKER = """
import sys
from freewheel.testing import free_port
print(*(free_port() for _ in range(100)), flush=True)
sys.stdin.read()
"""
FORKED = """
import os
from freewheel.testing import free_port
own = {free_port() for _ in range(100)}
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, " ".join(str(free_port()) for _ in range(100)).encode())
    os._exit(0)
os.close(writer)
with open(reader) as line:
    print(len(own), len(own & {int(port) for port in line.read().split()}))
"""


def test_none_is_given_twice_in_a_row_though_nobody_has_begun_to_use_it() -> None:
    ports = [free_port() for _ in range(400)]
    for begin in range(300):
        assert len(set(ports[begin : begin + 100])) == 100


def test_what_somebody_has_is_left_out() -> None:
    tcp, udp = free_port(), free_port()
    with socket.socket() as first, socket.socket(type=socket.SOCK_DGRAM) as second:
        first.bind(("127.0.0.1", tcp))
        second.bind(("127.0.0.1", udp))
        assert not {tcp, udp} & {free_port() for _ in range(300)}


def test_processes_have_different_ones() -> None:
    command = [sys.executable, "-W", "error", "-c", TAKER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    takers = [subprocess.Popen(command, text=True, **pipes) for _ in range(20)]
    try:
        found = [port for each in takers for port in each.stdout.readline().split()]
    finally:
        ends = [each.communicate()[1] for each in takers]
    assert len(found) == len(set(found)) == 2_000
    assert ends == [""] * 20


def test_a_forked_process_has_its_own() -> None:
    found = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.split() == ["100", "0"]
