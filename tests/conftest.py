"""Fixtures that the tests of several folders share; the doubles are in ``support/doubles``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from doubles import Log
from freewheel import RunEngine

# Hundreds of processes are started; each would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Neither here nor in the processes that tests start is there a display, or a window is in the way.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("MPLBACKEND", "Agg")

with suppress(ImportError):
    import hypothesis

    # An example that took long says how busy the machine is, not what is wrong with the code.
    hypothesis.settings.register_profile(
        "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("busy")


@pytest.fixture
def engine() -> Iterator[RunEngine]:
    """An engine; it must be possible to close it."""
    with RunEngine({}) as run_engine:
        yield run_engine
    assert run_engine.loop.is_closed()


@pytest.fixture
def log() -> Log:
    """What plans tell the test."""
    return Log()
