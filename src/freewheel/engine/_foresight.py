"""What an engine's plans will do: previews that know the engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core import PlanCall, ResourceConflictError
from freewheel.core._devices import safe_name

from ._calls import drop_plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from freewheel.background import Background
    from freewheel.previews import Preview, Previewer, Times, TimesFile

    from ._bluesky import EngineCore
    from ._events import EngineEvents

__all__ = ["Foresight", "refuse_conflicts"]


#: What becomes of a task when a plan needs what it has, by its ``on_conflict``.
_WAYS: Final = {"cancel": "is cancelled: it ", "pause": "gives way: it "}


@final
class Foresight:
    """Previews of an engine: ``RE.preview``. From any thread; nothing waits for the engine.

    Parameters
    ----------
    core : EngineCore
        The engine.
    background : Background
        Its tasks.
    events : EngineEvents
        What it tells.
    """

    __slots__ = ("__weakref__", "_background", "_core", "_events", "_file", "_times")

    def __init__(self, core: EngineCore, background: Background, events: EngineEvents) -> None:
        self._core = core
        self._background = background
        self._events = events
        self._times: Times | None = None
        self._file: TimesFile | None = None

    def __call__(self, plan: Any, /, *args: Any, **kwargs: Any) -> Preview:
        """Say what a plan will do if this engine runs it.

        As `freewheel.preview`, with the engine's preprocessors and the commands that were
        registered, and with who has the devices that it needs at this moment.

        Parameters
        ----------
        plan : plan function, PlanCall, generator or iterable of Msg
            The plan. A generator is used up: give a function, or a `PlanCall`, for a plan that is
            to run.
        *args, **kwargs
            What a plan function is called with.

        Returns
        -------
        Preview
            What it will do.
        """
        return self._with_rivals(previewer_of(self._core, times=self._times)(plan, *args, **kwargs))

    def learn(self, path: str | Path | None = None) -> None:
        """Measure from now on how long devices take, for those that do not say it themselves.

        Of each command of each device, by name, the last times are remembered.

        Parameters
        ----------
        path : str or Path, optional
            A file to keep them in from one start to the next. It is read now, and written each
            time that a plan has ended; one that cannot be read is begun anew, with a warning in the
            log.
        """
        from freewheel.previews import Times, TimesFile

        times = self._times = self._times or Times()
        if path is not None:
            self._file = TimesFile(path, times)
            self._file.load()
            self._events.plan_ended.connect(self._plan_ended, unique=True)

        def took(device: Any, verb: str, seconds: float) -> None:
            times.note(safe_name(device), verb, seconds)

        self._core.household.took = self._core.statuses.took = took

    def _plan_ended(self, _: object) -> None:
        if self._file is not None:
            self._file.save_soon()

    def gently(self, plan: Any, /) -> Preview:
        """Say what a plan will do, as a call does, for somebody who types.

        The processor is left to others most of the time, and a plan is followed for two seconds
        at most.
        """
        foreseen = previewer_of(self._core, times=self._times, max_seconds=2.0, rests=True)(plan)
        return self._with_rivals(foreseen)

    def _with_rivals(self, foreseen: Preview) -> Preview:
        rivals = self._rivals(foreseen.claims)
        return replace(foreseen, rivals=rivals) if rivals else foreseen

    def _rivals(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        """Say who has something of what is needed, and whether he gives way."""
        ledger, roster = self._background.claims, self._background.roster
        ways = {life.task.name: life.on_conflict for life in roster.alive}
        held: dict[str, list[str]] = {}
        for name, device in claims.items():
            holder = ledger.get(device)
            if holder is not None:
                held.setdefault(holder, []).append(name)
        return tuple(
            f"{holder} {_WAYS.get(ways.get(holder, ''), '')}has {', '.join(names)}"
            for holder, names in held.items()
        )


def previewer_of(core: EngineCore, **limits: Any) -> Previewer:
    """Return what makes previews of an engine's plans."""
    from freewheel.previews import Previewer  # here: an engine starts without it

    household = core.household
    commands = [name for name, function in household.commands.items() if function is not None]
    return Previewer(
        preprocessors=tuple(household.preprocessors), commands=commands, loop=core.loop, **limits
    )


async def refuse_conflicts(core: EngineCore, name: str | None, payload: Any) -> None:
    """Refuse a task whose devices its plan will need itself, as far as that is known.

    It is known of a plan that was given as a `PlanCall`, which is previewed for it.

    Raises
    ------
    ResourceConflictError
        With the device, the plan and the task.
    """
    plan: Any = core.tasks.supervisor.plan
    recipe = getattr(getattr(plan, "life", None), "recipe", None)
    if recipe is None or not isinstance(recipe.call, PlanCall):
        return
    foreseen = await asyncio.to_thread(previewer_of(core), recipe.call)
    known = name or getattr(payload, "name", None) or getattr(payload, "__name__", "task")
    for task, pairs in foreseen.task_conflicts.items():
        if task == known:
            drop_plan(payload)
            raise ResourceConflictError(pairs[0].second, core.tasks.holder, known)
