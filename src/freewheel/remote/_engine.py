"""An engine elsewhere, used as one that is here."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from freewheel.core import EngineFuture, EngineState, duration_text

from ._asker import Asker
from ._delivery import Delivery, RemoteFrame, Subscriptions
from ._devices import RemoteDevices
from ._errors import ConnectionLostError
from ._follower import Follower, RemoteEvents
from ._line import Line
from ._parts import RemoteBackground, RemoteByHand, RemoteClaims, RemoteQueue
from ._plans import RemotePlan, RemotePlans
from ._previews import preview_of
from ._roles import Role
from ._task_there import TaskThere

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Callable, Mapping
    from typing import Self

    from freewheel.core import EngineSnapshot, PlanCall, SRLatch
    from freewheel.previews import Preview

    from ._futures import RemotePlanFuture

__all__ = ["RemoteEngine"]

#: Seconds that a question may take whose answer takes long.
_LONG: Final = 120.0


class RemoteEngine:
    """An engine in another process, or on another machine, used as `freewheel.RunEngine` is.

    Made by `freewheel.remote.connect`. Plans are those that the server offers, by name:
    ``remote(remote.plans.count([remote.devices.camera], num=3))``. All methods may be called from
    any thread. Those that ask for something wait until the server has taken it up or refused it,
    two seconds at most, and raise `ConnectionLostError` at once while there is no line. Signals,
    subscribers and the callbacks of futures are called on one thread, named ``freewheel-remote``.

    Attributes
    ----------
    plans : RemotePlans
        The plans that the server offers.
    devices : RemoteDevices
        Stand-ins of its devices.
    events : RemoteEvents
        psygnal signals.
    queue, background, claims, by_hand
        As those of a `freewheel.RunEngine`.
    url : str
        Where the server is.
    """

    def __init__(
        self, url: str, token: str, *, program: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        self.url = url
        self.events = RemoteEvents()
        self.plans = RemotePlans(self._task_there)
        self.devices = RemoteDevices()
        self._delivery = Delivery()
        self._asker = Asker(self._delivery, self.plans, self.devices)
        self._mirror = self._asker.mirror
        self.queue = RemoteQueue(self._asker)
        self.background = RemoteBackground(self._asker)
        self.claims: RemoteClaims = RemoteClaims(self._asker)
        self.by_hand = RemoteByHand(self._asker)
        self._subscriptions = Subscriptions(self._delivery, self._want_documents)
        self._follower = Follower(
            url,
            self.events,
            self._mirror,
            self._subscriptions,
            self._delivery,
            (self.plans, self.devices, self.by_hand),
        )
        self._line = Line(url, token, self._follower, program, tls)
        self._asker.line = self._follower.line = self._line
        self._closed = False

    def open(self, timeout: float) -> Self:
        """Connect within `timeout` seconds; for `freewheel.remote.connect`."""
        self._delivery.start()
        try:
            self._line.open(timeout)
            self._follower.learn(self._asker.ask("offers"))
        except BaseException:
            self.close()
            raise
        return self

    # -- running plans ------------------------------------------------------------------------

    def __call__(self, plan: Any, subs: Any = None, /, **metadata_kw: Any) -> RemotePlanFuture:
        """Start a plan of the engine there, or queue it; return its future.

        Parameters
        ----------
        plan : PlanCall
            A call of one of `plans`.
        **metadata_kw
            Metadata for its runs.

        Raises
        ------
        TypeError
            For what is no such plan, or has arguments that it does not take.
        ConnectionLostError
            If there is no line.
        """
        return self._asker.submit("submit", plan, subs, metadata=metadata_kw)

    def preempt(
        self,
        plan: Any,
        *,
        restore: bool = False,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> RemotePlanFuture:
        """Run a plan in place of the one that runs, which goes on by itself afterwards."""
        return self._asker.submit(
            "preempt", plan, restore=restore, name=name, metadata=dict(metadata or {})
        )

    @property
    def current(self) -> RemotePlanFuture | None:
        """The future of the plan in the foreground, or ``None``."""
        return self._mirror.current

    @property
    def queued(self) -> tuple[RemotePlanFuture, ...]:
        """The calls that wait for their turn, in order."""
        return self._mirror.queued

    # -- control ------------------------------------------------------------------------------

    def request_pause(self, defer: bool = False) -> EngineFuture[None]:
        """Pause the plan, or with ``defer`` at its next checkpoint."""
        return self._asker.begin("the pause", "pause", defer=defer)

    def resume(self) -> RemotePlanFuture:
        """Have the paused plan go on; returns a new future with the same outcome."""
        record = self._asker.ask("resume", key=self._asker.new_key())
        return self._mirror.plan(record)

    def stop(self) -> EngineFuture[Any]:
        """End the plan with its clean-up, as a success."""
        return self._asker.begin("the stop", "stop")

    def abort(self, reason: str = "") -> EngineFuture[Any]:
        """End the plan with its clean-up, as aborted."""
        return self._asker.begin("the abort", "abort", reason=reason)

    def halt(self) -> EngineFuture[Any]:
        """End the plan without its own clean-up."""
        return self._asker.begin("the halt", "halt")

    def stop_all(self, reason: str = "") -> EngineFuture[None]:
        """Stop every device there, and end everything that runs."""
        return self._asker.begin("the stop of all", "stop_all", reason=reason)

    def between_messages(self, function: Callable[[], Any]) -> EngineFuture[Any]:
        """Refuse: a function cannot be sent. ``by_hand.set(..., between=True)`` is what can.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            "A function cannot be sent to an engine elsewhere. What can be done there between two "
            "messages of a plan is to set a device: remote.by_hand.set(device, value, "
            "between=True)."
        )

    # -- actions ------------------------------------------------------------------------------

    @property
    def pending_actions(self) -> Mapping[str, SRLatch]:
        """The actions that plans there wait for: name to a latch that acts as theirs does."""
        return MappingProxyType(self._mirror.pending_actions())

    def trigger_action(self, name: str, *, plan: str | None = None) -> None:
        """Trigger an action on offer, of all plans or of one."""
        self._asker.ask("trigger", name=name, plan=plan)

    def release_action(self, name: str, *, plan: str | None = None) -> None:
        """Release an action on offer; otherwise as `trigger_action`."""
        self._asker.ask("release", name=name, plan=plan)

    # -- looking ------------------------------------------------------------------------------

    def explain(self) -> str:
        """Say what the engine there waits for, and what may be done."""
        if not self._line.is_up:
            return f"There is no line to {self.url}. {self!r}"
        return str(self._asker.ask("explain"))

    def preview(self, plan: Any, *args: Any, **kwargs: Any) -> Preview:
        """Say what a plan of the engine there will do; waits for the answer.

        Parameters
        ----------
        plan : RemotePlan or PlanCall
            The plan.
        *args, **kwargs
            What a plan of `plans` is called with.
        """
        call = plan(*args, **kwargs) if isinstance(plan, RemotePlan) else plan
        self._asker.check_thread("preview")
        pending = self._line.call("preview", {"call": self._asker.named(call)})
        return preview_of(self._asker.accepted(pending, _LONG), self.devices)

    def snapshot(self) -> EngineSnapshot:
        """Return the last picture that the server has sent; without asking it."""
        return self._mirror.snapshot()

    @property
    def state(self) -> EngineState:
        """What the engine does, as far as is known here."""
        return EngineState(self._mirror["state"])

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the stand-ins of its devices live on."""
        return self._line.loop

    @property
    def connected(self) -> bool:
        """Whether there is a line to the server, as far as is known."""
        return self._line.is_up

    @property
    def name(self) -> str:
        """Who we are for the server, by the token."""
        return "" if self._line.welcome is None else self._line.welcome.name

    @property
    def role(self) -> Role:
        """What we may do there."""
        welcome = self._line.welcome
        return Role.OBSERVER if welcome is None else Role(welcome.role)

    def __repr__(self) -> str:
        if self._closed:
            return f"<{type(self).__name__} {self.url} closed>"
        picture = self.snapshot()
        words = str(picture.state)
        if picture.plan_name is not None:
            words += f": {picture.plan_name}, {duration_text(picture.elapsed, tenths=True)}"
        line = "" if self.connected else "; there is no line, this was the last that is known"
        return f"<{type(self).__name__} {self.url} {words}{line}>"

    # -- documents and frames -----------------------------------------------------------------

    def subscribe(
        self,
        func: Callable[[str, Any], Any],
        name: str = "all",
        delivery: Literal["inline", "queued", "display", "latest"] = "queued",
        runs: Literal["one", "all"] | None = None,
    ) -> int:
        """Have a function called with the documents of the runs there.

        Parameters
        ----------
        func : callable
            ``func(name, doc)``, called on the thread ``freewheel-remote``.
        name : str, default: "all"
            The kind of documents.
        delivery : {"queued", "display", "latest"}
            ``queued``: in order and without loss, also over a line that was lost for a while.
            ``display``: so, but of pictures that pile up only the newest of each stream; what else
            is in their events comes without them. ``latest``: of all events that pile up only the
            newest of each stream. ``inline`` is ``queued``: no function here holds up a plan there.
        runs : {"one", "all"}, optional
            With ``"one"`` it is served one run at a time.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        return self._subscriptions.add(func, name, delivery, runs)

    def unsubscribe(self, token: int) -> None:
        """Undo a subscription."""
        self._subscriptions.remove(token)

    def _task_there(self, call: PlanCall, metadata: Mapping[str, Any]) -> TaskThere:
        return TaskThere(
            partial(self.background.launch, call, **metadata), self.events.connection_changed
        )

    def _want_documents(self, wanted: str | None) -> None:
        if wanted is None:
            with suppress(ConnectionLostError):  # what comes when there is one again goes nowhere
                self._asker.ask("unsubscribe")
        else:
            self._asker.ask("subscribe", delivery=wanted)

    def show_frames(
        self,
        func: Callable[[RemoteFrame], object] | None,
        *,
        key: str | None = None,
        max_side: int = 512,
        rate: float = 30.0,
    ) -> None:
        """Have a function called with the newest frames; with ``None`` no more.

        Parameters
        ----------
        func : callable or None
            ``func(frame)``, a `RemoteFrame`, called on the thread ``freewheel-remote``. While it is
            busy, frames are left out.
        key : str, optional
            The data key; by default all that have frames.
        max_side : int
            Of a frame with a longer side every n-th pixel is sent.
        rate : float
            How often a second, at most.
        """
        self._subscriptions.show_frames(func)
        wish = {"key": key, "max_side": max_side, "rate": rate, "wanted": func is not None}
        self._subscriptions.frame_wish = wish if func is not None else None
        self._asker.ask("frames", **wish)

    # -- the end ------------------------------------------------------------------------------

    #: It goes on when this client leaves.
    is_elsewhere: ClassVar[bool] = True

    @property
    def closed(self) -> bool:
        """Whether it was closed here, or the engine there was."""
        return self._closed or bool(self._mirror.known and self._mirror["closed"])

    def close(self, timeout: float = 10) -> None:
        """Leave the server, whose engine goes on; what was waited for is not known any more.

        Parameters
        ----------
        timeout : float, default: 10
            Seconds to wait at most.
        """
        if self._closed:
            return
        self._closed = self._follower.closing = True
        self._line.close()
        keys = self._mirror.open_keys()
        self._follower.lose(dict.fromkeys(keys, "the client was closed"), ConnectionLostError)
        self._delivery.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
