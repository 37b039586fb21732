"""Plans through a real queueserver, with its plain worker and with its IPython kernel."""

from __future__ import annotations

import base64
import os
import signal
from typing import Any

import numpy as np
import pytest

from queueservers import Server

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


def test_a_failure_is_told(server: Any) -> None:
    before = server.api.status()["items_in_history"]
    server.run("failing")
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert server.last()["exit_status"] == "failed"
    assert "mine" in server.last()["msg"]


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


def test_a_task_in_the_background_is_in_the_state_and_is_cancelled(
    server: Any, listen: Any
) -> None:
    assert server.call("fw_launch", "endless", ["det"], name="beside") == "beside"
    state = listen(server.state).hear(lambda found: found["background"])
    assert [task["name"] for task in state["background"]] == ["beside"]
    before = server.api.status()["items_in_history"]
    server.run("quick")  # a foreground plan beside it
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert server.last()["exit_status"] == "completed"
    assert server.call("fw_cancel", "beside") is True
    listen(server.state).hear(lambda found: not found["background"])
    with pytest.raises(RuntimeError, match="no plan 'launch'"):
        server.call("fw_launch", "launch")


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
    with pytest.raises(Exception, match="not allowed"):
        server.call("fw_launch", "endless", group="observer")


def test_a_worker_that_is_killed_leaves_a_server_that_opens_another(
    server: Any, listen: Any
) -> None:
    server.run("endless")
    server.until(lambda s: s["re_state"] == "running")
    os.kill(server.call("fw_worker_pid"), signal.SIGKILL)
    server.api.environment_destroy()
    server.until(lambda s: not s["worker_environment_exists"], timeout=60)
    server.api.environment_open()
    server.api.wait_for_idle(timeout=90)
    assert listen(server.state).hear(lambda found: found["state"] == "idle")
    before = server.api.status()["items_in_history"]
    server.run("quick")
    server.until(lambda s: idle(s) and s["items_in_history"] > before)
    assert server.last()["exit_status"] == "completed"


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
