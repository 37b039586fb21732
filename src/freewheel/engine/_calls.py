"""One call of the engine, from ``RE(plan)`` to its end, and the check of what was given."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Iterable, Mapping
from itertools import chain
from types import GeneratorType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bluesky.utils import Msg, normalize_subs_input

from freewheel.core import PlanCall, WaitingPlan

from ._bluesky import PlanStart, plan_name
from ._endings import ended
from ._futures import PlanFuture, Recipe
from ._outlook import Outlook

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from bluesky.run_engine import RunEngineResult

    from freewheel.core import EngineFuture, Progress
    from freewheel.core._circles import Party
    from freewheel.previews import Preview

__all__ = ["NO_SUBS", "Call", "ExhaustedPlanError", "Looks", "check_plan", "drop_plan", "start_of"]


class ExhaustedPlanError(ValueError, TypeError):
    """A generator that has run already was given as a plan."""


def check_plan(plan: Any) -> None:
    """Refuse what is no plan.

    Raises
    ------
    TypeError
        With what to write instead.
    ExhaustedPlanError
        For a generator that has run already.
    """
    if isinstance(plan, GeneratorType):
        if plan.gi_frame is None:
            raise ExhaustedPlanError(
                f"The plan {plan_name(plan)!r} has run already, and a generator runs once. Call "
                f"the plan function again: RE({plan_name(plan)}(...))."
            )
        return
    if isinstance(plan, (list, tuple)):  # of messages; or a message, which is a tuple
        return
    if callable(plan) and not isinstance(plan, Iterable):
        name = getattr(plan, "__name__", repr(plan))
        raise TypeError(
            f"{name!r} is a function, not a plan. Call it to make the plan: RE({name}(...))."
        )
    if isinstance(plan, (str, bytes, dict)) or not isinstance(plan, Iterable):
        if inspect.iscoroutine(plan):
            plan.close()
        raise TypeError(
            f"{plan!r} is no plan. Give the generator that a plan function returns, as in "
            "RE(count([detector])), or a list of messages."
        )


def _checked_messages(plan: Any) -> Any:
    """Look at the first item of what is to give messages, without losing it.

    Generators and their like are left alone: their first item is made by the plan itself, on the
    engine's thread.

    Returns
    -------
    object
        What gives all the messages.

    Raises
    ------
    TypeError
        If the first one is no message.
    """
    if isinstance(plan, (GeneratorType, Msg)) or hasattr(plan, "send"):
        return plan
    items = iter(plan)
    if hasattr(items, "send"):
        return items
    first = next(items, _NOTHING)
    if first is not _NOTHING and not isinstance(first, Msg):
        hint = "Give the messages of one plan."
        if hasattr(first, "send") or callable(first):
            hint = "For several plans write several calls, RE(a()); RE(b()), which run in turn."
        raise TypeError(
            f"The first item of {_short(plan)} is {_short(first)}, which is no Msg. {hint}"
        )
    if isinstance(plan, (list, tuple)):
        return plan
    return chain([] if first is _NOTHING else [first], items)


_NOTHING: Final = object()
#: No subscribers of a plan's documents alone.
NO_SUBS: Final[Mapping[str, Any]] = MappingProxyType({})


def _short(thing: object) -> str:
    text = repr(thing)
    return text if len(text) <= 80 else f"{text[:79]}…"


def start_of(plan: Any, subs: Any, metadata: dict[str, Any], name: str | None = None) -> PlanStart:
    """Return what a plan is started with, made and checked; raises what `check_plan` does."""
    made = plan
    if isinstance(plan, PlanCall):
        name, made = name or plan.name, plan.make()
    funcs = {} if subs is None else normalize_subs_input(subs)
    check_plan(made)
    return PlanStart(name or plan_name(made), made, funcs, metadata, _checked_messages(made))


def drop_plan(plan: Any) -> None:
    """End a plan that was made and will never run."""
    close = getattr(plan, "close", None)
    if close is not None:
        close()


class Looks(NamedTuple):
    """What an engine knows of whatever plan it runs; from any thread.

    Attributes
    ----------
    state : callable
        Returns the engine's state.
    progress : callable
        Returns how far the plan has come.
    """

    state: Callable[[], str]
    progress: Callable[[], Sequence[Progress]]


class Call:
    """A plan on its way through the engine.

    Its futures are settled on the loop's thread; the rest is guarded by the engine's lock.
    """

    # What is as usual at first is left to the class: whoever calls waits for what is made here.
    ends: tuple[EngineFuture[Any], ...] = ()  # of stop, abort and halt
    # Futures of a plan that was resumed before its pause had come: they end with that pause.
    resumed: tuple[PlanFuture, ...] = ()
    pauses: tuple[EngineFuture[None], ...] = ()
    rank: float = 0  # among those of its priority that wait; the lowest is next
    preempts = False  # whether the plan that runs is to be parked for it
    periodic = False  # whether it is started by the time, and not by a person
    restores = False  # and what that has moved is to be put back
    may_be_foreseen = False  # whether there is something that makes the plan anew
    _arguments = ""
    _outlook: Outlook | None = None
    _looks: Looks  # of the engine, from when it runs

    def __init__(
        self,
        start: PlanStart,
        thread: threading.Thread,
        recipe: Recipe | None = None,
        priority: float = 0,
        looks: Looks | None = None,
    ) -> None:
        self.start = start
        if looks is None:
            self.future = PlanFuture(start.name, thread)
        else:  # it runs at once
            self._looks = looks
            self.future = PlanFuture(start.name, thread, None, self)
        # Whoever calls: the plan runs with his context variables, however long it waits in the
        # queue, and with what he holds.
        self.context = contextvars.copy_context()
        self.priority = priority
        if recipe is not None:
            self._note(recipe)

    def _note(self, recipe: Recipe) -> None:
        self.future.life.recipe = recipe
        self.may_be_foreseen = True
        # Asked now, for devices tell their names by code of their own, which is not called with
        # the lock held: what a snapshot shows is asked for under it.
        self._arguments = recipe.call.arguments

    @classmethod
    def make(
        cls,
        plan: Any,
        subs: Any,
        metadata: dict[str, Any],
        thread: threading.Thread,
        *,
        name: str | None = None,
        priority: float = 0,
    ) -> Call:
        """Check what the caller gave, and make a call of it."""
        recipe = None
        if isinstance(plan, PlanCall):
            recipe = Recipe(plan, subs, metadata, name, priority)
        return cls(start_of(plan, subs, metadata, name), thread, recipe, priority)

    def change(self, recipe: Recipe, start: PlanStart) -> None:
        """Run another plan, of the same name or of another; while the call waits."""
        self.start = start
        self.future.plan_name = start.name
        self._note(recipe)
        self._outlook = Outlook(start.name)

    def foresee(self, foreseen: Preview) -> None:
        """Take what is known of the plan."""
        self.outlook.foreseen = foreseen

    @property
    def shown(self) -> WaitingPlan:
        """What a snapshot shows of it while it waits."""
        duration = None if self._outlook is None else self._outlook.duration
        return WaitingPlan(self.name, self._arguments, self.priority, duration)

    @property
    def outlook(self) -> Outlook:
        """How long the plan takes yet; from any thread."""
        if self._outlook is not None:
            return self._outlook
        # One step: two threads that come at once get the same.
        made: Outlook = vars(self).setdefault("_outlook", Outlook(self.name))
        return made

    def left(self) -> float | None:
        """Return how long the plan takes yet; from any thread."""
        return self.outlook.left

    @property
    def name(self) -> str:
        """The plan's name."""
        return self.future.plan_name

    def claim(self, looks: Looks) -> None:
        """Mark the call as the one that runs.

        Parameters
        ----------
        looks : Looks
            How it goes, as the engine knows it.
        """
        self._looks = looks
        self.future.start(self)

    def state(self) -> str:
        """Return the engine's state; from any thread, while it runs."""
        return self._looks.state()

    def progress(self) -> Sequence[Progress]:
        """Return how far the plan has come; likewise."""
        return self._looks.progress()

    def make_withdrawable(self, withdraw: Callable[[], bool]) -> None:
        """Mark the call as one that waits, and may be withdrawn."""
        self.future.make_withdrawable(withdraw)
        self.future.life.make_withdrawable(withdraw)

    def wait_for_turn(self, turn_of: Callable[[], str], behind: Callable[[], Party | None]) -> None:
        """Have the future say what the call waits for, and for whose end."""
        self.future.wait_for_turn(turn_of)
        self.future.life.wait_behind(behind)

    def cancel(self, why: str) -> None:
        """End the futures of a call that was withdrawn, and its plan, which never ran."""
        self.future.mark_cancelled(why)
        self.future.life.settle(why_cancelled=why)
        drop_plan(self.start.plan)

    def renew(self) -> PlanFuture:
        """Make the future of a resumed plan: a new one with the same outcome."""
        if not self.future.done():
            self.resumed += (self.future,)
        self.future = self.future.successor()
        return self.future

    def settle(
        self,
        result: RunEngineResult,
        error: BaseException | None,
        value: Any,
        *,
        halted: bool = False,
    ) -> None:
        """Tell everybody who waits that the plan has ended, and how.

        By then the engine has given the call up, so that nobody adds a future to it any more.

        Parameters
        ----------
        value : object
            What the call returns: the result, or the uids of its runs.
        halted : bool
            Whether a halt has ended it.
        """
        life, interruption = self.future.life, error
        self.future.end()
        if error is not None:
            life.settle(error=error)
        else:
            life.settle(result, halted=halted)
            if result.interrupted:
                interruption = ended(self.name, result, halted=halted)
        for future in (*self.resumed, self.future):
            future.settle(None if interruption else value, interruption)
        for end in self.ends:
            end.settle(value, error)
        for pause in self.pauses:
            pause.settle(None)
