"""Emitting recorded documents again, at the pace at which they came."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any, final

from bluesky.utils import Msg, RequestAbort, RequestStop
from event_model import DocumentNames

from freewheel.core._crossings import new_waiter, wake
from freewheel.core._timers import timers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bluesky.run_engine import RunEngine
    from bluesky.utils import MsgGenerator

    from ._run import Document, RecordedRun

__all__ = ["check_speed", "replay", "replay_plan"]


def check_speed(speed: float) -> float:
    """Return a speed, or refuse it.

    Raises
    ------
    ValueError
        When it is not a positive number.
    """
    if not speed > 0:
        message = f"speed must be a positive number (math.inf for no waiting), not {speed!r}"
        raise ValueError(message)
    return float(speed)


def replay(
    run: RecordedRun,
    *,
    speed: float = 1.0,
    into: Callable[[str, Document], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[tuple[str, Document]]:
    """Emit a recorded run's documents again, with their original spacing.

    Each document has its deadline, counted from the first; so lateness does not add up, and a
    consumer that is slow for once is caught up with.

    Parameters
    ----------
    run : RecordedRun
        The run.
    speed : float
        How many times faster than it was; `math.inf` for as fast as possible.
    into : callable, optional
        A document callback. With it, everything is emitted before this returns, on the thread
        that calls, and the iterator that is returned is exhausted.
    clock, sleep : callable
        What tells the time in seconds, and what waits for so many.

    Returns
    -------
    iterator of (name, document)
        It waits, on the thread that iterates, until each document is due.

    Raises
    ------
    ValueError
        When the speed is not positive.
    RecordingError
        When the recording is damaged, at that document.
    """
    paced = _paced(run, check_speed(speed), clock, sleep)
    if into is not None:
        for name, doc in paced:
            into(name, doc)
    return paced


def _paced(
    run: RecordedRun,
    speed: float,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
) -> Iterator[tuple[str, Document]]:
    origin: float | None = None
    began = clock()
    for when, name, doc in run.timed_documents():
        if origin is None:
            origin = when
        remaining = began + (when - origin) / speed - clock()
        if remaining > 0:
            sleep(remaining)
        yield name, doc


def replay_plan(run: RecordedRun, *, speed: float = 1.0) -> MsgGenerator[str]:
    """Emit a recorded run's documents again through an engine, as a plan.

    To subscribers it is the run: the engine emits the recorded documents with their original
    spacing. Pause, resume, stop and abort work as on any plan, and time that is spent paused is
    no time of the run. A replay that ends before its run does, because it was stopped or because
    the recording ends there, closes the run with a stop document of its own.

    Runs on every bluesky engine. The uid of the run is the plan's result
    (``RE(...).result().plan_result``); ``run_start_uids`` stays empty, since a bluesky engine
    puts there the runs that it opens itself, under uids that it makes, and offers no other way
    to add one.

    Parameters
    ----------
    run : RecordedRun
        The run.
    speed : float
        How many times faster than it was; `math.inf` for as fast as possible.

    Yields
    ------
    Msg
        ``replay_document``, one for each document, and checkpoints.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError
        When the speed is not positive.
    RecordingError
        When the recording is damaged, at that document.
    """
    plan = _replay_plan(run, check_speed(speed))
    # As prompts and windows show it; a generator has a name, which its type does not tell.
    plan.__name__ = "replay_plan"  # type: ignore[attr-defined]
    return plan


def _replay_plan(run: RecordedRun, speed: float) -> MsgGenerator[str]:
    player = _Player(run, speed)
    # A plan meets its engine through what it installs there; `install` is called with the engine.
    yield Msg("install_suspender", None, player)
    yield Msg("remove_suspender", None, player)
    try:
        for number, (when, name, doc) in enumerate(run.timed_documents()):
            yield Msg("checkpoint")
            yield Msg("replay_document", player, number, when, name, doc)
    except GeneratorExit:
        # The engine halts, and takes no messages any more.
        player.close_run("abort", "The replay was halted.")
        raise
    except RequestStop:
        player.close_run("success", "The replay was stopped.")
        raise
    except RequestAbort as error:
        player.close_run("abort", str(error) or "The replay was aborted.")
        raise
    except BaseException as error:
        player.close_run("fail", str(error))
        raise
    player.close_run("abort", f"The recording ends here: {run.problem}.")
    return run.uid


@final
class _Player:
    """Emits documents when they are due; the object of the plan's messages.

    The engine tells it of pauses. Used on the engine's loop alone.
    """

    parent = None

    def __init__(self, run: RecordedRun, speed: float) -> None:
        self.name = f"replay of {run.uid[:8]}"
        self.done = False  # of `Timed`: a deadline is of no use to a plan that has ended
        self._uid = run.uid
        self._speed = speed
        self._engine: RunEngine | None = None
        self._origin: float | None = None  # the recorded time of the first document
        self._began = 0.0  # when the first document was due, in time.monotonic()'s seconds
        self._paused_at: float | None = None
        self._emitted = -1
        self._open: dict[str, int] | None = None  # while the run is open: events by stream
        self._streams: dict[str, str] = {}

    # What the engine calls. ---------------------------------------------------------------------

    def install(self, engine: RunEngine, *, event_type: Any = None) -> None:
        """Meet the engine."""
        del event_type
        self._engine = engine
        if "replay_document" not in engine.commands:
            engine.register_command("replay_document", _replay_document)

    def remove(self) -> None:
        """Do nothing: the player has not asked for anything."""

    def pause(self) -> None:
        """Stop the clock."""
        if self._paused_at is None:
            self._paused_at = time.monotonic()

    def resume(self) -> None:
        """Let the clock go on."""
        if self._paused_at is not None:
            self._began += time.monotonic() - self._paused_at
            self._paused_at = None

    # What the plan asks for. --------------------------------------------------------------------

    async def play(self, number: int, when: float, name: str, doc: Document) -> None:
        """Wait until a document is due, and emit it.

        A pause cancels the wait, and the engine asks again; nothing is emitted twice.
        """
        if number <= self._emitted:
            return
        self.resume()
        if self._origin is None:
            self._origin, self._began = when, time.monotonic()
        await self._wait_until(self._began + (when - self._origin) / self._speed)
        self._emitted = number
        self._count(name, doc)
        self._emit(name, doc)

    async def _wait_until(self, deadline: float) -> None:
        if deadline <= time.monotonic():
            # Let others have the loop, however fast the replay.
            await asyncio.sleep(0)
            return
        waiter = new_waiter()
        # By the timers' thread: loops keep time to a millisecond only.
        timers.call_at(deadline, lambda _: wake(waiter), lambda: self)
        await waiter[1]

    def _emit(self, name: str, doc: Document) -> None:
        assert self._engine is not None
        self._engine.emit_sync(DocumentNames[name], doc)

    def _count(self, name: str, doc: Document) -> None:
        """Keep what a stop document has to tell."""
        if name == "start":
            self._open = {}
        elif name == "stop":
            self._open = None
        elif self._open is not None and name == "descriptor":
            self._streams[doc["uid"]] = stream = doc.get("name", "primary")
            self._open.setdefault(stream, 0)
        elif self._open is not None and name in ("event", "event_page"):
            stream = self._streams[doc["descriptor"]]
            self._open[stream] += 1 if name == "event" else len(doc["seq_num"])
        elif self._open is not None and name == "stream_datum":
            stream = self._streams[doc["descriptor"]]
            self._open[stream] = max(self._open[stream], doc["seq_nums"]["stop"] - 1)

    def close_run(self, exit_status: str, reason: str) -> None:
        """Emit a stop document, if the run is open."""
        self.done = True
        if self._open is None:
            return
        stop = {
            "uid": str(uuid.uuid4()),
            "time": time.time(),
            "run_start": self._uid,
            "exit_status": exit_status,
            "reason": reason,
            "num_events": self._open,
        }
        self._open = None
        self._emit("stop", stop)


async def _replay_document(msg: Msg) -> None:
    await msg.obj.play(*msg.args)
