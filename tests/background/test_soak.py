"""Many tasks, one after the other: nothing grows."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from bluesky.utils import Msg

from doubles import Device, endless, on_loop
from freewheel import BackgroundTask, RunEngine
from freewheel.plan_stubs import background, checkpoint, wait_for_background


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if os.path.isdir("/proc/self/fd") else 0


def task(device: Device) -> Any:
    yield Msg("stage", device)
    yield Msg("open_run")
    yield from checkpoint()
    yield Msg("trigger", device, group="A")
    yield Msg("wait", None, group="A")
    yield Msg("close_run")
    yield Msg("unstage", device)


@pytest.mark.timeout(100)
def test_two_thousand_tasks_in_one_plan_leave_nothing_behind(engine: RunEngine) -> None:
    devices = [Device(f"d{n}") for n in range(4)]
    figures: list[tuple[int, int, int, int]] = []

    async def coroutine() -> None:
        await asyncio.sleep(0)

    def look() -> None:
        gc.collect()
        figures.append(
            (
                threading.active_count(),
                descriptors(),
                len(asyncio.all_tasks(engine.loop)),
                tracemalloc.get_traced_memory()[0],
            )
        )

    def plan() -> Any:
        for turn in range(500):
            for device in devices[:2]:
                device.did.clear()
                yield from background(task(device))
            yield from background(coroutine)
            if turn % 2:
                yield from background(threading.get_ident)
            else:
                yield from background(task(devices[3]), name="named")
            yield from wait_for_background()
            devices[3].did.clear()
            if turn in (200, 499):
                look()

    tracemalloc.start()
    try:
        engine(plan()).result(90)
    finally:
        tracemalloc.stop()
    (threads, files, tasks, memory), (threads2, files2, tasks2, memory2) = figures
    assert threads2 <= threads
    assert files2 <= files
    assert tasks2 <= tasks
    # 1,200 tasks later: less than 100 B each, of which a dictionary may have been resized.
    assert memory2 - memory < 120_000
    assert not engine.claims


def test_two_hundred_plans_at_once_take_less_than_twenty_kilobytes_each(engine: RunEngine) -> None:
    def launch(number: int) -> list[BackgroundTask]:
        return [engine.background.launch(endless()) for _ in range(number)]

    def settled() -> int:
        on_loop(engine, lambda: None)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tasks = launch(1)  # what the first one loads or caches is not of each
    tracemalloc.start()
    try:
        before = settled()
        tasks += launch(200)
        assert (settled() - before) / 200 < 20_000
    finally:
        tracemalloc.stop()
        for one in tasks:
            one.cancel()
        for one in tasks:
            one.result(20)


def test_two_hundred_plans_at_once_take_no_threads(engine: RunEngine) -> None:
    threads = set(threading.enumerate())
    tasks = [engine.background.launch(endless()) for _ in range(200)]
    on_loop(engine, lambda: None)
    assert set(threading.enumerate()) <= threads  # others that were idle may have ended
    assert len(engine.background.running) == 200
    for one in tasks:
        one.cancel()
    for one in tasks:
        one.result(20)
    on_loop(engine, lambda: None)
    assert engine.background.running == ()
