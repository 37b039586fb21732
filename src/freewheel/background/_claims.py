"""Who holds which device."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, final

from freewheel.core import ResourceConflictError
from freewheel.core._devices import checked_devices, device_chain, device_name

__all__ = ["Claim", "ClaimsLedger", "HandHold", "Holder", "PlanHolder"]

_log = logging.getLogger("freewheel")


class Holder(Protocol):
    """Whoever may hold devices: a task, a foreground plan, a program. Compared by identity."""

    @property
    def name(self) -> str:
        """How messages and windows call it."""
        ...


@dataclass(eq=False, frozen=True)
class PlanHolder:
    """A foreground plan that holds devices."""

    name: str


@dataclass(eq=False, frozen=True)
class HandHold:
    """A program or a person that holds devices."""

    name: str


@dataclass(eq=False)
class Claim:
    """One holder's right to one device and what is below it.

    Attributes
    ----------
    device : object
        The device.
    holder : Holder
        Whose claim it is.
    chain : tuple of int
        Ids of the device and of its ancestors when it was claimed, innermost first.
    count : int
        How often it was claimed on purpose; 0 for a device that was only used.
    lent_to : Holder or None
        Who uses it meanwhile, while its holder is paused.
    """

    device: Any
    holder: Holder
    chain: tuple[int, ...]
    count: int = 0
    lent_to: Holder | None = None

    @property
    def user(self) -> Holder:
        """Who may use the device now."""
        return self.lent_to or self.holder

    def keeps_out(self, who: Holder) -> bool:
        """Tell whether ``who`` may not use the device now."""
        return self.user is not who

    def overlaps(self, device_id: int, chain: tuple[int, ...]) -> bool:
        """Tell whether the claim covers the device, or something below it."""
        return self.chain[0] in chain or device_id in self.chain


InUse: TypeAlias = Callable[[], Iterable[tuple[Any, Holder]]]
"""Tells which devices are being moved at this moment without being claimed, and by whom."""


@final
class ClaimsLedger(Mapping[Any, str]):
    """Who holds which device, as a mapping from device to the holder's name.

    A claim on a device covers the devices below it, found through their ``parent``: looking up a
    child of a held device finds the holder, and so does looking up a parent of one. Iterating
    gives the devices that were claimed themselves.

    Nothing here ever waits for a device: who comes late is refused. So no order of claims can
    hang two plans. A claim on several devices gets all of them or none.

    All methods may be called from any thread.
    """

    def __init__(self) -> None:
        # May be taken with the engine's state lock held, and nothing of ours is taken below it:
        # the probes and `on_occupied` callbacks, which are called with it held, take no lock.
        # Re-entrant: a finalizer that runs in the middle may release what its owner held.
        self._lock = threading.RLock()
        # All of these are read and written with _lock held. A claim is in _claims under its
        # device and holder, in _on under its device, and in _below under each true ancestor.
        self._claims: dict[tuple[int, int], Claim] = {}
        self._on: dict[int, list[Claim]] = {}
        self._below: dict[int, list[Claim]] = {}
        self._in_use: list[InUse] = []
        self._occupied_watchers: list[Callable[[bool], None]] = []
        # Replaced as a whole, so that a change may be told of without the lock.
        self._watchers: tuple[Callable[[Mapping[str, str]], None], ...] = ()

    # -- looking ------------------------------------------------------------------------------

    def __getitem__(self, device: Any) -> str:
        chain = device_chain(device)
        with self._lock:
            for claim in self._overlapping(id(device), chain):
                return claim.user.name
        raise KeyError(device)

    def __iter__(self) -> Iterator[Any]:
        with self._lock:
            return iter([claims[0].device for claims in self._on.values()])

    def __len__(self) -> int:
        return len(self._on)

    def __repr__(self) -> str:
        held = ", ".join(f"{device}: {holder}" for device, holder in self.by_name().items())
        return f"<{type(self).__name__}: {held or 'nothing is held'}>"

    def by_name(self) -> Mapping[str, str]:
        """Return a frozen picture: names of the devices, with the names of their holders."""
        with self._lock:
            held = [(claims[0].device, claims[0].user) for claims in self._on.values()]
        # Without the lock: a device's name may be somebody's code.
        return MappingProxyType({device_name(device): user.name for device, user in held})

    def held_by(self, holder: Holder) -> tuple[Any, ...]:
        """Return the devices that ``holder`` may use now because it holds them."""
        with self._lock:
            return tuple(
                claim.device
                for claim in self._claims.values()
                if claim.holder is holder and claim.lent_to is None
            )

    def conflicts(self, holder: Holder, device: Any) -> list[Claim]:
        """Return the claims that keep ``holder`` from using ``device``."""
        chain = device_chain(device)
        with self._lock:
            return [
                claim for claim in self._overlapping(id(device), chain) if claim.keeps_out(holder)
            ]

    def overlap(self, one: Any, other: Any) -> bool:
        """Tell whether one of two devices is the other, or contains it."""
        return id(one) in device_chain(other) or id(other) in device_chain(one)

    def lends(self, holder: Holder, device: Any) -> bool:
        """Tell whether ``holder`` has lent ``device``, or a part of it, to somebody."""
        chain = device_chain(device)
        with self._lock:
            return any(
                claim.holder is holder and claim.lent_to is not None
                for claim in self._overlapping(id(device), chain)
            )

    def _overlapping(self, device_id: int, chain: tuple[int, ...]) -> Iterator[Claim]:
        for part in chain:
            yield from self._on.get(part, ())
        yield from self._below.get(device_id, ())

    # -- claiming -----------------------------------------------------------------------------

    def acquire(self, holder: Holder, devices: Iterable[Any]) -> None:
        """Claim all of the devices for ``holder``, or none.

        A device that it holds already is claimed once more, and then takes as many releases.

        Raises
        ------
        ResourceConflictError
            If somebody else holds one of them, or moves it at this moment.
        """
        wanted = [(device, device_chain(device)) for device in devices]
        with self._changing():
            for device, chain in wanted:
                self._admit(holder, device, chain)
            for device, chain in wanted:
                self._claim(holder, device, chain).count += 1

    def touch(self, holder: Holder, device: Any) -> None:
        """Claim a device for ``holder``, that is about to use it, unless it holds it already.

        Raises
        ------
        ResourceConflictError
            As for `acquire`.
        """
        claim = self._claims.get((id(device), id(holder)))
        if claim is not None and claim.lent_to is None:
            return
        chain = device_chain(device)
        with self._changing():
            self._admit(holder, device, chain)
            self._claim(holder, device, chain)

    def _admit(self, holder: Holder, device: Any, chain: tuple[int, ...]) -> None:
        for claim in self._overlapping(id(device), chain):
            if claim.keeps_out(holder):
                raise ResourceConflictError(device, claim.user, holder)
        for probe in self._in_use:
            for used, user in probe():
                if user is not holder and (id(used) in chain or id(device) in device_chain(used)):
                    raise ResourceConflictError(device, user, holder)

    def _claim(self, holder: Holder, device: Any, chain: tuple[int, ...]) -> Claim:
        key = id(device), id(holder)
        claim = self._claims.get(key)
        if claim is None:
            claim = self._claims[key] = Claim(device, holder, chain)
            self._on.setdefault(chain[0], []).append(claim)
            for part in chain[1:]:
                self._below.setdefault(part, []).append(claim)
        return claim

    # -- releasing ----------------------------------------------------------------------------

    def release(self, holder: Holder, devices: Iterable[Any]) -> tuple[Holder, ...]:
        """Take back one claim of ``holder`` on each of the devices.

        Returns
        -------
        tuple of Holder
            Those who had lent a device to it, and now have all of theirs back.

        Raises
        ------
        KeyError
            If it does not hold one of them; then none is released.
        """
        several = tuple(devices)
        with self._changing():
            claims = [self._claims.get((id(device), id(holder))) for device in several]
            held = [claim for claim in claims if claim is not None]
            if len(held) == len(several):
                for claim in held:
                    claim.count -= 1
                    if claim.count <= 0:
                        self._drop(claim)
                return self._return_loans(holder)
        missing = several[claims.index(None)]
        holds = ", ".join(map(device_name, self.held_by(holder))) or "nothing"
        raise KeyError(f"{holder.name!r} does not hold {device_name(missing)!r}; it holds: {holds}")

    def release_all(self, holder: Holder) -> tuple[Holder, ...]:
        """Take back all that ``holder`` holds; see `release` for the answer."""
        with self._changing():
            for claim in [c for c in self._claims.values() if c.holder is holder]:
                self._drop(claim)
            return self._return_loans(holder)

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
                claim
                for claim in self._claims.values()
                if claim.holder is lender and claim.lent_to is holder
            ]
            for claim in [c for c in self._claims.values() if c.holder is holder]:
                if claim.count == 0 and any(
                    claim.overlaps(loan.chain[0], loan.chain) for loan in loans
                ):
                    self._drop(claim)
            return lender in self._return_loans(holder)

    def _drop(self, claim: Claim) -> None:
        self._claims.pop((claim.chain[0], id(claim.holder)), None)
        for place, part in enumerate(claim.chain):
            index = self._below if place else self._on
            entries = index.get(part, [])
            if claim in entries:
                entries.remove(claim)
            if not entries:
                index.pop(part, None)

    def _return_loans(self, borrower: Holder) -> tuple[Holder, ...]:
        lenders: dict[int, Holder] = {}
        for loan in self._claims.values():
            if loan.lent_to is not borrower:
                continue
            lenders[id(loan.holder)] = loan.holder
            uses = self._overlapping(loan.chain[0], loan.chain)
            if not any(claim.holder is borrower for claim in uses):
                loan.lent_to = None
        return tuple(
            lender
            for lender in lenders.values()
            if not any(
                claim.holder is lender and claim.lent_to is not None
                for claim in self._claims.values()
            )
        )

    # -- lending ------------------------------------------------------------------------------

    def lend(self, lender: Holder, borrower: Holder, device: Any) -> None:
        """Have ``borrower`` use ``device`` until it releases it, then give it back to ``lender``.

        Meanwhile the lender may not use it, and neither may a third party.
        """
        chain = device_chain(device)
        with self._changing():
            for claim in list(self._overlapping(id(device), chain)):
                if claim.holder is lender:
                    claim.lent_to = borrower
            self._claim(borrower, device, chain)

    # -- by hand ------------------------------------------------------------------------------

    @contextmanager
    def hold(self, device: Any, holder: str = "manual move") -> Iterator[None]:
        """Hold a device by hand, for as long as the ``with`` block runs; from any thread.

        A plan that needs the device meanwhile gets a `ResourceConflictError` that names
        ``holder``.

        Parameters
        ----------
        device : device or iterable of devices
            What to hold.
        holder : str
            The name to show.

        Raises
        ------
        ResourceConflictError
            If a plan holds the device, or moves it at this moment.
        TypeError
            If it is no device.
        """
        devices = checked_devices(device)
        hand = HandHold(holder)
        self.acquire(hand, devices)
        try:
            yield
        finally:
            self.release_all(hand)

    # -- watching -----------------------------------------------------------------------------

    def add_in_use(self, probe: InUse) -> None:
        """Have a claim checked also against what ``probe`` tells.

        It is called with the ledger locked, so that nothing can begin between the answer and the
        claim: it must be quick, and take no lock.
        """
        with self._lock:
            self._in_use.append(probe)

    def on_occupied(self, callback: Callable[[bool], None]) -> None:
        """Have ``callback`` called when the first device is claimed, and when the last is free.

        It is called in the thread that claims, before the claim is granted, with the ledger
        locked: it must be quick, take no lock, and must not raise.
        """
        with self._lock:
            self._occupied_watchers.append(callback)
            callback(bool(self._claims))

    def on_change(self, callback: Callable[[Mapping[str, str]], None]) -> Callable[[], None]:
        """Have ``callback`` called with `by_name` after each change, in the thread that changes.

        Returns
        -------
        callable
            Ends it.
        """
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
            before = self._state()
            try:
                yield
            finally:
                changed = self._state() != before
                if bool(before) != bool(self._claims):
                    for occupied in self._occupied_watchers:
                        occupied(bool(self._claims))
        if changed:
            self._tell()

    def _state(self) -> list[tuple[int, int]]:
        return [(claim.chain[0], id(claim.user)) for claim in self._claims.values()]

    def _tell(self) -> None:
        for watcher in self._watchers:
            try:
                watcher(self.by_name())
            except Exception:
                _log.exception("A watcher of the claims raised.")
