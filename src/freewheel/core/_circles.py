"""Who waits for whom: a wait that would close a circle is refused, for it would never end.

Plans and tasks are the parties. One that begins to wait for another is known by a context
variable, which its plan, its coroutine and its thread run with. A circle is closed by one wait, the
last one, and it is that which is refused: so it is enough to look when a wait begins. A wait with a
limit ends by itself, and is neither refused nor noted.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, final

from ._errors import CircularWaitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Party", "Waiting", "be", "held_up_by", "here"]

# Held for work on the lists of waits alone; nothing of others is called with it held, and nothing
# is taken below it. Invariant: no wait is written down that closes a circle.
_lock = threading.Lock()


@final
class Party:
    """Somebody with an end, who waits for others, and is waited for.

    Parameters
    ----------
    name : str
        What it is called in a sentence: ``"the plan 'scan'"``.

    Attributes
    ----------
    keeper : Party or None
        Whoever cannot end before this one. Written before anybody else knows of this one.
    behind : callable or None
        Returns whom this one waits for before it begins; while it has not. Called with nothing
        locked.
    waits : list of Waiting
        The waits for this one, by whoever waits. Read and written with the module's lock held.
    """

    __slots__ = ("behind", "keeper", "name", "waits")

    def __init__(self, name: str) -> None:
        self.name = name
        self.keeper: Party | None = None
        self.behind: Callable[[], Party | None] | None = None
        self.waits: list[Waiting] = []


_here: ContextVar[Party | None] = ContextVar("freewheel_party", default=None)


def be(party: Party | None) -> None:
    """Have what runs in this context, and all that it starts, wait as ``party`` from now on."""
    _here.set(party)


def here() -> Party | None:
    """Return as whom the caller waits."""
    return _here.get()


@final
class Waiting:
    """A wait for several, for as long as the ``with`` block lasts.

    Parameters
    ----------
    parties : iterable of Party
        Who is waited for.
    first : bool
        Whether the end of one of them is enough.
    """

    __slots__ = ("first", "parties", "who")

    def __init__(self, parties: Iterable[Party], *, first: bool = False) -> None:
        self.parties = tuple(parties)
        self.first = first
        self.who: Party | None = None

    def __enter__(self) -> None:
        who = _here.get()
        if who is None or not self.parties:
            return
        # Asked before the lock is taken, for it is the engine that answers.
        ahead = [
            (before, party)
            for party in self.parties
            if (behind := party.behind) is not None and (before := behind()) is not None
        ]
        if not self.first:
            self.parties += tuple(before for before, _ in ahead)
        with _lock:
            chain = _held_up_by(who)
            lost = [party for party in self.parties if party in chain]
            if not lost or (self.first and len(lost) < len(self.parties)):
                self.who = who
                for party in self.parties:
                    party.waits.append(self)
                return
        queued = dict(ahead).get(lost[0])
        raise CircularWaitError(_in_words(who, queued, lost[0], chain))

    def __exit__(self, *_: object) -> None:
        if self.who is None:
            return
        with _lock:
            for party in self.parties:
                party.waits.remove(self)


def held_up_by(party: Party | None) -> frozenset[Party]:
    """Return all that cannot end before ``party``, with itself."""
    with _lock:
        return frozenset() if party is None else frozenset(_held_up_by(party))


def _held_up_by(party: Party) -> dict[Party, tuple[str, Party]]:
    """Return all that cannot end before ``party``: with why, and the next on the way to it."""
    found = {party: ("is", party)}
    left = [party]
    while left:
        one = left.pop(0)
        more = [] if one.keeper is None else [(one.keeper, "cannot end before")]
        # Of one that waits for the first of several: only once all of these are found.
        more += [
            (wait.who, "waits for")
            for wait in one.waits
            if wait.who and (not wait.first or all(other in found for other in wait.parties))
        ]
        for other, why in more:
            if other not in found:
                found[other] = why, one
                left.append(other)
    return found


def _in_words(
    who: Party, queued: Party | None, first: Party, chain: dict[Party, tuple[str, Party]]
) -> str:
    if first is who and queued is None:
        circle = "waits for itself"
    else:
        circle = f"waits for {first.name}"
        if queued is not None:
            circle = f"waits for {queued.name}, which is queued behind {first.name}"
        at = first
        while at is not who:
            why, at = chain[at]
            circle += f", which {why} {at.name}"
    return (
        f"{who.name[0].upper()}{who.name[1:]} would wait for ever: it {circle}. Let one of them go "
        "on without waiting, with add_done_callback for example, or wait with a time-out."
    )
