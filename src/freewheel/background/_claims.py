"""Who holds which device."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeAlias, final

from freewheel.core import ResourceConflictError
from freewheel.core._devices import (
    checked_devices,
    claimed_with,
    device_chain,
    device_name,
    devices_overlap,
)

from ._claim_book import BORROWED, USED, Claim, ClaimBook, Parts, parts_of
from ._holders import HandHold, Holder, holding

__all__ = ["BORROWED", "Claim", "ClaimsLedger"]

_log = logging.getLogger("freewheel")

InUse: TypeAlias = "Callable[[Holder | None], Iterable[tuple[Any, Holder]]]"
"""Tells which devices are being moved at this moment without being claimed, and by whom.

It is given who asks, if it is somebody who would hold them, and need not tell him of himself.
"""


def _nobody(_: Holder | None) -> tuple[()]:
    return ()


def _touches(used: Any, parts: Parts) -> bool:
    """Tell whether a device is one of the parts, contains one, or is contained in one."""
    above = device_chain(used)
    return any(id(used) in chain or id(part) in above for part, chain in parts)


@final
class ClaimsLedger(Mapping[Any, str]):
    """Who holds which device, as a mapping from device to the holder's name.

    A claim on a device covers the devices below it, found through their ``parent``: looking up a
    child of a held device finds the holder, and so does looking up a parent of one. It is a claim
    on what the device drives, too (`freewheel.core.HasClaims`). Iterating gives the devices that
    were claimed themselves, and those that a plan holds because it uses them.

    Nothing here ever waits for a device: who comes late is refused. So no order of claims can
    hang two plans. A claim on several devices gets all of them or none.

    All methods may be called from any thread.
    """

    def __init__(self) -> None:
        # May be taken with the engine's state lock held, and nothing is taken below it. What
        # devices answer by code of their own (`claimed_devices`, `name`) is asked without it, but
        # for `parent` of those that are being moved.
        # Re-entrant: a finalizer that runs in the middle may release what its owner held.
        self._lock = threading.RLock()
        # Written with _lock held, and read so but for looks at whether there is any claim, or that
        # one: a claim that is made meanwhile is as if made afterwards.
        self._book = ClaimBook()
        self._in_use: InUse = _nobody  # set once, before the first claim
        # Replaced as a whole, so that a change may be told of without the lock.
        self._watchers: tuple[Callable[[], None], ...] = ()

    # -- looking ------------------------------------------------------------------------------

    def __getitem__(self, device: Any) -> str:
        chain = device_chain(device)
        with self._lock:
            for claim in self._book.overlapping(id(device), chain):
                return claim.user.name
        for used, user in self._in_use(None):
            if id(used) in chain or id(device) in device_chain(used):
                return user.name
        raise KeyError(device)

    def __iter__(self) -> Iterator[Any]:
        return iter([device for device, _ in self._held()])

    def __len__(self) -> int:
        return len(self._held())

    def _held(self) -> list[tuple[Any, Holder]]:
        """Return what is held, with who has it: claimed, or moving without being claimed."""
        with self._lock:
            held = {
                key: (claims[0].device, claims[0].user) for key, claims in self._book.on.items()
            }
        for device, user in self._in_use(None):
            held.setdefault(id(device), (device, user))
        return list(held.values())

    def __repr__(self) -> str:
        held = ", ".join(f"{device}: {holder}" for device, holder in self.by_name().items())
        return f"<{type(self).__name__}: {held or 'nothing is held'}>"

    def by_name(self) -> Mapping[str, str]:
        """Return a frozen picture: names of the devices, with the names of their holders."""
        # Without the lock: a device's name may be somebody's code.
        return MappingProxyType({device_name(device): user.name for device, user in self._held()})

    @property
    def is_empty(self) -> bool:
        """Whether nobody has claimed anything. A look without the lock, for each message."""
        return not self._book.claims

    def claim_of(self, holder: Holder, device: Any) -> Claim | None:
        """Return the claim of ``holder`` on ``device`` itself, if there is one."""
        return self._book.claims.get((id(device), id(holder)))

    def held_by(self, holder: Holder) -> tuple[Any, ...]:
        """Return the devices that ``holder`` may use now because it holds them."""
        with self._lock:
            return tuple(
                claim.device
                for claim in self._book.claims.values()
                if claim.holder is holder and claim.lent_to is None
            )

    def conflicts(self, holder: Holder, device: Any) -> list[Claim]:
        """Return the claims that keep ``holder`` from using ``device`` and what it drives."""
        if not self._book.claims:
            return []
        found: dict[int, Claim] = {}
        parts = parts_of(device)
        with self._lock:
            for part, chain in parts:
                for claim in self._book.overlapping(id(part), chain):
                    if claim.keeps_out(holder) and not self._book.lent_on(claim, holder):
                        found[id(claim)] = claim
        return list(found.values())

    def mover(self, holder: Holder, device: Any) -> Holder | None:
        """Return who keeps ``holder`` from ``device`` by moving it without having claimed it."""
        return self._mover(holder, parts_of(device))

    def _mover(self, holder: Holder, parts: Parts, lender: Holder | None = None) -> Holder | None:
        for used, user in self._in_use(holder):
            if user is holder or user is lender or holder in user.lends_to:
                continue
            if _touches(used, parts):
                return user
        return None

    def overlap(self, one: Any, other: Any) -> bool:
        """Tell whether one of two devices is the other, contains it, or drives it."""
        return devices_overlap(one, other)

    def lends(self, holder: Holder, device: Any) -> bool:
        """Tell whether ``holder`` has lent ``device``, or a part of it, to somebody."""
        chain = device_chain(device)
        with self._lock:
            return any(
                claim.holder is holder and claim.lent_to is not None
                for claim in self._book.overlapping(id(device), chain)
            )

    # -- claiming -----------------------------------------------------------------------------

    def acquire(self, holder: Holder, devices: Iterable[Any], lender: Holder | None = None) -> None:
        """Claim all of the devices for ``holder``, or none.

        A device that it holds already is claimed once more, and then takes as many releases.

        Parameters
        ----------
        lender : Holder, optional
            Who lends what he holds of these devices, until ``holder`` releases them.

        Raises
        ------
        ResourceConflictError
            If somebody else holds one of them.
        """
        wanted = [(device, parts_of(device)) for device in devices]
        if not wanted:
            return
        with self._changing():
            for device, parts in wanted:
                self._admit(holder, device, parts, lender)
            claims = [claim for _, parts in wanted for claim in self._book.put(holder, parts)]
            for claim in claims:
                claim.count += 1
            try:
                for device, parts in wanted:
                    self._ask_who_moves(holder, device, parts, lender)
            except ResourceConflictError:
                for claim in claims:
                    claim.count -= 1
                    self._book.end_uses(claim, set())
                self._book.return_loans(holder)
                raise

    def touch(
        self,
        holder: Holder,
        device: Any,
        why: Hashable = USED,
        *,
        stops: bool = False,
        anew: bool = False,
    ) -> None:
        """Have ``holder`` hold a device that it is about to use, for one more reason.

        Parameters
        ----------
        stops : bool
            Whether it only stops the device. If it holds that already, nobody else is asked:
            whoever is about to move the device finds the claim, and waits for the stop.
        anew : bool
            Whether to ask the device again what it drives, which may be more than when the holder
            came to hold it.

        Raises
        ------
        ResourceConflictError
            As for `acquire`.
        """
        claim = self.claim_of(holder, device)
        if not anew and claim is not None and claim.lent_to is None and why in claim.uses:
            return
        parts = parts_of(device)
        with self._changing():
            self._admit(holder, device, parts)
            claims = self._book.put(holder, parts)
            for each in claims:
                each.uses.add(why)
            if stops and claim is not None and claim.lent_to is None:
                return
            try:
                self._ask_who_moves(holder, device, parts)
            except ResourceConflictError:
                for claim in claims:
                    self._book.end_uses(claim, {why})
                self._book.return_loans(holder)
                raise

    def _admit(
        self, holder: Holder, device: Any, parts: Parts, lender: Holder | None = None
    ) -> None:
        """Refuse ``holder``, or have lent what keeps it out; with the lock held."""
        loans = []
        for part, chain in parts:
            for claim in self._book.overlapping(id(part), chain):
                if claim.user is holder or self._book.lent_on(claim, holder):
                    continue
                if claim.user is not lender and holder not in claim.user.lends_to:
                    via = claim.with_what(parts[0][1])
                    raise ResourceConflictError(device, claim.user, holder, via)
                if claim.lent_to is None:  # else whoever has it lends on
                    loans.append(claim)
        for claim in loans:
            self._book.lend(claim, holder)

    def _ask_who_moves(
        self, holder: Holder, device: Any, parts: Parts, lender: Holder | None = None
    ) -> None:
        """Refuse ``holder`` what somebody moves without having claimed it.

        After its claim was written down: whoever is about to move something without a claim says
        so first and looks for claims then, so that at least one of the two sees the other.
        """
        mover = self._mover(holder, parts, lender)
        if mover is not None:
            raise ResourceConflictError(device, mover, holder)

    # -- releasing ----------------------------------------------------------------------------

    def release(self, holder: Holder, devices: Iterable[Any]) -> tuple[Holder, ...]:
        """Take back one claim of ``holder`` on each of the devices.

        What it holds for a reason that lasts, because it is staged for example, it holds until
        that is over.

        Returns
        -------
        tuple of Holder
            Those who had lent a device to it, and now have all of theirs back.

        Raises
        ------
        KeyError
            If it does not hold one of them; then none is released.
        """
        several = [(device, parts_of(device)) for device in devices]
        with self._changing():
            missing = [d for d, _ in several if (id(d), id(holder)) not in self._book.claims]
            if not missing:
                for _, parts in several:
                    for claim in self._book.of(holder, parts):
                        claim.count -= 1
                        self._book.end_uses(claim, {BORROWED, USED})
                return self._book.return_loans(holder)
        holds = ", ".join(map(device_name, self.held_by(holder))) or "nothing"
        raise KeyError(
            f"{holder.name!r} does not hold {device_name(missing[0])!r}; it holds: {holds}"
        )

    def let_go(self, holder: Holder, device: Any, why: Hashable) -> tuple[Holder, ...]:
        """End one reason for which ``holder`` holds a device; see `release` for the answer."""
        parts = parts_of(device)
        with self._changing():
            for claim in self._book.of(holder, parts):
                self._book.end_uses(claim, {why})
            return self._book.return_loans(holder)

    def let_go_of_all(self, holder: Holder, why: Hashable) -> tuple[Holder, ...]:
        """End a reason for which ``holder`` holds devices; see `release` for the answer."""
        with self._changing():
            for claim in self._book.of_holder(holder):
                self._book.end_uses(claim, {why})
            return self._book.return_loans(holder)

    def release_all(self, holder: Holder, kept: Iterable[Any] = ()) -> tuple[Holder, ...]:
        """Take back all that ``holder`` holds but ``kept``; see `release` for the answer."""
        if not self._book.claims:
            return ()
        spared = {id(part) for device in kept for part in claimed_with(device)}
        with self._changing():
            for claim in self._book.of_holder(holder):
                if claim.chain[0] not in spared:
                    self._book.drop(claim)
            return self._book.return_loans(holder)

    def give_back(self, holder: Holder, lender: Holder) -> bool:
        """Release what ``holder`` uses only because ``lender`` lent it.

        Returns
        -------
        bool
            Whether the lender has all of its devices back; false if ``holder`` has claimed one of
            them on purpose.
        """
        with self._changing():
            loans = [
                loan
                for loan in self._book.loans.values()
                if loan.holder is lender and loan.lent_to is holder
            ]
            for claim in self._book.of_holder(holder):
                if claim.count <= 0 and any(
                    claim.overlaps(loan.chain[0], loan.chain) for loan in loans
                ):
                    self._book.drop(claim)
            return lender in self._book.return_loans(holder)

    # -- lending ------------------------------------------------------------------------------

    def lend(self, lender: Holder, borrower: Holder, device: Any) -> None:
        """Have ``borrower`` use ``device`` until it releases it, then give it back to ``lender``.

        Meanwhile the lender may not use it, and neither may a third party.
        """
        parts = parts_of(device)
        with self._changing():
            for part, chain in parts:
                for claim in list(self._book.overlapping(id(part), chain)):
                    if claim.holder is lender:
                        self._book.lend(claim, borrower)
            for claim in self._book.put(borrower, parts):
                claim.uses.add(BORROWED)

    def lent_to_hands(self, lender: Holder) -> tuple[tuple[Any, Holder], ...]:
        """Return what ``lender`` has lent to people: the devices, with who uses them."""
        # Not without the lock: a hand may have been told that it may, and be about to take it.
        with self._lock:
            return tuple(
                (loan.device, loan.user)
                for loan in self._book.loans.values()
                if loan.holder is lender and isinstance(loan.user, HandHold)
            )

    def kept_by_hands(self, holder: Holder, device: Any) -> tuple[tuple[Any, Holder], ...]:
        """Return what of ``device`` people keep ``holder`` from, with who has it."""
        return tuple(
            (claim.device, claim.user)
            for claim in self.conflicts(holder, device)
            if isinstance(claim.user, HandHold)
        )

    def borrowed(self, holder: Holder) -> tuple[Any, ...]:
        """Return the devices that ``holder`` has from somebody who gets them back."""
        with self._lock:
            return tuple(
                claim.device for claim in self._book.of_holder(holder) if BORROWED in claim.uses
            )

    # -- by hand ------------------------------------------------------------------------------

    @contextmanager
    def hold(self, device: Any, holder: str = "manual move") -> Iterator[None]:
        """Hold a device by hand, for as long as the ``with`` block runs; from any thread.

        A plan that needs the device meanwhile gets a `ResourceConflictError` that names
        ``holder``. One that is submitted within the block may use it, with its tasks, also when it
        starts from the queue: a plan runs with the context variables of whoever submitted it. A
        paused plan lends what it holds, and a resume waits until it has that back.

        Parameters
        ----------
        device : device or iterable of devices
            What to hold.
        holder : str
            The name to show.

        Raises
        ------
        ResourceConflictError
            If a plan holds the device that is not paused.
        TypeError
            If it is no device.
        """
        devices = checked_devices(device)
        hand = HandHold(holder)
        self.acquire(hand, devices)
        try:
            with holding(hand):
                yield
        finally:
            self.release_all(hand)

    def add_in_use(self, probe: InUse) -> None:
        """Have a claim checked also against what ``probe`` tells; for the engine.

        It is called with the ledger locked, after the claim was written down: it must be quick,
        and take no lock.
        """
        self._in_use = probe

    # -- watching -----------------------------------------------------------------------------

    def on_change(self, callback: Callable[[Mapping[str, str]], None]) -> Callable[[], None]:
        """Have ``callback`` called with `by_name` after each change, in the thread that changes.

        Returns
        -------
        callable
            Ends it.
        """
        return self.when_changed(lambda: callback(self.by_name()))

    def when_changed(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called after each change, which may be often; as `on_change`."""
        with self._lock:
            self._watchers = (*self._watchers, callback)

        def disconnect() -> None:
            with self._lock:
                # By identity: bound methods of equal objects are equal.
                self._watchers = tuple(w for w in self._watchers if w is not callback)

        return disconnect

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock; afterwards tell of what has changed, without it."""
        with self._lock:
            try:
                yield
            finally:
                changed, self._book.changed = self._book.changed, False
        if changed:
            self._tell()

    def _tell(self) -> None:
        for watcher in self._watchers:
            try:
                watcher()
            except Exception:
                _log.exception("A watcher of the claims raised.")
