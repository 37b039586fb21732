"""What the stubs' tests share."""

from __future__ import annotations

from typing import Any

import pytest

from doubles import Sensor, Stage, collect
from freewheel import RunEngine


@pytest.fixture
def documents(engine: RunEngine) -> list[tuple[str, Any]]:
    """All documents that the engine emits."""
    return collect(engine)


@pytest.fixture
def sensor() -> Sensor:
    return Sensor()


@pytest.fixture
def stage() -> Stage:
    return Stage()
