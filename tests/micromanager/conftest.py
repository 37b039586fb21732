"""Micro-Manager's core with its demo configuration: the real core, simulated devices."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from freewheel.micromanager import devices, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymmcore_plus import CMMCorePlus

    from freewheel import RunEngine
    from freewheel.micromanager import MicroManagerDevices


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Iterator[CMMCorePlus]:
    # Where another test has made a Qt application, the core's signals would wait for its loop.
    monkeypatch.setenv("PYMM_SIGNALS_BACKEND", "psygnal")
    core = load()
    core.setExposure(1)
    yield core
    if core.isSequenceRunning():
        core.stopSequenceAcquisition()
    core.unloadAllDevices()


@pytest.fixture
def on_loop(RE: RunEngine) -> Any:
    """Run a coroutine on the engine's loop, and return what it returns."""

    def run(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, RE.loop).result(30)

    return run


@pytest.fixture
def scope(core: CMMCorePlus, on_loop: Any) -> MicroManagerDevices:
    made = devices(core)
    on_loop(made.connect())
    return made
