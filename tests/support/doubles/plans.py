"""Plans with nothing in them but the way in which they end."""

from __future__ import annotations

from typing import Any

from bluesky.utils import Msg

from freewheel.plan_stubs import checkpoint, sleep

from .log import Log


def quick(value: Any = None) -> Any:
    """A plan of one message."""
    yield Msg("null")
    return value


def endless(log: Log | None = None, name: str = "task") -> Any:
    """A plan that runs until it is ended."""
    if log is not None:
        log.add(f"{name} begins")
    try:
        while True:
            yield from checkpoint()
            yield from sleep(0.001)
    finally:
        if log is not None:
            log.add(f"{name} ends")


def value(result: Any) -> Any:
    """A plan that returns at once."""
    yield from checkpoint()
    return result


def failing(error: BaseException) -> Any:
    """A plan that fails."""
    yield from checkpoint()
    raise error


def in_a_run(plan: Any = ()) -> Any:
    """Run a plan, or messages, within a run, and return what it returns."""
    yield Msg("open_run")
    result = yield from plan
    yield Msg("close_run")
    return result
