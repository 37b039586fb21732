"""Engines on both kinds of loop, plans and devices that the engine's tests share."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from bluesky.utils import Msg

from freewheel import RunEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOOPS = ["asyncio", "uvloop"]


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind == "asyncio":
        return asyncio.SelectorEventLoop()
    return pytest.importorskip("uvloop").new_event_loop()


@pytest.fixture
def make_engine(request: pytest.FixtureRequest) -> Iterator[Callable[..., RunEngine]]:
    """A function that makes engines; all are closed at the end."""
    made: list[tuple[RunEngine, asyncio.AbstractEventLoop]] = []

    def make(kind: str = "asyncio", **kwargs: Any) -> RunEngine:
        loop = new_loop(kind)
        engine = RunEngine(loop=loop, **kwargs)
        made.append((engine, loop))
        return engine

    yield make
    for engine, loop in made:
        engine.close()
        if not loop.is_running():
            loop.close()


@pytest.fixture(params=LOOPS)
def RE(request: pytest.FixtureRequest, make_engine: Callable[..., RunEngine]) -> RunEngine:  # noqa: N802
    """An engine, on an asyncio loop and on a uvloop loop."""
    return make_engine(request.param)


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
        assert self.reached.wait(10), "the plan never got to its gate"

    def open(self) -> None:
        self.engine.loop.call_soon_threadsafe(self._opened.set_result, None)


@pytest.fixture
def gate(RE: RunEngine) -> Gate:  # noqa: N803
    return Gate(RE)


@pytest.fixture
def new_gate() -> type[Gate]:
    return Gate


@pytest.fixture
def documents(RE: RunEngine) -> list[tuple[str, dict[str, Any]]]:  # noqa: N803
    """Every document that the engine emits."""
    seen: list[tuple[str, dict[str, Any]]] = []
    RE.subscribe(lambda name, doc: seen.append((name, doc)))
    return seen
