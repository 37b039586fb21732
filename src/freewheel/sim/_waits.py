"""How simulated devices wait, or do not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["is_instant", "no_wait"]


async def no_wait(_: float) -> None:
    """Wait for nothing, but let others run."""
    await asyncio.sleep(0)


def is_instant(sleep: Callable[[float], Awaitable[object]]) -> bool:
    """Tell whether a device that waits with ``sleep`` does not wait at all."""
    return sleep is no_wait
