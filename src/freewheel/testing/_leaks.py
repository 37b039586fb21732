"""Finding what a test leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from types import ModuleType

__all__ = ["KEPT_THREADS", "no_leaks"]

KEPT_THREADS = (
    "freewheel-timer",
    "freewheel-callbacks",
    "freewheel-mmcore",
    "asyncio_",
    "ThreadPoolExecutor",
    "AnyIO worker thread",
    "Trio thread",
    "pytest_timeout",
    "Dummy-",
)
"""How the names of threads begin of which a process keeps a few: they are no leak."""


_SLICE: Final = 0.05  # s that a thread is waited for until garbage is collected again


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "was destroyed but it is pending" in text or "was never retrieved" in text:
            self.texts.append(text)


@contextlib.contextmanager
def no_leaks(
    *, grace: float = 5.0, keep: Collection[str] = (), collect: bool = True
) -> Iterator[None]:
    """Check that a block leaves no thread, event loop or pending task behind.

    Loops are watched that are made by ``asyncio.new_event_loop`` and ``uvloop.new_event_loop``,
    as `freewheel.RunEngine` makes its own. Use it from one thread at a time.

    Parameters
    ----------
    grace : float
        How many seconds a thread that is about to end may take.
    keep : collection of str
        How the names of further threads begin that may stay.
    collect : bool
        Whether garbage is collected in any case, to find tasks that nobody refers to any more.
        Otherwise it is when a thread or a loop is left, which is quicker.

    Raises
    ------
    AssertionError
        With what was left. Not when the block itself raises.
    """
    before = set(threading.enumerate())
    kept = (*KEPT_THREADS, *keep)
    with _complaints() as complaints, _new_loops() as loops:
        yield
        if collect or _fresh(before, kept) or _open(loops):
            gc.collect()  # what nobody refers to any more gives its threads and tasks back
    deadline = time.monotonic() + grace
    while (fresh := _fresh(before, kept)) and time.monotonic() < deadline:
        fresh[0].join(_SLICE)
        if fresh[0].is_alive():
            gc.collect()  # it may have had in hand, a moment ago, what it waits to be rid of
    left = [f"the thread {thread.name!r}" for thread in fresh]
    left.extend(f"the event loop {loop!r}" for loop in _open(loops))
    left.extend(complaints)
    if left:
        message = f"left behind: {'; '.join(left)}. Close the engine: `with RunEngine() as RE:`"
        raise AssertionError(message)


def _fresh(before: set[threading.Thread], kept: tuple[str, ...]) -> list[threading.Thread]:
    started = set(threading.enumerate()) - before
    return [
        thread
        for thread in started
        if not thread.name.startswith(kept) and not _is_of_epics(thread)
    ]


def _is_of_epics(thread: threading.Thread) -> bool:
    # Importing ophyd, as bluesky's engine does, starts its dispatcher where EPICS is installed.
    package = type(thread).__module__.partition(".")[0]
    return package in ("ophyd", "epics") or thread.name == "debug_monitor"


def _open(
    loops: weakref.WeakSet[asyncio.AbstractEventLoop],
) -> list[asyncio.AbstractEventLoop]:
    return [loop for loop in loops if not loop.is_closed()]


@contextlib.contextmanager
def _complaints() -> Iterator[list[str]]:
    """Keep what asyncio logs, while this is open, about tasks that nobody looked after."""
    handler = _Complaints()
    logger = logging.getLogger(asyncio.__name__)
    logger.addHandler(handler)
    try:
        yield handler.texts
    finally:
        logger.removeHandler(handler)


@contextlib.contextmanager
def _new_loops() -> Iterator[weakref.WeakSet[asyncio.AbstractEventLoop]]:
    """Keep account of the loops that are made while this is open."""
    made: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_noting(asyncio, made))
        with contextlib.suppress(ImportError):
            import uvloop  # which the engine would take

            stack.enter_context(_noting(uvloop, made))
        yield made


@contextlib.contextmanager
def _noting(module: ModuleType, made: weakref.WeakSet[asyncio.AbstractEventLoop]) -> Iterator[None]:
    make: Callable[[], asyncio.AbstractEventLoop] = module.new_event_loop

    def new_event_loop() -> asyncio.AbstractEventLoop:
        loop = make()
        made.add(loop)
        return loop

    module.new_event_loop = new_event_loop  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.new_event_loop = make  # type: ignore[attr-defined]
