"""Latches: any thread, any loop, nothing lost, one order."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from freewheel.core import SRLatch


async def waiting(task: asyncio.Task[None]) -> None:
    """Let a task run until it waits."""
    await asyncio.sleep(0)
    assert not task.done()


def in_threads(count: int, function) -> None:
    threads = [threading.Thread(target=function, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_starts_reset_and_never_changed():
    latch = SRLatch()
    assert not latch.is_set()
    assert latch.changed_at is None
    assert latch.change_number == 0
    assert latch.action is None
    assert repr(latch) == "<SRLatch: reset>"


def test_set_and_reset_record_time_and_order():
    first, second = SRLatch(), SRLatch()
    second.set()
    first.set()
    assert second.change_number < first.change_number
    assert second.changed_at <= first.changed_at
    before = first.change_number
    first.reset()
    assert first.change_number > before
    assert not first.is_set()


@pytest.mark.parametrize("is_set", [True, False])
def test_to_change_into_the_same_state_is_no_change(is_set):
    latch, seen = SRLatch(), []
    change = latch.set if is_set else latch.reset
    if is_set:
        latch.set()
    number, when = latch.change_number, latch.changed_at
    latch.watch(lambda *args: seen.append(args))
    change()
    assert (latch.change_number, latch.changed_at, seen) == (number, when, [])


async def test_wait_returns_at_once_in_the_state_waited_for():
    latch = SRLatch()
    await latch.wait_for_reset()
    latch.set()
    await latch.wait_for_set()
    assert latch.is_set()


async def test_wakes_waiters_from_a_thread():
    latch = SRLatch()
    for wait, change in [(latch.wait_for_set, latch.set), (latch.wait_for_reset, latch.reset)]:
        tasks = [asyncio.create_task(wait()) for _ in range(3)]
        await waiting(tasks[0])
        in_threads(1, lambda _, change=change: change())
        await asyncio.wait_for(asyncio.gather(*tasks), 30)
    assert not latch._set_waiters
    assert not latch._reset_waiters


async def test_pulse_wakes_those_who_wait_already():
    latch = SRLatch()
    task = asyncio.create_task(latch.wait_for_set())
    await waiting(task)
    latch.set()
    latch.reset()
    await asyncio.wait_for(task, 30)
    assert not latch.is_set()


async def test_cancelled_waiter_leaves_nothing_behind():
    latch = SRLatch()
    task = asyncio.create_task(latch.wait_for_set())
    await waiting(task)
    assert len(latch._set_waiters) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert latch._set_waiters == []


@pytest.mark.leaks("the point is a task whose loop was closed under it")
def test_waiter_of_a_closed_loop_harms_nobody():
    latch, seen = SRLatch(), []
    loop = asyncio.new_event_loop()
    task = loop.create_task(latch.wait_for_set())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    latch.watch(lambda _, is_set: seen.append(is_set))
    latch.set()
    assert seen == [True]
    task._log_destroy_pending = False
    task.get_coro().close()
    del task
    gc.collect()
    assert latch._set_waiters == []


def test_waits_on_several_loops_at_once():
    latch, ready, done = SRLatch(), threading.Barrier(5), []

    async def wait(index):
        task = asyncio.create_task(latch.wait_for_set())
        await waiting(task)
        ready.wait(30)
        await asyncio.wait_for(task, 30)
        done.append(index)

    def set_it(index):
        if index == 4:
            ready.wait(30)
            latch.set()
        else:
            asyncio.run(wait(index))

    in_threads(5, set_it)
    assert sorted(done) == [0, 1, 2, 3]


def test_watchers_hear_every_change_until_they_end():
    latch, seen = SRLatch(), []
    watcher = lambda *args: seen.append(args)  # noqa: E731
    first = latch.watch(watcher)
    latch.watch(watcher)
    latch.set()
    assert seen == [(latch, True)] * 2
    first()
    first()
    latch.reset()
    assert seen[2:] == [(latch, False)]


def test_watcher_that_raises_is_logged_and_harms_nobody(caplog):
    latch, seen = SRLatch(), []
    latch.watch(lambda *_: 1 / 0)
    latch.watch(lambda *args: seen.append(args))
    latch.set()
    assert seen
    assert "A watcher of <SRLatch: set> raised" in caplog.text


def test_watcher_sees_the_new_state_and_number():
    latch, seen = SRLatch(), []
    latch.watch(lambda it, is_set: seen.append((it.is_set(), is_set, it.change_number)))
    latch.set()
    assert seen == [(True, True, latch.change_number)]


def test_storm_of_ten_thousand_sets_loses_none():
    """Threads set latches of their own; a watcher hears each, in the order of the numbers."""
    heard = []
    latches = [SRLatch() for _ in range(10_000)]
    for latch in latches:
        latch.watch(lambda it, _: heard.append(it.change_number))
    in_threads(8, lambda index: [latch.set() for latch in latches[index::8]])
    assert all(latch.is_set() for latch in latches)
    assert len(heard) == 10_000
    assert heard == sorted(heard)
    assert len(set(heard)) == 10_000


async def test_storm_wakes_a_waiter_for_each_set():
    """Ten thousand sets from four threads, each waited for on the loop before its reset."""
    turns, woken = 2500, [0] * 4
    loop = asyncio.get_running_loop()

    async def consume(index, latch, go):
        for _ in range(turns):
            await latch.wait_for_set()
            woken[index] += 1
            latch.reset()
            go.release()

    def produce(latch, go):
        for _ in range(turns):
            go.acquire()
            latch.set()

    pairs = [(SRLatch(), threading.Semaphore(1)) for _ in range(4)]
    tasks = [asyncio.create_task(consume(i, *pair)) for i, pair in enumerate(pairs)]
    producers = [loop.run_in_executor(None, produce, *pair) for pair in pairs]
    await asyncio.wait_for(asyncio.gather(*tasks, *producers), 60)
    assert woken == [turns] * 4


def test_two_threads_that_set_one_latch_make_one_change():
    for _ in range(200):
        latch, seen, start = SRLatch(), [], threading.Barrier(2)
        latch.watch(lambda *args, seen=seen: seen.append(args))
        in_threads(2, lambda _, latch=latch, start=start: (start.wait(30), latch.set()))
        assert len(seen) == 1


def test_bare_latch_takes_no_other_attributes():
    with pytest.raises(AttributeError):
        SRLatch().name = "x"


def test_a_look_gives_the_state_and_the_change_that_made_it():
    latch = SRLatch()
    assert latch.look() == (False, 0)
    latch.set()
    assert latch.look() == (True, latch.change_number)
    first = latch.change_number
    latch.reset()
    is_set, number = latch.look()
    assert not is_set
    assert number > first
