"""`Status` against ophyd's: how fast, how large, and what a callback that blocks does to others."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from freewheel.core import Status

from ._rows import interleave, make_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._rows import Row

OUTSTANDING = 10_000
TIMEOUT = 60.0


def rows() -> Iterator[Row]:
    """Return all rows of this module."""
    peers = _peers()
    yield from speed(peers)
    yield from outstanding(peers)
    yield from blocking(peers)


def _peers() -> dict[str, Callable[..., Any]]:
    kinds: dict[str, Callable[..., Any]] = {"freewheel": Status}
    try:
        from ophyd.status import Status as OphydStatus
    except ImportError:
        return kinds
    return {**kinds, "ophyd": OphydStatus}


def speed(peers: dict[str, Callable[..., Any]]) -> Iterator[Row]:
    """How many are made, finished and waited for in a second."""
    cases = [
        ("with time-out", TIMEOUT, False, ">= 60"),
        ("with time-out and callback", TIMEOUT, True, ">= 25"),
        ("without time-out", None, False, ""),
    ]
    for words, timeout, callback, limit in cases:
        figures = interleave(
            {
                name: lambda kind=kind, timeout=timeout, callback=callback: _rate(
                    kind, timeout, callback
                )
                for name, kind in peers.items()
            }
        )
        yield make_row(
            f"Status made, finished, waited for, {words}",
            figures,
            peer="ophyd",
            unit="1/s",
            more_is_better=True,
            must_reach=limit,
        )


def _rate(kind: Callable[..., Any], timeout: float | None, callback: bool) -> float:
    count = 20_000 if kind is Status else 1_000
    called = threading.Semaphore(0)
    began = time.perf_counter()
    for _ in range(count):
        status = kind(timeout=timeout)
        if callback:
            status.add_callback(_nothing)
        status.set_finished()
        status.wait()
    if callback:
        # Only over when the callbacks have been called, too.
        last = kind(timeout=timeout)
        last.add_callback(lambda _: called.release())
        last.set_finished()
        called.acquire()
    return count / (time.perf_counter() - began)


def _nothing(status: object) -> None:
    pass


# Each kind in a process of its own: memory that another one gave back would hide what it takes.
# Memory that the process had to spare hides it as well, so what Python allocates counts too, where
# that can be looked at without another ten thousand threads.
_OUTSTANDING = """
import gc, resource, sys, threading, tracemalloc
from pathlib import Path
from {module} import Status

def resident():
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

def make():
    return [Status(timeout=60) for _ in range({count})]

def finish(statuses):
    for status in statuses:
        status.set_finished()

finish([Status(timeout=60)])  # the shared thread, and what is made once
gc.collect()
before = resident()
statuses = make()
memory, threads = resident() - before, threading.active_count()
finish(statuses)
if threads < 100:
    tracemalloc.start()
    statuses = make()
    memory = max(memory, tracemalloc.get_traced_memory()[0])
    finish(statuses)
print(threads, memory / 1e6)
"""
_MODULES = {"freewheel": "freewheel.core", "ophyd": "ophyd.status"}


def outstanding(peers: dict[str, Callable[..., Any]]) -> Iterator[Row]:
    """What ten thousand that nobody has finished yet cost: threads in all, and resident memory."""
    costs = {name: _outstanding(_MODULES[name]) for name in peers}
    words = f"{OUTSTANDING:,} outstanding statuses with time-outs:"
    for index, what, unit, limit in [
        (0, "threads", "threads", "<= 16 threads"),
        (1, "memory", "MB", ">= 25"),
    ]:
        figures = {name: cost[index] for name, cost in costs.items()}
        yield make_row(f"{words} {what}", figures, peer="ophyd", unit=unit, must_reach=limit)


def _outstanding(module: str) -> tuple[float, float]:
    script = _OUTSTANDING.format(module=module, count=OUTSTANDING)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    threads, memory = done.stdout.split()
    return float(threads), float(memory)


def blocking(peers: dict[str, Callable[..., Any]]) -> Iterator[Row]:
    """How long a status's callback waits while those of others block, one more in each round."""
    release = threading.Event()
    try:
        figures = interleave(
            {name: lambda kind=kind: _delay(kind, release) for name, kind in peers.items()}
        )
    finally:
        release.set()
    yield make_row(
        "callback of a status while another's blocks: delay",
        figures,
        peer="ophyd",
        unit="ms",
        must_reach="<= 5 ms",
    )


def _delay(kind: Callable[..., Any], release: threading.Event) -> float:
    blocked, called = threading.Event(), threading.Event()
    heard: list[float] = []

    def block(_: object) -> None:
        blocked.set()
        release.wait()

    def hear(_: object) -> None:
        heard.append(time.perf_counter())
        called.set()

    first, second = kind(timeout=TIMEOUT), kind(timeout=TIMEOUT)
    first.add_callback(block)
    second.add_callback(hear)
    first.set_finished()
    blocked.wait()
    began = time.perf_counter()
    second.set_finished()
    called.wait()
    return (heard[0] - began) * 1e3
