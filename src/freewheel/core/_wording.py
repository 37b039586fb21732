"""How values are put into words, wherever a person reads them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from ._states import PlanStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._progress import Progress

__all__ = [
    "amount_text",
    "clock_text",
    "count_text",
    "duration_text",
    "label_text",
    "left_text",
    "names_text",
    "status_text",
    "time_left_text",
]

#: So many names are told in a sentence.
_NAMES: Final = 8


def names_text(names: Sequence[object]) -> str:
    """Return names in a sentence; of thousands the first ones: ``"a, b and 2 more"``."""
    text = ", ".join(str(each) for each in names[:_NAMES])
    more = len(names) - _NAMES
    return f"{text} and {more} more" if more > 0 else text


def count_text(count: float, what: str) -> str:
    """Return how many there are: ``"1 frame"``, ``"2 frames"``; a float with three digits."""
    number = f"{count:.3g}" if isinstance(count, float) else f"{count}"
    return f"{number} {what}" if number == "1" else f"{number} {what}s"


def status_text(status: PlanStatus, failure: BaseException | None = None) -> str:
    """Return how a plan stands, in words: ``"running"``, ``"failed: ValueError"``.

    Parameters
    ----------
    status : PlanStatus
        Its status.
    failure : BaseException, optional
        What it failed with, if it did.
    """
    if status == PlanStatus.FAILED and failure is not None:
        return f"failed: {type(failure).__name__}"
    if status == PlanStatus.RESUMED:
        return "was paused, and goes on"
    return str(status)


def duration_text(seconds: float | None, *, tenths: bool = False) -> str:
    """Return how long something took, in words: ``"12 s"``, ``"3 min 20 s"``.

    Parameters
    ----------
    seconds : float or None
        The time in seconds; ``None`` gives an empty text.
    tenths : bool
        Whether to tell tenths of a second, as long as it is less than a minute.
    """
    if seconds is None:
        return ""
    if tenths and round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def time_left_text(seconds: float | None) -> str:
    """Return how long something takes yet, in words: ``"48 s left"``.

    Parameters
    ----------
    seconds : float or None
        The time in seconds; ``None``, and a time without an end, give an empty text.
    """
    if seconds is None or math.isinf(seconds):
        return ""
    return f"{duration_text(seconds)} left"


def took_text(elapsed: float | None, left: float | None, *, tenths: bool = False) -> str:
    """Return how long a plan has been under way, and takes yet: ``"12 s, 48 s left"``."""
    times = duration_text(elapsed, tenths=tenths), time_left_text(left)
    return ", ".join(filter(None, times))


def start_text(seconds: float | None) -> str:
    """Return in how many seconds a plan that waits will start: ``"starts in about 48 s"``."""
    if seconds is None:
        return "start not known"
    return f"starts in about {duration_text(seconds)}"


def clock_text(seconds: float | None) -> str:
    """Return a time as a clock shows it: ``"1:05.3"``, ``"2:00:05.3"``; empty for ``None``."""
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def label_text(each: Progress) -> str:
    """Return what it is the progress of: ``"scan"``, ``"watch: scan"`` for a task's."""
    return f"{each.owner}: {each.name}" if each.background else each.name


def amount_text(each: Progress) -> str:
    """Return how far it is, in words: ``"60% 3/5 points"``."""
    parts = [] if each.fraction is None else [f"{each.fraction:.0%}"]
    if each.current is not None and each.target is not None:
        parts.append(f"{_short(each.current)}/{_short(each.target)} {each.unit}".strip())
    elif each.current is not None:
        parts.append(f"{_short(each.current)} {each.unit}".strip())
    return " ".join(parts)


def left_text(each: Progress) -> str:
    """Return how long it will take yet, in words: ``"3 min 20 s left"``; empty if not known."""
    return time_left_text(each.remaining)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
