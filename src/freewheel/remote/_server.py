"""An engine served to clients elsewhere, from a thread of its own."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from freewheel.core._crossings import call_soon
from freewheel.engine import BlockingRunEngine
from freewheel.engine._loop_thread import plain_event_loop

from ._callers import caller_protocol
from ._door import Door
from ._hub import Hub
from ._limits import Limits
from ._offers import Offers
from ._rest import make_app
from ._tokens import TokenFile
from ._verbs import Verbs

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from typing import Self

    from freewheel.core import EngineView

__all__ = ["EngineServer"]

_log = logging.getLogger("freewheel")

#: How often a line is asked whether it is still there, and how long it may take to answer [s].
_PING: Final = 1.0
_PONG: Final = 5.0
#: A message of this size or more is sent without copies, which cost the engine's loop time [bytes].
_LARGE: Final = 65_536
#: So many connections are taken in one turn of the loop.
_BACKLOG: Final = 128
#: How a WebSocket message begins that is binary, in one piece, and has its length in eight bytes.
_WHOLE_BINARY: Final = b"\x82\x7f"
#: So much of what has come is looked through at once: thousands of messages of a client that floods
#: would hold up all others, and the engine's loop with them [bytes].
_BITE: Final = 4096


class _Protocol(WebSocketsSansIOProtocol):
    """uvicorn's, which lets the application see whether a line is cut, and cut it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rest = bytearray()  # what has come, and is yet to be looked through
        # uvicorn's, which has the line paused and read again for each message: two calls of the
        # system before it is looked at. Here the line is paused when more has come than that.
        self.read_paused = True

    def data_received(self, data: bytes) -> None:
        """Take what has come, and no more while there is enough of it."""
        self._rest += data
        self._look_through()
        if self._rest:
            self.transport.pause_reading()

    def _look_through(self) -> None:
        """Find messages in what has come, until there is one for the application.

        After our own last word all of it: nothing but the other side's is taken then.
        """
        while self._rest and (self.queue.empty() or self.close_sent):
            if self.transport.is_closing():
                return
            bite = bytes(self._rest[:_BITE])
            del self._rest[:_BITE]
            super().data_received(bite)

    async def receive(self) -> Any:
        """Return the next message."""
        message = await self.queue.get()
        self._look_through()
        if not self._rest:
            self.transport.resume_reading()  # does nothing if it is read
        return message

    async def run_asgi(self) -> None:
        self.scope["freewheel.transport"] = self.transport  # type: ignore[typeddict-unknown-key]
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        """Send a message; a large one as it is, of which websockets would make three copies."""
        data = message.get("bytes") or b""
        if len(data) < _LARGE:
            await super().send(message)
            return
        await self.writable.wait()
        if self.disconnected:
            raise ClientDisconnected
        if self.conn.state is State.OPEN and not self.transport.is_closing():
            self.transport.write(_WHOLE_BINARY + len(data).to_bytes(8))
            self.transport.write(data)


class _Uvicorn(uvicorn.Server):
    """uvicorn's, which ends when it is told to, and looks at no clock until then."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.over = asyncio.Event()

    async def main_loop(self) -> None:
        await self.over.wait()


class EngineServer:
    """Serves an engine, with its plans and devices, until it is closed.

    It runs on a thread and a loop of its own. The engine's threads put what they tell into a queue
    and never wait for a client.

    Parameters
    ----------
    engine : EngineView
        The engine, of this process. Whoever made it closes it.
    plans : iterable of callable
        The plan functions on offer, by their names.
    devices : mapping of str to device
        The devices on offer.
    tokens : TokenFile or path
        Who may come in.
    host, port : str and int
        Where to listen; port 0 takes a free one.
    limits : Limits, optional
        How much each client may.
    ssl : mapping, optional
        For TLS: ``certfile``, ``keyfile`` and ``password``.

    Attributes
    ----------
    url : str
        Where clients connect to.
    page : str
        Where browsers find the page.

    Raises
    ------
    OSError
        If it cannot listen there.
    TypeError
        For an engine whose calls wait.
    ValueError
        If others than this machine could reach it, and there is no token.
    """

    def __init__(
        self,
        engine: EngineView,
        *,
        plans: Iterable[Callable[..., Any]] = (),
        devices: Mapping[str, Any] | None = None,
        tokens: TokenFile | str | os.PathLike[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 60650,
        limits: Limits | None = None,
        ssl: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(engine, BlockingRunEngine):
            raise TypeError(
                "A BlockingRunEngine cannot be served, for its calls wait, and everybody with "
                "them: serve a freewheel.RunEngine."
            )
        self._engine = engine
        self._limits = limits or Limits()
        self.tokens = tokens if isinstance(tokens, TokenFile) else TokenFile(tokens)
        if not _is_loopback(host) and not self.tokens:
            raise ValueError(
                f"{host} can be reached from other machines, and nobody has a token yet: make one "
                "with `freewheel serve token NAME --role operator` first."
            )
        self._offers = Offers(plans, devices)
        self._ssl = dict(ssl or {})
        self._socket = _listen(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'wss' if self._ssl else 'ws'}://{shown}:{self.port}"
        self.page = f"{'https' if self._ssl else 'http'}://{shown}:{self.port}/"
        self._loop: asyncio.AbstractEventLoop | None = None  # of the thread, while it serves
        self._uvicorn: _Uvicorn | None = None
        self._door: Door | None = None
        self._up = threading.Event()
        self._error: BaseException | None = None  # written before `_up` is set
        self._thread = threading.Thread(target=self._run, name="freewheel-server", daemon=True)
        self._closed = False
        self._ending: asyncio.Future[None] | None = None  # of the thread

    def start(self) -> Self:
        """Begin to serve; returns when clients can connect.

        Raises
        ------
        OSError
            If the certificate or its key are none.
        """
        self._thread.start()
        self._up.wait()
        if self._error is not None:
            self._thread.join()
            self._socket.close()
            raise self._error
        return self

    def close(self) -> None:
        """Tell all clients, and serve no more. The engine goes on."""
        if self._closed:
            return
        self._closed = True
        if self._thread.is_alive() and self._loop is not None:
            call_soon(self._loop, self._begin_end)
            self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_local(self) -> bool:
        """Whether this machine alone can reach it."""
        return _is_loopback(self.host)

    @property
    def plans(self) -> tuple[str, ...]:
        """The names of the plans on offer."""
        return tuple(self._offers.plans)

    @property
    def reasons(self) -> Mapping[str, str]:
        """The plans without a form, and why."""
        return dict(self._offers.reasons)

    # -- on its own thread --------------------------------------------------------------------

    def _run(self) -> None:
        try:
            # asyncio's: its send lets other threads run while a frame goes out, uvloop's does not,
            # and the engine's loop would miss its time.
            with asyncio.Runner(loop_factory=plain_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if self._up.is_set():
                _log.exception("The server has ended.")
            self._error = error  # raised by `start`, if that waits still
        finally:
            self._up.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        hub = Hub(self._engine, self._loop, lambda session: door.drop(session))
        verbs = Verbs(hub, self._offers)
        door = self._door = Door(hub, verbs, self.tokens, self._limits)
        config = uvicorn.Config(
            make_app(hub, door, self._offers, self.tokens),
            http=caller_protocol(self._limits),
            ws=_Protocol,
            ws_max_size=self._limits.payload,
            ws_per_message_deflate=False,
            ws_ping_interval=_PING,
            ws_ping_timeout=_PONG,
            lifespan="off",
            backlog=_BACKLOG,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=2,
            **{f"ssl_{key}": value for key, value in self._ssl.items()},
        )
        _load(config)
        self._uvicorn = _Uvicorn(config)
        hub.open()
        asyncio.get_running_loop().call_soon(self._up.set)
        try:
            await self._uvicorn.serve([self._socket])
        finally:
            await door.close()
            hub.close()

    def _begin_end(self) -> None:
        self._ending = asyncio.ensure_future(self._end())

    async def _end(self) -> None:
        assert self._door is not None
        assert self._uvicorn is not None
        await self._door.close()
        self._uvicorn.over.set()


def _load(config: uvicorn.Config) -> None:
    """Have uvicorn read what it is given, before the server is said to be up."""
    try:
        config.load()
    except OSError as error:  # ssl's own are among them
        raise OSError(
            f"The certificate {config.ssl_certfile} and the key {config.ssl_keyfile} cannot be "
            f"used for TLS: {error}."
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        # With its protocol: asyncio has none but TCP's own lines send what is small at once.
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OSError(f"Nothing can be served at {host!r}: {error}.") from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(512)
    except OSError as error:
        made.close()
        raise OSError(
            f"Port {port} of {host} cannot be served: {error}. Another server may be there: choose "
            "one with --port."
        ) from error
    return made
