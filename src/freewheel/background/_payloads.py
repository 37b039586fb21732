"""Telling apart what may be run in the background."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import types
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Final

from bluesky.utils import Msg

from freewheel.core import MissingExtraError, PlanCall
from freewheel.core._devices import device_name

from ._context import TaskContext

__all__ = ["FLAVOURS", "Payload", "examine"]

FLAVOURS: Final = ("plan", "asyncio", "threading", "trio")
_WANTED: Final = (
    "a plan (a generator: call the plan function), a coroutine function, a function, or an object "
    "with a method `run`"
)


class Payload:
    """Something that can be run, and how.

    Attributes
    ----------
    flavour : str
        One of `FLAVOURS`, or "elsewhere" for a plan of another engine.
    thing : object
        The plan, or the function bound to its arguments; or what makes the runner of a plan
        elsewhere from its metadata.
    name : str
        What it would be called.
    context : TaskContext or None
        What it is told through, if it takes a context.
    claims : tuple
        The devices that it says it needs.
    """

    __slots__ = ("claims", "context", "flavour", "name", "thing")

    def __init__(
        self, flavour: str, thing: Any, name: str, context: TaskContext | None = None
    ) -> None:
        self.flavour = flavour
        self.thing = thing
        self.name = name
        self.context = context
        self.claims: tuple[Any, ...] = ()


def examine(
    thing: Any,
    flavour: str | types.ModuleType | None = None,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    devices: Mapping[str, Any] | None = None,
) -> Payload:
    """Return what ``thing`` is as a payload.

    Parameters
    ----------
    thing : plan, PlanCall, coroutine function, function or object with a method ``run``
    flavour : str or module, optional
        ``"plan"``, ``"asyncio"``, ``"threading"`` or ``"trio"``, or the module of that name; by
        default what ``thing`` looks like.
    args, kwargs
        What to call a function with.
    devices : mapping of str to object, optional
        Where an object's ``device_ids`` are looked for.

    Raises
    ------
    TypeError
        If it is none of these, or does not fit the flavour.
    ValueError
        For an unknown flavour.
    MissingExtraError
        For ``"trio"`` where trio or anyio is not installed.
    KeyError
        For a device that there is not.
    """
    if isinstance(thing, PlanCall) and (elsewhere := runner_elsewhere(thing)) is not None:
        return Payload("elsewhere", elsewhere, thing.name)
    if isinstance(thing, PlanCall):
        made = examine(thing.make(), flavour, args, kwargs)
        made.name = thing.name
        return made
    if _is_object_with_run(thing):
        if args or kwargs:
            raise TypeError(f"{thing!r} takes no arguments any more: its class does")
        return _of_object(thing, flavour, devices or {})
    natural = _natural_flavour(thing)
    chosen = _named_flavour(flavour) or natural
    if chosen == "trio" and natural == "asyncio":
        for package in ("anyio", "trio"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError("the flavour 'trio'", "trio")
    elif chosen != natural:
        raise TypeError(
            f"{thing!r} cannot be run under the flavour {chosen!r}; it is of flavour {natural!r}"
        )
    if natural == "plan":
        if args or kwargs:
            raise TypeError(f"a plan takes no arguments any more: {thing!r}")
        return Payload("plan", thing, _name(thing))
    func = functools.partial(thing, *args, **(kwargs or {})) if args or kwargs else thing
    context = None
    if _takes_context(thing) and "context" not in (kwargs or {}):
        context = TaskContext()
        func = functools.partial(func, context=context)
    return Payload(chosen, func, _name(thing), context)


def runner_elsewhere(call: PlanCall) -> Any:
    """Return what makes the runner of a plan of another engine; ``None`` for a plan of this one."""
    make = getattr(call.function, "runner_elsewhere", None)
    return None if make is None else make(call)


def _of_object(
    thing: Any, flavour: str | types.ModuleType | None, known: Mapping[str, Any]
) -> Payload:
    """Return the method ``run`` of an object as a payload, with the devices that it asks for."""
    name = type(thing).__name__
    devices = {}
    for given in getattr(thing, "device_ids", ()):
        if not isinstance(given, str):
            devices[device_name(given)] = given
        elif given in known:
            devices[given] = known[given]
        else:
            names = ", ".join(map(repr, known)) or "none"
            raise KeyError(
                f"{name} needs the device {given!r}, which RE.background.devices has not; it has: "
                f"{names}. Put it there: RE.background.devices[{given!r}] = ..."
            )
    context = TaskContext(devices=types.MappingProxyType(devices))
    takes_context = bool(inspect.signature(thing.run).parameters)
    run = functools.partial(thing.run, context) if takes_context else thing.run
    if inspect.isgeneratorfunction(inspect.unwrap(thing.run)):
        payload = examine(run(), flavour)
    else:
        payload = examine(run, flavour)
        payload.context = context if takes_context else None
    payload.name, payload.claims = name, tuple(devices.values())
    return payload


def _is_object_with_run(thing: Any) -> bool:
    return callable(getattr(thing, "run", None)) and not callable(thing) and not _is_plan(thing)


def _named_flavour(flavour: str | types.ModuleType | None) -> str | None:
    if flavour is None:
        return None
    name = flavour.__name__ if isinstance(flavour, types.ModuleType) else flavour
    if name not in FLAVOURS:
        raise ValueError(
            f"{flavour!r} is no flavour; the flavours are {', '.join(map(repr, FLAVOURS))}, "
            "or the modules of these names"
        )
    return name


def _natural_flavour(thing: Any) -> str:
    if _is_plan(thing):
        return "plan"
    if inspect.iscoroutine(thing):
        thing.close()  # or else Python warns, later and elsewhere, that nobody awaited it
        raise TypeError(
            f"{thing!r} is a coroutine: pass the coroutine function itself, without calling it"
        )
    if not callable(thing) or isinstance(thing, type):
        raise TypeError(f"{thing!r} cannot be run in the background; pass {_WANTED}")
    call = getattr(thing, "__call__", None)  # noqa: B004 - of an instance whose class has one
    if inspect.isgeneratorfunction(thing) or inspect.isgeneratorfunction(call):
        raise TypeError(
            f"{_name(thing)!r} is a plan function, not a plan: call it, {_name(thing)}(...)"
        )
    if inspect.isasyncgenfunction(thing):
        raise TypeError(f"{_name(thing)!r} is an async generator function; pass {_WANTED}")
    if inspect.iscoroutinefunction(thing) or inspect.iscoroutinefunction(call):
        return "asyncio"
    return "threading"


def _is_plan(thing: Any) -> bool:
    if isinstance(thing, Generator):
        return True
    if isinstance(thing, Sequence) and not isinstance(thing, (str, bytes, Msg)):
        return bool(thing) and all(isinstance(msg, Msg) for msg in thing)
    # bluesky's decorated plans are no Generator, but do what one does.
    return not isinstance(thing, type) and all(
        hasattr(thing, method) for method in ("__iter__", "send", "throw", "close")
    )


def _takes_context(func: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(func).parameters
    except (TypeError, ValueError):  # a builtin that does not tell
        return False
    context = parameters.get("context")
    return context is not None and context.kind is not context.POSITIONAL_ONLY


def _name(thing: Any) -> str:
    while isinstance(thing, functools.partial):
        thing = thing.func
    name = getattr(thing, "__name__", None)
    if name is None and hasattr(thing, "_iter"):
        name = getattr(thing._iter, "__name__", None)  # noqa: SLF001 - of bluesky's plans
    return str(name or type(thing).__name__)
