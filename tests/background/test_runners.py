"""What runs payloads, by itself: at moments that are hard to meet from outside."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

from freewheel import TaskContext
from freewheel.background._runners import CoroutineRunner, ThreadRunner

TASK = SimpleNamespace(name="task")


async def test_a_coroutine_that_is_paused_before_its_first_step_does_not_take_it() -> None:
    begun = asyncio.Event()

    async def payload() -> str:
        begun.set()
        return "done"

    runner = CoroutineRunner(payload)
    running = asyncio.create_task(runner.run(TASK))
    await asyncio.sleep(0)  # it has been started, and has not come to run
    assert await runner.pause()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not begun.is_set()
    await runner.resume()
    assert await running == "done"


async def test_a_coroutine_that_is_cancelled_in_such_a_pause_never_begins() -> None:
    begun = asyncio.Event()

    async def payload() -> None:
        begun.set()

    runner = CoroutineRunner(payload)
    running = asyncio.create_task(runner.run(TASK))
    await asyncio.sleep(0)
    assert await runner.pause()
    await asyncio.sleep(0)
    runner.cancel("abort", "enough")
    (result,) = await asyncio.gather(running, return_exceptions=True)
    assert isinstance(result, asyncio.CancelledError)
    assert not begun.is_set()


async def test_a_function_that_is_paused_before_it_begins_waits() -> None:
    begun = threading.Event()

    def payload() -> str:
        begun.set()
        return "done"

    runner = ThreadRunner(payload, TaskContext())
    assert await runner.pause()
    running = asyncio.create_task(runner.run(TASK))
    assert not await asyncio.to_thread(begun.wait, 0.05)
    await runner.resume()
    assert await running == "done"
