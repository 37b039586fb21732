"""What keeps a window's stalls short."""

from __future__ import annotations

import gc
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from freewheel.qt._link._collector import collect_due
from freewheel.qt._link._feed import check_window_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["responsive"]

_LOOK_MS = 50


@dataclass
class _State:
    """What the blocks that are open share; under `_lock`, for they may be nested."""

    depth: int = 0
    interval: float = 0.0
    enabled: bool = True
    timer: QTimer | None = None


_lock = threading.Lock()
_state = _State()


@contextmanager
def responsive(
    *, switch_interval: float = 0.0005, threshold: tuple[int, int, int] = (5_000, 20, 50)
) -> Iterator[None]:
    """Keep the window's stalls short while the block runs, usually around ``app.exec()``.

    Four things make a Qt window with a busy engine stutter, or worse; each is dealt with:

    - *Full garbage collections* look at every object of every imported module, 50 to 100 ms with
      the scientific stack. Everything alive when the block is entered is frozen (`gc.freeze`): it
      is not looked at again. So enter the block after the imports and when the window stands.
    - *Frequent collections*: automatic collection is off, and the window's thread looks every
      50 ms whether one is due, with higher thresholds. The documents of a run are freed by
      reference counting anyway.
    - *Collections on the engine's thread* may delete a widget there, which crashes Qt. With the
      above, they happen on the window's thread alone. (Since there is a bridge they do anyway.)
    - *Switching threads* takes up to 5 ms with Python's default; it is shortened
      (`sys.setswitchinterval`), so that the window gets its turn sooner.

    Parameters
    ----------
    switch_interval
        For `sys.setswitchinterval` [s].
    threshold
        After how many new objects, young collections and middle collections the next one is due,
        as for `gc.set_threshold`.

    Raises
    ------
    RuntimeError
        Without a QApplication, or on another thread than the window's.

    Notes
    -----
    On leaving the outermost block, everything is as it was: the frozen objects can be collected
    again, and automatic collection and the interval are what they were.
    """
    app = check_window_thread("responsive()")
    with _lock:
        if _state.depth == 0:
            _state.interval, _state.enabled = sys.getswitchinterval(), gc.isenabled()
            gc.collect()
            gc.freeze()
            gc.disable()
            sys.setswitchinterval(switch_interval)
            _state.timer = QTimer(app)
            _state.timer.timeout.connect(lambda: collect_due(threshold))
            _state.timer.start(_LOOK_MS)
        _state.depth += 1
    try:
        yield
    finally:
        with _lock:
            _state.depth -= 1
            if _state.depth == 0:
                _leave()


def _leave() -> None:
    timer, _state.timer = _state.timer, None
    if timer is not None:
        timer.stop()
        timer.deleteLater()
    sys.setswitchinterval(_state.interval)
    gc.unfreeze()
    gc.collect()  # here, so that no widget is left to a collection on the engine's thread
    if _state.enabled:
        gc.enable()
