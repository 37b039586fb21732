"""Functions as slots, for as long as their sender lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["slot"]


def slot(act: Callable[..., object], *args: Any) -> Callable[..., None]:
    """Return what to connect a signal to, to have a function called without what the signal brings.

    Qt holds it, and what the function knows, until the sender is deleted: usually the window that
    the sender is a part of. So it has to be: Python's collector takes a window apart in any
    order, and PySide ends the program then. It never sees a window that Qt holds.

    Parameters
    ----------
    act
        The function.
    *args
        What it is called with.
    """

    def called(*_: object) -> None:
        act(*args)

    return called
