"""Changes that are made between two messages of a plan."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from bluesky.utils import Msg, RunEngineInterrupted

from freewheel import EngineClosedError, SRLatch
from freewheel.plan_stubs import wait_for_actions

if TYPE_CHECKING:
    from freewheel import RunEngine


def test_it_runs_at_once_when_nothing_runs(RE: RunEngine) -> None:  # noqa: N803
    assert RE.between_messages(threading.current_thread).result(10) is RE._th

    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    assert RE.between_messages(answer).result(10) == 42


def test_it_runs_between_two_messages_and_the_plan_waits_for_it(
    RE: RunEngine,  # noqa: N803
    gate: Any,
) -> None:
    order: list[str] = []

    async def change() -> None:
        order.append("begun")
        for _ in range(20):
            await asyncio.sleep(0)
        order.append("made")

    def plan() -> Any:
        yield from gate.plan()
        for _ in range(3):
            order.append("message")
            yield Msg("null")

    future = RE(plan())
    gate.wait()
    change_made = RE.between_messages(change)
    assert not change_made.done()
    gate.open()
    future.result(10)
    change_made.result(10)
    assert order in (
        ["begun", "made", "message", "message", "message"],
        ["message", "begun", "made", "message", "message"],
    )


def test_it_runs_while_the_plan_is_paused_or_waits_for_an_action(
    RE: RunEngine,  # noqa: N803
) -> None:
    latch = SRLatch()
    offered = threading.Event()
    RE.events.actions_changed.connect(lambda names: offered.set())

    def plan() -> Any:
        yield from wait_for_actions({"go": latch}, timeout=None)

    RE(plan())
    assert offered.wait(10)
    assert RE.between_messages(lambda: "waiting").result(10) == "waiting"
    RE.request_pause().result(10)
    assert RE.between_messages(lambda: "paused").result(10) == "paused"
    future = RE.resume()
    latch.set()
    future.result(10)


def test_a_failure_does_not_reach_the_plan(RE: RunEngine, gate: Any) -> None:  # noqa: N803
    future = RE(gate.plan(messages=5))
    gate.wait()
    failing = RE.between_messages(lambda: 1 / 0)
    gate.open()
    assert future.result(10).exit_status == "success"
    with pytest.raises(ZeroDivisionError):
        failing.result(10)


def test_one_that_waits_can_be_taken_back(RE: RunEngine, gate: Any) -> None:  # noqa: N803
    ran: list[int] = []
    future = RE(gate.plan(messages=5))
    gate.wait()
    first, second = (RE.between_messages(lambda n=n: ran.append(n)) for n in (1, 2))
    assert first.cancel()
    gate.open()
    future.result(10)
    second.result(10)
    assert ran == [2]


@pytest.mark.parametrize("ending", ["stop", "abort", "halt"])
def test_an_end_does_not_wait_for_one_that_hangs(
    RE: RunEngine,  # noqa: N803
    gate: Any,
    ending: str,
) -> None:
    begun = threading.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    def plan() -> Any:
        yield from gate.plan(messages=100)

    future = RE(plan())
    gate.wait()
    hanging = RE.between_messages(hang)
    gate.open()
    assert begun.wait(10)
    getattr(RE, ending)().exception(10)
    with pytest.raises(RunEngineInterrupted):
        future.result(10)
    assert isinstance(hanging.exception(10), BaseException)
    assert RE.between_messages(lambda: 1).result(10) == 1


def test_a_pause_comes_after_it_and_does_not_lose_it(
    RE: RunEngine,  # noqa: N803
    gate: Any,
) -> None:
    begun = threading.Event()
    go_on = RE.loop.create_future()

    async def change() -> str:
        begun.set()
        await go_on
        return "made"

    future = RE(gate.plan(messages=10))
    gate.wait()
    made = RE.between_messages(change)
    gate.open()
    assert begun.wait(10)
    pause = RE.request_pause()
    RE.loop.call_soon_threadsafe(go_on.set_result, None)
    assert made.result(10) == "made"
    pause.result(10)
    with pytest.raises(RunEngineInterrupted):
        future.result(10)
    assert RE.state == "paused"
    RE.resume().result(10)


def test_what_is_no_function_is_refused(RE: RunEngine) -> None:  # noqa: N803
    async def coroutine() -> None: ...

    with pytest.raises(TypeError, match="called already"):
        RE.between_messages(coroutine())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="without arguments"):
        RE.between_messages(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="without arguments"):
        RE.between_messages(lambda x: x)  # type: ignore[misc]


def test_a_closed_engine_refuses(RE: RunEngine) -> None:  # noqa: N803
    RE.close()
    with pytest.raises(EngineClosedError):
        RE.between_messages(lambda: None)
