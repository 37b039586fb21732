"""Staying with a plan on the main thread: its progress is shown, and signals are passed on."""

from __future__ import annotations

import queue
from contextlib import ExitStack, suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bluesky.run_engine import TransitionError

from freewheel.plan_stubs import run_progress

from ._rules import Wish
from ._signals import signals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from typing import Self

    from freewheel.core import EngineView, FutureView, PlanFutureView

    from ._rules import Rules

__all__ = ["Watcher", "follow_progress", "wait_for"]

#: Seconds from one picture of the progress to the next.
_REFRESH: Final = 0.1


class _Told(Enum):
    """What is told of a plan."""

    OVER = "over"
    RESTS = "rests"


class _Press(NamedTuple):
    """A signal, and when it came, in the rules' own seconds."""

    number: int
    when: float


class Watcher:
    """Stays with a plan until it ends or pauses, or the user leaves. For the main thread.

    Signals are listened to while the ``with`` block runs: from before the plan begins.

    Parameters
    ----------
    engine : EngineView
        The engine.
    rules : Rules
        What signals do.
    say : callable
        Prints a line.
    """

    def __init__(self, engine: EngineView, rules: Rules, say: Callable[[str], object]) -> None:
        self._engine = engine
        self._rules = rules
        self._say = say
        # Put into by signal handlers and the engine's thread, which SimpleQueue allows.
        self._news: queue.SimpleQueue[_Told | _Press] = queue.SimpleQueue()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(signals(self._rules.signals, self._pressed))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _pressed(self, number: int) -> None:
        self._news.put(_Press(number, self._rules.now()))

    def stay(
        self,
        future: PlanFutureView,
        show: Callable[[PlanFutureView], object],
        *,
        paused: Callable[[PlanFutureView], object] | None = None,
    ) -> bool:
        """Stay with a plan.

        Parameters
        ----------
        future : PlanFutureView
            Of the plan.
        show : callable
            Called with it, ten times a second and when something has happened.
        paused : callable, optional
            Called with it when the plan is paused. Without it a pause is the end of the stay.

        Returns
        -------
        bool
            Whether it has ended or is paused, and was not merely left.
        """
        last: FutureView[Any] = future if paused is None else future.outcome
        last.add_done_callback(lambda _: self._news.put(_Told.OVER))
        if paused is not None:
            future.add_done_callback(lambda _: self._news.put(_Told.RESTS))
        while True:
            with suppress(OSError):  # the terminal was closed: the plan cleans up all the same
                show(future)
            news = self._next()
            if news is _Told.OVER:
                return True
            if news is _Told.RESTS:
                if paused is not None and not future.cancelled():
                    paused(future)
            elif news is not None:
                if not self._carry_out(news, future):
                    return False
            elif self._rules.time_left() == 0:
                return False  # and nothing was pressed that is not taken up yet

    def _next(self) -> _Told | _Press | None:
        left = self._rules.time_left()
        try:
            return self._news.get(timeout=_REFRESH if left is None else min(left, _REFRESH))
        except queue.Empty:
            return None

    def _carry_out(self, press: _Press, future: PlanFutureView) -> bool:
        """Do what a signal asks for; return whether to stay."""
        wish, text = self._rules.pressed(*press)
        if (
            wish in (Wish.PAUSE, Wish.STOP, Wish.HALT)
            and self._engine.current is not future
            and future.cancel()
        ):
            return True  # it waited in the queue: the plan that runs is another one
        # Asked for first, told of then: with SIGHUP there may be nobody to tell.
        with suppress(TransitionError):  # it is about to end, or to pause, by itself
            _WAYS[wish](self._engine, future)
        if text:
            self._say(text)
        return wish is not Wish.LEAVE


def _pause(engine: EngineView, future: PlanFutureView) -> None:
    if engine.current is not future:
        raise TransitionError("the plan is about to start")
    engine.request_pause()


_WAYS: Final[Mapping[Wish, Callable[[EngineView, PlanFutureView], object]]] = {
    Wish.WAIT: lambda engine, future: None,
    Wish.PAUSE_LATER: lambda engine, future: engine.request_pause(defer=True),
    Wish.PAUSE: _pause,
    Wish.STOP: lambda engine, future: engine.stop(),
    Wish.HALT: lambda engine, future: engine.halt(),
    Wish.LEAVE: lambda engine, future: None,
}


def wait_for(future: FutureView[Any] | Future[Any], timeout: float | None = None) -> bool:
    """Wait until ``future`` is done, so many seconds, or for Ctrl-C; return whether it is."""
    news: queue.SimpleQueue[bool] = queue.SimpleQueue()
    with signals(("SIGINT",), lambda _: news.put(False)):
        future.add_done_callback(lambda _: news.put(True))
        try:
            return news.get(timeout=timeout)
        except queue.Empty:
            return False


def follow_progress(engine: EngineView) -> None:
    """Have each run of the engine's plans tell of its progress, from its next plan on."""
    # One that is elsewhere has no preprocessors here, and tells of progress by itself.
    preprocessors: list[Any] | None = getattr(engine, "preprocessors", None)
    if preprocessors is not None and run_progress not in preprocessors:
        preprocessors.append(run_progress)
