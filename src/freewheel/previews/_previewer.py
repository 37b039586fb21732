"""Previews of plans: what users call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, final

from bluesky.utils import Msg

from freewheel.core import PlanCall

from ._budget import Budget
from ._clock import Clock
from ._disks import with_disks
from ._journey import Journey
from ._learned import Times
from ._look import Looker
from ._preview import Preview, Problem
from ._surroundings import plans_see

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Sequence

__all__ = ["Previewer", "preview"]

#: What a preview follows at most.
MAX_MESSAGES: Final = 10_000_000
MAX_SECONDS: Final = 10.0


@final
class Previewer:
    """Makes previews. From any thread, several at once too.

    Parameters
    ----------
    times : Times, optional
        What was measured of devices before.
    preprocessors : sequence of callable
        What the engine applies to every plan.
    commands : collection of str
        Commands of the user's own.
    loop : asyncio.AbstractEventLoop, optional
        Where devices that have a loop are asked; by default bluesky's.
    max_messages : int
        How many messages of a plan are followed at most.
    max_seconds : float
        For how long it is followed at most [s], of the processor's time.
    recorders : collection of str
        Folders that all data are written to that devices do not write themselves.
    rests : bool
        Whether to leave the processor to others every few milliseconds.
    given_up : callable
        Asked now and then whether the preview is not wanted any more; then it ends soon, and what
        it says is to be thrown away.
    """

    def __init__(
        self,
        *,
        times: Times | None = None,
        preprocessors: Sequence[Callable[[Any], Any]] = (),
        commands: Collection[str] = (),
        recorders: Collection[str] = (),
        loop: asyncio.AbstractEventLoop | None = None,
        max_messages: int = MAX_MESSAGES,
        max_seconds: float = MAX_SECONDS,
        rests: bool = False,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._times = times or Times()
        self._preprocessors = tuple(preprocessors)
        self._commands = tuple(commands)
        self._recorders = tuple(recorders)
        self._loop = loop
        self._max_messages = max_messages
        self._max_seconds = max_seconds
        self._rests = rests
        self._given_up = given_up

    def __call__(self, plan: Any, /, *args: Any, **kwargs: Any) -> Preview:
        """Preview a plan; see `preview`."""
        if isinstance(plan, PlanCall) or not _is_function(plan):
            if args or kwargs:
                raise TypeError(
                    f"{plan!r} takes no arguments any more. Give the plan function and its "
                    "arguments, or nothing but the plan."
                )
            call = plan
        else:
            call = PlanCall(plan, args, kwargs)
        name = call.name if isinstance(call, PlanCall) else _name(call)
        looker = Looker(self._loop)
        budget = Budget(
            self._max_messages, self._max_seconds, rests=self._rests, given_up=self._given_up
        )
        try:
            with plans_see(Clock()):
                try:
                    made = self._processed(call)
                except Exception as error:
                    if not isinstance(call, PlanCall):
                        raise
                    return _cannot_be_made(name, error)
                journey = Journey(
                    made,
                    name,
                    looker=looker,
                    times=self._times,
                    budget=budget,
                    commands=self._commands,
                )
                foreseen = journey.run()
            return with_disks(foreseen, journey.account.wrote, self._recorders)
        finally:
            looker.close()

    def _processed(self, call: Any) -> Any:
        if isinstance(call, PlanCall):
            _refuse_engine(call.function)
            call = call.make()
        plan = call
        for each in self._preprocessors:
            plan = each(plan)
        return plan


def preview(plan: Any, /, *args: Any, **kwargs: Any) -> Preview:
    """Say what a plan will do, without touching hardware and without an engine.

    The plan is iterated, and answered as an engine and its devices would: moves arrive after the
    time that they take, readings are where axes were sent, detectors give plausible values. The
    devices are asked where they stand, how fast they are, and what limits they have; nothing is
    set, triggered or staged. **The plan's own Python code runs**: what it does beside its messages,
    such as writing a file, is done.

    Parameters
    ----------
    plan : plan function, PlanCall, generator or iterable of Msg
        The plan. A generator is used up: give a function, or a `PlanCall`, for a plan that is to
        run.
    *args, **kwargs
        What a plan function is called with.

    Returns
    -------
    Preview
        Duration, events, data, moves, claims, problems, and where it had to guess.

    Raises
    ------
    TypeError
        For something that is no plan, or a function that cannot be called with these arguments.

    Examples
    --------
    >>> from bluesky.plans import scan
    >>> print(preview(scan, [camera], stage.x, 0, 100, 11))
    scan: about 2.1 s, 11 events, 5.77 MB
    moves stage-x 0 … 100 um
    needs camera, stage, stage-x
    """
    return Previewer()(plan, *args, **kwargs)


def _is_function(plan: Any) -> bool:
    if isinstance(plan, (str, bytes, dict)) or not (callable(plan) or isinstance(plan, Iterable)):
        raise TypeError(
            f"{plan!r} is no plan. Give a plan function and its arguments, as in "
            "preview(count, [detector]), or a plan."
        )
    return callable(plan) and not isinstance(plan, (Iterable, Msg))


def _refuse_engine(function: Any) -> None:
    """Call no engine, nor a method of one: it would run the plan instead of returning it."""
    if hasattr(getattr(function, "__self__", function), "register_command"):
        raise TypeError("that would run the plan. Give the plan alone, without the engine.")


def _name(plan: Any) -> str:
    return str(getattr(plan, "__name__", None) or type(plan).__name__)


def _cannot_be_made(name: str, error: Exception) -> Preview:
    text = f"{name} cannot be made: {type(error).__name__}: {error}"
    return Preview(name=name, problems=(Problem(text),), is_complete=False)
