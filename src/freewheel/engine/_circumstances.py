"""What previews say of the engine as it stands: who has devices, and what nobody can foresee."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from freewheel.background import Background
    from freewheel.core import PeriodicPicture
    from freewheel.previews import Preview

    from ._household import Household

__all__ = ["Circumstances"]

#: What becomes of a task when a plan needs what it has, by its ``on_conflict``.
_WAYS: Final = {"cancel": "is cancelled: it ", "pause": "gives way: it "}


@final
class Circumstances:
    """What a plan meets on an engine beside its devices. From any thread.

    Parameters
    ----------
    background : Background
        Who has which devices.
    household : Household
        Interlocks and suspenders.
    periodic : callable
        Returns pictures of the plans that run again and again.
    """

    def __init__(
        self,
        background: Background,
        household: Household,
        periodic: Callable[[], tuple[PeriodicPicture, ...]],
    ) -> None:
        self._background = background
        self._household = household
        self._periodic = periodic

    def added_to(self, foreseen: Preview) -> Preview:
        """Return a preview that tells of them, too."""
        rivals = tuple(self._rivals(foreseen.claims))
        unforeseen = (*self._interlocks(foreseen.claims), *self._suspenders(), *self._others())
        if not rivals and not unforeseen:
            return foreseen
        return replace(foreseen, rivals=rivals, unforeseen=unforeseen)

    def _rivals(self, claims: Mapping[str, Any]) -> Iterator[str]:
        """Say who has something of what is needed, and whether he gives way."""
        ledger, roster = self._background.claims, self._background.roster
        ways = {life.task.name: life.on_conflict for life in roster.alive}
        held: dict[str, list[str]] = {}
        for name, device in claims.items():
            holder = ledger.get(device)
            if holder is not None:
                held.setdefault(holder, []).append(name)
        for holder, names in held.items():
            yield f"{holder} {_WAYS.get(ways.get(holder, ''), '')}has {', '.join(names)}"

    def _interlocks(self, claims: Mapping[str, Any]) -> Iterator[str]:
        for interlock in list(self._household.interlocks.values()):
            if not any(interlock.covers(device) for device in claims.values()):
                continue
            state = interlock.look()
            fails = interlock.otherwise == "fail"
            what = "makes it fail" if fails else "holds it up"
            if state.tripped:
                yield f"the interlock {interlock.name!r} {what} while it is tripped: {state.why}"
            else:
                yield f"whether the interlock {interlock.name!r} {what}"

    def _suspenders(self) -> Iterator[str]:
        for suspender in self._household.suspenders():
            name = type(suspender).__name__
            if getattr(suspender, "tripped", False):
                yield f"how long the suspender {name} holds it up, which has tripped"
            else:
                yield f"whether the suspender {name} holds it up"

    def _others(self) -> Iterator[str]:
        for each in self._periodic():
            yield f"that {each.name} takes its place every {duration_text(each.seconds)}"
