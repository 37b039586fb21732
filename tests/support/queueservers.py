"""A real queueserver as a process, and who listens to what it publishes."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from freewheel.testing import free_port

START_UP = """
    import asyncio
    import numpy as np
    from bluesky.plan_stubs import null, sleep
    from bluesky.utils import Msg
    from ophyd.sim import det, motor
    from freewheel import Action
    from freewheel.plan_stubs import background, wait_for_action
    from freewheel.plans import live_view
    from freewheel.hosts.queueserver import *
    from freewheel.recording import Recorder

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

    camera = Camera()
    publisher = publish_state("{state}")
    RE.subscribe(Recorder("{recording}"), delivery="queued")

    def quick(value=None):
        yield Msg("open_run")
        yield Msg("create", None, name="primary")
        yield Msg("read", camera)
        yield Msg("save")
        yield Msg("close_run")
        return value

    def failing():
        yield Msg("null")
        raise ValueError("mine")

    class Speechless(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    def speechless():
        yield Msg("open_run")
        raise Speechless

    def waiting():
        yield Msg("open_run")
        yield Msg("checkpoint")
        action = Action(name="go", description="Let it end.", togglable=True)
        name, latch = yield from wait_for_action(action)
        yield Msg("close_run")

    def recording():
        yield Msg("open_run")
        for number in range(300):
            yield Msg("checkpoint")
            yield Msg("create", None, name="primary")
            yield Msg("read", det)
            yield Msg("save")
        yield from wait_for_action(Action(name="end"))

    def fw_not_json():
        return object()

    def fw_worker_pid():
        import os
        return os.getpid()

    def endless(device=None):
        while True:
            yield Msg("checkpoint")
            yield Msg("sleep", None, 0.01)
"""


class Process:
    """A process whose lines are kept, and can be waited for."""

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()

    def wait_for(self, text: str, timeout: float = 60) -> None:
        with self._news:
            found = self._news.wait_for(lambda: any(text in line for line in self.lines), timeout)
        assert found, "".join(self.lines)

    def code(self) -> int:
        """Return how it has ended by itself."""
        return self._process.wait(30)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._process.kill()
        self.end()

    def end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


def call(
    api: Any, function: str, /, *args: Any, user_group: str | None = None, **kwargs: Any
) -> Any:
    """Call a function in the worker, beside what runs there, and return what it returns."""
    from bluesky_queueserver_api import BFunc

    answer = api.function_execute(
        BFunc(function, *args, **kwargs), run_in_background=True, user_group=user_group
    )
    uid = answer["task_uid"]
    api.wait_for_completed_task(uid, timeout=30)
    result = api.task_result(uid)["result"]
    if not result["success"]:
        raise RuntimeError(result["msg"])
    return result["return_value"]


def open_client(control: str, info: str) -> tuple[Any, Callable[[], None]]:
    """Return a client, and what closes it with the contexts that queueserver's leave open."""
    import zmq
    from bluesky_queueserver_api.zmq import REManagerAPI

    def contexts() -> list[Any]:
        return [each for each in gc.get_objects() if isinstance(each, zmq.Context)]

    others = contexts()
    api = REManagerAPI(zmq_control_addr=control, zmq_info_addr=info)
    own = [each for each in contexts() if not any(each is other for other in others)]

    def close() -> None:
        api.close()
        for context in own:
            context.destroy(linger=0)

    return api, close


class Server:
    """A queueserver, and what clients do with it."""

    def __init__(
        self, folder: Path, redis_port: int, kernel: bool, start_up: str, prefix: str = ""
    ) -> None:
        from freewheel.hosts.queueserver import permissions_file

        control, info = free_port(), free_port()
        self.control = f"tcp://127.0.0.1:{control}"
        self.info = f"tcp://127.0.0.1:{info}"
        self.state = f"tcp://127.0.0.1:{free_port()}"
        self.prefix = prefix or f"fw_{control}"
        script = folder / "startup.py"
        self.recording = folder / "recording"
        text = textwrap.dedent(start_up).replace("{recording}", str(self.recording))
        script.write_text(text.replace("{state}", self.state))
        (folder / "ipython").mkdir()  # the kernel makes its profile there, but not the folder
        permissions = folder / "permissions.yaml"
        shutil.copy(permissions_file(), permissions)
        self._process = Process(
            [
                str(Path(sys.executable).with_name("start-re-manager")),
                f"--startup-script={script}",
                f"--user-group-permissions={permissions}",
                f"--existing-plans-devices={folder / 'existing.yaml'}",
                "--update-existing-plans-devices=ENVIRONMENT_OPEN",
                f"--zmq-control-addr=tcp://127.0.0.1:{control}",
                f"--zmq-info-addr=tcp://127.0.0.1:{info}",
                f"--redis-addr=127.0.0.1:{redis_port}",
                f"--redis-name-prefix={self.prefix}",
                f"--use-ipython-kernel={'ON' if kernel else 'OFF'}",
                f"--ipython-dir={folder / 'ipython'}",
                "--keep-re",
            ],
            {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "PYTHONUNBUFFERED": "1"},
        )
        self._close_client: Callable[[], None] = lambda: None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._process.wait_for("Starting ZMQ server at")
        self.api, self._close_client = open_client(self.control, self.info)
        self.api.environment_open()
        self.api.wait_for_idle(timeout=90)
        assert self.api.status()["worker_environment_exists"], "".join(self._process.lines)

    def until(self, condition: Callable[[dict[str, Any]], bool], timeout: float = 30) -> None:
        """Wait until the manager's status is as wanted: it tells of it when it is asked."""
        from bluesky_queueserver_api import WaitMonitor

        self.api.wait_for_condition(condition, timeout=timeout, monitor=WaitMonitor())

    def upload(self, script: str) -> None:
        """Run a script in the worker, as a client may."""
        uid = self.api.script_upload(textwrap.dedent(script))["task_uid"]
        self.api.wait_for_completed_task(uid, timeout=30)
        result = self.api.task_result(uid)["result"]
        assert result["success"], result

    def run(self, name: str, *args: Any) -> None:
        from bluesky_queueserver_api import BPlan

        self.api.item_execute(BPlan(name, *args))

    def last(self) -> dict[str, Any]:
        """The last entry of the history."""
        found: dict[str, Any] = self.api.history_get()["items"][-1]["result"]
        return found

    def call(self, function: str, /, *args: Any, group: str = "primary", **kwargs: Any) -> Any:
        """Call a function in the worker, beside what runs there."""
        return call(self.api, function, *args, user_group=group, **kwargs)

    def close(self) -> None:
        self._close_client()
        self._process.end()


class Web:
    """bluesky-httpserver before a queueserver, and people who log in there."""

    def __init__(self, folder: Path, control: str, info: str, config: str) -> None:
        (folder / "config.yml").write_text(config)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process = Process(
            [
                str(Path(sys.executable).with_name("start-bluesky-httpserver")),
                "--host=127.0.0.1",
                f"--port={port}",
                f"--config_path={folder / 'config.yml'}",
            ],
            {
                **os.environ,
                "QSERVER_ZMQ_CONTROL_ADDRESS": control,
                "QSERVER_ZMQ_INFO_ADDRESS": info,
                "QSERVER_HTTP_SERVER_DATABASE_URI": f"sqlite:///{folder / 'people.sqlite'}",
                "PYTHONUNBUFFERED": "1",
            },
        )
        try:
            self._process.wait_for("Uvicorn running on")
        except BaseException:
            self._process.end()
            raise

    def log_in(self, name: str, password: str) -> Any:
        """Return a client, which whoever asked for it closes."""
        from bluesky_queueserver_api.http import REManagerAPI

        api = REManagerAPI(http_server_uri=self.url, http_auth_provider="/lab/token")
        try:
            api.login(username=name, password=password)
        except BaseException:
            api.close()
            raise
        return api

    def close(self) -> None:
        self._process.end()


class Listener:
    """Hears the published state of an engine."""

    def __init__(self, address: str) -> None:
        import zmq

        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.set(zmq.RCVTIMEO, 30_000)
        self._socket.connect(address)
        self._socket.subscribe(b"fw.state")

    def hear(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first state that is as wanted."""
        while True:
            topic, text = self._socket.recv_multipart()
            assert topic == b"fw.state"
            found: dict[str, Any] = json.loads(text)
            if condition(found):
                return found

    def close(self) -> None:
        self._context.destroy(linger=0)
