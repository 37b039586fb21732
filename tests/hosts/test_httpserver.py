"""Plans and verbs over REST: bluesky-httpserver before a real queueserver, as the page has it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from freewheel.testing import free_port
from pages import ROOT, blocks_of
from queueservers import START_UP, Process, Server, Web, call, open_client

pytest.importorskip("bluesky_httpserver")

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

PAGE = blocks_of(ROOT / "docs" / "how-to" / "queueserver.md")
TYPED = [line[2:] for block in PAGE if block.kind == "console" for line in block.text.splitlines()]


@pytest.fixture(scope="module")
def server(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("queueserver"), redis_port, False, START_UP)
    yield made
    made.close()


@pytest.fixture(scope="module")
def web(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("httpserver")
    (groups,) = (block for block in PAGE if block.file == "groups.py")
    (folder / "groups.py").write_text(groups.text)
    (config,) = (block.text for block in PAGE if block.kind == "yaml")
    made = Web(folder, server.control, server.info, config)
    yield made
    made.close()


@pytest.fixture
def log_in(web: Web) -> Iterator[Callable[[str], Any]]:
    made: list[Any] = []

    def log_in(name: str) -> Any:
        made.append(web.log_in(name, f"{name}-s-secret"))
        return made[-1]

    yield log_in
    for api in made:
        api.close()


@pytest.fixture
def ada(log_in: Any) -> Any:
    return log_in("ada")


def test_a_plan_is_added_and_run(ada: Any, server: Any) -> None:
    from bluesky_queueserver_api import BPlan

    before = server.api.status()["items_in_history"]
    ada.item_add(BPlan("quick"))
    ada.queue_start()
    ada.wait_for_idle(timeout=30)
    server.until(lambda s: s["items_in_history"] > before)
    (item,) = ada.history_get()["items"][before:]
    assert (item["user"], item["user_group"]) == ("ada", "primary")
    assert item["result"]["exit_status"] == "completed"
    assert len(item["result"]["run_uids"]) == 1
    assert call(ada, "fw_frame")["shape"] == [3, 4]


def test_a_plan_waits_for_an_action_is_paused_and_goes_on(
    ada: Any, server: Any, listen: Any
) -> None:
    from bluesky_queueserver_api import BPlan

    listener = listen(server.state)
    before = server.api.status()["items_in_history"]
    ada.item_execute(BPlan("waiting"))
    offered = listener.hear(lambda found: found["actions"])["actions"]
    assert call(ada, "fw_actions") == offered
    ada.re_pause(option="immediate")
    server.until(lambda s: s["manager_state"] == "paused")
    listener.hear(lambda found: found["state"] == "paused")
    ada.re_resume()
    listener.hear(lambda found: found["state"] == "running" and found["actions"])
    server.until(lambda s: s["re_state"] == "running")
    with pytest.raises(RuntimeError, match=r"'fly'.*On offer: 'go'"):
        call(ada, "fw_trigger", "fly")
    call(ada, "fw_trigger", "go")
    server.until(lambda s: s["items_in_history"] > before)
    assert server.last()["exit_status"] == "completed"


def test_who_may_only_look_may_look_and_stop_all(
    ada: Any, log_in: Any, server: Any, listen: Any
) -> None:
    from bluesky_queueserver_api import BPlan

    guest, listener = log_in("guest"), listen(server.state)
    before = server.api.status()["items_in_history"]
    ada.item_execute(BPlan("endless"))
    listener.hear(lambda found: found["state"] == "running")
    assert call(guest, "fw_snapshot")["state"] == "running"
    for function in ("fw_trigger", "fw_launch", "fw_hold_queue"):
        with pytest.raises(Exception, match="not allowed for users from 'observer'"):
            call(guest, function, "go")
    with pytest.raises(Exception, match="not in the list of allowed plans"):
        guest.item_execute(BPlan("quick"))
    with pytest.raises(Exception, match="Not enough permissions"):
        guest.item_add(BPlan("quick"))
    call(guest, "fw_stop_all", "smoke")
    server.until(lambda s: s["items_in_history"] > before)
    assert "smoke" in server.last()["msg"]


def test_who_is_nobody_may_do_nothing(web: Web) -> None:
    for path, key in (("status", {}), ("status", {"api_key": "guessed"})):
        assert httpx.get(f"{web.url}/api/{path}", params=key).status_code == 401
    body = {"item": {"name": "fw_stop_all", "item_type": "function"}}
    assert httpx.post(f"{web.url}/api/function/execute", json=body).status_code == 401
    with pytest.raises(Exception, match="401"):
        web.log_in("ada", "guessed")


def test_what_is_not_json_is_refused(web: Web, server: Server) -> None:
    login = {"username": "ada", "password": "ada-s-secret"}
    token = httpx.post(f"{web.url}/api/auth/provider/lab/token", data=login).json()["access_token"]
    answer = httpx.post(
        f"{web.url}/api/function/execute",
        content=b"\xff{no json",
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    assert answer.status_code in (400, 422)
    assert server.call("fw_snapshot")["state"] == "idle"


def type_in(line: str, folder: Path, environment: dict[str, str]) -> str:
    return subprocess.check_output(
        line, cwd=folder, env=environment, shell=True, text=True, timeout=60
    )


def test_the_page_serves(redis_port: int, tmp_path: Path) -> None:
    """Its lines as they stand, on ports of the test's own."""
    control, info = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    environment = {
        **os.environ,
        "QSERVER_ZMQ_CONTROL_ADDRESS": control,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
    }
    state = free_port()
    for block in PAGE:
        if block.file is not None:
            (tmp_path / block.file).write_text(block.text.replace(":60640", f":{state}"))
    (line,) = (line for line in TYPED if line.startswith("python"))
    subprocess.run(line, cwd=tmp_path, env=environment, shell=True, check=True, timeout=60)
    start = next(line for line in TYPED if line.startswith("start-re-manager"))
    manager = Process(
        [
            *shlex.split(start),
            f"--zmq-control-addr={control}",
            f"--zmq-info-addr={info}",
            f"--redis-addr=127.0.0.1:{redis_port}",
            f"--redis-name-prefix=fw_{control[-5:]}",
        ],
        environment,
        cwd=tmp_path,
    )
    api, close_client = open_client(control, info)
    try:
        manager.wait_for("Starting ZMQ server at")
        first = next(number for number, line in enumerate(TYPED) if line.startswith("qserver"))
        for line in TYPED[first:]:
            if line.startswith(("qserver", "until")):
                said = type_in(line, tmp_path, environment)
                assert "'success': True" in said or line.startswith("until")
        api.wait_for_idle(timeout=60)
        assert type_in(f"{sys.executable} state.py", tmp_path, environment) == "idle\n"
        assert api.history_get()["items"][-1]["result"]["exit_status"] == "completed"
        (config,) = (block.text for block in PAGE if block.kind == "yaml")
        web = Web(tmp_path, control, info, config)
        try:
            (client,) = (block.text for block in PAGE if "http_server_uri" in block.text)
            (tmp_path / "client.py").write_text(client.replace("http://localhost:60610", web.url))
            subprocess.run([sys.executable, "client.py"], cwd=tmp_path, check=True, timeout=60)
        finally:
            web.close()
    finally:
        close_client()
        manager.end()
