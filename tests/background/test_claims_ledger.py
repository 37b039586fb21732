"""The ledger of claims alone: trees, all or nothing, lending, watching."""

from __future__ import annotations

import contextlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doubles import Device
from freewheel import ResourceConflictError
from freewheel.background import ClaimsLedger, HandHold, PlanHolder

A, B, C = PlanHolder("a"), PlanHolder("b"), HandHold("c")


def tree() -> tuple[Device, Device, Device, Device]:
    stage = Device("stage")
    x, y = Device("x", stage), Device("y", stage)
    return stage, x, y, Device("x-limit", x)


def test_a_claim_covers_the_children_of_its_device() -> None:
    stage, x, _, limit = tree()
    ledger = ClaimsLedger()
    ledger.acquire(A, [stage])
    for part in (stage, x, limit):
        with pytest.raises(ResourceConflictError) as refused:
            ledger.acquire(B, [part])
        assert (refused.value.device, refused.value.holder, refused.value.requester) == (part, A, B)
        assert ledger[part] == "a"
    ledger.touch(A, limit)


def test_a_claim_on_a_child_keeps_others_from_its_parents() -> None:
    stage, x, y, limit = tree()
    ledger = ClaimsLedger()
    ledger.acquire(A, [limit])
    for part in (stage, x, limit):
        with pytest.raises(ResourceConflictError):
            ledger.acquire(B, [part])
    ledger.acquire(B, [y])
    assert ledger.by_name() == {"x-limit": "a", "y": "b"}


def test_a_claim_on_several_gets_all_or_none() -> None:
    _, x, y, _ = tree()
    ledger = ClaimsLedger()
    ledger.acquire(A, [y])
    with pytest.raises(ResourceConflictError):
        ledger.acquire(B, [x, y])
    assert ledger.held_by(B) == ()
    assert x not in ledger


def test_releasing_takes_as_many_releases_as_claims() -> None:
    x = Device("x")
    ledger = ClaimsLedger()
    ledger.acquire(A, [x])
    ledger.acquire(A, [x])
    ledger.release(A, [x])
    assert ledger[x] == "a"
    ledger.release(A, [x])
    assert not ledger
    with pytest.raises(KeyError, match="does not hold 'x'; it holds: nothing"):
        ledger.release(A, [x])


def test_a_parent_that_is_a_method_is_no_device_tree() -> None:
    class QtLike:
        name = "widget"

        def parent(self) -> None: ...

        def set(self, value: object) -> None: ...

    ledger = ClaimsLedger()
    ledger.acquire(A, [QtLike()])
    ledger.acquire(B, [QtLike()])
    assert len(ledger) == 2


def test_lending_and_giving_back() -> None:
    stage, x, y, _ = tree()
    ledger = ClaimsLedger()
    ledger.acquire(A, [stage])
    ledger.lend(A, B, x)
    assert ledger.held_by(A) == ()
    assert ledger.lends(A, x)
    # Nobody else gets a part of it meanwhile, nor does the lender.
    for holder in (A, C):
        with pytest.raises(ResourceConflictError) as refused:
            ledger.acquire(holder, [y])
        assert refused.value.holder is B
    assert ledger.release_all(B) == (A,)
    assert ledger.held_by(A) == (stage,)


def test_what_was_borrowed_is_given_back_unless_it_was_claimed() -> None:
    _, x, _, _ = tree()
    ledger = ClaimsLedger()
    ledger.acquire(A, [x])
    ledger.lend(A, B, x)
    ledger.acquire(B, [x])
    assert not ledger.give_back(B, A)
    assert ledger.release(B, [x]) == (A,)
    ledger.lend(A, B, x)
    assert ledger.give_back(B, A)
    assert ledger[x] == "a"


def test_whoever_lent_last_gets_it_back_first() -> None:
    _, x, _, _ = tree()
    ledger, hand = ClaimsLedger(), HandHold("hand")
    plan, child = PlanHolder("plan"), PlanHolder("child of plan")
    ledger.acquire(A, [x])
    ledger.lend(A, plan, x)
    ledger.acquire(plan, [x])
    ledger.acquire(child, [x], plan)
    for holder in (plan, child):
        holder.rest(True)
    ledger.acquire(hand, [x])
    assert ledger.release(plan, [x]) == ()
    assert ledger.release_all(hand) == (child,)
    assert ledger.held_by(child) == (x,)
    assert ledger.lends(A, x)
    assert ledger.release_all(child) == (A,)


def test_what_a_plan_took_back_from_its_task_is_not_passed_by_it_to_an_earlier_lender() -> None:
    _, x, _, _ = tree()
    ledger = ClaimsLedger()
    plan, child = PlanHolder("plan"), PlanHolder("child of plan")
    ledger.acquire(A, [x])
    ledger.lend(A, plan, x)
    ledger.acquire(plan, [x])
    ledger.acquire(child, [x], plan)
    ledger.lend(child, plan, x)
    assert ledger.release(plan, [x]) == (child,)
    assert ledger.held_by(child) == (x,)
    assert ledger.release_all(child) == (A,)


def test_a_loan_to_a_hand_that_is_just_being_made_is_seen() -> None:
    _, x, _, _ = tree()
    ledger, hand, holder = ClaimsLedger(), HandHold("hand"), PlanHolder("plan")
    asked, go = threading.Event(), threading.Event()

    class Hands:
        def __contains__(self, who: object) -> bool:
            asked.set()
            return go.wait(10)

    ledger.acquire(holder, [x])
    holder.lends_to = Hands()
    taking = threading.Thread(target=ledger.acquire, args=(hand, [x]))
    taking.start()
    assert asked.wait(10)
    seen: list[object] = []
    looking = threading.Thread(target=lambda: seen.append(ledger.lent_to_hands(holder)))
    looking.start()
    looking.join(0.05)  # it has to wait for the hand
    go.set()
    looking.join(10)
    taking.join(10)
    assert seen == [((x, hand),)]


def test_hold_is_released_also_when_the_block_raises() -> None:
    x = Device("x")
    ledger = ClaimsLedger()
    holders = []
    with contextlib.suppress(ZeroDivisionError), ledger.hold(x, holder="by hand"):
        holders.append(ledger[x])
        raise ZeroDivisionError
    assert holders == ["by hand"]
    assert not ledger


def test_hold_refuses_what_is_no_device() -> None:
    ledger = ClaimsLedger()
    with pytest.raises(TypeError, match=r"'x' is none.*not its name"), ledger.hold("x"):
        pass
    with pytest.raises(TypeError, match="Pass an instance of Device"), ledger.hold(Device):
        pass


def test_watchers_hear_of_changes_alone() -> None:
    x = Device("x")
    ledger = ClaimsLedger()
    seen: list[dict[str, str]] = []
    disconnect = ledger.on_change(lambda held: seen.append(dict(held)))
    ledger.acquire(A, [x])
    ledger.acquire(A, [x])
    ledger.release(A, [x])
    ledger.release(A, [x])
    disconnect()
    ledger.acquire(A, [x])
    assert seen == [{"x": "a"}, {}]


def test_a_watcher_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ledger = ClaimsLedger()
    ledger.on_change(lambda held: 1 / 0)
    ledger.acquire(A, [Device("x")])
    assert "A watcher of the claims raised" in caplog.text
    assert len(ledger) == 1


def test_one_of_many_threads_gets_the_device() -> None:
    x, y = Device("x"), Device("y")
    ledger = ClaimsLedger()
    got: list[str] = []
    start = threading.Barrier(8)

    def reach(name: str, devices: list[Device]) -> None:
        start.wait(10)
        try:
            ledger.acquire(HandHold(name), devices)
            got.append(name)
        except ResourceConflictError:
            pass

    threads = [
        threading.Thread(target=reach, args=(str(n), [x, y] if n % 2 else [y, x])) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(got) == 1


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "touch", "release", "release_all", "lend"]),
        st.integers(0, 2),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(_STEPS)
def test_no_two_holders_ever_use_overlapping_devices(
    steps: list[tuple[str, int, int, int]],
) -> None:
    stage, x, y, limit = tree()
    devices = [stage, x, y, limit, Device("x2", x), Device("other")]
    holders = [A, B, C]
    ledger = ClaimsLedger()
    for what, who, one, other in steps:
        holder = holders[who]
        try:
            if what == "acquire":
                ledger.acquire(holder, [devices[one], devices[other]])
            elif what == "touch":
                ledger.touch(holder, devices[one])
            elif what == "release":
                ledger.release(holder, [devices[one]])
            elif what == "release_all":
                ledger.release_all(holder)
            elif devices[one] in ledger.held_by(holder):
                borrower = holders[(who + 1) % 3]
                if all(c.holder is holder for c in ledger.conflicts(borrower, devices[one])):
                    ledger.lend(holder, borrower, devices[one])
        except (ResourceConflictError, KeyError):
            pass
        used = [(device, h) for h in holders for device in ledger.held_by(h)]
        for device, mine in used:
            for another, theirs in used:
                assert mine is theirs or not ledger.overlap(device, another)
    for holder in holders:
        ledger.release_all(holder)
    assert not ledger
    assert not ledger._book._below
    assert not ledger._book.on
