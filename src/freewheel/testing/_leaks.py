"""Finding what a test leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["KEPT_THREADS", "no_leaks"]

KEPT_THREADS = (
    "freewheel-timer",
    "freewheel-callbacks",
    "asyncio_",
    "ThreadPoolExecutor",
    "AnyIO worker thread",
    "Trio thread",
    "pytest_timeout",
    "Dummy-",
)
"""How the names of threads begin of which a process keeps a few: they are no leak."""


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "was destroyed but it is pending" in text or "was never retrieved" in text:
            self.texts.append(text)


@contextlib.contextmanager
def no_leaks(*, grace: float = 5.0, keep: Collection[str] = ()) -> Iterator[None]:
    """Check that a block leaves no thread, running event loop or pending task behind.

    Parameters
    ----------
    grace : float
        How many seconds a thread that is about to end may take.
    keep : collection of str
        How the names of further threads begin that may stay.

    Raises
    ------
    AssertionError
        With what was left. Not when the block itself raises.
    """
    before = set(threading.enumerate())
    complaints = _Complaints()
    logger = logging.getLogger(asyncio.__name__)
    logger.addHandler(complaints)
    try:
        yield
        gc.collect()  # what nobody refers to any more gives its threads and tasks back
    finally:
        logger.removeHandler(complaints)
    deadline = time.monotonic() + grace
    kept = (*KEPT_THREADS, *keep)
    left = []
    for thread in set(threading.enumerate()) - before:
        if not thread.name.startswith(kept):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                left.append(f"the thread {thread.name!r}")
    left.extend(complaints.texts)
    if left:
        message = f"left behind: {'; '.join(left)}. Close the engine: `with RunEngine() as RE:`"
        raise AssertionError(message)
