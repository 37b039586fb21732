"""Has Python's cyclic collector run on the window's thread.

Python collects on the thread that happens to allocate: with an engine, often that one's. A window
and its parts usually are a circle, and Qt objects must end on their own thread. PyQt sees to that.
PySide notes them there, to delete them later on theirs, each by itself: a part that its parent has
taken along by then is deleted twice, and the program ends with a segmentation fault.
"""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from qtpy.QtCore import QCoreApplication

__all__ = ["Collector", "collect_due"]

_LOOK_MS: Final = 50
# How much higher the limits of Python's own collections are meanwhile.
_HIGHER: Final = (100, 10, 10)
# Full collections may take one part of so many of the time: they stop all threads for 50 to 100 ms.
_SHARE: Final = 1000
# Collections of other threads that are put off while the window's does not come round. Then one
# is let through: a program whose window waits for hours must not run out of memory.
_PATIENCE: Final = 30
# So many objects may be frozen without the program having frozen any: Python 3.12 freezes some
# hundred when it starts. A program that has imported something has thousands.
_OF_PYTHON: Final = 1000


class Collector(QTimer):
    """Looks on the window's thread whether a collection is due, for as long as there is an app.

    Python's own collections are rare meanwhile. On the window's thread they happen, on others they
    find nothing. What the program says of the collector counts: it does nothing while that is off,
    as within `responsive`, and keeps to the thresholds that the program sets.
    """

    def __init__(self, app: QCoreApplication) -> None:
        super().__init__(app)
        self._full_after = 0.0
        _put_off.begin()
        self.timeout.connect(self._look)
        self.destroyed.connect(_put_off.end)
        self.start(_LOOK_MS)

    def _look(self) -> None:
        threshold = _put_off.raise_thresholds()
        if not gc.isenabled() or not threshold[0]:
            return
        began = time.monotonic()
        if _put_off.take():
            gc.collect()
            generation: int | None = 2
        else:
            generation = collect_due(threshold, full=began > self._full_after)
        if generation == 2:
            now = time.monotonic()
            self._full_after = now + _SHARE * (now - began)


class _PutOff:
    """Keeps Python from collecting on other threads than the window's.

    A collection cannot be refused, but it does not look at what is frozen: all is, while one of
    another thread runs.
    """

    def __init__(self) -> None:
        # Of the window's thread.
        self._thread = 0
        self._usual = self._higher = (0, 0, 0)
        # Of the thread that collects, of which there is one at a time. The window's thread takes
        # `_count`; one that comes at that moment may be lost: it is found with the next.
        self._frozen = False
        self._count = 0

    def begin(self) -> None:
        """Begin; on the window's thread."""
        self._thread = threading.get_ident()
        self.raise_thresholds()
        if self._told not in gc.callbacks:
            gc.callbacks.append(self._told)

    def end(self, *_: Any) -> None:
        """Have all be as it was."""
        if self._told in gc.callbacks:
            gc.callbacks.remove(self._told)
            gc.set_threshold(*self._usual)
            self._higher = (0, 0, 0)

    def raise_thresholds(self) -> tuple[int, int, int]:
        """Have Python's own collections be rare; return the thresholds that the program wants."""
        now = gc.get_threshold()
        if now != self._higher:  # at the begin, or the program has set others
            self._usual = now
            gc.set_threshold(*(limit * more for limit, more in zip(now, _HIGHER, strict=True)))
            self._higher = gc.get_threshold()
        return self._usual

    def take(self) -> int:
        """Return how many collections were put off since the last time."""
        count, self._count = self._count, 0
        return count

    def _told(self, phase: str, _: Any) -> None:
        # On any thread, before and after each collection.
        if phase == "stop":
            if self._frozen:
                self._frozen = False
                gc.unfreeze()
        elif threading.get_ident() != self._thread:
            # Not if the program has frozen something, which would not be frozen any more.
            if self._count >= _PATIENCE or gc.get_freeze_count() > _OF_PYTHON:
                self._count = 0
                return
            self._count += 1
            self._frozen = True
            gc.freeze()


_put_off = _PutOff()


def collect_due(threshold: tuple[int, int, int], *, full: bool = True) -> int | None:
    """Collect the oldest generation that is due, and return which; with ``full`` even the last."""
    due = [count > limit for count, limit in zip(gc.get_count(), threshold, strict=True)]
    if not due[0]:
        return None
    generation = 2 if all(due) and full else 1 if due[1] else 0
    gc.collect(generation)
    return generation
