# ruff: noqa: N803
"""What is seen of tasks' messages, and actions that several plans offer."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from bluesky.utils import Msg

from freewheel import Action
from freewheel.core import OfferedAction
from freewheel.plan_stubs import background, wait_for_actions, wait_for_background

T = 10


def owning() -> Any:
    def task() -> Any:
        yield Msg("null")
        yield Msg("sleep", None, 0)

    handle = yield from background(task(), name="task")
    yield from wait_for_background(handle)
    return "value"


def test_hook_and_log_see_no_message_of_the_engine_itself(
    RE: Any, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    RE.msg_hook = lambda msg: seen.append(msg.command)
    with caplog.at_level(logging.DEBUG, "bluesky.RE.msg"):
        assert RE(owning()).result(T).plan_result == "value"
    assert seen == ["background", "wait_for_background"]
    logged = [r.msg_command for r in caplog.records if r.name == "bluesky.RE.msg"]
    assert sorted(logged) == ["background", "null", "sleep", "wait_for_background"]


def test_the_hook_of_the_background_sees_the_tasks_messages(RE: Any) -> None:
    seen: list[tuple[str, str]] = []
    RE.background.msg_hook = lambda task, msg: seen.append((task.name, msg.command))
    RE(owning()).result(T)
    assert seen == [("task", "null"), ("task", "sleep")]


def test_a_hook_that_raises_harms_no_task(RE: Any, caplog: pytest.LogCaptureFixture) -> None:
    def hook(task: Any, msg: Any) -> None:
        raise RuntimeError("on purpose")

    RE.background.msg_hook = hook
    assert RE(owning()).result(T).plan_result == "value"
    assert any("msg_hook raised for 'task'" in r.getMessage() for r in caplog.records)


class Offers:
    """Two plans that wait for an action of the same name."""

    def __init__(self, RE: Any) -> None:
        self.actions = [Action(name="go"), Action(name="go")]
        self.RE = RE
        self.task = RE.background.launch(self.waiting(0), name="view")
        self.future = RE(self.waiting(1))
        assert self._offered(2)

    def waiting(self, number: int) -> Any:
        changed = yield from wait_for_actions(self.actions[number].event_map, timeout=None)
        return changed

    def _offered(self, count: int) -> bool:
        done = threading.Event()

        def look() -> None:
            if len(self.RE.snapshot().actions) == count:
                done.set()
            else:
                self.RE.loop.call_later(0.001, look)

        self.RE.loop.call_soon_threadsafe(look)
        return done.wait(T)


def test_an_action_that_two_plans_offer_is_set_for_both(RE: Any) -> None:
    offers = Offers(RE)
    assert set(RE.snapshot().actions) == {
        OfferedAction("view", "go"),
        OfferedAction("waiting", "go"),
    }
    RE.trigger_action("go")
    assert offers.future.result(T).plan_result[1] is offers.actions[1].latch
    assert offers.task.result(T)[1] is offers.actions[0].latch


def test_or_for_the_one_that_is_named(RE: Any) -> None:
    offers = Offers(RE)
    with pytest.raises(KeyError, match=r"'other' does not wait.*'go' of 'view'"):
        RE.trigger_action("go", plan="other")
    with pytest.raises(KeyError, match="On offer: 'go'"):
        RE.trigger_action("stop")
    RE.trigger_action("go", plan="view")
    offers.task.result(T)
    assert not offers.future.done()
    assert not offers.actions[1].latch.is_set()
    RE.release_action("go", plan="waiting")
    RE.trigger_action("go", plan="waiting")
    offers.future.result(T)
