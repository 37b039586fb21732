"""What a suspender that has tripped has plans wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bluesky.suspenders import SuspenderBase

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["waits_of"]

#: It waits for a tenth of a second each time.
_TRIES: Final = 100


def waits_of(suspender: Any) -> tuple[list[Callable[[], Any]], str]:
    """Return what a suspender has plans wait for, and why; nothing if it has not tripped.

    Not to be called on the loop's thread, which makes its event. A loop that is busy for longer
    than a tenth of a second does not make it in the time that bluesky's suspenders wait, and they
    take `None` for it then: so it is asked again.
    """
    for _ in range(_TRIES - 1):
        try:
            return _asked(suspender)
        except AttributeError:
            continue
    return _asked(suspender)


def _asked(suspender: Any) -> tuple[list[Callable[[], Any]], str]:
    waits, why = suspender.get_futures()
    if waits and isinstance(suspender, SuspenderBase) and _has_let_go(suspender):
        return [], ""
    return list(waits), str(why)


def _has_let_go(suspender: Any) -> bool:
    """Tell whether it has while it was asked: nobody sets the event that it has made then."""
    with suspender._lock:
        if suspender.tripped:
            return False
        suspender._ev = None  # or it would not suspend anything when it trips again
    return True
