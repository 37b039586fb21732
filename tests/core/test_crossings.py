"""Calls from one thread into a loop that another one runs."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ophyd.status import Status as OphydStatus
from ophyd_async.core import AsyncStatus

import freewheel
from freewheel.core import EngineFuture, Status, UnknownStatusFailure
from freewheel.core._crossings import (
    call_soon,
    completion,
    new_waiter,
    run_soon,
    settle_soon,
    wake,
)

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT = 10


def in_thread(function: Callable[[], Any]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(WAIT)
    assert not thread.is_alive()


def closed_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.close()
    return loop


async def test_a_call_from_another_thread_is_made_on_the_loops_own() -> None:
    called = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    in_thread(lambda: call_soon(loop, lambda *a: called.set_result((a, loop)), 1, 2))

    assert await asyncio.wait_for(called, WAIT) == ((1, 2), loop)


def test_what_is_meant_for_a_closed_loop_is_dropped() -> None:
    called: list[int] = []
    loop = asyncio.new_event_loop()
    waiter = loop, loop.create_future()
    loop.close()

    call_soon(loop, called.append, 1)
    wake(waiter)
    settle_soon(waiter[1], None)

    assert called == []
    assert not waiter[1].done()


def test_another_error_of_the_loop_is_not_hidden() -> None:
    class Broken(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("the wrong thread")

    loop = Broken()
    try:
        with pytest.raises(RuntimeError, match="the wrong thread"):
            call_soon(loop, print)
    finally:
        loop.close()


def test_a_coroutine_for_a_closed_loop_is_refused_and_closed() -> None:
    async def nothing() -> None:
        """Never awaited: pytest fails on the warning unless it was closed."""

    with pytest.raises(RuntimeError, match="closed"):
        run_soon(closed_loop(), nothing())


async def test_a_coroutine_gives_its_answer_to_the_other_thread() -> None:
    loop = asyncio.get_running_loop()

    async def answer() -> int:
        return 42

    assert await asyncio.to_thread(lambda: run_soon(loop, answer()).result(WAIT)) == 42


async def test_a_waiter_is_woken_once_and_a_cancelled_one_not_at_all() -> None:
    waiter, cancelled = new_waiter(), new_waiter()
    cancelled[1].cancel()

    in_thread(lambda: (wake(waiter), wake(waiter), wake(cancelled)))

    await asyncio.wait_for(waiter[1], WAIT)
    await asyncio.sleep(0)  # what else there is to do about them is done
    assert cancelled[1].cancelled()


class OldOphyd:
    """As statuses of ophyd were before they had `add_callback`."""

    def __init__(self) -> None:
        self.finished_cb: Callable[[], None] | None = None
        self.success = False

    def finish(self, success: bool) -> None:
        self.success = success
        assert self.finished_cb is not None
        self.finished_cb()


class Protocol:
    """No more than bluesky's protocol asks for."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Any], None]] = []
        self._error: Exception | None = None
        self.done = self.success = False

    def add_callback(self, callback: Any) -> None:
        self._callbacks.append(callback)

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        return self._error

    def finish(self, error: Exception | None) -> None:
        self.done, self.success, self._error = True, error is None, error
        for callback in self._callbacks:
            callback(self)


def finish(status: Any, error: Exception | None) -> None:
    if isinstance(status, Protocol):
        status.finish(error)
    elif error is None:
        status.set_finished()
    else:
        status.set_exception(error)


@pytest.mark.parametrize("make", [Status, OphydStatus, Protocol])
@pytest.mark.parametrize("error", [None, OSError("stuck")])
@pytest.mark.parametrize("from_coroutine", [False, True])
async def test_any_status_is_waited_for(
    make: Any, error: Exception | None, from_coroutine: bool
) -> None:
    status = make()

    async def begin() -> Any:
        return status

    waiting = asyncio.ensure_future(completion(begin() if from_coroutine else status))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    in_thread(lambda: finish(status, error))

    if error is None:
        assert await asyncio.wait_for(waiting, WAIT) is None
    else:
        with pytest.raises(OSError, match="stuck"):
            await asyncio.wait_for(waiting, WAIT)


async def test_a_cancelled_wait_leaves_the_move_of_an_async_device_as_it_is() -> None:
    go_on = asyncio.Event()

    async def move() -> None:
        await go_on.wait()

    status = AsyncStatus(move())
    waiting = asyncio.ensure_future(completion(status))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert not status.done
    go_on.set()
    await completion(status)
    assert status.success


async def test_a_status_that_knows_only_how_it_ended() -> None:
    good, bad = OldOphyd(), OldOphyd()
    waiting = [asyncio.ensure_future(completion(status)) for status in (good, bad)]
    await asyncio.sleep(0)
    in_thread(lambda: (good.finish(True), bad.finish(False)))

    assert await asyncio.wait_for(waiting[0], WAIT) is None
    with pytest.raises(UnknownStatusFailure, match="does not say why"):
        await asyncio.wait_for(waiting[1], WAIT)


async def test_what_is_over_already_is_not_waited_for() -> None:
    async def staged() -> list[str]:
        return ["camera"]

    assert await completion(["camera"]) is None
    assert await completion(None) is None
    assert await completion(staged()) is None
    future = asyncio.get_running_loop().create_future()
    future.set_exception(OSError("stuck"))
    with pytest.raises(OSError, match="stuck"):
        await completion(future)


def test_threads_are_crossed_nowhere_else() -> None:
    crossing = re.compile(r"\.(call_soon_threadsafe|run_coroutine_threadsafe)\(|suppress\(Runtime")
    source = Path(freewheel.__file__).parent
    found = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if crossing.search(path.read_text())
    }

    assert found == {"core/_crossings.py"}


# -- futures -------------------------------------------------------------------------------------


def test_waiting_on_the_engines_thread_is_refused_with_the_hint() -> None:
    future: EngineFuture[int] = EngineFuture(
        "the move", threading.current_thread(), "Write `yield from wait()`."
    )

    with pytest.raises(RuntimeError, match=r"the move .* document callback.*`yield from wait\(\)`"):
        future.result()
    future.settle(3)
    assert future.result() == 3


def test_to_peek_does_not_count_as_told() -> None:
    future: EngineFuture[int] = EngineFuture("the move", threading.current_thread())
    assert future.peek() is None  # and does not wait
    future.settle(error=OSError("stuck"))

    assert isinstance(future.peek(), OSError)
    assert not future.observed
    future.mark_observed()
    assert future.observed


def test_to_peek_at_what_was_cancelled() -> None:
    future: EngineFuture[int] = EngineFuture("the move", threading.current_thread())
    assert future.cancel()

    assert future.peek() is None
