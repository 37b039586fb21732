"""What happens when two want one device: who gives way, and who gets it back."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core import ResourceConflictError
from freewheel.core._devices import checked_devices, device_chain, device_name, quoted_name

from ._errors import warn
from ._life import CONFLICT, LENT

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from ._claims import Claim, ClaimsLedger
    from ._holders import Holder
    from ._life import Life
    from ._roster import Roster
    from ._spawner import Spawner

__all__ = ["Conflicts"]

_log = logging.getLogger("freewheel")

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
    spawner : Spawner
        Of the engine's loop.
    """

    def __init__(self, claims: ClaimsLedger, roster: Roster, spawner: Spawner) -> None:
        self._claims = claims
        self._roster = roster
        self._spawner = spawner
        # Of the loop's thread: those who wait until a claim ends, woken at each change. And which
        # tasks wait for a device, and the plan that each of the others is waited for by.
        self._waiters: list[asyncio.Future[None]] = []
        self._wanting: dict[Life, tuple[Any, asyncio.Future[None]]] = {}
        self._waited_for: dict[Life, Holder] = {}
        # Written by the loop's thread, read by all: whether anybody waits for a change at all.
        self._watching = False
        claims.when_changed(self.changed)

    # -- waiting for a change -------------------------------------------------------------------

    def changed(self) -> None:
        """Look again for those who wait: a claim has changed, or what is moved without one.

        From any thread, with nothing locked; it is called often, and quick while nobody waits.
        """
        if self._watching:
            self._spawner.call(self._wake)

    def _wake(self) -> None:
        waiters, self._waiters, self._watching = self._waiters, [], False
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _next_change(self) -> asyncio.Future[None]:
        """Return what is done when some claim has changed; look again after this call."""
        waiter: asyncio.Future[None] = self._spawner.loop.create_future()
        self._waiters.append(waiter)
        self._watching = True
        return waiter

    async def until_back(self, holder: Holder, what: str, moved: Iterable[Any] = ()) -> None:
        """Wait until people have given back what ``holder`` has lent to them.

        Parameters
        ----------
        moved : iterable of device
            What it has moved, and does not hold: it waits until people have let go of that, too.
        """
        told = False
        while True:
            change = self._next_change()
            away = dict.fromkeys(self._claims.lent_to_hands(holder))
            for device in moved:
                away.update(dict.fromkeys(self._claims.kept_by_hands(holder, device)))
            if not away:
                return
            if not told:
                told = True
                held = ", ".join(f"{device_name(d)!r} ({user.name})" for d, user in away)
                _log.warning("%s goes on when it has back what is held by hand: %s.", what, held)
            await change

    def waits_for_loans(self, life: Life, lent: tuple[tuple[Any, Holder], ...]) -> None:
        """Have a task go on when people have given its devices back."""
        name = life.task.name

        async def wait() -> None:
            await self.until_back(life.task, f"The background task {name!r}")
            life.let_go(LENT)

        self._spawner.spawn(wait(), f"have {name!r} go on")

    async def until_free(self, life: Life, device: Any) -> None:
        """Wait, for a task that waits instead of being refused, until nobody keeps it out.

        Raises
        ------
        ResourceConflictError
            If another task has the device, or somebody who has it waits for this very task.
        """
        task, said = life.task, ""
        try:
            while True:
                change = self._next_change()
                users = [claim.user for claim in self._claims.conflicts(task, device)]
                if (mover := self._claims.mover(task, device)) is not None:
                    users.append(mover)
                if not users:
                    return
                for user in users:
                    if self._roster.life_of(user) is not None or self._waited_for.get(life) is user:
                        raise ResourceConflictError(device, user, task)
                words = f"{quoted_name(device)}, which {quoted_name(users[0])} holds"
                if words != said:  # it looks again at every move of the plan that it waits for
                    said = words
                    life.waits(words)
                self._wanting[life] = device, change
                try:
                    await change
                finally:
                    self._wanting.pop(life, None)
        finally:
            if said:
                life.waits("")

    @contextmanager
    def waiting_for(self, lives: Iterable[Life], holder: Holder) -> Iterator[None]:
        """Note that a plan waits for tasks: those that wait for its devices are refused them."""
        waited = list(lives)
        for life in waited:
            self._waited_for[life] = holder
            device, change = self._wanting.get(life, (None, None))
            if change is None or change.done():
                continue
            if any(claim.user is holder for claim in self._claims.conflicts(life.task, device)):
                change.set_exception(ResourceConflictError(device, holder, life.task))
        try:
            yield
        finally:
            for life in waited:
                self._waited_for.pop(life, None)

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
            await self._get(holder, wanted, partial(self._claims.acquire, holder, wanted))
        except ResourceConflictError:
            self._give_back_unclaimed(holder)
            raise

    async def take(self, holder: Holder, device: Any, why: Hashable, *, anew: bool = False) -> None:
        """Have a plan hold a device that it is about to use, whatever tasks stand in its way.

        Parameters
        ----------
        anew : bool
            As for `ClaimsLedger.touch`.

        Raises
        ------
        ResourceConflictError
            If a holder does not give way.
        """
        touch = partial(self._claims.touch, holder, device, why, anew=anew)
        await self._get(holder, (device,), touch)

    async def _get(
        self, holder: Holder, devices: Sequence[Any], try_to: Callable[[], None]
    ) -> None:
        """Have all of the tasks give way that are in the way of ``try_to``, and do it."""
        for attempts_left in reversed(range(ATTEMPTS)):
            for device in devices:
                await self.clear_the_way(holder, device)
            try:
                return try_to()
            except ResourceConflictError:
                # A task reached for it while another one was giving way.
                if not attempts_left:
                    raise

    async def clear_the_way(self, holder: Holder, device: Any) -> None:
        """Deal with the tasks that keep a plan from ``device``, as each of them wants it.

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
                if life is None or life.over or (life.on_conflict == "error" and not life.ending):
                    raise _refusal(claim, holder, device)
                lives.append(life)
            for life in lives:
                if not await self._give_way(life, holder, device):
                    raise ResourceConflictError(device, life.task, holder)
        raise _refusal(conflicts[0], holder, device)

    async def _give_way(self, life: Life, holder: Holder, device: Any) -> bool:
        if not life.ending and life.on_conflict == "pause":
            if await life.yield_device(holder, device):
                return True
            if not life.ending:
                return False
        if life.ending:  # it gives way already, or does since it was asked to rest
            await asyncio.wait([life.end])
            return True
        warn(
            f"The plan {holder.name!r} needs {device_name(device)!r}: the background task "
            f"{life.task.name!r}, which holds it, is cancelled.",
            None,
        )
        life.cancel("abort", f"the plan {holder.name!r} needed {device_name(device)!r}")
        await asyncio.wait([life.end])
        return True

    def is_of(self, lives: Iterable[Life], holder: Holder, device: Any) -> bool:
        """Tell whether tasks among ``lives`` alone keep ``holder`` from ``device``."""
        tasks = [life.task for life in lives]
        claims = self._claims.conflicts(holder, device)
        return bool(claims) and all(any(c.user is task for task in tasks) for c in claims)

    # -- giving back ----------------------------------------------------------------------------

    def release(self, holder: Holder, devices: Any) -> None:
        """Release devices, and have the tasks go on that waited for them."""
        self.freed(self._claims.release(holder, checked_devices(devices)))

    def release_all(self, holder: Holder, kept: Iterable[Any] = ()) -> None:
        """Release all that ``holder`` has but ``kept``, and have the tasks go on that waited."""
        self.freed(self._claims.release_all(holder, kept))

    def freed(self, lenders: tuple[Holder, ...]) -> None:
        """Have tasks go on that have all of their devices back."""
        for lender in lenders:
            life = self._roster.life_of(lender)
            if life is not None:
                life.let_go(CONFLICT)

    def _give_back_unclaimed(self, holder: Holder) -> None:
        """Give back what ``holder`` has borrowed without having claimed it."""
        for life in self._roster.alive:
            if life.rests_for(CONFLICT) and self._claims.give_back(holder, life.task):
                life.let_go(CONFLICT)

    def give_back_to(self, lives: Iterable[Life], holder: Holder) -> None:
        """Give back what tasks have lent to a plan that is about to wait for them.

        Raises
        ------
        ResourceConflictError
            If the plan has claimed one of the devices: the wait would never end.
        """
        claims = self._claims
        for life in lives:
            if not life.rests_for(CONFLICT):
                continue
            lent = [device for device in claims if claims.lends(life.task, device)]
            if claims.give_back(holder, life.task):
                life.let_go(CONFLICT)
            elif lent:
                raise ResourceConflictError(lent[0], holder, life.task)


def _refusal(claim: Claim, holder: Holder, device: Any) -> ResourceConflictError:
    via = claim.with_what(device_chain(device))
    return ResourceConflictError(device, claim.user, holder, via)
