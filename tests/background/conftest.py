"""Fixtures of the background's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from freewheel import RunEngine

from ._parts import Log

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def engine() -> Iterator[RunEngine]:
    """An engine; it must be possible to close it."""
    with RunEngine() as run_engine:
        yield run_engine
    assert run_engine.loop.is_closed()


@pytest.fixture
def log() -> Log:
    """What plans tell the test."""
    return Log()
