"""Servers of other people's instruments, as processes; EPICS stays on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from freewheel import RunEngine
from freewheel.testing import DocumentLog, local_epics

if TYPE_CHECKING:
    from collections.abc import Iterator

local_epics()  # before anybody loads a library of EPICS

from aioca import purge_channel_caches  # noqa: E402

SERVERS = Path(__file__).parent / "servers"


@pytest.fixture(scope="module")
def RE() -> Iterator[RunEngine]:  # noqa: N802
    """One engine for a module, as for a beamline: the PVs' libraries keep to its loop."""
    with RunEngine() as engine:
        yield engine
        asyncio.run_coroutine_threadsafe(_forget_pvs(), engine.loop).result(60)


async def _forget_pvs() -> None:
    # Else Channel Access would go on telling a loop that is closed when a server goes.
    purge_channel_caches()


@pytest.fixture
def on_loop(RE: RunEngine) -> Any:  # noqa: N803
    """Run a coroutine on the engine's loop, and return what it returns."""

    def run(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, RE.loop).result(60)

    return run


@pytest.fixture
def documents(RE: RunEngine) -> Iterator[DocumentLog]:  # noqa: N803
    log = DocumentLog()
    token = RE.subscribe(log)
    yield log
    RE.unsubscribe(token)
