"""A plan's rest: what a pause does to devices, monitors and runs, and how it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from bluesky.bundlers import maybe_await
from bluesky.protocols import Locatable
from bluesky.run_engine import FailedPause
from bluesky.utils import Msg, get_hinted_fields, single_gen

from freewheel.core import EngineState
from freewheel.core._devices import safe_name
from freewheel.core._groups import fresh_group

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ._core import EngineCore
    from ._plan_run import PlanRun

__all__ = ["Rest"]

_NOWHERE: Final = object()


@final
class Rest:
    """Brings one plan to rest and has it go on. All of it on the engine's loop."""

    __slots__ = ("_core", "_monitors_rest", "_plan")

    def __init__(self, core: EngineCore, plan: PlanRun) -> None:
        self._core = core
        self._plan = plan
        self._monitors_rest = False

    async def come(self) -> None:
        """Bring everything to rest and wait until the plan is resumed or is to end."""
        with self._plan.resting():
            await self._come()

    async def _come(self) -> None:
        core, plan, states = self._core, self._plan, self._core.states
        if core.tasks.any_alive:
            with core.at("bring its background tasks to rest"):
                await core.tasks.pause_all()
        if plan.replay.possible:
            await self._quieten("pause")
        elif self.fail("paused"):
            return
        wake = plan.rest()
        with states.lock:
            at_rest = states.now is EngineState.PAUSING
            goes_on = states.goes_on
            if at_rest:
                core.tasks.rest(True)  # whoever sees the state may use what is lent then
                states.change_locked(EngineState.PAUSED)
            if goes_on:
                states.change_locked(EngineState.RUNNING)
        if goes_on:
            plan.end_rest(resumed=True)
        if at_rest:
            states.announce()
            core.owner.plan_paused()
        # Not at rest: the plan's end was requested meanwhile. This thread has heard of it, or will.
        if plan.asked.exit is None and await wake:
            await self._go_on()
        if states.now is EngineState.RUNNING:
            core.tasks.resume_all()

    async def park(self) -> None:
        """Bring everything to rest, and let another plan run in this one's place."""
        with self._plan.resting():
            await self._park()

    async def _park(self) -> None:
        core, plan = self._core, self._plan
        parked = False
        try:
            if core.tasks.any_alive:
                with core.at("bring its background tasks to rest"):
                    await core.tasks.pause_all(spare_exempt=True)
            await self._quieten("parked")
            restores = core.owner.restores
            places = await self._places() if restores else []
            wake = plan.rest()
            parked = core.owner.park(restores=restores)
        finally:
            if not parked:  # a request came first, or nobody is to run any more
                core.tasks.resume_all()
        if not parked:
            plan.end_rest(resumed=True)
            places = []
        if await wake:
            await self._go_on(places)
        if core.states.now is EngineState.RUNNING:
            core.tasks.resume_all()

    async def _quieten(self, why: str) -> None:
        """Bring to rest what is the plan's: monitors, motors, and devices that can be paused."""
        core = self._core
        for run in core.runs.values():
            run.record_interruption(why)
        if not self._monitors_rest:  # they do if a pause has cut short a parking
            self._monitors_rest = True
            for run in core.runs.values():
                await run.suspend_monitors()
        await core.stop_moved()
        await core.devices.pause(core.take_checkpoint)

    async def _places(self) -> list[tuple[Any, Any]]:
        """Return where the devices are that the plan has moved, in the order of its last moves."""
        places = []
        for device in self._core.statuses.last_moves:
            try:
                with self._core.at(f"ask {safe_name(device)} where it is"):
                    place = await _place_of(device)
            except Exception as error:
                self._core.log.warning(
                    "%r does not say where it is, and is not put back there for the plan %r: %r",
                    safe_name(device),
                    self._plan.name,
                    error,
                )
            else:
                if place is not _NOWHERE:
                    places.append((device, place))
        return places

    async def _go_on(self, places: Sequence[tuple[Any, Any]] = ()) -> None:
        core, plan = self._core, self._plan
        core.tasks.rest(False)
        with core.at("have back what is held by hand"):
            await core.tasks.until_back()
        plan.interrupted = False
        for run in core.runs.values():
            run.record_interruption("resume")
        plan.stack.push(core.rewind())
        if places:
            plan.stack.push(_put_back(places))
        # Above it: nothing is repeated, and so moved, until what has suspended the plan is over.
        self.begin_suspensions()
        await core.devices.take_back()
        await core.devices.resume()

    async def restore_monitors(self) -> None:
        """Have the monitors go on: the plan does, or its pause was given up half-way."""
        if self._monitors_rest:
            self._monitors_rest = False
            for run in self._core.runs.values():
                await run.restore_monitors()

    def suspend(self) -> None:
        """Begin what suspenders have asked for."""
        if not self._plan.replay.possible and self.fail("suspended"):
            return
        self.begin_suspensions()

    def begin_suspensions(self) -> None:
        """Have the messages of the suspensions come next; the plan's tasks are suspended too."""
        states = self._core.states
        with states.lock:
            if states.now is EngineState.SUSPENDING:
                states.change_locked(EngineState.RUNNING)
        states.announce()
        suspensions = self._plan.asked.suspensions
        while suspensions:
            suspension = suspensions.pop(0)
            self._core.tasks.suspend_all(suspension.until, suspension.justification)
            self._plan.stack.push(single_gen(Msg("_start_suspender", None, *suspension)))

    def fail(self, what: str) -> bool:
        """Abort: a plan that has cleared its checkpoint can be neither paused nor suspended.

        Returns
        -------
        bool
            False if an end was requested meanwhile, which then comes.
        """
        plan, states = self._plan, self._core.states
        with states.lock:
            if states.now not in (EngineState.PAUSING, EngineState.SUSPENDING):
                return False
            states.change_locked(EngineState.ABORTING)
            plan.asked.exit = FailedPause
            plan.reason = f"it was to be {what}, and has cleared its checkpoint"
            plan.interrupted = True
        states.announce()
        self._core.log.error(
            "The plan %r cannot be %s: it has cleared its checkpoint. It is aborted.",
            plan.name,
            what,
        )
        return True

    def give_up(self) -> None:
        """Run on: a device that failed to pause or to resume is the plan's failure."""
        states = self._core.states
        with states.lock:
            if states.now in (EngineState.PAUSING, EngineState.PAUSED):
                self._plan.interrupted = False
                states.change_locked(EngineState.RUNNING)
        states.announce()


async def _place_of(device: Any) -> Any:
    if isinstance(device, Locatable):
        location: Any = await maybe_await(device.locate())
        return location["setpoint"]
    if hasattr(device, "position"):
        return device.position
    reading = await maybe_await(device.read())
    fields = get_hinted_fields(device)
    fields = fields if len(fields) == 1 else list(reading)
    if not fields:
        return _NOWHERE  # it counts, or starts something
    if len(fields) > 1:
        raise ValueError(f"it has {len(fields)} values, and no position")
    return reading[fields[0]]["value"]


def _put_back(places: Sequence[tuple[Any, Any]]) -> Generator[Msg, Any, None]:
    """Move devices back, one after the other: a plan that does not succeed fails."""
    for device, place in places:
        group = fresh_group("put back")
        yield Msg("set", device, place, group=group)
        yield Msg("wait", None, group=group)
