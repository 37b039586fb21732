"""An action through a real queueserver, and the state that it publishes.

``python -m benchmarks --only hosts`` prints the table. A Redis, a queueserver with its worker, and
this process as the client: all times are those of one monotonic clock, which processes share.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._rows import Row, make_row
from freewheel.testing import free_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["rows"]

ACTIONS = 200
#: Between two of them, so that each change is told by itself: the state goes out 50 times a second.
PAUSE = 0.05
START_UP = """
    import time
    from bluesky.plan_stubs import sleep
    from freewheel import Action
    from freewheel.plan_stubs import wait_for_action
    from freewheel.hosts.queueserver import *

    publisher = publish_state("{state}")
    offered, went_on = [], []

    def waiting(number):
        for each in range(number):
            yield from sleep({pause})
            offered.append(time.monotonic())
            yield from wait_for_action(Action(name=f"go {each}"))
            went_on.append(time.monotonic())

    def fw_times():
        return {"offered": offered, "went_on": went_on}
"""


def rows() -> Iterable[Row]:
    """Measure, and yield the lines of the table."""
    redis = shutil.which("redis-server")
    if redis is None:
        raise RuntimeError("redis-server is not installed: apt install redis-server")
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        state = f"tcp://127.0.0.1:{free_port()}"
        api = stack.enter_context(_queueserver(Path(name), redis, state))
        told = stack.enter_context(_listener(state))
        times = _measure(api, told)
    accepted, went_on, pushed = times
    yield from _of("an action's trigger, until queueserver has accepted it", accepted, ("", ""))
    yield from _of("the same, until the plan goes on", went_on, ("<= 20 ms", "<= 60 ms"))
    yield from _of("a change of the state, until a client has it", pushed, ("<= 5 ms", "<= 25 ms"))


def _of(what: str, times: list[float], limits: tuple[str, str]) -> Iterable[Row]:
    p99 = statistics.quantiles(times, n=100)[98]
    for name, figure, limit in (
        ("median", statistics.median(times), limits[0]),
        ("p99", p99, limits[1]),
    ):
        yield make_row(f"{what}: {name}", {"freewheel": figure}, unit="ms", must_reach=limit)


@contextlib.contextmanager
def _process(command: list[str], ready: str) -> Iterator[None]:
    """Start a process, and wait until it says that it is ready."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        while ready.encode() not in (line := process.stdout.readline()):
            assert line, f"{command[0]} did not start"
        # What nobody reads stops a process when the pipe is full.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _queueserver(folder: Path, redis: str, state: str) -> Iterator[Any]:
    """Start a queueserver with the script, open its environment, and give a client."""
    from bluesky_queueserver_api.zmq import REManagerAPI

    script = textwrap.dedent(START_UP).replace("{state}", state).replace("{pause}", str(PAUSE))
    (folder / "startup.py").write_text(script)
    permissions = "from freewheel.hosts.queueserver import permissions_file as f; print(f())"
    groups = subprocess.check_output([sys.executable, "-c", permissions], text=True).strip()
    store, control, info = free_port(), free_port(), free_port()
    manager = [
        str(Path(sys.executable).with_name("start-re-manager")),
        f"--startup-script={folder / 'startup.py'}",
        f"--user-group-permissions={groups}",
        f"--existing-plans-devices={folder / 'existing.yaml'}",
        f"--zmq-control-addr=tcp://127.0.0.1:{control}",
        f"--zmq-info-addr=tcp://127.0.0.1:{info}",
        f"--redis-addr=127.0.0.1:{store}",
    ]
    with (
        _process(
            [redis, "--port", str(store), "--save", "", "--bind", "127.0.0.1"],
            "Ready to accept connections",
        ),
        _process(manager, "Starting ZMQ server at"),
    ):
        api = REManagerAPI(
            zmq_control_addr=f"tcp://127.0.0.1:{control}", zmq_info_addr=f"tcp://127.0.0.1:{info}"
        )
        try:
            api.environment_open()
            api.wait_for_idle(timeout=60)
            yield api
        finally:
            api.close()


@contextlib.contextmanager
def _listener(address: str) -> Iterator[Any]:
    import zmq

    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.set(zmq.RCVTIMEO, 30_000)
        socket.connect(address)
        socket.subscribe(b"fw.state")
        yield socket


def _measure(api: Any, told: Any) -> tuple[list[float], list[float], list[float]]:
    """Trigger actions one after the other; return in ms how long what took."""
    from bluesky_queueserver_api import BFunc, BPlan

    heard, triggered, accepted = [], [], []
    api.item_execute(BPlan("waiting", ACTIONS))
    for number in range(ACTIONS):
        action = f"go {number}"
        while not any(
            each["name"] == action for each in json.loads(told.recv_multipart()[1])["actions"]
        ):
            pass
        heard.append(time.monotonic())
        triggered.append(time.monotonic())
        api.function_execute(BFunc("fw_trigger", action), run_in_background=True)
        accepted.append(time.monotonic())
    api.wait_for_idle(timeout=60)
    task = api.function_execute(BFunc("fw_times"), run_in_background=True)["task_uid"]
    api.wait_for_completed_task(task, timeout=60)
    times = api.task_result(task)["result"]["return_value"]
    return (
        _between(triggered, accepted),
        _between(triggered, times["went_on"]),
        _between(times["offered"], heard),
    )


def _between(starts: list[float], ends: list[float]) -> list[float]:
    return [1000 * (end - start) for start, end in zip(starts, ends, strict=True)]
