"""What a plan notices of documents that go to 0MQ and to Tiled.

``python -m benchmarks --only publishing`` prints the table. A 0MQ proxy and a Tiled server run as
processes of their own. The peers are bluesky's own publishers, subscribed inline as its engine has
them, and with queued delivery.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bluesky.callbacks.zmq
from bluesky.callbacks.tiled_writer import TiledWriter
from bluesky.plans import scan
from ophyd.sim import det, motor

from benchmarks._rows import Row, interleave, make_row
from freewheel import RunEngine
from freewheel.publishing import Publisher
from freewheel.recording import TiledRecorder
from freewheel.testing import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["rows"]

POINTS = 101
KEY = "benchmark"
SLOW = 1.0  # seconds that each call to the slow server takes


def rows() -> Iterable[Row]:
    """Measure, and yield the lines of the table."""
    with tempfile.TemporaryDirectory() as name, _servers(Path(name)) as (proxy, tiled):
        os.environ["TILED_RETRY_ATTEMPTS"] = "1"
        yield from _attached(Path(name), proxy, tiled)
        yield from _slow_server(Path(name), tiled)


@contextlib.contextmanager
def _servers(folder: Path) -> Iterator[tuple[int, int]]:
    """Start a 0MQ proxy and a Tiled server; give the ports of both."""
    proxy, tiled = free_port(), free_port()
    commands = (
        ["bluesky.commandline.zmq_proxy", f"--in-address=127.0.0.1:{proxy}"],
        ["freewheel", "tiled", str(folder / "catalogue"), f"--port={tiled}", f"--api-key={KEY}"],
    )
    with contextlib.ExitStack() as stack:
        for command, ready in zip(commands, ("Use Ctrl+C", "Ctrl-C ends it"), strict=True):
            process = subprocess.Popen(
                [sys.executable, "-u", "-m", *command], stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            while ready not in (line := process.stdout.readline()):
                assert line, f"{command[0]} did not start"
        yield proxy, tiled


# -- a scan, with both attached -----------------------------------------------------------------


def _attached(folder: Path, proxy: int, tiled: int) -> Iterable[Row]:
    uri = f"http://127.0.0.1:{tiled}/?api_key={KEY}"

    def theirs(delivery: str) -> Callable[[RunEngine], Any]:
        def attach(engine: RunEngine) -> Any:
            writer = TiledWriter.from_uri(uri)
            publisher = bluesky.callbacks.zmq.Publisher(f"127.0.0.1:{proxy}")
            engine.subscribe(publisher, delivery=delivery)
            engine.subscribe(writer, delivery=delivery)
            stack = contextlib.ExitStack()
            stack.callback(publisher.close)
            stack.callback(writer.client.context.close)
            return stack

        return attach

    def ours(engine: RunEngine) -> Any:
        stack = contextlib.ExitStack()
        arrays = folder / "catalogue" / "arrays"
        for address, options in (
            (f"zmq://127.0.0.1:{proxy}", {}),
            (f"tiled://127.0.0.1:{tiled}?api_key={KEY}", {"arrays": arrays}),
        ):
            publisher = Publisher(address, keep=folder / "unsent", **options)
            publisher.attach(engine)
            stack.callback(publisher.close, timeout=60)
        return stack

    cases = {
        "nothing": lambda: _scan_time(lambda engine: contextlib.nullcontext()),
        "inline": lambda: _scan_time(theirs("inline")),
        "queued": lambda: _scan_time(theirs("queued")),
        "freewheel": lambda: _scan_time(ours),
    }
    figures = interleave(cases, repeats=7)
    what = f"{POINTS}-point scan, with 0MQ and Tiled attached"
    for name, peer, limit in (
        (f"{what}: bluesky's publishers, inline", "inline", ">= 1.2"),
        (f"{what}: bluesky's publishers, queued", "queued", ">= 1.0"),
        (f"{what}, against none attached", "nothing", ""),
    ):
        yield make_row(name, figures, peer=peer, unit="ms", must_reach=limit)


def _scan_time(attach: Callable[[RunEngine], Any]) -> float:
    """Return how long a scan takes until its future is done, in ms."""
    with RunEngine({}) as engine, attach(engine):
        engine(scan([det], motor, -1, 1, 3)).result()  # connections are made, modules imported
        began = time.perf_counter()
        engine(scan([det], motor, -1, 1, POINTS)).result()
        return 1000 * (time.perf_counter() - began)


# -- a slow Tiled server ------------------------------------------------------------------------


def _slow_server(folder: Path, tiled: int) -> Iterable[Row]:
    way = _SlowWay(tiled)
    arrays = folder / "catalogue" / "arrays"
    address = f"127.0.0.1:{way.port}/?api_key={KEY}"

    def recorder(engine: RunEngine) -> Any:
        made = TiledRecorder(f"http://{address}", arrays=arrays)
        engine.subscribe(made, delivery="queued")
        return made

    def publisher(engine: RunEngine) -> Any:
        made = Publisher(f"tiled://{address}", arrays=arrays, keep=folder / "unsent")
        made.attach(engine)
        stack = contextlib.ExitStack()
        stack.callback(made.close, timeout=60)
        return stack

    try:
        figures = interleave(
            {
                "freewheel": lambda: _gap(publisher),
                "TiledRecorder": lambda: _gap(recorder),
            },
            repeats=3,
        )
    finally:
        way.close()
    yield make_row(
        f"a plan's end until the next begins, Tiled at {SLOW:g} s a call",
        figures,
        peer="TiledRecorder",
        unit="ms",
        must_reach="<= 50 ms",
    )


def _gap(attach: Callable[[RunEngine], Any]) -> float:
    """Return the time between the stop of a run and the start of the next, in ms."""
    times: list[tuple[str, float]] = []
    engine = RunEngine({})
    with attach(engine), engine:  # the engine is closed first
        engine.subscribe(lambda name, doc: times.append((name, time.perf_counter())))
        for future in [engine(scan([det], motor, -1, 1, number)) for number in (POINTS, 2)]:
            future.result()
        stop = next(when for name, when in times if name == "stop")
        start = [when for name, when in times if name == "start"][1]
        return 1000 * (start - stop)


class _SlowWay:
    """A way to a server on which each request takes a second."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                for start, end, delay in ((client, server, SLOW), (server, client, 0.0)):
                    threading.Thread(
                        target=self._pump, args=(start, end, delay), daemon=True
                    ).start()

    @staticmethod
    def _pump(start: socket.socket, end: socket.socket, delay: float) -> None:
        with contextlib.suppress(OSError):
            while data := start.recv(1 << 16):
                time.sleep(delay)
                end.sendall(data)
            end.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()
