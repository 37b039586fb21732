"""A real blueapi as processes, and what its client does with it."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from freewheel.testing import free_port
from queueservers import Process

INSTRUMENT = """
    import os
    from dataclasses import dataclass, field

    import bluesky.plan_stubs as bps
    import numpy as np
    from bluesky.protocols import Movable, Readable
    from bluesky.utils import Msg, MsgGenerator
    from ophyd_async.core import init_devices
    from ophyd_async.sim import SimMotor

    from freewheel import Action
    from freewheel.hosts.blueapi import engine, publish_state
    from freewheel.plan_stubs import background, wait_for_action, wait_for_background

    publisher = publish_state("{state}")


    class Camera:
        name = "camera"
        parent = None

        def read(self):
            return {"camera_image": {"value": np.arange(12.0).reshape(3, 4), "timestamp": 0.0}}

        def describe(self):
            return {"camera_image": {"source": "here", "dtype": "array", "shape": [3, 4]}}

        def read_configuration(self):
            return {}

        describe_configuration = read_configuration


    class Counter(Camera):
        name = "counter"

        def read(self):
            return {"counter": {"value": 1.0, "timestamp": 0.0}}

        def describe(self):
            return {"counter": {"source": "here", "dtype": "number", "shape": []}}


    camera, counter = Camera(), Counter()


    @dataclass
    class Built:
        devices: dict
        build_errors: dict = field(default_factory=dict)
        connection_errors: dict = field(default_factory=dict)


    class Devices:
        def build_and_connect(self, *, mock=False, timeout=None, fixtures=None):
            with init_devices():
                motor = SimMotor(name="motor")
            return Built({"motor": motor, "camera": camera, "counter": counter})


    devices = Devices()


    def _take(device: Readable = counter) -> MsgGenerator[None]:
        yield from bps.create("primary")
        yield Msg("read", device)
        yield from bps.save()


    def quick(value: int = 0) -> MsgGenerator[int]:
        yield from bps.open_run()
        yield from _take()
        yield from bps.close_run()
        return value


    def picture() -> MsgGenerator[None]:
        yield from bps.open_run()
        yield from _take(camera)
        yield from bps.close_run()
        yield from bps.checkpoint()
        yield from wait_for_action(Action(name="seen"))


    def move(motor: Movable, to: float) -> MsgGenerator[float]:
        yield from bps.mv(motor, to)
        return (yield from bps.rd(motor))


    def failing() -> MsgGenerator[None]:
        yield Msg("null")
        raise ValueError("mine")


    class Speechless(Exception):
        def __str__(self):
            raise RuntimeError("no words")


    def speechless() -> MsgGenerator[None]:
        yield Msg("null")
        raise Speechless


    def leaving() -> MsgGenerator[None]:
        yield Msg("null")
        raise SystemExit(3)


    def waiting() -> MsgGenerator[str]:
        yield from bps.checkpoint()
        action = Action(name="go", description="Let it end.", togglable=True)
        name, latch = yield from wait_for_action(action)
        return name


    def endless() -> MsgGenerator[None]:
        yield from bps.open_run()
        try:
            while True:
                yield from bps.checkpoint()
                yield from _take()
                yield from bps.sleep(0.02)
        finally:
            open("{mark}", "w").close()


    def beside() -> MsgGenerator[int]:
        task = yield from background(quick(7))
        yield from wait_for_background(task)
        return task.future.result()


    def pid() -> MsgGenerator[int]:
        yield Msg("null")
        return os.getpid()
"""


CONFIG = """
    env:
      sources:
        - kind: planFunctions
          module: instrument
        - kind: deviceManager
          module: instrument
    api:
      url: http://127.0.0.1:8000
"""


class Task:
    """A task that runs, and what the server tells of it."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.end: Future[Any] = Future()
        self._heard = 0
        self._news = threading.Condition()

    def take(self, event: Any) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def documents(self) -> list[str]:
        return [event.name for event in list(self.events) if hasattr(event, "doc")]

    def hear_state(self, state: str) -> None:
        """Wait until the server tells of a state, after those that were heard before."""
        self._hear(lambda event: getattr(event, "state", None) == state)

    def hear_documents(self, more: int) -> None:
        """Wait for so many documents more."""
        for _ in range(more):
            self._hear(lambda event: hasattr(event, "doc"))

    def _hear(self, condition: Callable[[Any], bool]) -> None:
        while True:
            with self._news:
                assert self._news.wait_for(lambda: len(self.events) > self._heard, 30)
            self._heard += 1
            if condition(self.events[self._heard - 1]):
                return


class Server:
    """A blueapi that was started with our command, and its client."""

    def __init__(self, folder: Path, module: str = INSTRUMENT, config: str = CONFIG) -> None:
        from blueapi.client import BlueapiClient

        port, state = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}/api/v1/freewheel"
        self.state = f"tcp://127.0.0.1:{state}"
        self.mark = folder / "cleaned-up"
        module = textwrap.dedent(module).replace("{state}", self.state)
        (folder / "instrument.py").write_text(module.replace("{mark}", str(self.mark)))
        settings = folder / "config.yaml"
        settings.write_text(textwrap.dedent(config).replace("8000", str(port)))
        path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
        self.process = Process(
            [sys.executable, "-m", "freewheel.hosts.blueapi", "-c", str(settings), "serve"],
            {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep), "PYTHONUNBUFFERED": "1"},
        )
        try:
            self.process.wait_for("Uvicorn running on", timeout=240)
        except BaseException:
            self.process.end()
            raise
        self.client = BlueapiClient.from_config_file(str(settings))
        self.client.instrument_session = "cm12345-1"
        self._threads = ThreadPoolExecutor(4, "blueapi-client")

    def start(self, name: str, **params: Any) -> Task:
        """Start a plan, and listen to it."""
        from blueapi.service.model import TaskRequest

        request = TaskRequest(name=name, params=params, instrument_session="cm12345-1")
        task = Task()
        task.end = self._threads.submit(self.client.run_blocking, request, task.take)
        return task

    def submit(self, name: str) -> None:
        """Start a plan, and do not listen to it: blueapi cannot send arrays of numpy."""
        api = self.url.rpartition("/")[0]
        body = {"name": name, "instrument_session": "cm12345-1"}
        task = requests.post(f"{api}/tasks", json=body, timeout=30).json()
        assert requests.put(f"{api}/worker/task", json=task, timeout=30).status_code == 200

    def run(self, name: str, **params: Any) -> Any:
        """Run a plan, and return the outcome of its task."""
        return self.start(name, **params).end.result(60).result

    def look(self, what: str) -> Any:
        answer = requests.get(f"{self.url}/{what}", timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def do(self, verb: str, status: int = 200, **given: Any) -> Any:
        """Call a verb; return the value, or with another status the text of the refusal."""
        answer = requests.post(f"{self.url}/{verb}", json=given, timeout=30)
        assert answer.status_code == status, answer.text
        return answer.json() if status == 200 else answer.json()["detail"]

    def close(self) -> None:
        self.process.end()
        self._threads.shutdown()
