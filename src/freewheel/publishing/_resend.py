"""Sending what was recorded, such as what could not be sent when it came."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from freewheel.recording import replay

from ._address import read_address
from ._errors import PublishingError
from ._targets import Item, target_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from freewheel.recording import RecordedRun

    from ._targets import Target

__all__ = ["send_runs"]


def send_runs(
    runs: Iterable[RecordedRun], address: str, *, speed: float = math.inf, **options: Any
) -> Iterator[tuple[RecordedRun, int]]:
    """Send recorded runs to a broker, or to a Tiled server, on the thread that iterates.

    Parameters
    ----------
    runs : iterable of RecordedRun
        The runs. What a Tiled server has of them already, if it is not whole, is replaced.
    address : str
        Where, as for a `Publisher`.
    speed : float
        How many times faster than they were; `math.inf` for as fast as possible.
    **options
        As for a `Publisher`.

    Yields
    ------
    tuple of RecordedRun and int
        Each run that was sent, and how many documents it has.

    Raises
    ------
    ValueError
        If the address is none.
    MissingExtraError
        If the packages for that kind of broker are not installed.
    PublishingError
        If the broker is not there, or refuses a document.
    RecordingError
        If a recording is damaged.
    """
    where = read_address(address)
    make = target_class(where.scheme)
    settings = {**where.options, **options, **({} if make.resumable else {"replace": True})}
    try:
        target = make(where, **settings)
    except PublishingError as error:
        raise PublishingError(f"{where} is not there: {error}") from error
    try:
        for run in runs:
            count = 0
            for name, doc in replay(run, speed=speed):
                _send(target, Item(run.uid, name, doc, 0, time.monotonic()))
                count += 1
            yield run, count
    finally:
        target.close()


def _send(target: Target, item: Item) -> None:
    try:
        target.send([item])
    except PublishingError as error:
        message = f"a document ({item.name}) of the run {item.run[:8]} was not sent: {error}"
        raise PublishingError(message) from error
