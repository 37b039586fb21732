"""Loads plans beside the window: what a file does when it is imported may take for ever."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QObject, QTimer, Signal

from freewheel.forms._catalogue import being_imported
from freewheel.qt._link._feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PlanLoader"]

#: The first load may have the window wait so long, so that it opens with its plans [s].
_FIRST: Final = 2.0
#: A load that takes longer is told of, and given up once there is something else to load [s].
_LONG: Final = 5.0
_TOLD_MS: Final = 1000


class PlanLoader(QObject):
    """Calls a function on a thread of its own, one at a time, and says how that goes.

    A thread that never ends cannot be ended: it keeps nobody from loading something newer, from
    closing the window, or from ending the process.

    Attributes
    ----------
    loaded : Signal(object, object)
        What was loaded, or the exception that it has ended with; and what it was loaded with.
    took_long : Signal(str)
        The file or module that takes long, once for each load.
    said : Signal(str)
        What is to be said of a load that takes long; empty when there is none.
    """

    loaded = Signal(object, object)
    took_long = Signal(str)
    said = Signal(str)

    def __init__(self, function: Callable[[Any], Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._function = function
        self._load: _Load | None = None  # the one that counts
        self._again: tuple[Any] | None = None  # with what to load after that
        self._is_first = True
        self._feed = Feed(self._ended)
        self._clock = QTimer(self)
        self._clock.setInterval(_TOLD_MS)
        self._clock.timeout.connect(self._look)

    def load(self, given: Any) -> None:
        """Load with what is given, now or after the load that is under way."""
        under_way = self._load
        if under_way is not None and under_way.seconds < _LONG:
            self._again = (given,)
            return
        self._begin(given)

    @property
    def is_loading(self) -> bool:
        """Whether something is being loaded that will be told of."""
        return self._load is not None

    def end(self) -> None:
        """Tell of nothing any more."""
        self._load = self._again = None
        self._clock.stop()
        self._feed.close()

    def _begin(self, given: Any) -> None:
        self._again = None
        load = self._load = _Load(self._function, given, self._feed)
        self._clock.start()
        if self._is_first:
            self._is_first = False
            load.thread.join(_FIRST)
            if not load.thread.is_alive():
                self._ended("loaded", (load,))

    def _ended(self, _: str, arguments: tuple[Any, ...]) -> None:
        load: _Load = arguments[0]
        if load is not self._load:  # given up, or taken already
            return
        self._load = None
        self._clock.stop()
        self.said.emit("")
        if self._again is not None:
            self._begin(*self._again)
        else:
            self.loaded.emit(load.found, load.given)

    def _look(self) -> None:
        load = self._load
        if load is None or load.seconds < _LONG:
            return
        what = being_imported(load.thread) or "what the plans come from"
        self.said.emit(f"{Path(what).name} is still being imported ({load.seconds:.0f} s) …")
        if not load.told:
            load.told = True
            self.took_long.emit(what)


class _Load:
    """One call of the function, under way from the moment that it is made."""

    def __init__(self, function: Callable[[Any], Any], given: Any, feed: Feed) -> None:
        self.given = given
        self.found: Any = None  # of the thread until it has told the feed
        self.told = False  # of the window
        self._function, self._feed = function, feed
        self._began = time.monotonic()
        # A daemon: it keeps no process from ending.
        self.thread = threading.Thread(target=self._run, name="freewheel-plans", daemon=True)
        self.thread.start()

    @property
    def seconds(self) -> float:
        """How long it has been under way."""
        return time.monotonic() - self._began

    def _run(self) -> None:
        try:
            self.found = self._function(self.given)
        except BaseException as error:
            self.found = error
        self._feed.put("loaded", self)
