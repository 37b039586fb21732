"""A real queueserver with a Redis of its own, as processes on free ports."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from freewheel.testing import free_port
from queueservers import START_UP, Listener, Process, Server


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    pytest.importorskip("bluesky_queueserver_api")
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    redis = Process([server, "--port", str(port), "--save", "", "--bind", "127.0.0.1"])
    redis.wait_for("Ready to accept connections")
    yield port
    redis.end()


@pytest.fixture(scope="module", params=[False, True], ids=["python", "ipython"])
def server(
    request: pytest.FixtureRequest, redis_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("queueserver"), redis_port, request.param, START_UP)
    yield made
    made.close()


@pytest.fixture
def listen() -> Iterator[Callable[[str], Listener]]:
    made: list[Listener] = []

    def listen(address: str) -> Listener:
        made.append(Listener(address))
        return made[-1]

    yield listen
    for listener in made:
        listener.close()
