"""The claims that there are, by device and by holder: what the ledger keeps under its lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from freewheel.core._devices import claimed_with, device_chain

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from ._holders import Holder

__all__ = ["BORROWED", "USED", "Claim", "ClaimBook", "Parts", "parts_of"]

#: Why a device is held that was taken from a task, and goes back to it at a release.
BORROWED: Final = "borrowed"
#: Why a device is held that was used, by somebody who holds what he uses until he has ended.
USED: Final = "used"


@final
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
        How often it was claimed on purpose.
    uses : set
        Why it is held beside that: because it is staged, moves, was touched in an open run, …
    lent_to : Holder or None
        Who uses it meanwhile.
    via : object or None
        The device for the sake of which it is held, if that is another one.
    """

    __slots__ = ("chain", "count", "device", "holder", "lent_to", "uses", "via")

    def __init__(self, device: Any, holder: Holder, chain: tuple[int, ...]) -> None:
        self.device = device
        self.holder = holder
        self.chain = chain
        self.count = 0
        self.uses: set[Hashable] = set()
        self.lent_to: Holder | None = None
        self.via: Any = None

    @property
    def user(self) -> Holder:
        """Who may use the device now."""
        return self.lent_to or self.holder

    @property
    def over(self) -> bool:
        """Whether there is no reason left to hold it."""
        return self.count <= 0 and not self.uses

    def keeps_out(self, who: Holder) -> bool:
        """Tell whether ``who`` may not use the device now."""
        return self.user is not who and who not in self.user.lends_to

    def with_what(self, chain: tuple[int, ...]) -> Any:
        """Return what a device is held with, given its chain; `None` if it is held itself."""
        if self.via is not None or self.overlaps(chain[0], chain):
            return self.via
        return self.device

    def overlaps(self, device_id: int, chain: tuple[int, ...]) -> bool:
        """Tell whether the claim covers the device, or something below it."""
        return self.chain[0] in chain or device_id in self.chain


Parts: TypeAlias = "Sequence[tuple[Any, tuple[int, ...]]]"


def parts_of(device: Any) -> Parts:
    """Return what a claim on a device is a claim on, each with the ids of what contains it.

    Asked before the lock is taken, for devices may answer with code of their own.
    """
    return [(part, device_chain(part)) for part in claimed_with(device)]


@final
class ClaimBook:
    """All claims of a ledger, which locks it.

    Attributes
    ----------
    claims : dict
        By the ids of device and holder.
    on : dict
        Those on a device itself, by its id.
    loans : dict
        Those that are lent, by their own ids.
    changed : bool
        Whether anything has changed since this was last put down.
    """

    __slots__ = ("_below", "changed", "claims", "loans", "on")

    def __init__(self) -> None:
        self.claims: dict[tuple[int, int], Claim] = {}
        self.on: dict[int, list[Claim]] = {}
        self._below: dict[int, list[Claim]] = {}  # under each true ancestor of the device
        self.loans: dict[int, Claim] = {}
        self.changed = False

    def overlapping(self, device_id: int, chain: tuple[int, ...]) -> Iterator[Claim]:
        """Return the claims on a device, on what contains it, and on what is below it."""
        for part in chain:
            yield from self.on.get(part, ())
        yield from self._below.get(device_id, ())

    def lent_on(self, claim: Claim, who: Holder) -> bool:
        """Tell whether whoever was lent a device has lent it on to ``who``, or to who did."""
        user, passed = claim.lent_to, {claim.holder}
        while user is not None and user not in passed:
            passed.add(user)
            user = next(
                (
                    other.lent_to
                    for other in self.overlapping(claim.chain[0], claim.chain)
                    if other.holder is user
                ),
                None,
            )
            if user is who:
                return True
        return False

    def put(self, holder: Holder, parts: Parts) -> list[Claim]:
        """Return the claims of ``holder`` on the parts, made where there are none."""
        return [self._put_one(holder, part, chain, parts[0][0]) for part, chain in parts]

    def _put_one(self, holder: Holder, device: Any, chain: tuple[int, ...], via: Any) -> Claim:
        key = id(device), id(holder)
        claim = self.claims.get(key)
        if claim is None:
            claim = self.claims[key] = Claim(device, holder, chain)
            claim.via = via
            self.on.setdefault(chain[0], []).append(claim)
            for part in chain[1:]:
                self._below.setdefault(part, []).append(claim)
            self.changed = True
        if device is via:
            claim.via = None
        return claim

    def of(self, holder: Holder, parts: Parts) -> list[Claim]:
        """Return the claims of ``holder`` on the parts that there are."""
        claims = [self.claims.get((id(part), id(holder))) for part, _ in parts]
        return [claim for claim in claims if claim is not None]

    def end_uses(self, claim: Claim, uses: set[Any]) -> None:
        """End reasons for which a device is held; with the last one the claim."""
        claim.uses -= uses
        if claim.over:
            self.drop(claim)

    def of_holder(self, holder: Holder) -> list[Claim]:
        """Return all claims of ``holder``."""
        return [claim for claim in self.claims.values() if claim.holder is holder]

    def drop(self, claim: Claim) -> None:
        """End a claim."""
        self.claims.pop((claim.chain[0], id(claim.holder)), None)
        self.loans.pop(id(claim), None)
        for place, part in enumerate(claim.chain):
            index = self._below if place else self.on
            entries = index.get(part, [])
            if claim in entries:
                entries.remove(claim)
            if not entries:
                index.pop(part, None)
        self.changed = True

    def return_loans(self, borrower: Holder) -> tuple[Holder, ...]:
        """Give back what ``borrower`` does not use any more.

        Returns
        -------
        tuple of Holder
            Those who have all of theirs back.
        """
        lenders: dict[int, Holder] = {}
        # The latest first: who lent to him last gets it back, and those before him wait for that.
        for loan in [loan for loan in reversed(self.loans.values()) if loan.lent_to is borrower]:
            lenders[id(loan.holder)] = loan.holder
            claims = list(self.overlapping(loan.chain[0], loan.chain))
            if any(claim.holder is borrower for claim in claims):
                continue
            # The borrower may have lent it on, and that outlasts him: then it is not back yet.
            users = (
                claim.holder
                for claim in claims
                if claim.holder is not loan.holder and claim.lent_to is None
            )
            loan.lent_to = next(users, None)
            if loan.lent_to is None:
                del self.loans[id(loan)]
            self.changed = True
        lending = {id(loan.holder) for loan in self.loans.values()}
        return tuple(lender for key, lender in lenders.items() if key not in lending)

    def lend(self, claim: Claim, borrower: Holder) -> None:
        """Have ``borrower`` use what is claimed."""
        claim.lent_to = borrower
        self.loans[id(claim)] = claim
        self.changed = True
