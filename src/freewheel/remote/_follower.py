"""What comes over the line of an engine elsewhere: taken in, and told of."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from psygnal import Signal

from freewheel.engine._events import EngineEvents, emit_safely

from ._devices import AskOfDevices
from ._errors import ConnectionLostError, ServerRestartedError
from ._futures import RemoteTask
from ._protocol import Document, Frame, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._delivery import Delivery, Subscriptions
    from ._devices import RemoteDevices
    from ._line import Line
    from ._mirror import Mirror
    from ._parts import RemoteByHand
    from ._plans import RemotePlans
    from ._protocol import News, Welcome

__all__ = ["Follower", "RemoteEvents"]

_log = logging.getLogger("freewheel")


class RemoteEvents(EngineEvents):
    """What an engine elsewhere tells, and the line to it.

    Attributes
    ----------
    connection_changed : Signal(bool, str)
        Whether there is a line, and what happened: why it was lost, or whether what was missed
        was sent afterwards ("resumed") or the server is a new one ("restarted").
    """

    connection_changed = Signal(bool, str)


class Follower:
    """Takes what comes over the line: the receiver of a `Line`. On the line's thread.

    Parameters
    ----------
    url : str
        Where the server is, for the log.
    events : RemoteEvents
        What to tell with, on the thread of the delivery.
    mirror : Mirror
        What is known of the engine.
    subscriptions : Subscriptions
        Who gets documents, frames and values.
    delivery : Delivery
        Where all is told.
    offers : tuple of RemotePlans, RemoteDevices and RemoteByHand
        What the server offers, and what stand-ins of devices are set by.
    """

    def __init__(
        self,
        url: str,
        events: RemoteEvents,
        mirror: Mirror,
        subscriptions: Subscriptions,
        delivery: Delivery,
        offers: tuple[RemotePlans, RemoteDevices, RemoteByHand],
    ) -> None:
        self._url = url
        self._events = events
        self._mirror = mirror
        self._subscriptions = subscriptions
        self._delivery = delivery
        self._plans, self._devices, self._by_hand = offers
        self.line: Line  # set before it is opened
        self.closing = False  # set once, by the thread that closes

    def welcomed(self, welcome: Welcome, *, restarted: bool) -> None:
        """Take a new picture, or go on; for the line."""
        first = not self._mirror.known
        self._subscriptions.values.line_changed(up=True, resumed=welcome.resumed)
        if not welcome.resumed:
            before = None if first else self._mirror["state"]
            gone = self._mirror.begin_anew() if restarted else []
            self._mirror.apply(welcome.picture)
            for each in gone:
                self._delivery.put(partial(self._lose_for_good, each))
            if not first:
                self._begin_anew(str(before), restarted=restarted, why=welcome.why)
        how = "restarted" if restarted else "resumed" if welcome.resumed else "connected"
        if not first:
            _log.info("There is a line to %s again: %s.", self._url, how)
        self._emit(self._events.connection_changed, True, how)

    def _begin_anew(self, before: str, *, restarted: bool, why: str) -> None:
        """Ask for everything again, and tell of what is different."""
        if restarted:
            _log.warning("The server at %s is a new one.", self._url)
        elif self._subscriptions.wanted:
            _log.error("Documents of %s may be missing: %s.", self._url, why)
        self._call_quietly("offers", lambda offers: self.learn(offers))
        if (wanted := self._subscriptions.wanted) is not None:
            self._call_quietly("subscribe", delivery=wanted)
        for device in self._subscriptions.values.names:
            self._call_quietly("watch", device=device)
        if self._subscriptions.frame_wish is not None:
            self._call_quietly("frames", **self._subscriptions.frame_wish)
        self._look_after_futures()
        now = str(self._mirror["state"])
        if now != before:
            self._emit(self._events.state_changed, now, before)
        for event in _LOOKS:
            self._happened([event])

    def _lose_for_good(self, gone: Any) -> None:
        """Fail what a server that is no more has not ended."""
        error = ServerRestartedError("How it ended is not known: the server is a new one.")
        getattr(gone, "future", gone).settle(error=error)
        if isinstance(gone, RemoteTask):
            emit_safely(self._events.background_changed, gone)

    def _look_after_futures(self) -> None:
        keys = self._mirror.open_keys()

        def answer(found: Mapping[str, Any]) -> None:
            lost = {}
            for key, record in found.items():
                if record is not None and "lost" in record:
                    lost[key] = record["lost"]
                elif record is not None:
                    self._end(key, record)
            self.lose(lost, ConnectionLostError)

        self._call_quietly("futures", answer, keys=keys)

    def lose(self, lost: Mapping[str, str], kind: type[ConnectionLostError]) -> None:
        """Fail futures whose end is not known; by their keys, with why."""
        for key, why in lost.items():
            error = kind(f"How it ended is not known: {why}.")
            self._delivery.put(partial(self._mirror.forget, key, error))

    def _call_quietly(
        self, verb: str, answer: Callable[[Any], object] = lambda _: None, **args: Any
    ) -> None:
        def done(ended: Any) -> None:
            if (error := ended.exception()) is not None:
                _log.warning("%s has refused %r: %s", self._url, verb, error)
            else:
                answer(ended.result())

        self.line.call(verb, args).done.add_done_callback(done)

    def learn(self, offers: Any) -> None:
        """Take what the server offers."""
        ask = AskOfDevices(
            self._read,
            self._watch,
            self._subscriptions.values.watch_server,
            lambda: self._by_hand,
        )
        self._devices.learn(offers["devices"], ask)
        self._plans.learn(offers["plans"], self._url)

    def _watch(self, name: str, func: Callable[..., object], wanted: bool) -> None:
        change = self._subscriptions.values.watch(name, func, wanted)
        if change is not None and (change or self.line.is_up):
            self._call_quietly("watch", device=name, wanted=change)

    async def _read(self, name: str, **what: Any) -> Any:
        return await asyncio.wrap_future(self.line.call("read", {"device": name, **what}).done)

    def lost(self, why: str) -> None:
        """Know that there is no line; for the line."""
        if not self.closing:
            _log.warning(
                "The line to %s is lost: %s. It is tried again.", self._url, why.rstrip(".")
            )
        self._subscriptions.values.line_changed(up=False)
        self._emit(self._events.connection_changed, False, why)

    def told(self, message: News | Document | Frame | Value) -> None:
        """Take what has changed; for the line."""
        if isinstance(message, Document):
            self._subscriptions.take(message)
        elif isinstance(message, Frame):
            self._subscriptions.take_frame(message)
        elif isinstance(message, Value):
            self._subscriptions.values.take(message)
        else:
            self._mirror.apply(message.picture)
            for kind, *what in message.events:
                if kind == "task":  # before its end: who waits for that asks how it has ended
                    self._mirror.task(what[0]).tell(what[0])
            for event in message.events:
                self._happened(event)

    def _happened(self, event: list[Any]) -> None:
        """Tell of something, on the thread of the delivery."""
        events, mirror = self._events, self._mirror
        kind, *what = event
        if kind == "end":
            self._end(*what)
        elif kind == "state":
            self._emit(events.state_changed, *what)
        elif kind in ("started", "ended"):
            future = mirror.plan(what[0])
            future.tell(what[0])
            self._emit(events.plan_started if kind == "started" else events.plan_ended, future)
        elif kind == "task":
            self._emit(events.background_changed, mirror.task(what[0]))
        elif kind == "all_stopped":
            self._emit(events.all_stopped, *what)
        elif kind == "lease":
            _log.warning("A lease has ended: %s.", what[1])
        elif kind in _LOOKS:
            self._emit(getattr(events, kind), _LOOKS[kind](mirror))

    def _end(self, key: str, record: Mapping[str, Any]) -> None:
        self._delivery.put(lambda: self._mirror.end(key, record))

    def _emit(self, signal: Any, *args: Any) -> None:
        self._delivery.put(lambda: emit_safely(signal, *args))


#: What is told with the picture of the moment.
_LOOKS: Final[Mapping[str, Callable[[Mirror], Any]]] = MappingProxyType(
    {
        "queue_changed": lambda mirror: mirror.queued,
        "actions_changed": lambda mirror: frozenset(mirror.pending_actions()),
        "claims_changed": lambda mirror: MappingProxyType(dict(mirror["claims"])),
        "progress_changed": lambda mirror: mirror.snapshot().progress,
        "interlocks_changed": lambda mirror: mirror.snapshot().interlocks,
    }
)
