"""The command ``wait_for``, whose own tasks do not outlive it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bluesky.run_engine import WaitForTimeoutError

from freewheel.core import CircularWaitError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bluesky.utils import Msg

__all__ = ["wait_for"]


async def wait_for(msg: Msg) -> list[asyncio.Future[Any]]:
    """Wait for what factories give: ``Msg("wait_for", None, factories, timeout=…)``.

    The tasks that it makes itself of coroutines do not outlive it.
    """
    (factories,) = msg.args
    given = [factory() for factory in factories]
    futures = [asyncio.ensure_future(each) for each in given]
    own = [future for each, future in zip(given, futures, strict=True) if future is not each]
    try:
        _, pending = await asyncio.wait(futures, **msg.kwargs)
    except asyncio.CancelledError:
        _cancel(own)
        raise
    if pending:
        _cancel(own)
        raise WaitForTimeoutError("Plan failed to complete in the specified time")
    for future in own:
        # The others' failures are the plan's to look at, as in bluesky.
        if isinstance(error := future.exception(), CircularWaitError):
            raise error
    return futures


def _cancel(futures: Iterable[asyncio.Future[Any]]) -> None:
    for future in futures:
        future.cancel()
