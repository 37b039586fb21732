"""What the tests of publishing share: brokers, and publishers that are closed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("h5py")

from brokers import KINDS, Broker, Said, need
from freewheel.publishing import Publisher


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def said() -> Iterator[Said]:
    handler = Said()
    logger = logging.getLogger("freewheel.publishing")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture
def publish(said: Said) -> Iterator[Callable[..., Publisher]]:
    """Make publishers, which are closed."""
    made: list[Publisher] = []

    def make(address: str, **options: Any) -> Publisher:
        made.append(Publisher(address, **options))
        return made[-1]

    yield make
    for publisher in made:
        publisher.close(timeout=30)


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[[str], Broker]]:
    made: list[Broker] = []

    def make(kind: str) -> Broker:
        need(kind)
        made.append(KINDS[kind](tmp_path))
        return made[-1]

    yield make
    for broker in made:
        broker.close()


ALL_KINDS = ["zmq", *(pytest.param(kind, marks=pytest.mark.servers) for kind in ("nats", "kafka"))]


@pytest.fixture(params=ALL_KINDS)
def broker(request: pytest.FixtureRequest, make_broker: Callable[[str], Broker]) -> Broker:
    """Each kind of broker, not started."""
    return make_broker(request.param)
