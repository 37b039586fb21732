"""Connections on which nobody asks for anything."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress

import pytest

from afar import T
from freewheel import RunEngine
from freewheel.remote import EngineServer, Limits, TokenFile, connect

pytestmark = pytest.mark.servers  # with those, for the README's command is to stay short


@pytest.mark.parametrize("said", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_who_asks_for_nothing_is_not_waited_for(
    engine: RunEngine, tokens: TokenFile, said: bytes
) -> None:
    limits = Limits(patience=0.1)
    with (
        EngineServer(engine, tokens=tokens, port=0, limits=limits) as server,
        socket.create_connection(("127.0.0.1", server.port), T) as line,
    ):
        with suppress(ConnectionError):  # the server may have been first
            line.sendall(said)
            assert line.recv(1) == b""


def test_more_connections_than_there_may_be_are_cut_and_clients_go_on(
    engine: RunEngine, tokens: TokenFile
) -> None:
    limits = Limits(clients=2, patience=60)
    with (
        EngineServer(engine, tokens=tokens, port=0, limits=limits) as server,
        connect(server.url, tokens.add("anna")) as remote,
        ExitStack() as stack,
    ):
        address = ("127.0.0.1", server.port)
        lines = [stack.enter_context(socket.create_connection(address, T)) for _ in range(80)]
        with suppress(ConnectionError):
            assert lines[-1].recv(1) == b""
        lines[0].sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert lines[0].recv(12) == b"HTTP/1.1 200"
        assert remote.explain()


def test_headers_without_an_end_are_not_kept(engine: RunEngine, tokens: TokenFile) -> None:
    limits = Limits(patience=60)
    with (
        EngineServer(engine, tokens=tokens, port=0, limits=limits) as server,
        socket.create_connection(("127.0.0.1", server.port), T) as line,
    ):
        line.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ")
        with suppress(ConnectionError):
            line.sendall(b"a" * 200_000)
            assert not line.recv(64).startswith(b"HTTP/1.1 200")


def test_who_is_refused_and_does_not_leave_is_cut(engine: RunEngine, tokens: TokenFile) -> None:
    upgrade = (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    limits = Limits(patience=0.1)
    with (
        EngineServer(engine, tokens=tokens, port=0, limits=limits) as server,
        socket.create_connection(("127.0.0.1", server.port), T) as line,
    ):
        line.sendall(upgrade)  # and no hello
        with suppress(ConnectionError):
            while line.recv(4096):  # its goodbye, which is not answered, and then the end
                pass
