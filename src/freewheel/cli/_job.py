"""Running one plan to its end in the main thread's sight: progress, signals, exit code."""

from __future__ import annotations

import gc
import queue
import traceback
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ._signals import end_early, say, signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from freewheel import PlanFuture, RunEngine
    from freewheel.ipython import LiveProgress

__all__ = ["Job", "no_full_collections"]

_REFRESH = 0.1  # s between two pictures of the progress
_ENDED = object()
_PAUSED = object()


@contextmanager
def no_full_collections() -> Iterator[None]:
    """Have what is there by now not looked at: a full collection holds a plan up for 50 ms."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Job:
    """The main thread's part: it shows the progress, and passes signals on.

    Parameters
    ----------
    engine : RunEngine
        Runs the plan.
    plain_errors : tuple of exception classes
        Those whose message says all there is to say: told of without a traceback.
    """

    def __init__(
        self, engine: RunEngine, *, plain_errors: tuple[type[BaseException], ...] = ()
    ) -> None:
        self._engine = engine
        self._plain_errors = plain_errors
        # Put into by signal handlers and the engine's thread, which SimpleQueue allows.
        self._news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._signal: int | None = None
        self.result: Any = None
        """What the plan returned, once it has completed."""

    def run(self, plan: Any) -> int:
        """Run the plan.

        Returns
        -------
        int
            The exit code: 0 when it completed, 1 when it failed or was aborted, and what a shell
            gives to a program that a signal has ended when one has ended it.
        """
        from freewheel.ipython import LiveProgress
        from freewheel.plan_stubs import run_progress

        if run_progress not in self._engine.preprocessors:
            self._engine.preprocessors.append(run_progress)
        with no_full_collections(), signals(self._news.put), LiveProgress() as display:
            try:
                future = self._engine(plan)
            except TypeError as error:  # it is no plan
                say(f"freewheel: {error}")
                return 1
            future.outcome.add_done_callback(lambda _: self._news.put(_ENDED))
            future.add_done_callback(lambda _: self._news.put(_PAUSED))
            while (news := self._next()) is not _ENDED:
                if news is _PAUSED:
                    say(
                        f"{future.plan_name} has paused itself, and nobody can resume it here: "
                        "Ctrl-C stops it. To look at it and go on, run it in freewheel shell."
                    )
                elif news is not None:
                    self._end_early(news)
                self._show(display, future)
        return self._report(future)

    def _next(self) -> Any:
        try:
            return self._news.get(timeout=_REFRESH)
        except queue.Empty:
            return None

    def _show(self, display: LiveProgress, future: PlanFuture) -> None:
        from freewheel.core import status_text  # here: it brings bluesky, which takes long

        with suppress(OSError):  # the terminal was closed: the plan has its clean-up all the same
            display.show(
                future.plan_name,
                status_text(future.status, future.failure),
                future.elapsed,
                self._engine.snapshot().progress,
            )

    def _end_early(self, number: int) -> None:
        again = self._signal is not None
        self._signal = self._signal or number
        end_early(self._engine, number, again=again)

    def _report(self, future: PlanFuture) -> int:
        took = "" if future.elapsed is None else f" after {future.elapsed:.1f} s"
        error = future.failure
        if error is not None:
            if not isinstance(error, self._plain_errors):
                say("".join(traceback.format_exception(error)).rstrip())
            text = f": {error}" if isinstance(error, self._plain_errors) else "."
            say(f"{future.plan_name} failed{took}{text}")
            return 1
        say(f"{future.plan_name} {future.status}{took}.")
        if self._signal is not None:
            return 128 + self._signal
        result = future.outcome.result()
        if result.interrupted:
            return 1
        if result.plan_result is not self._engine.NO_PLAN_RETURN:
            self.result = result.plan_result
        return 0
