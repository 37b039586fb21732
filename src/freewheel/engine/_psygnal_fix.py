"""A mend for psygnal beside PySide6 on Python 3.11.

There, shiboken's getter of ``__doc__`` of compiled functions returns None without a reference of
its own, and contextlib asks for the ``__doc__`` of psygnal's ``Signal._emitting`` at each emission.
After some 7,000 emissions None is deallocated and the process aborts. Python 3.12 and later cannot
deallocate None. A context manager that contextlib has no part in asks for nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, final

from psygnal import Signal

if TYPE_CHECKING:
    from psygnal import SignalInstance

__all__ = ["mend"]

_signal: Any = Signal


@final
class _Emitting:
    """Tells who emits, as ``Signal._emitting`` does."""

    __slots__ = ("_emitter", "_previous")

    def __init__(self, emitter: SignalInstance) -> None:
        self._emitter = emitter

    def __enter__(self) -> None:
        self._previous = _signal._current_emitter  # noqa: SLF001 - see the module's docstring
        _signal._current_emitter = self._emitter  # noqa: SLF001

    def __exit__(self, *_: object) -> None:
        _signal._current_emitter = self._previous  # noqa: SLF001


def mend() -> None:
    """Replace the context manager, where it is needed and where it is as known."""
    known = hasattr(_signal, "_emitting") and hasattr(_signal, "_current_emitter")
    if sys.version_info < (3, 12) and known:
        _signal._emitting = _Emitting  # noqa: SLF001
