"""What a client asks an engine elsewhere for, and how long it waits for the answer."""

from __future__ import annotations

import itertools
import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from freewheel.core import EngineFuture, PlanCall

from ._errors import ConnectionLostError
from ._futures import value_of
from ._mirror import Mirror, outcome_key
from ._plans import RemotePlan

if TYPE_CHECKING:
    from ._delivery import Delivery
    from ._devices import RemoteDevices
    from ._futures import RemotePlanFuture
    from ._line import Line, Pending
    from ._plans import RemotePlans

__all__ = ["Asker"]

_log = logging.getLogger("freewheel")

#: Seconds that a call waits for the server to take it up.
_PATIENCE: Final = 2.0


#: What is of no use to whoever asks without waiting for the answer.
_ANSWERED: Final = frozenset(
    ("claim", "every", "explain", "launch", "launch_registered", "offers", "resume")
)


class Asker:
    """Asks the server on behalf of a `RemoteEngine` and its parts. On any thread.

    Parameters
    ----------
    delivery : Delivery
        Where futures end.
    plans : RemotePlans
        The plans that the server offers.
    devices : RemoteDevices
        Stand-ins of its devices.

    Attributes
    ----------
    mirror : Mirror
        What is known of the engine there.
    """

    def __init__(self, delivery: Delivery, plans: RemotePlans, devices: RemoteDevices) -> None:
        self.plans = plans
        self.devices = devices
        self.mirror = Mirror(delivery.thread, self.ask, self.switch)
        self.line: Line  # set before it is opened
        self._delivery = delivery
        self._keys = itertools.count(1)

    def ask(self, verb: str, **args: Any) -> Any:
        """Ask the server for something, and wait a little until it was done, or taken up.

        Raises
        ------
        RuntimeError
            On the line's own thread, for what is of no use without its answer.
        """
        if verb in _ANSWERED:
            self.check_thread(verb)
        return self.accepted(self.line.call(verb, args))

    def check_thread(self, verb: str) -> None:
        """Refuse the line's own thread, which would wait for what it has to bring itself."""
        if threading.current_thread() is self.line.thread:
            raise RuntimeError(
                f"{verb!r} waits for an answer of {self.line.url}, and it is this thread that "
                "brings it: on RE.loop write `await asyncio.to_thread(...)`. It was not sent."
            )

    def accepted(self, pending: Pending, patience: float = _PATIENCE) -> Any:
        """Wait until a call was done, or taken up, and return what was answered."""
        if threading.current_thread() is self.line.thread:
            return None  # it is this thread that brings the answer
        try:
            return pending.accepted.result(patience)
        except TimeoutError:
            if pending.accepted.done():
                raise
            raise TimeoutError(
                f"{self.line.url} has not answered within {patience:g} s: {pending.call.verb!r} "
                "may be carried out still."
            ) from None

    def begin(self, what: str, verb: str, **args: Any) -> EngineFuture[Any]:
        """Ask for something that takes its time, and return its future when it was taken up."""
        pending = self.line.call(verb, args)
        future: EngineFuture[Any] = EngineFuture.under_way(what, self._delivery.thread, tells=True)

        def done(ended: Any) -> None:
            error = ended.exception()
            plain = verb == "read"
            value = None if error is not None else ended.result()
            if plain and value is not None:
                value = value["reading"]
            elif value is not None:
                value = value_of(value)
            self._delivery.put(lambda: future.settle(value, error))

        try:
            self.accepted(pending)
        except TimeoutError:
            if pending.done.done():
                raise  # it has failed with one
        pending.done.add_done_callback(done)
        return future

    def named(self, plan: Any) -> dict[str, Any]:
        """Return a plan of the engine there as it is asked for, with its arguments checked.

        Raises
        ------
        TypeError
            For anything but a call of one of `plans`.
        ValueError
            If it does not take these arguments.
        """
        if isinstance(plan, RemotePlan):
            plan = plan()
        if not isinstance(plan, PlanCall) or not isinstance(plan.function, RemotePlan):
            raise TypeError(
                f"{plan!r} cannot be run by an engine elsewhere: it runs the plans that its server "
                "offers, by name, as in remote.plans.count([remote.devices.camera], num=3). There "
                f"are: {', '.join(self.plans) or 'none'}."
            )
        plan.function.check(plan, self.devices)
        return {
            "plan": plan.function.__name__,
            "args": list(plan.args),
            "kwargs": dict(plan.kwargs),
        }

    def submit(self, verb: str, plan: Any, subs: Any = None, **args: Any) -> RemotePlanFuture:
        """Ask for a plan to be run; for what runs plans."""
        if subs is not None:
            raise TypeError(
                "An engine elsewhere takes no subscribers of one plan: subscribe before it runs."
            )
        named = self.named(plan)
        key = self.new_key()
        pending = self.line.call(verb, {"call": named, "key": key, **args})
        call = plan() if isinstance(plan, RemotePlan) else plan
        future = self.mirror.plan(
            {
                "key": key,
                "name": args.get("name") or call.name,
                "arguments": call.arguments,
                "status": "queued",
                "elapsed": None,
            },
            call,
        )

        def accepted(ended: Any) -> None:
            if (error := ended.exception()) is not None:
                self._delivery.put(lambda: self.mirror.forget(key, error))
                self._delivery.put(lambda: self.mirror.forget(outcome_key(key), error))

        pending.accepted.add_done_callback(accepted)
        try:
            self.accepted(pending)
        except (TimeoutError, ConnectionLostError):
            pass  # the future tells what became of it
        return future

    def new_key(self) -> str:
        """Return a key for a new future of this session."""
        welcome = self.line.welcome
        assert welcome is not None
        return f"{welcome.tag}{next(self._keys)}"

    def let_go(self, lease: str) -> None:
        """End a lease; without a line it ends by itself."""
        try:
            self.ask("unclaim", key=lease)
        except (ConnectionLostError, TimeoutError) as error:
            _log.warning("A lease was not given back, and ends by itself: %s", error)

    def switch(self, name: str, to: bool) -> None:
        """Have somebody's latch act as that of the plan there, without waiting."""

        def told(ended: Any) -> None:
            if (error := ended.exception()) is not None:
                _log.warning("The action %r did not reach its plan: %s", name, error)

        try:
            pending = self.line.call("trigger" if to else "release", {"name": name})
        except ConnectionLostError as error:
            _log.warning("The action %r did not reach its plan: %s", name, error)
        else:
            pending.accepted.add_done_callback(told)
