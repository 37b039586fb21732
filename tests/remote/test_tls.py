"""A server with TLS, whose certificate is one of the tests' own, for this machine."""

from __future__ import annotations

import queue
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from afar import T, some_plans
from freewheel import RunEngine
from freewheel.remote import (
    ConnectionLostError,
    EngineServer,
    Limits,
    RemoteFrame,
    TokenFile,
    connect,
)
from freewheel.sim import microscope

FOLDER = Path(__file__).parents[1] / "support" / "certificate"
FILES = {"certfile": str(FOLDER / "certificate.pem"), "keyfile": str(FOLDER / "key.pem")}


@pytest.fixture
def server(engine: RunEngine, tokens: TokenFile) -> Iterator[EngineServer]:
    devices = microscope(shape=(400, 400), instant=True)
    with EngineServer(
        engine,
        plans=some_plans().values(),
        devices=devices,
        tokens=tokens,
        port=0,
        ssl=FILES,
        limits=Limits(patience=1),
    ) as serving:
        yield serving


@pytest.fixture
def known() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=FILES["certfile"])


def test_an_engine_is_used_over_tls(
    server: EngineServer, tokens: TokenFile, known: ssl.SSLContext
) -> None:
    frames: queue.Queue[RemoteFrame] = queue.Queue()
    assert server.url.startswith("wss://")
    with connect(server.url, tokens.add("anna"), tls=known) as remote:
        remote.show_frames(frames.put, max_side=400)
        future = remote(remote.plans.measure([remote.devices.camera]))
        assert future.result(T).plan_result == "measured"
        assert frames.get(timeout=T).data.shape == (400, 400)


def test_monitoring_asks_over_tls(server: EngineServer, known: ssl.SSLContext) -> None:
    assert server.page.startswith("https://")
    assert httpx.get(f"{server.page}health", verify=known, trust_env=False).json()["ok"]


def test_a_certificate_that_nobody_knows_is_refused_by_clients(
    server: EngineServer, tokens: TokenFile
) -> None:
    with pytest.raises(ConnectionLostError, match=r"certificate is not to be trusted.*tls="):
        connect(server.url, tokens.add("anna"), timeout=600)


def test_who_speaks_no_tls_is_not_let_in(server: EngineServer, tokens: TokenFile) -> None:
    plain: Any = server.url.replace("wss", "ws")
    with pytest.raises(ConnectionLostError):
        connect(plain, tokens.add("anna"), timeout=1)
