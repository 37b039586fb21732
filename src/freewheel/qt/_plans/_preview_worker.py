"""The thread that makes a window's previews."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel.core import PlanCall

__all__ = ["PreviewWorker"]

#: For how long a preview that is under way is waited for at the end [s].
_PATIENCE: Final = 3.0


@final
class PreviewWorker:
    """Makes previews one after the other, always of what was asked for last.

    Its thread is begun once and then waits: to begin one takes the window's thread as long as a
    busy machine likes.

    Parameters
    ----------
    preview : callable
        Makes a preview of a call.
    answer : callable
        Called on the thread with the number of what was asked for, and the preview or the error.
    """

    def __init__(self, preview: Any, answer: Callable[[int, Any], object]) -> None:
        self._preview = preview
        self._answer = answer
        # Guards what follows: the window's thread asks, the other one waits and answers.
        self._changed = threading.Condition()
        self._wanted: PlanCall | None = None
        self._number = 0
        self._over = False
        self._thread: threading.Thread | None = None

    @property
    def number(self) -> int:
        """The number of what was asked for last."""
        return self._number

    def ask(self, call: PlanCall | None) -> None:
        """Want a preview of a call, and of no other any more; ``None`` for none."""
        with self._changed:
            self._number += 1
            self._wanted = call
            if call is None:
                return
            self._changed.notify()
            if self._thread is None and not self._over:
                self._thread = threading.Thread(
                    target=self._work, name="freewheel-preview", daemon=True
                )
                self._thread.start()

    def end(self, *, wait: bool = True) -> None:
        """Make no more previews; with ``wait``, until the one that is under way has ended."""
        with self._changed:
            self._number += 1
            self._over, self._wanted = True, None
            self._changed.notify()
            thread = self._thread
        if wait and thread is not None:
            thread.join(_PATIENCE)

    def _work(self) -> None:
        while True:
            with self._changed:
                while self._wanted is None and not self._over:
                    self._changed.wait()
                call, number = self._wanted, self._number
                self._wanted = None
            if call is None:
                return
            try:
                self._answer(number, self._made(number, call))
            # The plan's own code, or a device's; a person's Ctrl-C comes to the main thread.
            except BaseException as error:
                self._answer(number, error)
            del call  # devices may go while this waits

    def _made(self, number: int, call: PlanCall) -> Any:
        gently = getattr(self._preview, "gently", None)
        if gently is None:  # of an engine elsewhere
            return self._preview(call)
        return gently(call, lambda: number != self._number)
