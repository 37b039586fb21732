"""Messages that no pause comes in between."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from bluesky.run_engine import InvalidCommand
from bluesky.utils import FailedStatus, Msg, RunEngineInterrupted

from freewheel import RunEngine
from freewheel.core import EngineState, Status
from freewheel.plan_stubs import background, checkpoint, null, sleep, uninterrupted


class Section:
    """Some messages that wait for the test, and what they saw."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.seen: list[str] = []
        self.asked: list[EngineState] = []
        self.told = threading.Event()

    def tell(self, state: EngineState) -> None:
        self.asked.append(state)
        self.told.set()

    def messages(self) -> Any:
        self.seen.append("begun")
        self.begun.set()
        yield Msg("wait_for", None, [lambda: asyncio.to_thread(self.go_on.wait, 30)])
        self.seen.append("waited")
        yield from null()
        self.seen.append("over")
        return 42

    def plan(self) -> Any:
        yield from checkpoint()
        value = yield from uninterrupted(self.messages(), self.tell)
        self.seen.append("after")
        yield from checkpoint()
        return value


def test_it_returns_what_its_plan_returns(engine: RunEngine) -> None:
    section = Section()
    section.go_on.set()
    assert engine(section.plan()).result(10).plan_result == 42
    assert section.asked == []


def test_its_messages_are_shown(engine: RunEngine) -> None:
    shown: list[str] = []
    engine.msg_hook = lambda msg: shown.append(msg.command)
    section = Section()
    section.go_on.set()
    engine(section.plan()).result(10)
    assert shown == ["checkpoint", "uninterrupted", "wait_for", "null", "checkpoint"]


def test_a_pause_waits_for_its_end_and_repeats_nothing(engine: RunEngine) -> None:
    section = Section()
    future = engine(section.plan())
    assert section.begun.wait(10)
    paused = engine.request_pause()
    assert section.told.wait(10)
    assert engine.state == "pausing"
    section.go_on.set()
    paused.result(10)
    with pytest.raises(RunEngineInterrupted):
        future.result(10)
    assert section.seen == ["begun", "waited", "over"]
    assert section.asked == [EngineState.PAUSING]
    assert engine.resume().result(10).plan_result == 42
    assert section.seen == ["begun", "waited", "over", "after"]


@pytest.mark.parametrize(
    ("verb", "state"), [("stop", EngineState.STOPPING), ("abort", EngineState.ABORTING)]
)
def test_an_end_waits_for_its_end(engine: RunEngine, verb: str, state: EngineState) -> None:
    section = Section()
    future = engine(section.plan())
    assert section.begun.wait(10)
    ended = getattr(engine, verb)()
    assert section.told.wait(10)
    section.go_on.set()
    ended.result(10)
    assert future.outcome.result(10).interrupted
    assert section.seen == ["begun", "waited", "over"]
    assert section.asked == [state]


def test_a_stop_after_a_pause_is_told_too(engine: RunEngine) -> None:
    section = Section()
    future = engine(section.plan())
    assert section.begun.wait(10)
    engine.request_pause()
    assert section.told.wait(10)
    section.told.clear()
    engine.stop()
    assert section.told.wait(10)
    section.go_on.set()
    assert future.outcome.result(10).exit_status == "success"
    assert section.asked == [EngineState.PAUSING, EngineState.STOPPING]


def test_a_halt_cuts_it_short(engine: RunEngine) -> None:
    section = Section()
    future = engine(section.plan())
    assert section.begun.wait(10)
    engine.halt().result(10)
    section.go_on.set()
    assert future.outcome.result(10).interrupted
    assert section.seen == ["begun"]
    assert section.asked == []


def test_a_deferred_pause_is_told_at_its_next_message(engine: RunEngine) -> None:
    section = Section()
    future = engine(section.plan())
    assert section.begun.wait(10)
    engine.request_pause(defer=True)
    engine.loop.call_soon_threadsafe(section.go_on.set)  # after the request
    with pytest.raises(RunEngineInterrupted):
        future.result(10)
    assert section.asked == [EngineState.PAUSING]
    assert section.seen == ["begun", "waited", "over", "after"]
    engine.resume().result(10)


def test_a_suspension_waits_for_its_end(engine: RunEngine) -> None:
    section = Section()
    future = engine(section.plan())
    assert section.begun.wait(10)

    async def at_once() -> None:
        await asyncio.sleep(0)

    engine.request_suspend(at_once)
    assert section.told.wait(10)
    section.go_on.set()
    assert future.result(10).plan_result == 42
    assert section.asked == [EngineState.SUSPENDING]
    assert section.seen == ["begun", "waited", "over", "after"]


def test_a_failed_status_reaches_its_plan(engine: RunEngine) -> None:
    caught: list[BaseException] = []

    class Device:
        name = "device"
        parent = None

        def trigger(self) -> Status:
            status = Status()
            status.set_exception(OSError("no light"))
            return status

    def inner() -> Any:
        try:
            yield Msg("trigger", Device(), group="A")
            yield Msg("wait", None, group="A")
        except FailedStatus as error:
            caught.append(error)
            raise

    with pytest.raises(FailedStatus, match="no light"):
        engine(uninterrupted(inner())).result(10)
    assert len(caught) == 1


@pytest.mark.parametrize("command", ["checkpoint", "pause", "clear_checkpoint", "no_such_command"])
def test_what_may_not_be_part_of_it(engine: RunEngine, command: str) -> None:
    def inner() -> Any:
        yield Msg(command)

    with pytest.raises(InvalidCommand, match=command):
        engine(uninterrupted(inner())).result(10)


def test_in_the_background(engine: RunEngine) -> None:
    section = Section()

    def parent() -> Any:
        yield from background(section.plan(), name="section")
        yield from sleep(0)
        section.go_on.set()

    engine(parent()).result(10)
    assert section.seen == ["begun", "waited", "over", "after"]
