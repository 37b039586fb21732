"""What an engine's plans will do: previews that know the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, final

from freewheel.core import PlanCall, ResourceConflictError
from freewheel.core._devices import safe_name

from ._calls import drop_plan
from ._look_ahead import LookAhead

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from freewheel.previews import Preview, Previewer, Times, TimesFile

    from ._bluesky import EngineCore
    from ._circumstances import Circumstances
    from ._events import EngineEvents
    from ._foreseen import Foreseen

__all__ = ["Foresight", "refuse_conflicts"]


@final
class Foresight:
    """Previews of an engine: ``RE.preview``. From any thread; nothing waits for the engine.

    Parameters
    ----------
    core : EngineCore
        The engine.
    around : Circumstances
        What plans meet there.
    events : EngineEvents
        What it tells.
    foreseen : Foreseen
        Where previews are kept for plans that wait and run.
    """

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_around",
        "_core",
        "_events",
        "_file",
        "_foreseen",
        "_times",
    )

    def __init__(
        self, core: EngineCore, around: Circumstances, events: EngineEvents, foreseen: Foreseen
    ) -> None:
        self._core = core
        self._foreseen = foreseen
        self._ahead = LookAhead(self.gently)
        self._around = around
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
        made = previewer_of(self._core, times=self._times)(plan, *args, **kwargs)
        if isinstance(plan, PlanCall):
            self._foreseen.note(plan, made)
        elif callable(plan) and not isinstance(plan, Iterable):
            self._foreseen.note(PlanCall(plan, args, kwargs), made)
        return self._around.added_to(made)

    @property
    def looks_ahead(self) -> bool:
        """Whether each `PlanCall` is previewed as it is submitted; not unless it is set.

        The time that is left of it, and when those behind it will start, are known then. It is
        previewed once, on a thread of its own, and **its function is called once more for that**:
        what its Python code does beside its messages is done twice.
        """
        return self._foreseen.wanted is not None

    @looks_ahead.setter
    def looks_ahead(self, value: bool) -> None:
        self._foreseen.wanted = self._ahead.put if value else None

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

    def gently(self, plan: Any, /, given_up: Callable[[], bool] = lambda: False) -> Preview:
        """Say what a plan will do, as a call does, for somebody who types.

        The processor is left to others most of the time, and a plan is followed for two seconds
        at most; only until it is ``given_up``, and what is returned then is worth nothing.
        """
        limits: Any = {"max_seconds": 2.0, "rests": True, "given_up": given_up}
        foreseen = previewer_of(self._core, times=self._times, **limits)(plan)
        if isinstance(plan, PlanCall) and not given_up():
            self._foreseen.note(plan, foreseen)
        return self._around.added_to(foreseen)


def previewer_of(core: EngineCore, **limits: Any) -> Previewer:
    """Return what makes previews of an engine's plans."""
    from freewheel.previews import Previewer  # here: an engine starts without it

    household = core.household
    commands = [name for name, function in household.commands.items() if function is not None]
    return Previewer(
        preprocessors=tuple(household.preprocessors),
        commands=commands,
        recorders=household.documents.folders(),
        loop=core.loop,
        **limits,
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
