"""Engines on both kinds of loop, plans and devices that the engine's tests share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from doubles import Gate, collect
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


@pytest.fixture
def gate(RE: RunEngine) -> Gate:  # noqa: N803
    return Gate(RE)


@pytest.fixture
def documents(RE: RunEngine) -> list[tuple[str, dict[str, Any]]]:  # noqa: N803
    """Every document that the engine emits."""
    return collect(RE)
