"""What keeps a window's stalls short."""

from __future__ import annotations

import gc
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["responsive"]

# Guards the two below: blocks may be nested, and end in any order.
_lock = threading.Lock()
_depth = 0
_before: tuple[tuple[int, int, int], float] = (gc.get_threshold(), sys.getswitchinterval())


@contextmanager
def responsive(
    *, switch_interval: float = 0.0005, threshold: tuple[int, int, int] = (5_000, 20, 50)
) -> Iterator[None]:
    """Keep the window's stalls short while the block runs, usually around ``app.exec()``.

    Three things make a Qt window with a busy engine stutter, and each is dealt with:

    - *Full garbage collections* look at every object of every imported module, 50 to 100 ms with
      the scientific stack. Everything alive when the block is entered is frozen (`gc.freeze`): it
      is not looked at again. So enter the block after the imports and when the window stands.
    - *Frequent collections*: the thresholds are raised, so that the documents of a run, which are
      freed by reference counting anyway, do not start one each few events.
    - *Switching threads* takes up to 5 ms with Python's default; it is shortened
      (`sys.setswitchinterval`), so that the window gets its turn sooner.

    Parameters
    ----------
    switch_interval
        For `sys.setswitchinterval` [s].
    threshold
        For `gc.set_threshold`.

    Notes
    -----
    On leaving the outermost block, everything is as it was: the frozen objects can be collected
    again, thresholds and interval are what they were. From any thread.
    """
    global _depth, _before
    with _lock:
        if _depth == 0:
            _before = (gc.get_threshold(), sys.getswitchinterval())
            gc.collect()
            gc.freeze()
            gc.set_threshold(*threshold)
            sys.setswitchinterval(switch_interval)
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                gc.set_threshold(*_before[0])
                sys.setswitchinterval(_before[1])
                gc.unfreeze()
