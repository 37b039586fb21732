"""Running one plan to its end in the main thread's sight: progress, signals, exit code."""

from __future__ import annotations

import gc
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ._offers import Offers
from ._output import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from freewheel.core import EngineView, PlanFutureView

__all__ = ["Job", "no_full_collections"]


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
    engine : EngineView
        Runs the plan.
    plain_errors : tuple of exception classes
        Those whose message says all there is to say: told of without a traceback.
    actions : sequence of (str, float)
        Actions to trigger by themselves: name, and not before how many seconds have passed.
    """

    def __init__(
        self,
        engine: EngineView,
        *,
        plain_errors: tuple[type[BaseException], ...] = (),
        actions: Sequence[tuple[str, float]] = (),
    ) -> None:
        self._engine = engine
        self._plain_errors = plain_errors
        self._actions = actions
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
        # Here: it brings bluesky, which takes long.
        from freewheel.terminal import LiveProgress, StopFirst, Watcher, follow_progress

        engine, rules = self._engine, StopFirst()
        follow_progress(engine)
        with (
            no_full_collections(),
            Watcher(engine, rules, say) as watcher,
            LiveProgress() as display,
            Offers(engine, self._actions) as offers,
        ):
            try:
                future: PlanFutureView = engine(plan)
            except TypeError as error:  # it is no plan
                say(f"freewheel: {error}")
                return 1

            def show(shown: PlanFutureView) -> None:
                offers.look(shown)
                display.show_plan(shown, engine.snapshot().progress)

            watcher.stay(future, show, paused=_say_that_it_paused)
            for name in offers.left:
                say(f"The plan did not wait for the action {name!r} of --action.")
        return self._report(future, rules.exit_code)

    def _report(self, future: PlanFutureView, signalled: int | None) -> int:
        from freewheel.core import duration_text

        took = duration_text(future.elapsed, tenths=True)
        after = f" after {took}" if took else ""
        error = future.failure
        if error is not None:
            if not isinstance(error, self._plain_errors):
                say("".join(traceback.format_exception(error)).rstrip())
            text = f": {error}" if isinstance(error, self._plain_errors) else "."
            say(f"{future.plan_name} failed{after}{text}")
            return 1
        say(f"{future.plan_name} {future.status}{after}.")
        if signalled is not None:
            return signalled
        if future.outcome.cancelled():
            return 1  # somebody took it out of the queue
        result = future.outcome.result()
        if result.interrupted:
            return 1
        self.result = result.plan_result
        return 0


def _say_that_it_paused(future: PlanFutureView) -> None:
    say(
        f"{future.plan_name} has paused itself, and nobody can resume it here: Ctrl-C stops it. "
        "To look at it and go on, run it in freewheel shell."
    )
