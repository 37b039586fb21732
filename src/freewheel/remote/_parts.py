"""The parts of an engine elsewhere: its queue, tasks, claims, and what is done by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, overload

from freewheel.core import PlanCall

from ._devices import RemoteDevice

if TYPE_CHECKING:
    from freewheel.core import EngineFuture

    from ._asker import Asker
    from ._futures import RemotePlanFuture, RemoteTask

__all__ = ["RemoteBackground", "RemoteByHand", "RemoteClaims", "RemotePeriodic", "RemoteQueue"]


class RemoteQueue(Sequence["RemotePlanFuture"]):
    """The plans that wait on an engine elsewhere: as `freewheel.engine.PlanQueue`."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    @overload
    def __getitem__(self, index: int) -> RemotePlanFuture: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[RemotePlanFuture, ...]: ...

    def __getitem__(self, index: Any) -> Any:
        return self._asker.mirror.queued[index]

    def __iter__(self) -> Iterator[RemotePlanFuture]:
        return iter(self._asker.mirror.queued)

    def __len__(self) -> int:
        return len(self._asker.mirror["queued"])

    @property
    def held(self) -> str | None:
        """Why nothing new starts; ``None`` if it is not held."""
        found: str | None = self._asker.mirror["queue_held"]
        return found

    @property
    def on_interruption(self) -> str:
        """What becomes of those that wait after a stop or a failure: "cancel" or "hold"."""
        return str(self._asker.mirror["on_interruption"])

    @on_interruption.setter
    def on_interruption(self, value: str) -> None:
        self._asker.ask("queue_on_interruption", value=value)

    def hold(self, reason: str = "") -> None:
        """Start nothing new until `release`; the plan that runs goes on."""
        self._asker.ask("queue_hold", reason=reason)

    def release(self) -> None:
        """Let the queue go on."""
        self._asker.ask("queue_release")

    def clear(self) -> tuple[RemotePlanFuture, ...]:
        """Cancel all that wait, and return them."""
        mirror = self._asker.mirror
        gone = [(mirror.plan(each), each) for each in self._asker.ask("queue_clear") or ()]
        for future, record in gone:  # now, as here: the news of it may come a moment later
            mirror.end(future.key, record["ending"])
            mirror.end(record["life"], record["ending"])
        return tuple(future for future, _ in gone)

    def submit(
        self,
        plan: Any,
        subs: Any = None,
        /,
        *,
        priority: float = 0,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> RemotePlanFuture:
        """Start a plan of the engine there, or have it wait; otherwise as `RunEngine.queue`."""
        return self._asker.submit(
            "submit", plan, subs, priority=priority, name=name, metadata=dict(metadata or {})
        )

    def move(self, future: RemotePlanFuture, position: int) -> None:
        """Have a call wait elsewhere; `IndexError` or `ValueError` where that cannot be."""
        self._asker.ask("queue_move", key=_key(future), position=position)

    def edit(self, future: RemotePlanFuture, call: PlanCall) -> None:
        """Have a call that waits run something else, under the same future."""
        self._asker.ask("queue_edit", key=_key(future), call=self._asker.named(call))

    def put_back(self, *futures: RemotePlanFuture) -> tuple[RemotePlanFuture, ...]:
        """Submit plans again that have ended; by default those that were cancelled last."""
        records = self._asker.ask("queue_put_back", keys=[_key(each) for each in futures]) or ()
        return tuple(self._asker.mirror.plan(record) for record in records)

    def every(self, seconds: float, function: Any, /, *args: Any, **kwargs: Any) -> RemotePeriodic:
        """Run a plan of the engine there again and again; the handle's `cancel` ends it."""
        if not isinstance(function, PlanCall):
            function, args, kwargs = PlanCall(function, args, kwargs), (), {}
        if args:
            raise TypeError(f"{function!r} has its arguments already: give it alone.")
        call = self._asker.named(function)
        key = self._asker.ask("every", seconds=seconds, call=call, metadata=kwargs)
        return RemotePeriodic(self._asker, key)

    @property
    def periodic(self) -> tuple[Any, ...]:
        """Pictures of the plans that run again and again."""
        return self._asker.mirror.snapshot().periodic

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)}>"


class RemotePeriodic:
    """A plan that runs again and again on an engine elsewhere."""

    def __init__(self, asker: Asker, key: str) -> None:
        self._asker = asker
        self._key = key

    def cancel(self) -> bool:
        """Run it no more; return whether it did until now."""
        return bool(self._asker.ask("every_cancel", key=self._key))


def _key(future: Any) -> str:
    key = getattr(future, "key", None)
    if not isinstance(key, str):
        raise ValueError(f"{future!r} is no plan of this engine.")
    return key


class RemoteBackground(Mapping[str, "RemoteTask"]):
    """What runs beside the plan on an engine elsewhere."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    @property
    def running(self) -> tuple[RemoteTask, ...]:
        """The tasks that have not ended, in the order of their starts."""
        return self._asker.mirror.running

    def __getitem__(self, name: str) -> RemoteTask:
        found = {task.name: task for task in self.running}
        if name not in found:
            names = ", ".join(found) or "none"
            raise KeyError(f"There is no task {name!r}. There are: {names}.")
        return found[name]

    def __iter__(self) -> Iterator[str]:
        return iter([task.name for task in self.running])

    def __len__(self) -> int:
        return len(self.running)

    def launch(
        self,
        payload: Any,
        *,
        name: str | None = None,
        claims: Any = (),
        on_conflict: Literal["cancel", "pause", "error"] = "cancel",
        flavour: Any = None,
        **metadata: Any,
    ) -> RemoteTask:
        """Start a task that no plan owns: a plan of the engine there, by name."""
        record = self._asker.ask(
            "launch",
            call=self._asker.named(payload),
            name=name,
            claims=_names(claims),
            on_conflict=on_conflict,
            metadata=metadata,
        )
        return self._asker.mirror.task(record)

    def launch_registered(self, task_id: str, name: str, /, **kwargs: Any) -> RemoteTask:
        """Make a task of a class that is registered there, and start it."""
        record = self._asker.ask("launch_registered", task_id=task_id, name=name, kwargs=kwargs)
        return self._asker.mirror.task(record)

    def cancel(self, name: str, reason: str = "") -> bool:
        """Ask a task to end, with its clean-up; false if it has ended already."""
        return self[name].cancel(reason)


class RemoteClaims(Mapping[Any, str]):
    """Who holds which device of an engine elsewhere, by the stand-ins of the devices."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def by_name(self) -> Mapping[str, str]:
        """Return a frozen picture: names of the devices, with those of their holders."""
        return MappingProxyType(dict(self._asker.mirror["claims"]))

    def __getitem__(self, device: Any) -> str:
        claims = self._asker.mirror["claims"]
        for part in (*_above(device), *_below(device)):
            if part.name in claims:
                return str(claims[part.name])
        raise KeyError(device)

    def __iter__(self) -> Iterator[Any]:
        """Go through the devices that are held: those that are not on offer by their names."""
        stands = {part.name: part for each in self._asker.devices.values() for part in _all(each)}
        return iter([stands.get(name, name) for name in self._asker.mirror["claims"]])

    def __len__(self) -> int:
        return len(self._asker.mirror["claims"])

    def lends(self, holder: Any, device: Any) -> bool:
        """Tell whether a holder has lent a device: that is not known from afar."""
        return False

    @contextmanager
    def hold(self, device: Any, holder: str = "") -> Iterator[None]:
        """Hold a device, or several, for as long as the ``with`` block runs: a lease.

        It ends too when the line is lost for 2 s, and when an admin takes it away.

        Raises
        ------
        ResourceConflictError
            If a plan, a task or another client holds one of them.
        """
        key = self._asker.ask("claim", devices=_names(device), holder=holder)
        try:
            yield
        finally:
            self._asker.let_go(key)

    def revoke(self, device: Any) -> tuple[str, ...]:
        """Take a device away from the client that holds it; for admins. Returns who had it."""
        (name,) = _names(device)
        return tuple(self._asker.ask("revoke", device=name) or ())

    def __repr__(self) -> str:
        held = ", ".join(f"{device}: {holder}" for device, holder in self.by_name().items())
        return f"<{type(self).__name__}: {held or 'nothing is held'}>"


def _names(devices: Any) -> list[str]:
    several = [devices] if isinstance(devices, (RemoteDevice, str)) else list(devices)
    for device in several:
        if not isinstance(device, (RemoteDevice, str)):
            raise TypeError(f"{device!r} is no device of an engine elsewhere: see remote.devices.")
    return [each if isinstance(each, str) else each.remote_name for each in several]


def _above(device: Any) -> Iterator[Any]:
    while device is not None:
        yield device
        device = getattr(device, "parent", None)


def _below(device: Any) -> Iterator[Any]:
    for _, part in device.children() if isinstance(device, RemoteDevice) else ():
        yield from _all(part)


def _all(device: RemoteDevice) -> Iterator[RemoteDevice]:
    yield device
    yield from _below(device)


class RemoteByHand:
    """What a person moves or changes on an engine elsewhere."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def set(
        self, device: Any, value: Any, *, between: bool = False, holder: str = ""
    ) -> EngineFuture[Any]:
        """Set a device, which is held until it rests; otherwise as `RunEngine.by_hand`."""
        (name,) = _names(device)
        return self._asker.begin(
            f"the move of {name!r} by hand",
            "hand_set",
            device=name,
            value=value,
            between=between,
            holder=holder,
        )

    def stop(self, device: Any) -> EngineFuture[None]:
        """Stop a device, whoever moves it."""
        (name,) = _names(device)
        return self._asker.begin(f"the stop of {name!r} by hand", "hand_stop", device=name)

    def read(self, device: Any) -> EngineFuture[dict[str, Any]]:
        """Read a device, beside all plans; the future's result is the reading."""
        (name,) = _names(device)
        return self._asker.begin(f"the reading of {name!r}", "read", device=name)

    @property
    def holder(self) -> str:
        """What others see as the holder: our name there."""
        return "" if self._asker.line.welcome is None else self._asker.line.welcome.name

    @property
    def moving(self) -> tuple[Any, ...]:
        """The names of the devices that are on their way by hand."""
        return tuple(self._asker.mirror["moving"])
