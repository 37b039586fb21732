"""What happens when two want one device: who gives way, and who gets it back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core import ResourceConflictError
from freewheel.core._devices import checked_devices, device_name

from ._errors import warn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._claims import ClaimsLedger, Holder
    from ._life import Life
    from ._roster import Roster

__all__ = ["Conflicts"]

#: So many attempts to get several devices at once, while tasks keep reaching for them.
ATTEMPTS: Final = 16


@final
class Conflicts:
    """Has tasks give way to the foreground, and go on afterwards. On the loop's thread.

    Parameters
    ----------
    claims : ClaimsLedger
        Who holds which device.
    roster : Roster
        The engine's tasks.
    """

    def __init__(self, claims: ClaimsLedger, roster: Roster) -> None:
        self._claims = claims
        self._roster = roster

    # -- claiming -------------------------------------------------------------------------------

    def acquire(self, holder: Holder, devices: Any) -> None:
        """Claim devices for a task: all or none."""
        self._claims.acquire(holder, checked_devices(devices))

    async def claim(self, holder: Holder, devices: Any) -> None:
        """Claim devices for a foreground plan: all or none.

        Raises
        ------
        ResourceConflictError
            If a holder does not give way; then those that gave way already get theirs back.
        """
        wanted = checked_devices(devices)
        try:
            for _ in range(ATTEMPTS):
                for device in wanted:
                    await self.clear_the_way(holder, device)
                try:
                    return self._claims.acquire(holder, wanted)
                except ResourceConflictError as conflict:
                    # A task reached for it while another one was giving way.
                    last = conflict
            raise last
        except ResourceConflictError:
            self._give_back_unclaimed(holder)
            raise

    async def clear_the_way(self, holder: Holder, device: Any) -> None:
        """Deal with the tasks that keep a foreground plan from ``device``, as each wants it.

        Raises
        ------
        ResourceConflictError
            If a holder does not give way.
        """
        for _ in range(ATTEMPTS):
            conflicts = self._claims.conflicts(holder, device)
            if not conflicts:
                return
            lives = []
            for claim in conflicts:
                life = self._roster.life_of(claim.user)
                if life is None or life.on_conflict == "error" or life.over:
                    raise ResourceConflictError(device, claim.user, holder)
                lives.append(life)
            for life in lives:
                if not await self._give_way(life, holder, device):
                    raise ResourceConflictError(device, life.task, holder)
        raise ResourceConflictError(device, conflicts[0].user, holder)

    async def _give_way(self, life: Life, holder: Holder, device: Any) -> bool:
        if life.on_conflict == "pause":
            return await life.yield_device(holder, device)
        warn(
            f"The plan {holder.name!r} needs {device_name(device)!r}: the background task "
            f"{life.task.name!r}, which holds it, is cancelled.",
            None,
        )
        life.cancel("abort", f"the plan {holder.name!r} needed {device_name(device)!r}")
        await asyncio.wait([life.end])
        return True

    # -- giving back ----------------------------------------------------------------------------

    def release(self, holder: Holder, devices: Any) -> None:
        """Release devices, and have the tasks go on that waited for them."""
        self.freed(self._claims.release(holder, checked_devices(devices)))

    def release_all(self, holder: Holder) -> None:
        """Release all that ``holder`` has, and have the tasks go on that waited for it."""
        self.freed(self._claims.release_all(holder))

    def freed(self, lenders: tuple[Holder, ...]) -> None:
        """Have tasks go on that have all of their devices back."""
        for lender in lenders:
            life = self._roster.life_of(lender)
            if life is not None:
                life.let_go("conflict")

    def _give_back_unclaimed(self, holder: Holder) -> None:
        """Give back what ``holder`` has borrowed without having claimed it."""
        for life in self._roster.alive:
            if life.rests_for("conflict") and self._claims.give_back(holder, life.task):
                life.let_go("conflict")

    def give_back_to(self, lives: Iterable[Life], holder: Holder) -> None:
        """Give back what tasks have lent to a plan that is about to wait for them.

        Raises
        ------
        ResourceConflictError
            If the plan has claimed one of the devices: the wait would never end.
        """
        claims = self._claims
        for life in lives:
            if not life.rests_for("conflict"):
                continue
            lent = [device for device in claims if claims.lends(life.task, device)]
            if claims.give_back(holder, life.task):
                life.let_go("conflict")
            elif lent:
                raise ResourceConflictError(lent[0], holder, life.task)
