"""The engine as a QObject."""

from __future__ import annotations

import enum
import logging
import weakref
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from bluesky.utils import RunEngineInterrupted
from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal

from freewheel.core._devices import device_name
from freewheel.qt._link._feed import Feed, check_window_thread
from freewheel.recording import NewestFrames

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from freewheel.background import BackgroundTask, OnConflict
    from freewheel.core import (
        EngineSnapshot,
        EngineView,
        FutureView,
        PlanCall,
        PlanFutureView,
        SRLatch,
    )

__all__ = ["EngineBridge", "failure_of", "value_text"]

_log = logging.getLogger("freewheel.qt")


class EngineBridge(QObject):
    """What an engine tells, as Qt signals on the window's thread, and its controls as slots.

    No slot waits for anything: they return the engine's futures. A request that the engine's
    state does not allow, such as resuming an idle engine, is told by ``requestRefused`` instead
    of an exception, for an exception in a Qt slot may end the program.

    The engine does not keep the bridge alive. When the bridge goes, the engine goes on.

    Parameters
    ----------
    engine
        The engine.
    parent
        The QObject that owns this one.

    Attributes
    ----------
    stateChanged : Signal(str, str)
        New state, old state.
    planStarted, planEnded : Signal(object)
        The plan's future; ended means done. Not emitted for a pause.
    documentReceived : Signal(str, object)
        Name and document (a dict), in the order in which they were made, and before the
        ``planEnded`` of their plan. Of events that carry large arrays, the newest of each stream
        alone when the window is behind; all others arrive without loss. (Declared ``object``
        because PySide6 would copy a ``dict`` into a QVariantMap, and lose arrays doing so.)
    actionsChanged : Signal(object)
        A frozenset of the names on offer.
    claimsChanged : Signal(object)
        A mapping from device name to holder.
    backgroundChanged : Signal(object)
        The task that changed.
    progressChanged : Signal(object)
        A tuple of all scopes.
    queueChanged : Signal(object)
        A tuple of the futures of the calls that wait; also when the queue is held or released.
    interlocksChanged : Signal(object)
        A tuple of `freewheel.core.InterlockPicture`: how the interlocks stand.
    lineChanged : Signal(bool, str)
        Of an engine elsewhere: whether there is a line to it, and what happened; see
        `freewheel.remote.RemoteEvents`.
    requestMade : Signal(str)
        What a person has asked for through the bridge: a pause, a stop, a move by hand. It is in
        Python's log too (``freewheel.qt``).
    allStopped : Signal()
        Stop all was pressed, or a program or somebody elsewhere has stopped everything: what waits
        for an answer, or for its turn, is not to be done any more.
    requestRefused : Signal(str, object)
        What was asked for, and the exception that says why it can't be.
    requestFailed : Signal(str, object, str)
        What was done by hand, the exception that it has ended with, and the device's name.

    Raises
    ------
    RuntimeError
        Without a QApplication, or on another thread than the window's.
    """

    stateChanged = Signal(str, str)  # noqa: N815 - Qt's spelling, as everywhere in this class
    planStarted = Signal(object)  # noqa: N815
    planEnded = Signal(object)  # noqa: N815
    documentReceived = Signal(str, object)  # noqa: N815
    actionsChanged = Signal(object)  # noqa: N815
    claimsChanged = Signal(object)  # noqa: N815
    backgroundChanged = Signal(object)  # noqa: N815
    progressChanged = Signal(object)  # noqa: N815
    queueChanged = Signal(object)  # noqa: N815
    interlocksChanged = Signal(object)  # noqa: N815
    lineChanged = Signal(bool, str)  # noqa: N815
    requestMade = Signal(str)  # noqa: N815
    allStopped = Signal()  # noqa: N815
    requestRefused = Signal(str, object)  # noqa: N815
    requestFailed = Signal(str, object, str)  # noqa: N815

    def __init__(self, engine: EngineView, parent: QObject | None = None) -> None:
        check_window_thread("an EngineBridge")
        super().__init__(parent)
        self._engine = engine
        # Stops of everything that were asked for here, of which the engine has yet to tell.
        self._own_stops: deque[Future[Any]] = deque()
        self._unpausable: weakref.WeakSet[Any] = weakref.WeakSet()  # plan futures and tasks
        # Through a weak reference: the feed must not keep the bridge, nor the bridge need the feed.
        me = weakref.ref(self)
        feed = Feed(lambda kind, arguments: _emit(me, feed, kind, arguments))
        self._feed = feed
        self._links = _Links(engine, feed)
        # Not Qt's `destroyed`: it hands Python an object that is half gone.
        weakref.finalize(self, self._links.cut).atexit = False

    @property
    def engine(self) -> EngineView:
        """The engine."""
        return self._engine

    @property
    def dropped(self) -> int:
        """Documents that a window too far behind has missed; frames are not counted."""
        return self._feed.dropped

    def close(self) -> None:
        """Listen to the engine no more. Called by itself when the bridge is deleted."""
        self._links.cut()

    # -- looking ------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether there is a line to the engine; to one of this process there always is."""
        return bool(getattr(self._engine, "connected", True))

    def snapshot(self) -> EngineSnapshot:
        """Return the engine's picture of this moment."""
        return self._engine.snapshot()

    def pending_actions(self) -> Mapping[str, SRLatch]:
        """Return the latches of the actions on offer, by name."""
        return self._engine.pending_actions

    # -- asking -------------------------------------------------------------------------------

    def run(self, plan: Any, subs: Any = None, **metadata: Any) -> PlanFutureView | None:
        """Run a plan, or let it queue behind the one that runs.

        Parameters
        ----------
        plan
            A plan that was made by calling a plan function.
        subs
            Subscribers to this plan alone.
        metadata
            Metadata of its runs.

        Returns
        -------
        PlanFutureView or None
            `None` if the engine refused; see ``requestRefused``.
        """
        future: PlanFutureView | None = self._try("run", self._engine, plan, subs, **metadata)
        return future

    def launch(
        self,
        plan: Any,
        *,
        name: str | None = None,
        on_conflict: OnConflict = "cancel",
        pausable: bool = True,
        **metadata: Any,
    ) -> BackgroundTask | None:
        """Run a plan in the background, beside others.

        Parameters
        ----------
        plan
            A plan that was made by calling a plan function; or a coroutine function, or a
            function, as ``engine.background.launch`` takes them.
        name
            What the task is called; by default as the plan is.
        on_conflict : {"cancel", "pause", "error"}
            What becomes of it when a plan in the foreground needs a device that it holds.
            ``"pause"``: it gives way, and comes back.
        pausable
            Whether windows offer to pause it; see `may_pause`.
        metadata
            Metadata of its runs.

        Returns
        -------
        BackgroundTask or None
            `None` if the engine refused; see ``requestRefused``.
        """
        task: BackgroundTask | None = self._try(
            "run in background",
            self._engine.background.launch,
            plan,
            name=name,
            on_conflict=on_conflict,
            **metadata,
        )
        if task is not None and not pausable:
            self._unpausable.add(task)
        return task

    def keep_from_pausing(self, future: PlanFutureView) -> None:
        """Have windows not offer to pause a plan that was run; see `may_pause`."""
        self._unpausable.add(future)

    def may_pause(self, one: BackgroundTask | PlanFutureView) -> bool:
        """Whether a task or a plan may be paused by hand, as far as the bridge was told."""
        return one not in self._unpausable

    def pause(self, defer: bool = False) -> Future[None] | None:
        """Pause the plan; at its next checkpoint if ``defer``."""
        future: Future[Any] | None = self._ask("pause", self._engine.request_pause, defer)
        return future

    def resume(self, *_: Any) -> PlanFutureView | None:
        """Go on with a paused plan."""
        future: PlanFutureView | None = self._ask("resume", self._engine.resume)
        return future

    def stop(self, *_: Any) -> Future[Any] | None:
        """Stop the plan with clean-up; its runs count as successes."""
        future: Future[Any] | None = self._ask("stop", self._engine.stop)
        return future

    def abort(self, reason: object = "") -> Future[Any] | None:
        """Abort the plan with clean-up; its runs count as aborted."""
        future: Future[Any] | None = self._ask(
            "abort", self._engine.abort, reason if isinstance(reason, str) else ""
        )
        return future

    def halt(self, *_: Any) -> Future[Any] | None:
        """End the plan at once, without its clean-up."""
        future: Future[Any] | None = self._ask("halt", self._engine.halt)
        return future

    def stop_all(self, *_: Any) -> Future[Any] | None:
        """Stop every device, and end every plan and task with its clean-up; in every state."""
        future: Future[Any] | None = self._ask(
            "stop all", self._engine.stop_all, "the Stop all button"
        )
        if future is not None:
            self._own_stops.append(future)
        self.allStopped.emit()
        return future

    def was_own_stop(self) -> bool:
        """Tell whether a stop that the engine tells of was asked for, and told of, here.

        What a person has begun since is not meant: a window may be behind.
        """
        while self._own_stops:
            stop = self._own_stops.popleft()
            if not (stop.done() and (stop.cancelled() or stop.exception())):
                return True
            # It may never have come to the engine, as without a line: it hides no other one.
        return False

    def hold_queue(self, *_: Any) -> None:
        """Let nothing new start, until the queue is released; what runs goes on."""
        self._ask("hold", self._engine.queue.hold, "the Hold button")

    def release_queue(self, *_: Any) -> None:
        """Let the plans that wait start, if the queue is held."""
        self._ask("release", self._engine.queue.release)

    def move_waiting(self, future: PlanFutureView, position: int) -> None:
        """Have a plan that waits do so elsewhere; at 0 it is the next one."""
        what = f"move {future.plan_name} to place {position + 1} of the queue"
        self._ask(what, self._engine.queue.move, future, position)

    def edit_waiting(self, future: PlanFutureView, call: PlanCall) -> None:
        """Have a plan that waits run something else."""
        self._ask(f"edit {future.plan_name}", self._engine.queue.edit, future, call)

    def remove_waiting(self, future: PlanFutureView) -> None:
        """Have a plan that waits not run."""
        self._ask(f"remove {future.plan_name} from the queue", future.cancel)

    def put_back(self, *_: Any) -> None:
        """Queue again what a stop, a failure or a clearing has cancelled last."""
        what = "put back what was cancelled"
        if self._ask(what, self._engine.queue.put_back) == ():
            self.requestRefused.emit(what, LookupError("no plan was cancelled while it waited"))

    def trigger_action(self, name: str) -> None:
        """Set the latch of an action on offer."""
        self._ask(f"action {name!r}", self._engine.trigger_action, name)

    def release_action(self, name: str) -> None:
        """Reset the latch of an action on offer."""
        self._ask(f"action {name!r}", self._engine.release_action, name)

    def pause_task(self, task: BackgroundTask) -> None:
        """Pause a background task."""
        self._ask(f"pause {task.name}", task.pause)

    def resume_task(self, task: BackgroundTask) -> None:
        """Have a background task go on that is paused."""
        self._ask(f"resume {task.name}", task.resume)

    def cancel_task(self, task: BackgroundTask) -> None:
        """End a background task, with its clean-up."""
        self._ask(f"stop {task.name}", task.cancel, "stopped in the window")

    # -- by hand ------------------------------------------------------------------------------

    def set_by_hand(self, device: Any, value: Any, *, between: bool = False) -> Future[Any]:
        """Move or set a device by hand, as ``engine.by_hand.set``; refusals are in the future.

        Parameters
        ----------
        device, value
            What to set, and where to.
        between
            Whether to set it between two messages of the plan that holds it.
        """
        what = f"{device_name(device)} → {value_text(value)}"
        by_hand = self._engine.by_hand
        return self._by_hand(what, device, lambda: by_hand.set(device, value, between=between))

    def stop_by_hand(self, device: Any) -> Future[Any]:
        """Stop a device, whoever moves it; otherwise as `set_by_hand`."""
        what = f"stop {device_name(device)}"
        return self._by_hand(what, device, lambda: self._engine.by_hand.stop(device))

    def _by_hand(self, what: str, device: Any, request: Callable[[], Any]) -> Future[Any]:
        self._note(what)
        future: Future[Any]
        try:
            future = request()
        except Exception as error:
            future = Future()
            future.set_exception(error)
        feed = self._feed

        def tell(done: Any) -> None:
            if (error := failure_of(done)) is not None:
                feed.put("failed", what, error, device_name(device))

        future.add_done_callback(tell)
        return future

    def _note(self, what: str) -> None:
        _log.info("By hand: %s.", what)
        self.requestMade.emit(what)

    def _ask(self, what: str, request: Callable[..., Any], *args: Any) -> Any:
        """Ask for what a person wants, who is to find it in the log."""
        self._note(what)
        return self._try(what, request, *args)

    def _try(self, what: str, request: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return request(*args, **kwargs)
        except Exception as error:  # a plan function may raise anything as it makes its plan
            self.requestRefused.emit(what, error)
            return None


class _Links:
    """The connections from one engine to one feed; ended once, from any thread."""

    def __init__(self, engine: EngineView, feed: Feed) -> None:
        self._feed = feed
        self._engine = weakref.ref(engine)
        events = engine.events
        self._slots: list[tuple[Any, Callable[..., None]]] = [
            (events.state_changed, lambda new, old: feed.put("state", new, old)),
            (events.plan_started, lambda future: feed.put("started", future)),
            (events.plan_ended, lambda future: feed.put("ended", future)),
            (events.actions_changed, lambda names: feed.put("actions", names)),
            (events.claims_changed, lambda claims: feed.put("claims", dict(claims))),
            (events.background_changed, lambda task: feed.put("background", task)),
            (events.progress_changed, lambda scopes: feed.put("progress", scopes)),
            (events.queue_changed, lambda waiting: feed.put("queue", waiting)),
            (events.interlocks_changed, lambda pictures: feed.put("interlocks", pictures)),
            (events.all_stopped, lambda _: feed.put("stopped")),
        ]
        if (line := getattr(events, "connection_changed", None)) is not None:
            self._slots.append((line, lambda up, how: feed.put("line", up, how)))
        for signal, slot in self._slots:
            signal.connect(slot)
        # Inline: putting costs a microsecond and never waits, so a thread in between would only
        # cost wake-ups, and would let a plan's end overtake its documents.
        # Frames that detectors write to files are read on a thread of their own, the newest alone.
        subscribe: Any = engine.subscribe
        if engine.is_elsewhere:
            self._tokens = [subscribe(feed.put_document, delivery="display")]
            return
        frames = NewestFrames(feed.put_document, external=True)
        self._tokens = [subscribe(feed.put_document), subscribe(frames, delivery="latest")]

    def cut(self, *_: Any) -> None:
        """Disconnect from the engine."""
        self._feed.close()
        engine = self._engine()
        tokens, self._tokens = self._tokens, []
        slots, self._slots = self._slots, []
        for signal, slot in slots:
            signal.disconnect(slot, missing_ok=True)
        if engine is not None:
            for token in tokens:
                engine.unsubscribe(token)


# What the feed brings, and the signal that tells of it.
_SIGNALS: Mapping[str, Callable[[EngineBridge], Any]] = {
    "state": lambda bridge: bridge.stateChanged,
    "line": lambda bridge: bridge.lineChanged,
    "started": lambda bridge: bridge.planStarted,
    "ended": lambda bridge: bridge.planEnded,
    "document": lambda bridge: bridge.documentReceived,
    "actions": lambda bridge: bridge.actionsChanged,
    "claims": lambda bridge: bridge.claimsChanged,
    "background": lambda bridge: bridge.backgroundChanged,
    "progress": lambda bridge: bridge.progressChanged,
    "queue": lambda bridge: bridge.queueChanged,
    "interlocks": lambda bridge: bridge.interlocksChanged,
    "stopped": lambda bridge: bridge.allStopped,
    "failed": lambda bridge: bridge.requestFailed,
}


def _emit(
    bridge: weakref.ref[EngineBridge], feed: Feed, kind: str, arguments: tuple[Any, ...]
) -> None:
    target = bridge()
    if target is None:
        feed.close()
    elif not isalive(target):  # Qt's half of it is deleted, with its parent
        target.close()
    elif kind != "stopped" or not target.was_own_stop():
        _SIGNALS[kind](target).emit(*arguments)


def failure_of(future: Future[Any] | FutureView[Any]) -> BaseException | None:
    """Return the failure of a plan that is done; `None` for success, a stop or a pause."""
    if not future.done() or future.cancelled():
        return None
    error = future.exception()
    return None if isinstance(error, RunEngineInterrupted) else error


def value_text(value: Any) -> str:
    """Return what a device is set to, as a person would write it."""
    if isinstance(value, enum.Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value)
