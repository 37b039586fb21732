"""Where documents go: to the subscribers of an engine, on its loop and on threads of their own."""

from __future__ import annotations

import logging
import threading
import weakref
from contextlib import suppress
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, final

from event_model import DocumentNames

from freewheel.core._futures import failure_text

from ._delivery import DELIVERIES, Delivery, Piled
from ._one_run import OneRun, takes_one_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluesky.run_engine import Dispatcher

__all__ = ["ChildDocuments", "DocumentStream"]

_log = logging.getLogger("freewheel")

#: So many sorts of failures of subscribers are logged for a task that no plan owns.
MAX_LOGGED: Final = 20

_Emit: TypeAlias = "Callable[[Any, Any], object]"
_Fail: TypeAlias = "Callable[[BaseException], None]"


class _FailPlan(Protocol):
    """Throws an error into the plan that runs: at its next message, or now, from the loop."""

    def __call__(self, error: BaseException, at_once: bool = ...) -> None: ...


def _nobody(name: Any, doc: Any) -> None:
    """Follow nothing."""


def _folder_of(writer: Any) -> str:
    """Return where a subscriber writes to; empty if it does not say."""
    try:
        folder = getattr(writer, "writes_to", None)
        return str(folder) if isinstance(folder, (str, PathLike)) else ""
    except Exception:  # of a property, which is somebody's own code
        return ""


@final
class DocumentStream:
    """The documents of one engine and of its children, and who gets them.

    Parameters
    ----------
    dispatcher : bluesky.run_engine.Dispatcher
        Of the inline subscribers.
    ident : int or None
        Of the loop's thread.
    call_on_loop : callable
        Calls a function on the loop soon.
    """

    def __init__(
        self, dispatcher: Dispatcher, ident: int | None, call_on_loop: Callable[..., None]
    ) -> None:
        self._dispatcher: Any = dispatcher
        self._ident = ident
        self._call_on_loop = call_on_loop
        self._fail: _FailPlan | None = None  # set once, before the first document
        #: Whether a look is worth while whether a subscriber is behind.
        self.piled = Piled()
        self._lock = threading.Lock()
        # Changed under the lock; others read a copy.
        self._deliveries: dict[int, Delivery] = {}
        # Those of them that are awaited: replaced under the lock, read by the loop.
        self._awaited: tuple[Delivery, ...] = ()
        # By token, what writes documents to a folder, and says where. Under the lock.
        self._writers: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        # By open run, the names of what is moved in it from point to point. Written on the loop's
        # thread; copied, in one step, by others.
        self._axes: dict[Any, frozenset[Any]] = {}
        # Whether the document under way is a task's, and whether those of the foreground are of a
        # plan that has taken another's place; of the loop's thread.
        self._of_task = self._preempted = False
        # Documents from other threads, with where they go and who is told of a failure: appended
        # by those threads, emitted on the loop's.
        self._foreign: list[tuple[_Emit, _Fail | None, Any, Any]] = []
        # Who follows how the plan in the foreground goes. Replaced by whoever begins one, before
        # its first document; called on the loop's thread.
        self._follower: Callable[[Any, Any], object] = _nobody

    def fail_with(self, fail: _FailPlan) -> None:
        """Have the failure of a subscriber that nobody waits for just then told to ``fail``."""
        self._fail = fail

    # -- emitting -----------------------------------------------------------------------------

    def emit(self, name: Any, doc: Any) -> None:
        """Hand a document to the subscribers; on the loop's thread, whoever calls."""
        if threading.get_ident() != self._ident:
            self.emit_later(self._dispatcher.process, self._fail, name, doc)
            return
        if self._foreign:
            self._emit_foreign()
        if name is not DocumentNames.event:
            self._note_axes(name, doc)
        self._follower(name, doc)
        self._dispatcher.process(name, doc)

    def follow(self, follower: Callable[[Any, Any], object] | None) -> None:
        """Have the documents of the plan in the foreground told to one who counts them, first."""
        self._follower = follower or _nobody

    def emit_of_task(self, name: Any, doc: Any) -> None:
        """Hand a background task's document to the subscribers; on the loop's thread."""
        if self._foreign:
            self._emit_foreign()
        if name is not DocumentNames.event:
            self._note_axes(name, doc)
        before, self._of_task = self._of_task, True
        try:
            self._dispatcher.process(name, doc)
        finally:
            self._of_task = before

    def _note_axes(self, name: Any, doc: Any) -> None:
        if name is DocumentNames.start:
            motors = doc.get("motors")
            if motors and isinstance(motors, (list, tuple)):
                self._axes[doc["uid"]] = frozenset(each for each in motors if isinstance(each, str))
        elif name is DocumentNames.stop:
            self._axes.pop(doc["run_start"], None)

    def is_axis(self, name: str) -> bool:
        """Tell whether an open run says that it moves a device of that name; from any thread."""
        return any(name in axes for axes in self._axes.copy().values())

    def preempt(self, preempted: bool) -> None:
        """Note whether the foreground's plan has taken the place of one that is parked.

        Its runs come in between, as those of tasks do.
        """
        self._preempted = preempted

    def emit_later(self, emit: _Emit, fail: _Fail | None, name: Any, doc: Any) -> None:
        """Have a document of another thread emitted on the loop, before anything newer."""
        self._foreign.append((emit, fail, name, doc))
        self._call_on_loop(self._emit_foreign)

    def _emit_foreign(self) -> None:
        """Emit what other threads left. A failure is the plan's."""
        while self._foreign:
            emit, fail, name, doc = self._foreign.pop(0)
            try:
                emit(name, doc)
            except BaseException as error:
                if fail is not None:
                    fail(error)

    @property
    def on_loop_thread(self) -> bool:
        """Whether the caller runs on the loop's thread."""
        return threading.get_ident() == self._ident

    @property
    def failures_ignored(self) -> bool:
        """Whether a subscriber's failure is nobody's."""
        return bool(self._dispatcher.ignore_exceptions)

    def is_behind(self) -> bool:
        """Tell whether a queued subscriber is far behind. On the loop, when they have `piled`."""
        self.piled.up = any(delivery.has_piled_up() for delivery in self._awaited)
        return self.piled.up and any(delivery.is_behind() for delivery in self._awaited)

    async def caught_up(self) -> None:
        """Wait for the queued subscribers that are far behind. On the loop."""
        for delivery in self._awaited:
            if delivery.is_behind():
                await delivery.caught_up()

    def awaited(self) -> tuple[Delivery, ...]:
        """Return the deliveries that the end of a plan waits for."""
        return self._awaited

    # -- subscribing, from any thread ---------------------------------------------------------

    def subscribe(
        self, func: Callable[[str, Any], Any], name: str, delivery: str, runs: str | None = None
    ) -> int:
        """Subscribe; see `RunEngine.subscribe`."""
        one_run = self._one_run_at_a_time(func, name, runs)
        if delivery == "inline":
            token: int = self._dispatcher.subscribe(one_run(func), name)
            self._note_writer(token, func)
            return token
        if delivery not in DELIVERIES:
            raise ValueError(
                f'delivery is "inline", "queued" or "latest", not {delivery!r} (for {func!r}).'
            )
        if not callable(func):
            raise TypeError(f"{func!r} is no function that could take documents.")
        made = DELIVERIES[delivery](func, weakref.WeakMethod(self._delivery_failed), self.piled)
        token = self._dispatcher.subscribe(one_run(made.put), name)
        with self._lock:
            self._deliveries[token] = made
            self._note_awaited()
        self._note_writer(token, func)
        return token

    def _note_writer(self, token: int, func: Any) -> None:
        writer = getattr(func, "__self__", func)
        if _folder_of(writer):
            with suppress(TypeError), self._lock:  # of what takes no weak references
                self._writers[token] = writer

    def folders(self) -> tuple[str, ...]:
        """Return the folders that subscribers write documents to; from any thread."""
        with self._lock:
            writers = list(self._writers.values())
        return tuple(dict.fromkeys(filter(None, map(_folder_of, writers))))

    def _one_run_at_a_time(
        self, func: Any, name: str, runs: str | None
    ) -> Callable[[Callable[[str, Any], Any]], Callable[[str, Any], Any]]:
        """Return what is to be put between the documents and a subscriber."""
        if runs not in (None, "one", "all"):
            raise ValueError(f'runs is "one" or "all", not {runs!r} (for {func!r}).')
        if runs == "one" and name != "all":
            raise ValueError(
                f'runs="one" goes with documents of all kinds, not with {name!r} alone (for '
                f"{func!r}): a run is known by its start."
            )
        if runs == "one" or (runs is None and name == "all" and takes_one_run(func)):
            return lambda sink: OneRun(sink, lambda: not (self._of_task or self._preempted))
        return lambda sink: sink

    def unsubscribe(self, token: int) -> Delivery | None:
        """Undo a subscription; return what still delivers what waits for its own thread."""
        self._dispatcher.unsubscribe(token)
        with self._lock:
            delivery = self._deliveries.pop(token, None)
            self._writers.pop(token, None)
            self._note_awaited()
        if delivery is not None:
            delivery.close()
        return delivery

    def _note_awaited(self) -> None:
        self._awaited = tuple(each for each in self._deliveries.values() if each.awaited)

    def unsubscribe_deliveries(self) -> list[Delivery]:
        """Undo the subscriptions that have threads of their own; return what still delivers."""
        ended = [self.unsubscribe(token) for token in list(self._deliveries)]
        return [delivery for delivery in ended if delivery is not None]

    @property
    def deliveries(self) -> dict[int, Delivery]:
        """The subscriptions that have threads of their own, by their tokens."""
        return self._deliveries

    def _delivery_failed(self, error: BaseException, at_once: bool) -> None:
        if not self.failures_ignored and self._fail is not None:
            self._fail(error, at_once)


@final
class ChildDocuments:
    """The documents of one background plan: to its own subscribers, and to all of the household's.

    All of it runs on the loop, but for `emit`.
    """

    __slots__ = ("_dispatcher", "_fail", "_household", "_logged", "_name")

    def __init__(self, dispatcher: Dispatcher, household: DocumentStream, fail: _Fail) -> None:
        self._dispatcher: Any = dispatcher
        self._household = household
        self._fail = fail
        self._name = ""  # of a task that no plan owns, else empty
        self._logged: set[str] = set()  # failures of its subscribers that the log has

    def begin(self, detached: str) -> None:
        """Begin a plan: of a task of that name which no plan owns, or with ``""`` of an owned one.

        The household's subscribers cannot fail a plan that nobody waits for: their failures are
        logged, each sort of them once.
        """
        self._name = detached
        self._logged.clear()

    def emit(self, name: Any, doc: Any) -> None:
        """Hand a document to the subscribers; from any thread."""
        if self._household.on_loop_thread:
            self._emit(name, doc)
        else:
            self._household.emit_later(self._emit, self._fail, name, doc)

    def _emit(self, name: Any, doc: Any) -> None:
        try:
            self._dispatcher.process(name, doc)
        finally:
            self._share(name, doc)

    def _share(self, name: Any, doc: Any) -> None:
        try:
            self._household.emit_of_task(name, doc)
        except BaseException as error:
            if not self._name:
                raise
            text = failure_text(error)
            if text not in self._logged and len(self._logged) < MAX_LOGGED:
                self._logged.add(text)
                _log.error(
                    "A subscriber raised %s for a document (%s) of the background task %r, which "
                    "goes on. Its further failures of that sort are not logged.",
                    text,
                    getattr(name, "name", name),
                    self._name,
                    exc_info=error,
                )

    @property
    def failures_ignored(self) -> bool:
        """Whether a subscriber's failure is nobody's."""
        return bool(self._dispatcher.ignore_exceptions)

    @property
    def piled(self) -> Piled:
        """Whether a look is worth while whether a subscriber of the household is behind."""
        return self._household.piled

    def is_behind(self) -> bool:
        """Tell whether a queued subscriber of the household is far behind."""
        return self._household.is_behind()

    async def caught_up(self) -> None:
        """Wait for a subscriber of the household that is far behind."""
        await self._household.caught_up()

    def awaited(self) -> list[Delivery]:
        """Return none: the end of a background plan waits for nobody's subscriber."""
        return []
