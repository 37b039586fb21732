"""Connect devices on the engine's loop, not waiting for any of them."""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

from freewheel.core._connection import address_of, note_waited
from freewheel.core._crossings import run_soon
from freewheel.core._errors import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from freewheel.core import EngineView

__all__ = ["connect_again", "connect_devices"]

# What begins a connection once more, by the future of the last time. Set and looked up in one step
# each, from any thread.
_again: weakref.WeakKeyDictionary[Future[Any], Callable[[], Future[Any]]] = (
    weakref.WeakKeyDictionary()
)

# What a device may take beyond its own time-out before it is given up [s].
_SPARE = 1.0


def connect_devices(
    engine: EngineView, devices: Mapping[str, Any], timeout: float = 10.0
) -> dict[str, Future[Any]]:
    """Begin to connect devices, all at once, on the engine's loop; from any thread, not waiting.

    Devices of ophyd-async are connected, those of ophyd are waited for, others are ready.

    Parameters
    ----------
    engine
        The engine.
    devices
        The devices by name.
    timeout
        How long each may take [s].

    Returns
    -------
    dict of str to Future
        By name, in the same order. Done with the device, or with what kept it from connecting.
        `AcquisitionWindow` takes this in place of the devices.
    """
    return {name: _begin(engine, name, device, timeout) for name, device in devices.items()}


def connect_again(future: Future[Any]) -> Future[Any] | None:
    """Begin once more to connect a device; from any thread, not waiting.

    Parameters
    ----------
    future
        What `connect_devices`, or this, has returned for it.

    Returns
    -------
    Future or None
        As that of `connect_devices`; `None` for a future of somebody else.
    """
    again = _again.get(future)
    return None if again is None else again()


def _begin(engine: EngineView, name: str, device: Any, timeout: float) -> Future[Any]:
    future = run_soon(engine.loop, _connected(name, device, timeout))
    _again[future] = partial(_begin, engine, name, device, timeout)
    return future


async def _connected(name: str, device: Any, limit: float) -> Any:
    work = _connecting(device, limit)
    if work is not None:
        began = time.monotonic()
        try:
            await asyncio.wait_for(work, limit + _SPARE)
        except TimeoutError as error:
            seconds = time.monotonic() - began
            note_waited(device, seconds)
            # ophyd's goes on with what it waited for inside.
            said, _, _ = str(error).partition("; Pending operations")
            msg = f"{said}, given up after {seconds:.1f} s"
            raise TimeoutError(
                msg if said else f"{name} did not connect within {limit:g} s"
            ) from error
        except Exception as error:
            seconds = time.monotonic() - began
            note_waited(device, seconds)
            _tell_how_long(device, error, seconds)
            raise
        note_waited(device, None)
    return device


def _tell_how_long(device: Any, error: Exception, seconds: float) -> None:
    """Have an error that names the signals say how long they were waited for."""
    after = f", given up after {seconds:.1f} s"
    kind = getattr(sys.modules.get("ophyd_async.core"), "NotConnectedError", None)
    if kind is not None and type(error) is kind:
        raise kind(f"{str(error).strip()}{after}") from error
    if type(error).__module__.startswith("tango") and (where := address_of(device)):
        raise ConnectionError(f"{where}: {text_of(error)}{after}") from error


def _connecting(device: Any, timeout: float) -> Any:
    connect = getattr(device, "connect", None)
    if connect is not None and inspect.iscoroutinefunction(connect):
        takes_timeout = "timeout" in inspect.signature(connect).parameters
        return connect(timeout=timeout) if takes_timeout else connect()
    wait = getattr(device, "wait_for_connection", None)
    if callable(wait):  # ophyd's, which blocks
        return asyncio.to_thread(wait, timeout=timeout)
    return None
