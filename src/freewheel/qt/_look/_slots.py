"""Functions as slots, without a window that can never be freed."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtCore import QObject

__all__ = ["slot"]


def slot(sender: QObject, act: Callable[..., object], *args: Any) -> Callable[..., None]:
    """Return what to connect one of a sender's signals to, to have a function called.

    PySide holds a function that a signal is connected to where Python's collector does not see it.
    What the function knows, usually the window that it is a part of, would never be freed. Here the
    sender holds it, which the collector does see. Methods of QObjects need none of this.

    Parameters
    ----------
    sender
        What has the signal; it lives as long as the function is to be called.
    act
        The function, called without what the signal brings.
    *args
        What it is called with.
    """
    called = _Call(act, args)
    sender.__dict__.setdefault("_freewheel_slots", []).append(called)
    ref = weakref.ref(called)

    def forward(*_: object) -> None:
        if (call := ref()) is not None:
            call.act(*call.args)

    return forward


class _Call:
    """What is called, with what."""

    def __init__(self, act: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.act = act
        self.args = args
