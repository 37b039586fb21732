"""Values that a preview hands to plans and that are others each time, whatever the plan does."""

from __future__ import annotations

import itertools
from typing import Final, final

__all__ = ["Moment", "Uid", "numbered"]

_numbers: Final = itertools.count()


@final
class Uid(str):
    """The uid of a run, or the name of a group."""

    __slots__ = ()


@final
class Moment(float):
    """What time it is."""

    __slots__ = ()


def numbered(label: str) -> Uid:
    """Name a group by a number instead of a random one, for which the system is asked."""
    return Uid(f"{label}-{next(_numbers)}")
