"""Asks devices of ophyd-async and ophyd something, without the loop waiting where it must not."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["asked", "first_value"]


async def asked(signal: Any, method: str) -> Mapping[str, Any]:
    """Return what a method of a signal answers; empty if it has none."""
    function = getattr(signal, method, None)
    if inspect.iscoroutinefunction(function):
        answer: Mapping[str, Any] = await function()
        return answer
    # Those of ophyd wait for the network where they stand, which the loop must not.
    return await asyncio.to_thread(function) if callable(function) else {}


async def first_value(signal: Any) -> Any:
    """Return what a signal of ophyd reads now: it says nothing before its first change."""
    if inspect.iscoroutinefunction(getattr(signal, "describe", None)):
        return None
    readings = await asked(signal, "read")
    first = next(iter(readings.values()), {"value": getattr(signal, "position", None)})
    return first["value"]
