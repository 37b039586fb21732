"""Plans through a real queueserver, with its plain worker and with its IPython kernel."""

from __future__ import annotations

import base64
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from freewheel.testing import free_port
from queueservers import START_UP, Process, Server

pytest.importorskip("bluesky_queueserver_api")

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


def idle(status: dict[str, Any]) -> bool:
    return bool(status["manager_state"] == "idle" and status["re_state"] == "idle")


def test_a_plan_runs_and_its_runs_are_in_the_history(server: Any) -> None:
    server.run("quick")
    server.until(lambda s: idle(s) and s["items_in_history"] > 0)
    result = server.last()
    assert result["exit_status"] == "completed"
    assert len(result["run_uids"]) == 1


@pytest.mark.parametrize(
    ("plan", "says"), [("failing", "mine"), ("speechless", "Speechless whose text cannot be had")]
)
def test_a_failure_is_told(server: Any, plan: str, says: str) -> None:
    before = server.api.status()["items_in_history"]
    server.run(plan)
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert server.last()["exit_status"] == "failed"
    assert says in server.last()["msg"]


@pytest.mark.parametrize("option", ["immediate", "deferred"])
@pytest.mark.parametrize(
    ("end", "status"),
    [("re_stop", "stopped"), ("re_abort", "aborted"), ("re_halt", "halted")],
)
def test_a_plan_is_paused_resumed_and_ended(
    server: Any, option: str, end: str, status: str
) -> None:
    before = server.api.status()["items_in_history"]
    server.run("endless")
    server.until(lambda s: s["re_state"] == "running")
    server.api.re_pause(option=option)
    server.until(lambda s: s["manager_state"] == "paused")
    server.api.re_resume()
    server.until(lambda s: s["re_state"] == "running")
    server.api.re_pause(option=option)
    server.until(lambda s: s["manager_state"] == "paused")
    getattr(server.api, end)()
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert server.last()["exit_status"] == status


def test_a_plan_waits_for_an_action_that_a_client_triggers(server: Any, listen: Any) -> None:
    before = server.api.status()["items_in_history"]
    listener = listen(server.state)
    server.run("waiting")
    state = listener.hear(lambda found: found["actions"])
    (action,) = state["actions"]
    assert (action["name"], action["plan"], action["togglable"]) == ("go", "waiting", True)
    assert server.call("fw_actions") == [action]
    with pytest.raises(RuntimeError, match=r"'fly'.*On offer: 'go'"):
        server.call("fw_trigger", "fly")
    server.call("fw_trigger", "go")
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert server.last()["exit_status"] == "completed"
    listener.hear(lambda found: found["state"] == "idle" and not found["actions"])


def test_a_live_view_is_offered_without_its_action_which_clients_trigger(
    server: Any, listen: Any
) -> None:
    before = server.api.status()["items_in_history"]
    described = server.api.plans_allowed()["plans_allowed"]["live_view"]
    names = {each["name"] for each in described["parameters"]}
    assert {"detectors", "rate"} <= names
    assert "snap" not in names
    listener = listen(server.state)
    server.run("live_view", ["camera"])
    listener.hear(lambda found: [each["name"] for each in found["actions"]] == ["snap"])
    server.call("fw_trigger", "snap")
    server.api.re_pause(option="immediate")
    server.until(lambda s: s["manager_state"] == "paused")
    server.api.re_stop()
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert server.last()["exit_status"] == "stopped"


def test_a_task_in_the_background_is_in_the_state_and_is_cancelled(
    server: Any, listen: Any
) -> None:
    assert server.call("fw_launch", "endless", ["det"], name="beside") == "beside"
    state = listen(server.state).hear(lambda found: found["background"])
    assert [task["name"] for task in state["background"]] == ["beside"]
    with pytest.raises(RuntimeError, match="'beside' is running: cancel it first"):
        server.call("fw_launch", "endless", name="beside")
    before = server.api.status()["items_in_history"]
    server.run("quick")  # a foreground plan beside it
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert server.last()["exit_status"] == "completed"
    assert server.call("fw_cancel", "beside") is True
    listen(server.state).hear(lambda found: not found["background"])
    with pytest.raises(RuntimeError, match="no plan 'launch'"):
        server.call("fw_launch", "launch")


def test_a_live_view_gives_way_to_a_plan_and_comes_back(server: Any, listen: Any) -> None:
    listener = listen(server.state)
    server.call("fw_launch", "live_view", [["camera"]], name="live", on_conflict="pause")
    listener.hear(lambda found: found["claims"] == {"camera": "live"})
    before = server.api.status()["items_in_history"]
    server.run("quick")
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert server.last()["exit_status"] == "completed"
    listener.hear(lambda found: found["claims"] == {"camera": "live"})
    assert server.call("fw_cancel", "live") is True
    listener.hear(lambda found: not found["background"])


def test_a_script_that_is_run_again_publishes_at_the_same_address(server: Any, listen: Any) -> None:
    listener = listen(server.state)
    listener.hear(lambda found: found["state"] == "idle")
    server.upload(f"""
        from freewheel.hosts.queueserver import *

        publisher = publish_state("{server.state}")
    """)
    server.call("fw_hold_queue", "again")
    assert listener.hear(lambda found: found["queue_held"] == "again")
    server.call("fw_release_queue")


def test_the_red_button_ends_the_plan_and_the_task(server: Any) -> None:
    before = server.api.status()["items_in_history"]
    server.call("fw_launch", "endless", name="beside")
    server.run("endless")
    server.until(lambda s: s["re_state"] == "running")
    server.call("fw_stop_all", "smoke", group="observer")
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert "smoke" in server.last()["msg"]
    assert server.call("fw_snapshot")["background"] == []


def test_a_held_queue_starts_nothing_and_says_why(server: Any) -> None:
    before = server.api.status()["items_in_history"]
    server.call("fw_hold_queue", "lunch")
    server.run("quick")
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert "lunch" in server.last()["msg"]
    server.call("fw_release_queue")


def test_the_newest_frame_is_given_on_request(server: Any) -> None:
    before = server.api.status()["items_in_history"]
    server.run("quick")
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    found = server.call("fw_frame")
    frame = np.frombuffer(base64.b64decode(found["data"]), found["dtype"]).reshape(found["shape"])
    assert found["key"] == "camera_image"
    assert frame.tolist() == np.arange(12.0).reshape(3, 4).tolist()
    assert server.call("fw_frame", "camera_image", 2)["shape"] == [2, 2]
    with pytest.raises(RuntimeError, match="'microphone'"):
        server.call("fw_frame", "microphone")


def test_a_device_is_set_by_hand(server: Any) -> None:
    assert server.call("fw_set", "motor", 3) is None
    with pytest.raises(RuntimeError, match=r"no device 'rotor'.*motor"):
        server.call("fw_set", "rotor", 3)


def test_who_may_only_look_may_not_do(server: Any) -> None:
    assert server.call("fw_snapshot", group="observer")["state"] == "idle"
    assert isinstance(server.call("fw_tasks", group="observer"), list)
    with pytest.raises(Exception, match="not allowed"):
        server.call("fw_launch", "endless", group="observer")


def test_a_worker_that_is_killed_loses_neither_the_queue_nor_what_was_recorded(
    server: Any, listen: Any
) -> None:
    from bluesky_queueserver_api import BPlan

    from freewheel.recording import read_runs

    server.run("recording")
    server.until(lambda s: s["re_state"] == "running")
    server.api.item_add(BPlan("quick"))
    listen(server.state).hear(lambda found: found["actions"])
    whole = [run.uid for run in read_runs(server.recording) if run.complete]
    os.kill(server.call("fw_worker_pid"), signal.SIGKILL)
    server.api.environment_destroy()
    server.until(lambda s: not s["worker_environment_exists"], timeout=60)
    cut_short = [run for run in read_runs(server.recording) if run.uid not in whole]
    assert all(run.verify() == () for run in read_runs(server.recording) if run.uid in whole)
    for run in cut_short:
        numbers = [doc["seq_num"] for name, doc in run.documents() if name == "event"]
        assert numbers == list(range(1, len(numbers) + 1))
    assert "quick" in [item["name"] for item in server.api.queue_get()["items"]]
    server.api.queue_clear()
    server.api.environment_open()
    server.api.wait_for_idle(timeout=90)
    assert listen(server.state).hear(lambda found: found["state"] == "idle")
    before = server.api.status()["items_in_history"]
    server.run("quick")
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert server.last()["exit_status"] == "completed"


def test_what_is_not_json_ends_nothing(server: Any) -> None:
    import zmq

    before = server.api.status()["items_in_history"]
    server.run("endless")
    server.until(lambda s: s["re_state"] == "running")
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.RCVTIMEO, 30_000)
        socket.connect(server.control)
        socket.send(b"\xff{no json")
        assert b"false" in socket.recv()
    assert server.api.status()["re_state"] == "running"
    with pytest.raises(RuntimeError, match=r"JSON|serializable"):
        server.call("fw_not_json")
    server.api.re_pause(option="immediate")
    server.until(lambda s: s["manager_state"] == "paused")
    server.api.re_stop()
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert server.last()["exit_status"] == "stopped"


def test_two_servers_on_one_redis_do_not_see_each_other(
    server: Any, redis_port: int, tmp_path: Any
) -> None:
    from bluesky_queueserver_api import BPlan

    other = Server(tmp_path, redis_port, kernel=False, start_up=START_UP)
    try:
        before = server.api.status()["items_in_history"]
        server.api.item_add(BPlan("quick", 1))
        other.run("quick")
        other.until(lambda s: idle(s) and s["items_in_history"] == 1)
        assert server.api.status()["items_in_history"] == before
        assert other.api.queue_get()["items"] == []
        server.api.queue_clear()
    finally:
        other.close()


def test_a_second_manager_of_the_same_script_opens_no_environment_and_the_first_runs_on(
    redis_port: int, tmp_path: Any, listen: Any
) -> None:
    """On one Redis with one prefix: both have one queue, and would run its plans twice."""
    from freewheel.recording import read_runs

    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    first = Server(folders[0], redis_port, kernel=False, start_up=START_UP)
    try:
        listener = listen(first.state)
        first.run("waiting")
        listener.hear(lambda found: found["actions"])
        script = START_UP.replace("{state}", first.state)
        with pytest.raises(AssertionError, match="another worker with this start-up script"):
            Server(folders[1], redis_port, False, script, first.prefix)
        first.call("fw_trigger", "go")
        listener.hear(lambda found: found["state"] == "idle")
        first.until(idle)
        (run,) = read_runs(first.recording)
        assert run.complete
    finally:
        first.close()


def test_a_manager_without_its_redis_says_so_and_ends(tmp_path: Any) -> None:
    nobody = free_port()
    process = Process(
        [
            str(Path(sys.executable).with_name("start-re-manager")),
            f"--redis-addr=127.0.0.1:{nobody}",
            f"--zmq-control-addr=tcp://127.0.0.1:{free_port()}",
            f"--zmq-info-addr=tcp://127.0.0.1:{free_port()}",
            "--startup-dir",
            str(tmp_path),
        ]
    )
    process.wait_for("Redis")
    process.end()


def test_an_engine_that_returns_futures_is_refused_with_the_remedy(
    redis_port: int, tmp_path: Any
) -> None:
    server = Server(
        tmp_path,
        redis_port,
        kernel=False,
        start_up="""
            from bluesky.utils import Msg
            from freewheel import RunEngine

            RE = RunEngine()

            def quick():
                yield Msg("null")
        """,
    )
    try:
        server.run("quick")
        server.until(lambda s: idle(s) and s["items_in_history"] > 0)
        assert server.last()["exit_status"] == "failed"
        assert "RE.blocking" in server.last()["msg"]
        assert "Nothing was started" in server.last()["msg"]
    finally:
        server.close()
