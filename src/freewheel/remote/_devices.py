"""Stand-ins for the devices of an engine elsewhere."""

from __future__ import annotations

import enum
import functools
from typing import TYPE_CHECKING, Any, Final

from ._named import Named

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

__all__ = ["AskOfDevices", "RemoteDevice", "RemoteDevices"]


_TYPES: Final[Mapping[str, type]] = {kind.__name__: kind for kind in (bool, int, float, str)}


class RemoteDevice:
    """A device of an engine elsewhere: it can be named in plans, read, set and held.

    Its parts are its attributes: ``remote.devices.stage.x``.

    Attributes
    ----------
    name : str
        The device's own name.
    remote_name : str
        How it is asked for: ``"stage.x"``.
    kind : str
        The name of its class on the server.
    parent : RemoteDevice or None
        What it is a part of.
    datatype : type
        Of a signal: a plain one, an enumeration, or `object` for any other.
    """

    def __init__(
        self,
        remote_name: str,
        record: Mapping[str, Any],
        ask: AskOfDevices,
        parent: RemoteDevice | None = None,
    ) -> None:
        self.remote_name = remote_name
        self.name: str = record["name"]
        self.kind: str = record["kind"]
        self.parent = parent
        self._ask = ask
        if record["is_signal"]:
            self.datatype = _type_of(record["datatype"], self.name)
            self.source = f"remote://{remote_name}"
        self._parts: dict[str, RemoteDevice] = {}
        for key, part in record["parts"].items():
            made = make_device(f"{remote_name}.{key}", part, ask, self)
            self._parts[key] = made
            if not hasattr(self, key):
                setattr(self, key, made)

    def children(self) -> Iterator[tuple[str, RemoteDevice]]:
        """Return its parts, by name."""
        return iter(self._parts.items())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.remote_name}: {self.kind}>"


class AskOfDevices:
    """What stand-ins ask their engine by."""

    def __init__(
        self,
        read: Callable[..., Awaitable[Any]],
        watch: Callable[[str, Callable[..., Any], bool], None],
        watch_server: Callable[[str, Callable[[bool], object]], Any],
        by_hand: Callable[[], Any],
    ) -> None:
        self.read = read
        self.watch = watch
        self.watch_server = watch_server
        self.by_hand = by_hand


async def _read(self: RemoteDevice) -> dict[str, Any]:
    """Return a reading, as bluesky has it."""
    found: dict[str, Any] = (await self._ask.read(self.remote_name))["reading"]
    return found


async def _describe(self: RemoteDevice) -> dict[str, Any]:
    """Return what is read, as bluesky describes it."""
    found: dict[str, Any] = (await self._ask.read(self.remote_name))["describe"]
    return found


async def _locate(self: RemoteDevice) -> dict[str, Any]:
    """Return where it is, and where it is to go, as bluesky has it."""
    found: dict[str, Any] = (await self._ask.read(self.remote_name, locate=True))["location"]
    return found


def _set(self: RemoteDevice, value: Any) -> Any:
    """Set it by hand; returns a future."""
    return self._ask.by_hand().set(self, value)


def _stop(self: RemoteDevice, success: bool = False) -> Any:
    """Stop it, whoever moves it; returns a future."""
    return self._ask.by_hand().stop(self)


def _subscribe(self: RemoteDevice, function: Callable[[dict[str, Any]], Any]) -> None:
    """Have a function called with the reading, now and at each change."""
    self._ask.watch(self.remote_name, function, True)


def _clear_sub(self: RemoteDevice, function: Callable[[dict[str, Any]], Any]) -> None:
    """Undo a subscription."""
    self._ask.watch(self.remote_name, function, False)


def _watch_server(self: RemoteDevice, told: Callable[[bool], object]) -> Any:
    """Have a function told whether what a subscription tells is what it reads now.

    It is not without a line, nor while the device's own server is gone. What is returned is to be
    closed.
    """
    return self._ask.watch_server(self.remote_name, told)


def _type_of(datatype: Any, name: str) -> Any:
    if isinstance(datatype, list):
        return enum.Enum(name, [(str(value), value) for value in datatype])
    return _TYPES.get(datatype, object)


def _for_plans(name: str) -> Callable[..., Any]:
    def refuse(self: RemoteDevice, *_: Any, **__: Any) -> Any:
        raise TypeError(
            f"{self.remote_name!r} is a device of an engine elsewhere: {name}() is for the plans "
            "of that engine, which are asked for by name (remote.plans)."
        )

    refuse.__name__ = name
    return refuse


@functools.lru_cache(maxsize=64)
def _class_of(can: frozenset[str]) -> type[RemoteDevice]:
    """Return a class with what a device can be asked for, as protocols look for it."""
    methods: dict[str, Any] = {}
    for name in can:
        if name == "read":
            methods |= {"read": _read, "describe": _describe}
        elif name == "locate":
            methods["locate"] = _locate
        elif name == "set":
            methods["set"] = _set
        elif name == "stop":
            methods["stop"] = _stop
        elif name == "clear_sub":
            methods |= {
                "subscribe": _subscribe,
                "subscribe_reading": _subscribe,
                "clear_sub": _clear_sub,
                "watch_server": _watch_server,
            }
        elif name == "stage":
            methods |= {"stage": _for_plans("stage"), "unstage": _for_plans("unstage")}
        elif name == "kickoff":
            methods |= {"kickoff": _for_plans("kickoff"), "complete": _for_plans("complete")}
        else:
            methods[name] = _for_plans(name)
    return type("RemoteDevice", (RemoteDevice,), {**methods, "__module__": __name__})


def make_device(
    name: str, record: Mapping[str, Any], ask: AskOfDevices, parent: RemoteDevice | None = None
) -> RemoteDevice:
    """Return the stand-in of a device."""
    return _class_of(frozenset(record["can"]))(name, record, ask, parent)


class RemoteDevices(Named[RemoteDevice]):
    """The devices of an engine elsewhere: ``remote.devices.camera``, or ``["stage.x"]``."""

    kind = "device"

    def learn(self, records: Mapping[str, Any], ask: AskOfDevices) -> None:
        """Take what the server offers; a device that was known stays the same object."""
        self._known = {
            name: self._known.get(name) or make_device(name, record, ask)
            for name, record in records.items()
        }

    def _find(self, name: str) -> RemoteDevice | None:
        first, *rest = name.split(".")
        found = self._known.get(first)
        for part in rest:
            found = None if found is None else dict(found.children()).get(part)
        return found
