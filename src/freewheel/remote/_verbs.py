"""What clients may ask for, each verb a method: its parameters are what it takes."""

from __future__ import annotations

import asyncio
import enum
import inspect
import itertools
import typing
from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec
from bluesky.bundlers import maybe_await

from freewheel.background._holders import HandHold, holding
from freewheel.core._crossings import run_soon
from freewheel.core._devices import device_name

from ._errors import NotAllowedError, ProtocolError
from ._offers import NamedCall  # noqa: TC001 - read from the signatures
from ._previews import preview_record
from ._roles import VERBS
from ._session import FrameWish, Lease

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._hub import Hub
    from ._offers import Offers
    from ._session import Session

__all__ = ["Later", "Verbs"]

#: Frames are sent no more often than this to one client [1/s].
_MAX_RATE: Final = 240.0
_MAX_LEASES: Final = 1_000


class Later(NamedTuple):
    """An answer that comes later: what the call began, and what was accepted.

    Attributes
    ----------
    future : FutureView
        Of what was begun.
    accepted : object
        What is told at once.
    """

    future: Any
    accepted: Any = None


class Verbs:
    """Carries out what clients ask for. On the server's loop alone.

    Parameters
    ----------
    hub : Hub
        What tells clients.
    offers : Offers
        The plans and devices.
    """

    def __init__(self, hub: Hub, offers: Offers) -> None:
        self._hub = hub
        self._engine = hub.engine
        self._offers = offers
        self._numbers = itertools.count(1)
        self._periodic: dict[str, Any] = {}

    def __call__(self, session: Session, verb: str, args: Mapping[str, Any]) -> Any:
        """Carry out a call.

        Returns
        -------
        object
            The answer, a `Later`, or a coroutine of either.

        Raises
        ------
        NotAllowedError
            If the client's role does not allow it.
        KeyError
            If there is no such verb.
        TypeError
            If it takes other arguments.
        """
        needed = VERBS.get(verb)
        if needed is None:
            raise KeyError(f"There is no verb {verb!r}. There are: {', '.join(sorted(VERBS))}.")
        role = session.client.role
        if not role.includes(needed):
            raise NotAllowedError(
                f"{session.client.name!r} is {role} here, and {verb!r} is for those who are "
                f"{needed}: ask whoever runs the server for a token with that role."
            )
        try:
            given = msgspec.convert(dict(args), _SHAPES[verb])
        except msgspec.ValidationError as error:
            raise TypeError(f"{verb!r} cannot be asked for so: {error}") from error
        with ExitStack() as hands:  # what the client holds is lent to what it begins
            for lease in session.leases.values():
                hands.enter_context(holding(lease.hand))
            return getattr(self, verb)(session, **msgspec.structs.asdict(given))

    # -- looking ------------------------------------------------------------------------------

    async def explain(self, session: Session) -> str:
        return await asyncio.to_thread(self._engine.explain)

    def picture(self, session: Session) -> dict[str, Any]:
        return self._hub.last

    def offers(self, session: Session) -> dict[str, Any]:
        return {
            "plans": self._offers.plan_records(),
            "devices": self._offers.device_records(),
        }

    def futures(self, session: Session, keys: list[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key in keys:
            try:
                found[key] = self._hub.ledger.ending(key)
            except KeyError as error:
                found[key] = {"lost": str(error.args[0])}
        return found

    async def read(self, session: Session, device: str, locate: bool = False) -> dict[str, Any]:
        found = self._offers.device(device)
        if locate:
            return {"location": await self._asked(found, "locate")}
        return {
            "reading": await self._asked(found, "read"),
            "describe": await self._asked(found, "describe"),
        }

    async def _asked(self, device: Any, method: str) -> Any:
        function = getattr(device, method, None)
        if not callable(function):
            raise TypeError(f"{device_name(device)!r} cannot be read.")
        if inspect.iscoroutinefunction(function):
            return await asyncio.wrap_future(run_soon(self._engine.loop, function()))
        # One that blocks must hold up neither the engine's loop nor this one.
        return await maybe_await(await asyncio.to_thread(function))

    def watch(self, session: Session, device: str, wanted: bool = True) -> None:
        if wanted:
            self._hub.values.watch(session, device, self._offers.device(device))
        else:
            self._hub.values.leave(session, device)

    def subscribe(self, session: Session, delivery: Literal["queued", "display", "latest"]) -> None:
        session.documents = delivery
        self._hub.follow()

    def unsubscribe(self, session: Session) -> None:
        session.documents = None
        self._hub.follow()

    def frames(
        self,
        session: Session,
        wanted: bool = True,
        key: str | None = None,
        max_side: int = 512,
        rate: float = 30.0,
    ) -> None:
        if not (max_side >= 1 and 0 < rate <= _MAX_RATE):
            raise ValueError(
                f"frames have sides of a pixel or more, and come at most {_MAX_RATE:g} times a "
                f"second, not {max_side} and {rate:g}"
            )
        session.frames = FrameWish(key, max_side, rate) if wanted else None
        self._hub.follow()
        session.ready.set()

    # -- plans --------------------------------------------------------------------------------

    def submit(
        self,
        session: Session,
        call: NamedCall,
        key: str,
        priority: float = 0,
        name: str | None = None,
        metadata: dict[str, Any] = {},  # noqa: B006 - the struct copies it
    ) -> Any:
        made = self._offers.call(call)
        future = self._engine.queue.submit(
            made, priority=priority, name=name, metadata=self._signed(session, metadata)
        )
        return self._hub.ledger.record(future, self._own(session, key))

    def preempt(
        self,
        session: Session,
        call: NamedCall,
        key: str,
        restore: bool = False,
        name: str | None = None,
        metadata: dict[str, Any] = {},  # noqa: B006
    ) -> Any:
        made = self._offers.call(call)
        future = self._engine.preempt(
            made, restore=restore, name=name, metadata=self._signed(session, metadata)
        )
        return self._hub.ledger.record(future, self._own(session, key))

    def _signed(self, session: Session, metadata: dict[str, Any]) -> dict[str, Any]:
        """Have the runs say who has asked for them."""
        return {**self._offers.with_devices(metadata), "submitted_by": session.client.name}

    def _own(self, session: Session, key: str) -> str:
        """Refuse a key that another client might use."""
        if not key.startswith(session.tag):
            raise ProtocolError(f"{key!r} is no key of this session.")
        return key

    def cancel(self, session: Session, key: str) -> bool:
        return bool(self._hub.ledger.find(key).cancel())

    def pause(self, session: Session, defer: bool = False) -> Any:
        return Later(self._engine.request_pause(defer))

    def resume(self, session: Session, key: str) -> Any:
        return self._hub.ledger.record(self._engine.resume(), self._own(session, key))

    def stop(self, session: Session) -> Any:
        return Later(self._engine.stop())

    def abort(self, session: Session, reason: str = "") -> Any:
        return Later(self._engine.abort(reason))

    def halt(self, session: Session) -> Any:
        return Later(self._engine.halt())

    def stop_all(self, session: Session, reason: str = "") -> Any:
        why = (
            f"{session.client.name}: {reason}" if reason else f"asked for by {session.client.name}"
        )
        return Later(self._engine.stop_all(why))

    async def preview(self, session: Session, call: NamedCall) -> dict[str, Any]:
        made = self._offers.call(call)
        return preview_record(await asyncio.to_thread(self._engine.preview, made))

    # -- actions ------------------------------------------------------------------------------

    def trigger(self, session: Session, name: str, plan: str | None = None) -> None:
        self._engine.trigger_action(name, plan=plan)

    def release(self, session: Session, name: str, plan: str | None = None) -> None:
        self._engine.release_action(name, plan=plan)

    # -- the queue ----------------------------------------------------------------------------

    def queue_hold(self, session: Session, reason: str = "") -> None:
        self._engine.queue.hold(reason or session.client.name)

    def queue_release(self, session: Session) -> None:
        self._engine.queue.release()

    def queue_clear(self, session: Session) -> list[str]:
        keys = [self._hub.ledger.key_of(future) for future in self._engine.queued]
        gone = {id(future) for future in self._engine.queue.clear()}
        return [key for key in keys if id(self._hub.ledger.find(key)) in gone]

    def queue_move(self, session: Session, key: str, position: int) -> None:
        self._engine.queue.move(self._hub.ledger.find(key), position)

    def queue_edit(self, session: Session, key: str, call: NamedCall) -> None:
        self._engine.queue.edit(self._hub.ledger.find(key), self._offers.call(call))

    def queue_put_back(self, session: Session, keys: list[str] = []) -> list[Any]:  # noqa: B006
        again = self._engine.queue.put_back(*map(self._hub.ledger.find, keys))
        return [self._hub.ledger.record(future) for future in again]

    def queue_on_interruption(self, session: Session, value: str) -> None:
        self._engine.queue.on_interruption = value
        self._hub.touch("queue_changed")

    def every(self, session: Session, seconds: float, call: NamedCall) -> str:
        key = f"every-{next(self._numbers)}"
        made = self._offers.call(call)
        self._periodic[key] = self._engine.queue.every(
            seconds, made.function, *made.args, **made.kwargs
        )
        self._hub.touch("queue_changed")
        return key

    def every_cancel(self, session: Session, key: str) -> bool:
        handle = self._periodic.pop(key, None)
        self._hub.touch("queue_changed")
        return handle is not None and bool(handle.cancel())

    # -- by hand ------------------------------------------------------------------------------

    def hand_set(
        self, session: Session, device: str, value: Any, between: bool = False, holder: str = ""
    ) -> Any:
        found = self._offers.device(device)
        future = self._engine.by_hand.set(
            found,
            _as_member(found, self._offers.with_devices(value)),
            between=between,
            holder=_as(session, holder),
        )
        future.add_done_callback(lambda _: self._hub.touch())
        return Later(future)

    def hand_stop(self, session: Session, device: str) -> Any:
        return Later(self._engine.by_hand.stop(self._offers.device(device)))

    def claim(self, session: Session, devices: list[str], holder: str = "") -> str:
        if len(session.leases) >= _MAX_LEASES:
            raise RuntimeError(f"{session.client.name!r} holds {_MAX_LEASES} leases already.")
        found = tuple(self._offers.device(name) for name in devices)
        hand = HandHold(_as(session, holder))
        self._claims.acquire(hand, found)
        key = f"lease-{next(self._numbers)}"
        session.leases[key] = Lease(key, hand, found)
        return key

    def unclaim(self, session: Session, key: str) -> bool:
        lease = session.leases.pop(key, None)
        if lease is None:
            return False
        self._claims.release_all(lease.hand)
        return True

    def revoke(self, session: Session, device: str) -> list[str]:
        wanted = self._offers.device(device)
        found = []
        for other in self._hub.sessions.values():
            for lease in list(other.leases.values()):
                if any(self._claims.overlap(wanted, held) for held in lease.devices):
                    self.end_lease(other, lease, f"taken away by {session.client.name}")
                    found.append(other.client.name)
        if not found:
            raise KeyError(f"No client holds {device!r} by a lease.")
        return found

    @property
    def _claims(self) -> Any:
        return self._engine.claims  # the ledger: a server's engine is in this process

    def end_lease(self, session: Session, lease: Lease, why: str) -> None:
        """Take a lease back, and tell everybody."""
        session.leases.pop(lease.key, None)
        self._claims.release_all(lease.hand)
        self._hub.lease_ended(lease.key, why)

    # -- tasks --------------------------------------------------------------------------------

    def launch(
        self,
        session: Session,
        call: NamedCall,
        name: str | None = None,
        claims: list[str] = [],  # noqa: B006
        on_conflict: Literal["cancel", "pause", "error"] = "cancel",
        metadata: dict[str, Any] = {},  # noqa: B006
    ) -> dict[str, Any]:
        task = self._engine.background.launch(
            self._offers.call(call),
            name=name,
            claims=[self._offers.device(each) for each in claims],
            on_conflict=on_conflict,
            **self._signed(session, metadata),
        )
        return self._hub.ledger.task_record(task)

    def launch_registered(
        self,
        session: Session,
        task_id: str,
        name: str,
        kwargs: dict[str, Any] = {},  # noqa: B006
    ) -> dict[str, Any]:
        launch: Any = getattr(self._engine.background, "launch_registered", None)
        return self._hub.ledger.task_record(
            launch(task_id, name, **self._offers.with_devices(kwargs))
        )

    def task_cancel(self, session: Session, key: str, reason: str = "") -> bool:
        return bool(self._hub.ledger.find(key).cancel(reason))

    def task_pause(self, session: Session, key: str) -> None:
        self._hub.ledger.find(key).pause()

    def task_resume(self, session: Session, key: str) -> None:
        self._hub.ledger.find(key).resume()


def _as(session: Session, holder: str) -> str:
    """Return how a client is called as a holder: always with the name of its token."""
    name = session.client.name
    return f"{name} ({holder[:60]})" if holder and holder != name else name


def _as_member(device: Any, value: Any) -> Any:
    """Return the member of a signal's enumeration for its value, as a client has it."""
    datatype = getattr(device, "datatype", None)
    if isinstance(datatype, type) and issubclass(datatype, enum.Enum):
        return datatype(value)
    return value


def _shape(verb: str) -> type[msgspec.Struct]:
    """Return the structure that a verb's arguments must have: its parameters, with their types."""
    function = getattr(Verbs, verb)
    hints = typing.get_type_hints(function, {**globals(), "Session": object, "Any": Any})
    fields: list[Any] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in ("self", "session"):
            continue
        if parameter.default is parameter.empty:
            fields.append((name, hints[name]))
        elif isinstance(parameter.default, (list, dict)):
            kind = type(parameter.default)
            fields.append((name, hints[name], msgspec.field(default_factory=kind)))
        else:
            fields.append((name, hints[name], parameter.default))
    return msgspec.defstruct(verb, fields, kw_only=True, forbid_unknown_fields=True)


_SHAPES: Final = MappingProxyType({verb: _shape(verb) for verb in VERBS})
