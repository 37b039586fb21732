"""Top-level pytest configuration: what every test of this repository shares.

A test that leaves a thread, an open event loop or a pending task behind fails, whatever else it
found: what a test leaks a user's program would leak.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Threads that a process has at most a few of, and keeps: they are no leak.
KEPT_THREADS = (
    "freewheel-timer",  # the one that all statuses share
    "freewheel-callbacks",  # the few that run their callbacks
    "asyncio_",  # a loop's default executor
    "ThreadPoolExecutor",
    "AnyIO worker thread",  # go away by themselves when idle
    "Trio thread",
    "tqdm",
    "execnet",
    "pytest_timeout",
    "ophyd",
    "IPythonHistorySavingThread",
    "Dummy-",  # a thread that Python did not start, such as Qt's
    "QThread",
)
# How long a thread or loop that is on its way out may take. Waited for, never slept.
GRACE = 5.0

_loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and watch the loops that are made."""
    config.addinivalue_line(
        "markers", "leaks(reason): the test may leave threads or loops behind, for this reason"
    )
    asyncio.new_event_loop = _recording(asyncio.new_event_loop)
    try:
        import uvloop
    except ImportError:
        return
    uvloop.new_event_loop = _recording(uvloop.new_event_loop)


def _recording(
    make: Callable[[], asyncio.AbstractEventLoop],
) -> Callable[[], asyncio.AbstractEventLoop]:
    def new_event_loop() -> asyncio.AbstractEventLoop:
        loop = make()
        _loops.add(loop)
        return loop

    return new_event_loop


class _TaskComplaints(logging.Handler):
    """Keeps what asyncio logs about tasks that nobody looked after."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "was destroyed but it is pending" in text or "was never retrieved" in text:
            self.texts.append(text)


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaks threads, event loops or tasks."""
    threads_before = set(threading.enumerate())
    loops_before = {id(loop) for loop in _loops}
    complaints = _TaskComplaints()
    logging.getLogger("asyncio").addHandler(complaints)
    yield
    logging.getLogger("asyncio").removeHandler(complaints)
    if request.node.get_closest_marker("leaks") is not None:
        return
    leaked = [*_leaked_threads(threads_before), *_leaked_loops(loops_before), *complaints.texts]
    if leaked:
        pytest.fail("the test leaked " + "; ".join(leaked), pytrace=False)


def _leaked_threads(before: set[threading.Thread]) -> list[str]:
    fresh = [
        thread
        for thread in set(threading.enumerate()) - before
        if not thread.name.startswith(KEPT_THREADS)
    ]
    if not fresh:
        return []
    gc.collect()  # an engine that nobody refers to any more gives its thread back
    deadline = time.monotonic() + GRACE
    for thread in fresh:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [f"the thread {thread.name!r}" for thread in fresh if thread.is_alive()]


def _leaked_loops(before: set[int]) -> list[str]:
    def still_open() -> list[Any]:
        # pytest-asyncio closes its loops after this fixture; they do not run and belong to it.
        return [
            loop
            for loop in list(_loops)
            if id(loop) not in before and not loop.is_closed() and not _is_current(loop)
        ]

    if still_open():
        gc.collect()
    return [f"the event loop {loop!r}" for loop in still_open()]


def _is_current(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop is the main thread's own, which pytest-asyncio set and will close."""
    policy_local = getattr(asyncio.events._event_loop_policy, "_local", None)  # noqa: SLF001
    return getattr(policy_local, "_loop", None) is loop
