"""Values that a preview hands to plans and that are others each time, whatever the plan does."""

from __future__ import annotations

from typing import final

__all__ = ["Moment", "Uid"]


@final
class Uid(str):
    """The uid of a run, or the name of a group."""

    __slots__ = ()


@final
class Moment(float):
    """What time it is."""

    __slots__ = ()
