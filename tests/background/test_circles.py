"""A wait that would never end, because who is waited for waits in turn, is refused."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from bluesky.utils import Msg

from doubles import Log, endless, run, value
from freewheel import CircularWaitError, RunEngine
from freewheel.plan_stubs import (
    background,
    cancel_background,
    sleep,
    wait_any,
    wait_for_background,
)

T = 10


def waits_by_name(name: str, task: Any) -> Any:
    while isinstance(task, Later) and not task.there.is_set():
        yield from sleep(0.001)
    yield from wait_for_background(name)


def waits_for_first(_: str, task: Any) -> Any:
    yield from wait_any(task)


def waits_for_future(_: str, task: Any) -> Any:
    yield Msg("wait_for", None, [lambda: task.future])


def in_coroutine(_: str, task: Any) -> Any:
    async def wait() -> None:
        if isinstance(task, Later):
            await asyncio.to_thread(task.there.wait, T)
        await task

    return wait


def in_gathered_coroutine(_: str, task: Any) -> Any:
    async def wait() -> None:
        await asyncio.gather(task.future, asyncio.sleep(0))

    return wait


def in_function(_: str, task: Any) -> Any:
    def wait() -> None:
        task.wait()

    return wait


class Later:
    """Stands for a task that is not there yet."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.task: Any = None

    def put(self, task: Any) -> None:
        self.task = task
        self.there.set()

    def __getattr__(self, name: str) -> Any:
        assert self.there.wait(T)
        return getattr(self.task, name)

    def __await__(self) -> Any:
        return self.task.__await__()


BY_PLAN = [waits_by_name, waits_for_future]
WAYS = [*BY_PLAN, in_coroutine, in_gathered_coroutine, in_function]


@pytest.mark.parametrize("way", WAYS)
def test_a_task_that_waits_for_itself(engine: RunEngine, way: Any) -> None:
    itself = Later()

    def plan() -> Any:
        itself.put((yield from background(way("x", itself), name="x")))

    with pytest.raises(
        CircularWaitError, match=r"The background task 'x' would wait for ever: it "
    ):
        run(engine, plan())
    with pytest.raises(CircularWaitError, match=r"waits for itself"):
        itself.task.result(T)


def test_a_task_that_waits_for_itself_as_the_first_of_several(engine: RunEngine) -> None:
    itself = Later()

    def wait() -> Any:
        while not itself.there.is_set():
            yield from sleep(0.001)
        yield from wait_any(itself.task)

    itself.put(engine.background.launch(wait(), name="x"))
    with pytest.raises(CircularWaitError, match=r"waits for itself"):
        itself.task.result(T)


@pytest.mark.parametrize("second", [waits_for_first, *WAYS])
@pytest.mark.parametrize("first", [waits_by_name, in_coroutine, in_function])
def test_two_tasks_that_wait_for_each_other(engine: RunEngine, first: Any, second: Any) -> None:
    b = Later()
    a = engine.background.launch(first("b", b), name="a")
    b.put(engine.background.launch(second("a", a), name="b"))
    errors = [task.exception(T) for task in (a, b.task)]
    assert any(
        isinstance(error, CircularWaitError)
        and f"waits for the background task {one!r}, which waits for the background task {two!r}"
        in str(error)
        for error in errors
        for one, two in ("ab", "ba")
    ), errors


@pytest.mark.parametrize("of", ["future", "outcome"])
@pytest.mark.parametrize("way", [waits_for_future, in_coroutine, in_function])
def test_a_task_that_waits_for_its_own_plan(engine: RunEngine, way: Any, of: str) -> None:
    class Handle:
        future: Any = None

        def __await__(self) -> Any:
            return self.future.__await__()

        def wait(self) -> Any:
            return self.future.result()

    handle = Handle()
    begun = threading.Event()

    def plan() -> Any:
        assert begun.wait(T)
        yield from background(way("", handle), name="x")

    future = engine(plan())
    handle.future = future if of == "future" else future.outcome
    begun.set()
    with pytest.raises(
        CircularWaitError,
        match=r"'x' would.* waits for the plan 'plan', which cannot end before the background t",
    ):
        future.result(T)


def test_a_plan_that_waits_for_a_task_that_waits_for_that_plan(engine: RunEngine, log: Log) -> None:
    async def launched() -> None:
        log.add("waits")
        await futures[0]

    def plan() -> Any:
        while not futures:
            yield from sleep(0.001)
        engine.background.launch(launched, name="x")
        while "waits" not in log.entries:
            yield from sleep(0.001)
        yield from wait_for_background("x")

    futures: list[Any] = []
    futures.append(engine(plan()))
    with pytest.raises(
        CircularWaitError,
        match=r"The plan 'plan' .* waits for the background task 'x', which waits for the plan 'pl",
    ):
        futures[0].result(T)
    assert isinstance(engine.background["x"].exception(T), CircularWaitError)


def test_a_task_that_waits_for_the_task_that_it_belongs_to(engine: RunEngine) -> None:
    def outer() -> Any:
        yield from background(waits_by_name("outer", None), name="inner")

    task = engine.background.launch(outer(), name="outer")
    with pytest.raises(CircularWaitError, match=r"'outer', which cannot end before"):
        task.result(T)


@pytest.mark.parametrize("owned", [True, False])
def test_a_wait_for_a_plan_that_is_queued_behind_ones_own(engine: RunEngine, owned: bool) -> None:
    async def wait() -> None:
        await engine(value(1))

    def plan() -> Any:
        if owned:
            yield from background(wait, name="x")
        else:
            yield Msg("wait_for", None, [lambda: engine(value(1))])

    future = engine(plan())
    with pytest.raises(
        CircularWaitError, match=r"the plan 'value', which is queued behind the plan 'plan'"
    ) as raised:
        future.result(T)
    assert ("'plan', which cannot end before the background task 'x'" in str(raised.value)) is owned


def test_all_of_a_circle_of_three_are_named(engine: RunEngine) -> None:
    tasks: dict[str, Any] = {}
    gate = threading.Event()

    def waiter(other: str) -> Any:
        def wait() -> None:
            assert gate.wait(T)
            tasks[other].wait()

        return wait

    for name, other in zip("abc", "bca", strict=True):
        tasks[name] = engine.background.launch(waiter(other), name=name)
    gate.set()
    for task in tasks.values():
        error = task.exception(T)
        assert isinstance(error, CircularWaitError)
        assert all(f"task {name!r}" in str(error) for name in tasks)


# -- what is no circle --------------------------------------------------------------------------


def test_who_waits_for_the_first_of_several_may_be_waited_for_by_one_of_them(
    engine: RunEngine,
) -> None:
    def plan() -> Any:
        first = yield from background(endless(), name="first")
        second = yield from background(value(2), name="second")
        done = yield from wait_any(first, second)
        yield from cancel_background("first")
        return done is second

    assert run(engine, plan())


def test_waits_with_a_limit_are_let_be(engine: RunEngine) -> None:
    itself = Later()

    def wait() -> str:
        with pytest.raises(TimeoutError):
            itself.wait(0.01)
        return "through"

    itself.put(engine.background.launch(wait, name="x"))
    assert itself.task.result(T) == "through"


def test_a_chain_that_ends_is_no_circle_and_leaves_nothing_behind(engine: RunEngine) -> None:
    async def last() -> int:
        await asyncio.sleep(0)
        return 3

    def plan() -> Any:
        task = yield from background(last)

        async def middle() -> Any:
            return await task

        yield from background(middle)
        results = yield from wait_for_background()
        return results, task

    results, task = run(engine, plan())
    assert results == {"last": 3, "middle": 3}
    assert task.future.party.waits == []
