"""The pool of child engines: making one takes longer than most background plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._child import ChildEngine

__all__ = ["ChildPool"]

#: So many children are kept for the next plans.
SPARE: Final = 16


@final
class ChildPool:
    """Lends child engines to background plans. All on the loop's thread.

    Parameters
    ----------
    make : callable
        Makes a child.
    """

    def __init__(self, make: Callable[[], ChildEngine]) -> None:
        self._make = make
        self._spare: list[ChildEngine] = []
        self._closed = False

    def borrow(self) -> ChildEngine:
        """Return a child that runs nothing, and nobody else has."""
        while self._spare:
            child = self._spare.pop()
            if child.is_current():
                return child
        return self._make()

    def give(self, child: ChildEngine) -> None:
        """Take a child back whose plan has ended."""
        if len(self._spare) < SPARE and not self._closed:
            self._spare.append(child)

    def close(self) -> None:
        """Let go of all."""
        self._closed = True
        self._spare.clear()
