"""Actions on offer: what plans wait for at this moment."""

from __future__ import annotations

import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from freewheel.core import OfferedAction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from freewheel.core import SRLatch

__all__ = ["ActionBoard", "Hit", "Offer"]


class Hit(NamedTuple):
    """What answers a wait: a latch, under the name that it was waited for, and its change."""

    name: str
    latch: SRLatch
    change_number: int


class Offer:
    """The latches that one wait is about, watched from the wait's start to the offer's end.

    Parameters
    ----------
    events : dict of str to SRLatch
        The latches by name.
    wanted : bool
        Whether they are to be set, or reset.
    answered : mapping of SRLatch to int, optional
        Changes, by their numbers, that do not count: the plan knows of them. ``None`` if all do.
    tell : callable
        Called with the latches' lock held, at the first change that counts.
    plan : str
        The name of the plan, or of the task, that offers them.
    """

    def __init__(
        self,
        events: dict[str, SRLatch],
        wanted: bool,
        answered: Mapping[SRLatch, int] | None,
        tell: Callable[[], None],
        plan: str = "",
    ) -> None:
        self.plan = plan
        self.events = events
        self.wanted = wanted
        self._answered = answered
        self._tell = tell
        # Written under the latches' common lock, by the first change; read after it.
        self._first: tuple[int, str] | None = None
        self._answer: Hit | None = None  # of the loop's thread: what `hit` found
        self._unwatch = [latch.watch(self._changed) for latch in set(events.values())]

    def is_for(self, events: Mapping[str, SRLatch], wanted: bool, fresh: bool) -> bool:
        """Tell whether a wait for these latches would be answered alike."""
        same_kind = self.wanted == wanted and (self._answered is not None) == fresh
        return same_kind and self.events == events

    def _changed(self, latch: SRLatch, is_set: bool) -> None:
        if is_set == self.wanted and self._first is None:
            name = next(name for name, known in self.events.items() if known is latch)
            self._first = (latch.change_number, name)
            self._tell()

    def hit(self) -> Hit | None:
        """Return the latch that changed first; of those that never changed the first named.

        What it has returned once stays the answer, whatever becomes of the latch.
        """
        if self._answer is not None:
            return self._answer
        found = []
        for place, (name, latch) in enumerate(self.events.items()):
            is_set, number = latch.look()
            if is_set == self.wanted and not self._is_known(latch, number):
                found.append((number, place, name))
        if self._first is not None:
            found.append((self._first[0], -1, self._first[1]))
        if not found:
            return None
        number, _, name = min(found)
        self._answer = Hit(name, self.events[name], number)
        return self._answer

    def _is_known(self, latch: SRLatch, number: int) -> bool:
        return self._answered is not None and self._answered.get(latch) == number

    def end(self) -> None:
        for unwatch in self._unwatch:
            unwatch()


class ActionBoard:
    """All actions on offer, of the foreground plan and of others. Any thread may call.

    Parameters
    ----------
    changed : callable
        Called with the names, a frozenset, when the set of names has changed.
    """

    def __init__(self, changed: Callable[[frozenset[str]], None]) -> None:
        self._changed = changed
        # Guards `_offers` and `_names`, and makes "on offer, so trigger it" one step.
        self._lock = threading.RLock()
        self._offers: dict[object, Offer] = {}
        self._names: frozenset[str] = frozenset()

    def pending(self) -> Mapping[str, SRLatch]:
        """Return a read-only picture: name to latch."""
        with self._lock:
            return MappingProxyType(self._merged())

    def _merged(self) -> dict[str, SRLatch]:
        merged: dict[str, SRLatch] = {}
        for offer in self._offers.values():
            for name, latch in offer.events.items():
                merged.setdefault(name, latch)
        return merged

    def offered(self) -> tuple[OfferedAction, ...]:
        """Return what is on offer, and by which plan, in the order of the offers."""
        with self._lock:
            return tuple(
                OfferedAction.of_latch(offer.plan, name, latch)
                for offer in self._offers.values()
                for name, latch in offer.events.items()
            )

    def change(self, name: str, to: bool, plan: str | None = None) -> None:
        """Set or reset the latches of an action on offer: of all plans that offer it, or of one.

        Raises
        ------
        KeyError
            If it is not on offer; the text names those that are.
        """
        with self._lock:
            latches = {
                id(latch): latch
                for offer in self._offers.values()
                if plan is None or offer.plan == plan
                if (latch := offer.events.get(name)) is not None
            }
            if not latches:
                raise KeyError(self._not_on_offer(name, plan))
            for latch in latches.values():
                if to:
                    latch.set()
                else:
                    latch.reset()

    def _not_on_offer(self, name: str, plan: str | None) -> str:
        offered = self.offered()
        if plan is None:
            names = ", ".join(map(repr, sorted({offer.name for offer in offered}))) or "none"
            return f"No plan waits for the action {name!r}. On offer: {names}."
        names = ", ".join(f"{o.name!r} of {o.plan!r}" for o in sorted(offered)) or "none"
        return f"The plan {plan!r} does not wait for the action {name!r}. On offer: {names}."

    def put(self, owner: object, offer: Offer) -> None:
        """Offer the actions of ``offer`` in the name of ``owner``."""
        with self._lock:
            self._offers[owner] = offer
        self._tell()

    def offer_of(self, owner: object) -> Offer | None:
        """Return the offer of ``owner``, if there is one."""
        with self._lock:
            return self._offers.get(owner)

    def take_away(self, owner: object) -> Offer | None:
        """Offer the actions of ``owner`` no more, and return the offer, to be put again."""
        with self._lock:
            offer = self._offers.pop(owner, None)
        self._tell()
        return offer

    def withdraw(self, owner: object) -> Hit | None:
        """End the offer of ``owner``; return what was triggered until now, if anything."""
        with self._lock:
            offer = self._offers.pop(owner, None)
            if offer is None:
                return None
            hit = offer.hit()
            offer.end()
        self._tell()
        return hit

    def _tell(self) -> None:
        with self._lock:
            names = frozenset(self._merged())
            if names == self._names:
                return
            self._names = names
        self._changed(names)
