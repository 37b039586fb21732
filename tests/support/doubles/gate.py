"""Holding up a plan, or the loop that it runs on."""

from __future__ import annotations

import threading
from typing import Any

from bluesky.utils import Msg

from freewheel import RunEngine

PATIENCE = 10  # seconds


class Gate:
    """Lets a test know where a plan is, and keeps it there; waits are bounded, none sleeps."""

    def __init__(self, engine: RunEngine) -> None:
        self.engine = engine
        self.reached = threading.Event()
        self.cleaned = threading.Event()
        self._opened = engine.loop.create_future()

    def plan(self, *, messages: int = 0) -> Any:
        """Says that it is there, waits for the gate, and cleans up."""
        try:
            yield Msg("checkpoint")
            self.reached.set()
            yield Msg("wait_for", None, [lambda: self._opened])
            for _ in range(messages):
                yield Msg("null")
            return "through"
        finally:
            self.cleaned.set()

    def wait(self) -> None:
        assert self.reached.wait(PATIENCE), "the plan never got to its gate"

    def open(self) -> None:
        self.engine.loop.call_soon_threadsafe(self._opened.set_result, None)


class Blocked:
    """Keeps the engine's loop busy, as a callback that blocks does."""

    def __init__(self, engine: Any) -> None:
        self.entered, self.release = threading.Event(), threading.Event()
        self.engine = engine

    def __enter__(self) -> None:
        self.engine.loop.call_soon_threadsafe(
            lambda: (self.entered.set(), self.release.wait(PATIENCE))
        )
        assert self.entered.wait(PATIENCE)

    def __exit__(self, *_: object) -> None:
        self.release.set()
