"""Who may hold devices: tasks, foreground plans, and people."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Protocol, final

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

__all__ = ["HANDS", "HandHold", "Holder", "PlanHolder", "hands_here", "holding"]


class Holder(Protocol):
    """Whoever may hold devices. Compared by identity."""

    @property
    def name(self) -> str:
        """How messages and windows call it."""
        ...

    @property
    def lends_to(self) -> Container[Holder]:
        """To whom it lends what it holds, without being asked; from any thread."""
        ...


@final
class _Hands:
    """All people: to whom a plan lends that is at rest."""

    __slots__ = ()

    def __contains__(self, who: object) -> bool:
        return isinstance(who, HandHold)


HANDS: Final = _Hands()


@final
class _Plans:
    """All plans of the foreground: to whom a plan lends that is parked."""

    __slots__ = ("_people",)

    def __init__(self, *, people: bool) -> None:
        self._people = people

    def __contains__(self, who: object) -> bool:
        return isinstance(who, PlanHolder) or (self._people and isinstance(who, HandHold))


_PLANS: Final = _Plans(people=False)
_PLANS_AND_PEOPLE: Final = _Plans(people=True)


@final
class PlanHolder:
    """A foreground plan that holds devices.

    Parameters
    ----------
    name : str
        The plan's name.

    Attributes
    ----------
    lends_to : container of Holder
        Nobody; people, while the plan is paused; while it is parked the plans that run in its
        place, and people while these are paused. Written on the loop's thread.
    """

    __slots__ = ("lends_to", "name")
    kind = "plan"

    def __init__(self, name: str) -> None:
        self.name = name
        self.lends_to: Container[Holder] = ()

    def rest(self, at_rest: bool) -> None:
        """Note that the plan is paused, or that it goes on."""
        self.lends_to = HANDS if at_rest else ()

    def park(self, *, lends_to_people: bool = False) -> None:
        """Note that the plan is parked."""
        self.lends_to = _PLANS_AND_PEOPLE if lends_to_people else _PLANS


@final
class HandHold:
    """A program or a person that holds devices.

    Attributes
    ----------
    lends_to : set of Holder
        The plans, tasks and moves that were submitted by whoever holds, while he did. Added to by
        any thread, each time in one step.
    """

    __slots__ = ("lends_to", "name")
    kind = "hand"

    def __init__(self, name: str) -> None:
        self.name = name
        self.lends_to: set[Holder] = set()


# Of each thread, and of each coroutine: the holds that it is inside of.
_hands: ContextVar[tuple[HandHold, ...]] = ContextVar("freewheel_hands", default=())


def hands_here() -> tuple[HandHold, ...]:
    """Return the holds that the caller is inside of: what he submits may use what they hold."""
    return _hands.get()


@contextmanager
def holding(hand: HandHold) -> Iterator[None]:
    """Be inside of a hold, with all that is called."""
    token = _hands.set((*_hands.get(), hand))
    try:
        yield
    finally:
        _hands.reset(token)
