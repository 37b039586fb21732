"""Magics for what waits, and for stopping everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class

from freewheel.core import ServiceFailedError
from freewheel.terminal import wait_for

from ._magics import no_arguments, say

if TYPE_CHECKING:
    from ._jobs import Jobs

__all__ = ["QueueMagics"]


@magics_class
class QueueMagics(Magics):
    """``%hold``, ``%release`` and ``%stop_all``.

    Parameters
    ----------
    shell : InteractiveShell
        The shell.
    jobs : Jobs
        Knows the engine.
    """

    def __init__(self, shell: Any, jobs: Jobs) -> None:
        super().__init__(shell)
        self._jobs = jobs

    @line_magic
    def hold(self, line: str) -> None:
        """Hold the queue: what runs goes on, and nothing new starts. ``%hold [REASON]``."""
        engine = self._jobs.engine()
        engine.queue.hold(line.strip() or "%hold")
        say("Held: what runs goes on, and nothing new starts. %release lets it go on.")

    @line_magic
    def release(self, line: str) -> None:
        """Release the queue: the plans that wait start, one after the other."""
        no_arguments("release", line)
        engine = self._jobs.engine()
        if engine.queue.held is None:
            raise UsageError("The queue is not held.")
        waiting = [call.plan_name for call in engine.queued]
        try:
            engine.queue.release()
        except ServiceFailedError as error:
            raise UsageError(str(error)) from None
        say(f"Released: {', '.join(waiting) or 'no plan was waiting'}.")

    @line_magic
    def stop_all(self, line: str) -> None:
        """Stop every device, and end all plans and tasks with clean-up: ``%stop_all [REASON]``."""
        engine = self._jobs.engine()
        stopping = engine.stop_all(line.strip() or "%stop_all")
        if not wait_for(stopping):
            say("Everything is being stopped; the prompt is free.")
            return
        stopping.result(0)  # raises what could not be stopped
        held = engine.queue.held
        say("Everything is at rest." + (" %release frees the queue." if held is not None else ""))
