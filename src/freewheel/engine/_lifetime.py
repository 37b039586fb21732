"""The end of engines: at interpreter exit, on collection, in a forked child."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ._delivery import Delivery
    from ._engine import RunEngine
    from ._loop_thread import LoopThread

__all__ = ["close_all_engines", "close_at_exit", "release_loop"]

#: Seconds that all engines together have for their clean-up when the interpreter exits.
EXIT_GRACE: Final = 10.0

# Added to by any thread; WeakSet's own operations are atomic enough for add and a copy, and the
# copy is made when no other thread of the program's own is left to add.
_engines: weakref.WeakSet[RunEngine] = weakref.WeakSet()
_registered = False
_lock = threading.Lock()  # guards _registered


def close_at_exit(engine: RunEngine) -> None:
    """Have ``engine`` closed when the interpreter exits, if it is not closed by then."""
    global _registered
    with _lock:
        if not _registered:
            _registered = True
            # Before the interpreter shuts down the thread pools that a device's clean-up may
            # need, which is before `atexit`. There is no public name for that moment.
            register = getattr(threading, "_register_atexit", atexit.register)
            register(_close_all)
    _engines.add(engine)


def _close_all() -> None:
    close_all_engines(EXIT_GRACE)


def close_all_engines(grace: float) -> None:
    """Close all engines of the process, with the clean-up of what they run.

    Parameters
    ----------
    grace : float
        Seconds for all of them together; what has not cleaned up by then is halted.
    """
    deadline = time.monotonic() + grace
    engines = [engine for engine in _engines if not engine.closed and not engine.forked]
    for engine in engines:
        engine.begin_close("the interpreter exits")
    for engine in engines:
        engine.close(timeout=max(0.0, deadline - time.monotonic()))


def release_loop(thread: LoopThread, deliveries: dict[int, Delivery], *, close: bool) -> None:
    """Give back the threads, and the loop, of an engine that was collected."""
    for delivery in list(deliveries.values()):
        delivery.close()
    thread.stop(0, close=close)
