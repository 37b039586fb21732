"""bluesky's own magics, made to wait for a run engine whose calls do not."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import bluesky.run_engine

from ._attach import Attachment, PauseFirst
from ._magics import how_it_stands, say

if TYPE_CHECKING:
    from ._jobs import Jobs

__all__ = ["bluesky_magics"]


class _WaitingEngine:
    """What the magics take for a run engine: its calls wait, and Ctrl-C pauses."""

    def __init__(self, jobs: Jobs, notebook: bool) -> None:
        self._jobs = jobs
        self._notebook = notebook
        self.waiting_hook: Any = None  # the magics set it; the progress is shown without it

    def __call__(self, plan: Any, subs: Any = None) -> None:
        engine = self._jobs.engine()
        future = engine(plan, subs)
        if future in engine.queued:
            say(f"Queued behind {engine.snapshot().plan_name}.")
        ended = Attachment(engine, future, PauseFirst(), say, notebook=self._notebook).stay()
        if future.cancelled():
            say(f"{future.plan_name} was taken out of the queue.")
        elif not ended:
            say(f"Detached: {future.plan_name} goes on. %fg attaches to it.")
        else:
            future.exception(0)  # so that it counts as looked after
            if (failure := future.failure) is not None:
                raise failure
            if future.status != "completed":
                say(how_it_stands(engine, future))


def bluesky_magics(shell: Any, jobs: Jobs, *, notebook: bool) -> Any:
    """Return bluesky's magics, for the engine that the prompt is about."""
    magics_class = _import()

    class WaitingMagics(magics_class):  # type: ignore[misc,valid-type]
        """``%mov``, ``%movr``, ``%ct`` and ``%wa``; they wait, and Ctrl-C pauses."""

        RE = _WaitingEngine(jobs, notebook)

        def _ensure_idle(self) -> None:
            """Leave a paused plan alone: here it can be resumed."""

    # IPython's registry is kept by the base class; a subclass has what it inherits.
    WaitingMagics.magics = magics_class.magics
    WaitingMagics.registered = True
    return WaitingMagics(shell)


def _import() -> Any:
    """Import bluesky's module of magics, and undo what the import does: it makes an engine."""
    loop = bluesky.run_engine.get_bluesky_event_loop()
    from bluesky import magics

    module: Any = magics
    own = module.BlueskyMagics.RE
    if isinstance(own, bluesky.run_engine.RunEngine):
        with contextlib.suppress(RuntimeError):  # closed
            own.loop.call_soon_threadsafe(own.loop.stop)
        module.BlueskyMagics.RE = None
        bluesky.run_engine.set_bluesky_event_loop(loop)
    return module.BlueskyMagics
