"""A property-based state machine over tasks, claims and control, in any order.

``FREEWHEEL_EXAMPLES`` and ``FREEWHEEL_STEPS`` set how much is tried, as for the engine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
import warnings
from collections import Counter
from concurrent.futures import CancelledError
from typing import Any

from bluesky.run_engine import RunEngineInterrupted, TransitionError
from bluesky.suspenders import SuspendBoolHigh
from bluesky.utils import Msg
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from ophyd import Signal

from doubles import USES, Account, AccountedDevice, User
from freewheel import ResourceConflictError, RunEngine, TaskContext
from freewheel.background import BackgroundWarning
from freewheel.plan_stubs import (
    background,
    cancel_background,
    checkpoint,
    claim,
    release,
    sleep,
    trigger,
)

DEVICES = st.integers(0, 3)
CONFLICTS = st.sampled_from(["cancel", "pause", "error"])
KIND = st.sampled_from(["plan", "coroutine", "function"])
USE = st.sampled_from(sorted(USES))
KINDS = st.lists(KIND, max_size=3)


class BackgroundMachine(RuleBasedStateMachine):
    """Whatever is done in whatever order: all that began has ended in the end, once.

    And at no moment has anybody moved, staged or triggered a device inside another one's hold: the
    devices keep an account of it, which asks the engine for nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.engine = RunEngine()
        self.engine.background.grace = 5.0
        self.account = Account()
        self.devices = [AccountedDevice(f"d{n}", self.account) for n in range(4)]
        self.starts: list[str] = []
        self.stops: Counter[str] = Counter()
        self.engine.subscribe(self.count)
        self.holds = contextlib.ExitStack()
        self.hands: list[User] = []  # that hold now
        self.futures: list[Any] = []
        self.numbers = itertools.count()
        self.beam = Signal(name="beam", value=0)
        self.engine.install_suspender(SuspendBoolHigh(self.beam))

    def count(self, name: str, doc: Any) -> None:
        if name == "start":
            self.starts.append(doc["uid"])
        elif name == "stop":
            self.stops[doc["run_start"]] += 1

    def user(self, kind: str, **kwargs: Any) -> User:
        return User(kind, f"{kind} {next(self.numbers)}", lenders=self.hands, **kwargs)

    def payload(self, kind: str, user: User, device: int, use: str = "staging") -> Any:
        """Return what uses a device, or claims it and does nothing, until it is ended."""
        account, used = self.account, self.devices[device]

        async def coroutine() -> None:
            with account.claims(user):
                for _ in itertools.count():
                    await asyncio.sleep(0.001)

        def function(context: TaskContext) -> None:
            # What it claims is noted by who starts it: it is paused while it runs, until it rests.
            try:
                while context.rest_while_paused():
                    context.cancel_event.wait(0.001)
            finally:
                account.ended(user)

        return {
            "plan": lambda: account.follow(user, USES[use](used, None)),
            "coroutine": lambda: coroutine,
            "function": lambda: function,
        }[kind]()

    # -- plans and tasks ----------------------------------------------------------------------

    def run(self, user: User, plan: Any) -> None:
        if self.engine.state != "idle":
            return
        future = self.engine(self.account.follow(user, plan))
        self.futures += [future, future.outcome]

    @rule(kinds=KINDS, device=DEVICES, conflict=CONFLICTS, detach=st.booleans())
    def run_parent(self, kinds: list[str], device: int, conflict: Any, detach: bool) -> None:
        user = self.user("plan")

        def plan() -> Any:
            for kind in kinds:
                task = User(
                    "task", kind, gives_way=conflict == "pause", parent=user, lenders=user.lenders
                )
                yield from background(
                    self.payload(kind, task, device), on_conflict=conflict, detach=detach
                )
                yield from sleep(0)
            while True:
                yield from checkpoint()
                yield from sleep(0.001)

        self.run(user, plan())

    @rule(kind=KIND, use=USE, device=DEVICES, conflict=CONFLICTS, back=st.booleans())
    def run_lender(self, kind: str, use: str, device: int, conflict: Any, back: bool) -> None:
        user, lent = self.user("plan"), self.devices[device]

        def plan() -> Any:
            yield from checkpoint()
            yield from claim(lent)
            task = User(
                "task",
                kind,
                gives_way=conflict == "pause",
                parent=user,
                lenders=user.lenders,
                claims=[lent],
            )
            handle = yield from background(
                self.payload(kind, task, device, use), claims=lent, on_conflict=conflict
            )
            self.account.began(task, handle)
            yield from checkpoint()
            yield from sleep(0.002)
            if back:
                yield from trigger(lent, wait=True)
            yield from sleep(0.002)
            yield from release(lent)
            yield from sleep(0.002)
            yield from cancel_background(handle.name)

        self.run(user, plan())

    @rule(use=USE, device=DEVICES)
    def run_one(self, use: str, device: int) -> None:
        self.run(self.user("plan"), USES[use](self.devices[device]))

    @rule(device=DEVICES)
    def run_snapshot(self, device: int) -> None:
        used, user = self.devices[device], self.user("plan")

        def plan() -> Any:
            yield from checkpoint()
            yield from claim(used)
            yield Msg("stage", used)
            yield from trigger(used, wait=True)
            yield Msg("unstage", used)
            yield from release(used)

        if self.engine.state != "idle":
            return
        self.beam.put(0)  # else it would be waited for
        error = self.engine(self.account.follow(user, plan())).exception(20)
        assert error is None or isinstance(error, ResourceConflictError), error

    @rule(
        kind=KIND,
        use=USE,
        device=DEVICES,
        conflict=CONFLICTS,
        declared=st.booleans(),
        suspendable=st.booleans(),
    )
    def launch(
        self, kind: str, use: str, device: int, conflict: Any, declared: bool, suspendable: bool
    ) -> None:
        claims = [self.devices[device]] if declared or kind != "plan" else []
        user = self.user("task", gives_way=conflict == "pause", claims=claims)
        payload = self.payload(kind, user, device, use)
        with contextlib.suppress(ResourceConflictError):
            task = self.engine.background.launch(
                payload, claims=claims, on_conflict=conflict, suspendable=suspendable
            )
            self.account.began(user, task)
            self.futures.append(task.future)

    # -- what is asked of them ----------------------------------------------------------------

    @rule(action=st.sampled_from(["cancel", "pause", "resume"]), which=st.integers(0, 5))
    def tell_a_task(self, action: str, which: int) -> None:
        running = self.engine.background.running
        if running:
            getattr(running[which % len(running)], action)()

    @rule(how=st.sampled_from(["request_pause", "stop", "abort", "halt"]))
    def control(self, how: str) -> None:
        with contextlib.suppress(TransitionError):
            getattr(self.engine, how)().exception(20)

    @rule()
    def resume(self) -> None:
        with contextlib.suppress(TransitionError):
            self.engine.resume()

    @rule()
    def stop_all(self) -> None:
        assert self.engine.stop_all("by the machine").exception(20) is None
        assert self.engine.background.running == ()
        assert self.engine.state == "idle"
        assert not any(device.moves for device in self.devices)

    @rule(tripped=st.booleans())
    def beam_fails_or_comes_back(self, tripped: bool) -> None:
        self.beam.put(int(tripped))

    @rule()
    def wait_a_moment(self) -> None:
        time.sleep(0.002)

    # -- people -------------------------------------------------------------------------------

    @rule(device=DEVICES)
    def hold(self, device: int) -> None:
        held = self.devices[device]
        with contextlib.suppress(ResourceConflictError):
            self.holds.enter_context(self.engine.claims.hold(held))
            user = self.user("hand")
            self.account.begin(user, held, "by hand")
            self.holds.callback(self.account.end, user, held, "by hand")
            self.hands.append(user)

    @rule()
    def let_go(self) -> None:
        self.holds.close()
        self.hands = []

    @rule(device=DEVICES, seconds=st.sampled_from([0, 0.0005, 0.003]))
    def move_by_hand(self, device: int, seconds: float) -> None:
        with contextlib.suppress(ResourceConflictError):
            self.futures.append(
                self.engine.by_hand.set(self.devices[device], (self.user("hand"), seconds))
            )

    # -- what must hold -----------------------------------------------------------------------

    @invariant()
    def nobody_is_inside_of_anothers_hold(self) -> None:
        assert not self.account.violations, "\n".join(self.account.violations)

    def teardown(self) -> None:
        engine = self.engine
        try:
            self.let_go()
            self.beam.put(0)
            self.control("abort")
            for task in engine.background.running:
                task.cancel()
                task.exception(20)
            for future in self.futures:
                with contextlib.suppress(CancelledError, RunEngineInterrupted):
                    error = future.exception(20)
                    assert error is None or isinstance(
                        error, (ResourceConflictError, RunEngineInterrupted)
                    ), repr(error)
            self.nobody_is_inside_of_anothers_hold()
            assert engine.state == "idle"
            assert engine.background.running == ()
            assert not engine.claims
            assert not any(device.moves for device in self.devices)
            assert [device.staged for device in self.devices] == [0] * 4
            assert self.stops == Counter(self.starts)
            assert set(self.stops.values()) <= {1}
        finally:
            engine.clear_suspenders()
            engine.close()
            assert engine.loop.is_closed()


class Machine(BackgroundMachine):
    """The same, without the warnings that name who was cancelled."""

    def __init__(self) -> None:
        warnings.simplefilter("ignore", BackgroundWarning)
        super().__init__()


TestBackgroundMachine = Machine.TestCase
TestBackgroundMachine.settings = settings(
    max_examples=max(1, int(os.environ.get("FREEWHEEL_EXAMPLES", "200")) // 8),
    stateful_step_count=int(os.environ.get("FREEWHEEL_STEPS", "20")),
    deadline=None,
    phases=(Phase.generate,),  # threads differ at each replay: to shrink is to chase shadows
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
