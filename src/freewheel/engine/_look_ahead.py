"""Previews of what was submitted, made one after the other on a thread that ends with the last."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._calls import Call

__all__ = ["LookAhead"]

_log = logging.getLogger("freewheel")


@final
class LookAhead:
    """Previews calls that nothing is known of, in the order in which they came.

    Parameters
    ----------
    preview : callable
        Makes a preview of a `PlanCall`, and takes note of it.
    """

    def __init__(self, preview: Callable[[Any], Any]) -> None:
        self._preview = preview
        # Guards the two below: whoever submits puts, the thread takes. Invariant: there is a thread
        # while anything is in it.
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque()
        self._thread: threading.Thread | None = None

    def put(self, call: Call) -> None:
        """Have a call previewed, soon; from any thread."""
        with self._lock:
            self._calls.append(call)
            if self._thread is None:
                # A daemon: no program waits at its end for what nobody will read.
                self._thread = threading.Thread(
                    target=self._work, name="freewheel-look-ahead", daemon=True
                )
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._calls:
                    self._thread = None
                    return
                call = self._calls.popleft()
            recipe = call.future.life.recipe
            # One that has ended, was taken back, or is known by the preview of another by now.
            if recipe is None or call.future.done() or call.outlook.foreseen is not None:
                continue
            try:
                self._preview(recipe.call)
            # The plan's own code, or a device's; a person's Ctrl-C comes to the main thread.
            except BaseException as error:
                _log.debug("%r could not be previewed: %r", call.name, error)
