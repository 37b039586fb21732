"""A property-based state machine over tasks, claims and control, in any order.

``FREEWHEEL_EXAMPLES`` and ``FREEWHEEL_STEPS`` set how much is tried, as for the engine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import warnings
from collections import Counter
from typing import Any

from bluesky.run_engine import TransitionError
from bluesky.utils import Msg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from doubles import Device
from freewheel import ResourceConflictError, RunEngine, TaskContext
from freewheel.background import BackgroundWarning
from freewheel.plan_stubs import background, checkpoint, claim, release, sleep, trigger

DEVICES = st.integers(0, 3)
CONFLICTS = st.sampled_from(["cancel", "pause", "error"])
KIND = st.sampled_from(["plan", "coroutine", "function"])
KINDS = st.lists(KIND, max_size=3)


def using(device: Device) -> Any:
    """Stage a device, take a run with it until ended, clean up."""
    yield Msg("stage", device)
    yield Msg("open_run")
    try:
        while True:
            yield from checkpoint()
            yield from trigger(device, wait=True)
            yield from sleep(0)
    finally:
        yield Msg("close_run")
        yield Msg("unstage", device)


async def coroutine() -> None:
    """Turn the loop's wheel until cancelled."""
    for _ in itertools.count():
        await asyncio.sleep(0.001)


def function(context: TaskContext) -> None:
    """Rest and end as it is told."""
    while context.rest_while_paused():
        context.cancel_event.wait(0.001)


class BackgroundMachine(RuleBasedStateMachine):
    """Whatever is done in whatever order: all that began has ended in the end, once."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = RunEngine()
        self.engine.background.grace = 5.0
        self.devices = [Device(f"d{n}") for n in range(4)]
        self.starts: list[str] = []
        self.stops: Counter[str] = Counter()
        self.engine.subscribe(self.count)
        self.holds = contextlib.ExitStack()

    def count(self, name: str, doc: Any) -> None:
        if name == "start":
            self.starts.append(doc["uid"])
        elif name == "stop":
            self.stops[doc["run_start"]] += 1

    def payload(self, kind: str, device: int) -> Any:
        return {
            "plan": lambda: using(self.devices[device]),
            "coroutine": lambda: coroutine,
            "function": lambda: function,
        }[kind]()

    @precondition(lambda self: self.engine.state == "idle")
    @rule(kinds=KINDS, device=DEVICES, conflict=CONFLICTS, detach=st.booleans())
    def run_parent(self, kinds: list[str], device: int, conflict: Any, detach: bool) -> None:
        def plan() -> Any:
            for kind in kinds:
                yield from background(
                    self.payload(kind, device), on_conflict=conflict, detach=detach
                )
                yield from sleep(0)
            while True:
                yield from checkpoint()
                yield from sleep(0.001)

        self.engine(plan())

    @precondition(lambda self: self.engine.state == "idle")
    @rule(device=DEVICES)
    def run_snapshot(self, device: int) -> None:
        def plan() -> Any:
            yield from checkpoint()
            yield from claim(self.devices[device])
            yield Msg("stage", self.devices[device])
            yield from trigger(self.devices[device], wait=True)
            yield Msg("unstage", self.devices[device])
            yield from release(self.devices[device])

        error = self.engine(plan()).exception(20)
        assert error is None or isinstance(error, ResourceConflictError), error

    @rule(
        kind=st.sampled_from(["plan", "coroutine", "function"]), device=DEVICES, conflict=CONFLICTS
    )
    def launch(self, kind: str, device: int, conflict: Any) -> None:
        with contextlib.suppress(ResourceConflictError):
            self.engine.background.launch(
                self.payload(kind, device), claims=self.devices[device], on_conflict=conflict
            )

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

    @rule(device=DEVICES)
    def hold(self, device: int) -> None:
        with contextlib.suppress(ResourceConflictError):
            self.holds.enter_context(self.engine.claims.hold(self.devices[device]))

    @rule()
    def let_go(self) -> None:
        self.holds.close()

    def teardown(self) -> None:
        engine = self.engine
        try:
            self.holds.close()
            self.control("abort")
            for task in engine.background.running:
                task.cancel()
                task.exception(20)
            assert engine.state == "idle"
            assert engine.background.running == ()
            assert not engine.claims
            assert [device.staged for device in self.devices] == [0] * 4
            assert self.stops == Counter(self.starts)
            assert set(self.stops.values()) <= {1}
        finally:
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
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
