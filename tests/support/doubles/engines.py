"""What tests do with an engine again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from freewheel import RunEngine

PATIENCE = 20  # seconds


def run(engine: RunEngine, plan: Any) -> Any:
    """Run a plan to its end, and return what it returns."""
    return engine(plan).result(PATIENCE).plan_result


def on_loop(engine: RunEngine, func: Callable[[], Any]) -> Any:
    """Call a function on the engine's thread and return its value."""

    async def call() -> Any:
        return func()

    return asyncio.run_coroutine_threadsafe(call(), engine.loop).result(10)


def collect(engine: RunEngine) -> list[tuple[str, Any]]:
    """Return a list that all documents of the engine come into, as ``(name, document)``."""
    found: list[tuple[str, Any]] = []
    engine.subscribe(lambda name, doc: found.append((name, doc)))
    return found


def at_message(engine: RunEngine, number: int, act: Callable[[], object]) -> None:
    """Do something at one of the messages to come."""
    left = number

    def hook(msg: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            act()

    engine.msg_hook = hook
