"""Connect devices on the engine's loop, not waiting for any of them."""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from typing import TYPE_CHECKING, Any

from freewheel.core._crossings import run_soon

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from freewheel.core import EngineView

__all__ = ["connect_devices"]

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
    return {
        name: run_soon(engine.loop, _connected(name, device, timeout))
        for name, device in devices.items()
    }


async def _connected(name: str, device: Any, limit: float) -> Any:
    work = _connecting(device, limit)
    if work is not None:
        began = time.monotonic()
        try:
            await asyncio.wait_for(work, limit + _SPARE)
        except TimeoutError as error:
            msg = f"{name} did not connect within {limit:g} s"
            raise TimeoutError(str(error) or msg) from error
        except Exception as error:
            _tell_how_long(error, time.monotonic() - began)
            raise
    return device


def _tell_how_long(error: Exception, seconds: float) -> None:
    """Have ophyd-async's error, which names the PVs, say how long they were waited for."""
    kind = getattr(sys.modules.get("ophyd_async.core"), "NotConnectedError", None)
    if kind is not None and type(error) is kind:
        reason = f"{str(error).strip()}, given up after {seconds:.1f} s"
        raise kind(reason) from error


def _connecting(device: Any, timeout: float) -> Any:
    connect = getattr(device, "connect", None)
    if connect is not None and inspect.iscoroutinefunction(connect):
        takes_timeout = "timeout" in inspect.signature(connect).parameters
        return connect(timeout=timeout) if takes_timeout else connect()
    wait = getattr(device, "wait_for_connection", None)
    if callable(wait):  # ophyd's, which blocks
        return asyncio.to_thread(wait, timeout=timeout)
    return None
