"""Plans through a real blueapi, which is started with our command and is otherwise its own."""

from __future__ import annotations

import json
import os
import select
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

pytest.importorskip("blueapi")

from blueapis import Server
from freewheel.hosts._replace import replace
from queueservers import Listener

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600), pytest.mark.leaks("blueapi's client")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("blueapi"))
    yield made
    made.close()


@pytest.fixture
def issuer() -> Iterator[str]:
    """Who vouches for people: the one page of it that is asked for."""

    class Issuer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"jwks_uri": "http://127.0.0.1/keys"}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    made = HTTPServer(("127.0.0.1", 0), Issuer)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_plan_runs_and_its_documents_come(server: Any) -> None:
    task = server.start("quick", value=3)
    assert task.end.result(60).result.result == 3
    assert task.documents() == ["start", "descriptor", "event", "stop"]


def test_a_device_of_ophyd_async_is_moved(server: Any) -> None:
    assert server.run("move", motor="motor", to=0.5).result == 0.5


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ("failing", "mine"),
        ("leaving", "SystemExit(3)"),
        ("speechless", "Speechless whose text cannot be had"),
    ],
)
def test_a_failure_is_the_tasks_and_the_next_one_runs(server: Any, plan: str, says: str) -> None:
    outcome = server.run(plan)
    assert outcome.outcome == "error"
    assert says in outcome.message
    assert server.run("quick", value=1).result == 1


def test_a_paused_task_is_still_that_task_and_goes_on(server: Any) -> None:
    task = server.start("endless")
    task.hear_documents(3)
    for defer in (False, True):
        server.client.pause(defer=defer)
        task.hear_state("PAUSED")
        assert server.client.active_task.task_id is not None
        assert not task.end.done()
        server.client.resume()  # returns at once, and the service still answers
        task.hear_documents(3)
    assert server.client.state == "RUNNING"
    server.client.stop()
    assert "stopped" in task.end.result(30).result.message
    assert task.documents()[-1] == "stop"


@pytest.mark.parametrize("paused", [False, True])
def test_a_task_is_aborted_with_the_reason(server: Any, paused: bool) -> None:
    task = server.start("endless")
    task.hear_documents(2)
    if paused:
        server.client.pause()
        task.hear_state("PAUSED")
    server.client.abort("smoke")
    assert "smoke" in task.end.result(30).result.message
    stop = [event.doc for event in task.events if getattr(event, "name", "") == "stop"]
    assert [(doc["exit_status"], doc["reason"]) for doc in stop] == [("abort", "smoke")]


def test_what_cannot_be_is_refused_and_nothing_ends(server: Any) -> None:
    task = server.start("endless")
    task.hear_documents(1)
    with pytest.raises(Exception, match="busy"):
        server.run("quick")
    task.hear_documents(1)
    server.client.stop()
    task.end.result(30)
    with pytest.raises(Exception, match="Cannot transition from IDLE"):
        server.client.stop()


def test_a_plan_waits_for_an_action_that_a_client_triggers(server: Any, listen: Any) -> None:
    listener = listen(server.state)
    task = server.start("waiting")
    (action,) = listener.hear(lambda found: found["actions"])["actions"]
    assert server.look("actions") == [action]
    assert (action["name"], action["plan"], action["togglable"]) == ("go", "waiting", True)
    assert "On offer: 'go'" in server.do("trigger", 404, name="fly")
    server.do("trigger", name="go")
    assert task.end.result(30).result.result == "go"
    assert server.look("actions") == []


def test_a_plan_beside_a_plan(server: Any) -> None:
    task = server.start("beside")
    assert task.end.result(30).result.result == 7
    assert task.documents() == ["start", "descriptor", "event", "stop"]


def test_a_task_in_the_background_outlives_those_of_blueapi(server: Any, listen: Any) -> None:
    assert server.do("launch", plan="endless", name="beside") == "beside"
    assert server.run("quick", value=2).result == 2
    state = listen(server.state).hear(lambda found: found["background"])
    assert [(each["name"], each["status"]) for each in state["background"]] == [
        ("beside", "running")
    ]
    assert "'beside' is running" in server.do("launch", 409, plan="quick", name="beside")
    (told,) = (each for each in server.look("tasks") if each["name"] == "beside")
    assert (told["status"], told["error"], len(told["runs"])) == ("running", None, 1)
    assert server.do("cancel", name="beside") is True
    listen(server.state).hear(lambda found: not found["background"])


def test_the_red_button_ends_the_plan_and_the_task(server: Any) -> None:
    server.do("launch", plan="endless", name="beside")
    task = server.start("endless")
    task.hear_documents(1)
    server.do("stop_all", reason="smoke")
    assert "smoke" in task.end.result(30).result.message
    assert server.look("snapshot")["background"] == []


def test_a_held_queue_starts_nothing_and_says_why(server: Any) -> None:
    server.do("hold_queue", reason="lunch")
    assert "lunch" in server.run("quick").message
    server.do("release_queue")
    assert server.run("quick", value=4).result == 4


def test_a_device_is_set_by_hand(server: Any) -> None:
    server.do("set", device="motor", value=0.25)
    assert server.run("move", motor="motor", to=0.25).result == 0.25
    assert "There are: camera, counter, motor" in server.do("set", 404, device="rotor", value=1)


def test_the_newest_frame_is_given_on_request(server: Any, listen: Any) -> None:
    listener = listen(server.state)
    server.submit("picture")
    listener.hear(lambda found: found["actions"])
    server.do("trigger", name="seen")
    listener.hear(lambda found: found["state"] == "idle")
    assert server.look("frame")["shape"] == [3, 4]
    assert server.look("frame?key=camera_image&max_side=2")["shape"] == [2, 2]


def test_what_a_verb_cannot_take_is_refused(server: Any) -> None:
    assert "valid integer" in server.do("launch", 422, plan="quick", params={"value": "x"})
    assert "no plan 'nix'" in server.do("launch", 404, plan="nix")
    said = server.do("trigger", 422, name="go", speed=3)
    assert said.startswith("trigger takes name, plan: ")
    assert "speed" in said
    server.do("open", 404, name="/etc/passwd")


def test_a_paused_plan_is_cleaned_up_when_the_environment_is_made_anew(
    server: Any, listen: Any
) -> None:
    task = server.start("endless")
    task.hear_documents(1)
    server.client.pause()
    task.hear_state("PAUSED")
    server.mark.unlink(missing_ok=True)
    assert server.client.reload_environment(timeout=120).initialized
    assert server.mark.exists()
    assert listen(server.state).hear(lambda found: found["state"] == "idle")
    assert server.run("quick", value=5).result == 5


def test_the_page_serves(tmp_path: Any) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "blueapi.md").read_text()
    config = page.split("```yaml\n")[1].split("```")[0]
    module = page.split("```python\n")[1].split("```")[0]
    made = Server(tmp_path, module.replace("tcp://127.0.0.1:60640", "{state}"), config)
    try:
        task = made.start("align")
        task.hear_state("RUNNING")
        listener = Listener(made.state)
        listener.hear(lambda found: found["actions"])
        listener.close()
        made.do("trigger", name="accept")
        assert task.end.result(30).result.result == "accept"
    finally:
        made.close()


def test_who_must_log_in_for_blueapis_routes_must_for_ours(issuer: str) -> None:
    from blueapi.config import ApplicationConfig
    from blueapi.service import main
    from fastapi.testclient import TestClient

    from freewheel.hosts._blueapi_server import install

    install()
    config = {"oidc": {"issuer": issuer, "client_id": "freewheel"}}
    client = TestClient(main.get_app(ApplicationConfig.model_validate(config)))
    for route in ("tasks", "freewheel/snapshot", "freewheel/frame"):
        assert client.get(f"/api/v1/{route}").status_code == 401
    for verb in ("trigger", "stop_all"):
        assert client.post(f"/api/v1/freewheel/{verb}", json={}).status_code == 401


def test_a_blueapi_without_what_is_replaced_is_refused() -> None:
    from blueapi.service import interface

    with pytest.raises(RuntimeError, match=r"has no Nothing.*freewheel\[blueapi\]"):
        replace(interface, "Nothing", object)


def test_a_worker_that_is_killed_ends_the_service_which_says_so(tmp_path: Any) -> None:
    made = Server(tmp_path)
    try:
        worker = made.run("pid").result
        task = made.start("endless")
        task.hear_documents(1)
        os.kill(worker, signal.SIGKILL)
        made.process.wait_for(f"worker (process {worker}) has died")
        assert made.process.code() == 1
        assert task.end.exception(30) is not None
    finally:
        made.close()


def test_what_is_not_json_is_refused(server: Any) -> None:
    kind = {"Content-Type": "application/json"}
    for body, status in ((b"{no json", 422), (b"[1]", 422), (b"\xff", 400)):
        answer = requests.post(f"{server.url}/stop_all", data=body, headers=kind, timeout=30)
        assert answer.status_code == status
    assert server.look("snapshot")["state"] == "idle"


def test_a_worker_whose_server_was_killed_cleans_up_and_ends(tmp_path: Any) -> None:
    made = Server(tmp_path)
    try:
        worker = made.run("pid").result
        descriptor = os.pidfd_open(worker)
        task = made.start("endless")
        task.hear_documents(1)
        made.process.kill()
        assert select.select([descriptor], [], [], 60)[0]
        os.close(descriptor)
        assert made.mark.exists()
    finally:
        made.close()
