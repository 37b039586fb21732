"""Magics for what waits, and for stopping everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class

from freewheel.core import ServiceFailedError
from freewheel.terminal import wait_for

from ._magics import asked, no_arguments, queue_lines, say

if TYPE_CHECKING:
    from freewheel.core import PlanFutureView, QueueView

    from ._jobs import Jobs

__all__ = ["QueueMagics"]


@magics_class
class QueueMagics(Magics):
    """``%queue``, ``%hold``, ``%release`` and ``%stop_all``.

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
    def queue(self, line: str) -> None:
        """List the plans that wait, and those that run again and again, or change the order.

        ``%queue move 3 1`` has the third be the next one, ``%queue remove 2`` takes the second
        out, ``%queue clear`` all of them, and ``%queue back`` has those wait again that a stop, a
        failure or ``%queue clear`` has cancelled last.
        """
        engine = self._jobs.engine()
        try:
            told = _changed(engine.queue, line.split())
        except (IndexError, TypeError, ValueError, RuntimeError, PermissionError) as error:
            raise UsageError(str(error)) from None
        if told:
            say(told)
        picture = engine.snapshot()
        if picture.queue_held is not None:
            say(f"queue held  {picture.queue_held} (%release frees it)")
        if not picture.waiting:
            say("No plan waits.")
        for text in queue_lines(picture):
            say(text)

    @line_magic
    def hold(self, line: str) -> None:
        """Hold the queue: what runs goes on, and nothing new starts. ``%hold [REASON]``."""
        engine = self._jobs.engine()
        asked(lambda: engine.queue.hold(line.strip() or "%hold"))
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
            asked(engine.queue.release)
        except ServiceFailedError as error:
            raise UsageError(str(error)) from None
        say(f"Released: {', '.join(waiting) or 'no plan was waiting'}.")

    @line_magic
    def stop_all(self, line: str) -> None:
        """Stop every device, and end all plans and tasks with clean-up: ``%stop_all [REASON]``."""
        engine = self._jobs.engine()
        stopping = asked(lambda: engine.stop_all(line.strip() or "%stop_all"))
        if not wait_for(stopping):
            say("Everything is being stopped; the prompt is free.")
            return
        stopping.result(0)  # raises what could not be stopped
        held = engine.queue.held
        say("Everything is at rest." + (" %release frees the queue." if held is not None else ""))


def _changed(queue: QueueView, words: list[str]) -> str:
    """Change the queue as ``%queue`` was told to; return what there is to say of it."""
    match words:
        case []:
            return ""
        case ["move", which, where]:
            if _number(where) > len(queue):
                raise IndexError(f"There is no place {where} in the queue; {len(queue)} wait.")
            queue.move(_waiting(queue, which), _number(where) - 1)
            return ""
        case ["remove", which]:
            future = _waiting(queue, which)
            if not future.cancel():
                raise ValueError(f"{future.plan_name} has started: %stop ends it.")
            return f"{future.plan_name} was taken out of the queue."
        case ["clear"]:
            return _told("Taken out of the queue", queue.clear())
        case ["back"]:
            return _told("Put back", queue.put_back())
    raise ValueError("%queue, %queue move FROM TO, %queue remove NUMBER, %queue clear, %queue back")


def _told(what: str, futures: tuple[PlanFutureView, ...]) -> str:
    return f"{what}: {', '.join(future.plan_name for future in futures) or 'nothing'}."


def _waiting(queue: QueueView, number: str) -> PlanFutureView:
    futures, place = tuple(queue), _number(number)
    if not 1 <= place <= len(futures):
        raise IndexError(f"There is no plan number {place} in the queue; {len(futures)} wait.")
    return futures[place - 1]


def _number(word: str) -> int:
    if not word.isdecimal() or not int(word):
        raise ValueError(f"{word!r} is no number of a plan in the queue: the next one is 1.")
    return int(word)
