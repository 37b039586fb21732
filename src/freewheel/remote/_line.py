"""A client's line to a server: made again when it is lost, with nothing done twice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import ssl
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import websockets
from websockets.asyncio.client import connect as connect_socket
from websockets.asyncio.connection import broadcast

from freewheel.core import ForkedProcessError
from freewheel.core._crossings import call_soon
from freewheel.engine._loop_thread import new_event_loop

from ._errors import ConnectionLostError, NotAllowedError, ProtocolError, ServerRestartedError
from ._faults import error_of
from ._protocol import (
    VERSION,
    Answer,
    Bye,
    Call,
    Document,
    Frame,
    Hello,
    News,
    Seen,
    Value,
    Welcome,
)
from ._wire import from_server, to_server

if TYPE_CHECKING:
    from ._protocol import FromClient

__all__ = ["Line", "Pending", "Receiver", "socket_address"]

_log = logging.getLogger("freewheel")

_OPEN: Final = 5.0  # seconds that it may take to connect
_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 2.0
#: Without compression, which costs more than lines; frames are large, and no proxy is asked for.
_OPTIONS: Final[Any] = {
    "compression": None,
    "max_size": None,
    "max_queue": 64,
    "open_timeout": _OPEN,
    "close_timeout": 1.0,
    "ping_interval": 2.0,
    "ping_timeout": 5.0,
    "proxy": None,
}
#: After so many messages, or bytes, the server is told that they were seen.
_SEEN_MESSAGES: Final = 32
_SEEN_BYTES: Final = 1 << 20
_SEEN_SECONDS: Final = 0.5


class Receiver(Protocol):
    """What is told of what comes over a line; on the line's thread, so it must be quick."""

    def welcomed(self, welcome: Welcome, *, restarted: bool) -> None:
        """Take the picture of a session that is new, or know that the old one goes on."""
        ...

    def told(self, message: News | Document | Frame | Value) -> None:
        """Take what has changed."""
        ...

    def lost(self, why: str) -> None:
        """Know that there is no line."""
        ...


class Pending:
    """A call that was sent: what becomes of it.

    Attributes
    ----------
    accepted : concurrent.futures.Future
        Done when the server has taken it up, or refused it.
    done : concurrent.futures.Future
        Done when it has ended.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.accepted: Future[Any] = Future()
        self.done: Future[Any] = Future()

    def settle(self, answer: Answer) -> None:
        """Take an answer."""
        if answer.fault is not None:
            self.fail(error_of(answer.fault))
            return
        if not self.accepted.done():
            self.accepted.set_result(answer.value)
        if answer.done and not self.done.done():
            self.done.set_result(answer.value)

    def fail(self, error: BaseException) -> None:
        """End it with an exception."""
        for future in (self.accepted, self.done):
            if not future.done():
                future.set_exception(error)


def socket_address(url: str) -> str:
    """Return the address of the WebSocket of a server, given as ``ws://``, ``http://`` or bare.

    Raises
    ------
    ValueError
        If it is none.
    """
    parts = urlsplit(url if "://" in url else f"ws://{url}")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"{url!r} is no address of a server: write ws://HOST:PORT.")
    path = parts.path.rstrip("/")
    return f"{scheme}://{parts.netloc}{path if path.endswith('/ws') else f'{path}/ws'}"


class Line:
    """Connects to a server from a thread of its own, again and again.

    Parameters
    ----------
    url : str
        The server.
    token : str
        Who we are. It is sent to the server and kept nowhere else.
    receiver : Receiver
        What is told.
    program : str
        What we call ourselves.
    tls : ssl.SSLContext, optional
        For servers whose certificate is not one that everybody knows.
    """

    def __init__(
        self,
        url: str,
        token: str,
        receiver: Receiver,
        program: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url
        self._address = socket_address(url)
        self._token = token
        self._receiver = receiver
        self._program = program
        self._tls = tls
        self._numbers = itertools.count(1)
        self._process = os.getpid()  # whose thread and socket these are: a forked child has neither
        self.loop = new_event_loop()
        self.thread = threading.Thread(target=self._run, name="freewheel-line", daemon=True)
        # Guards the next three, for calls are made on any thread. Nothing is taken below it.
        self._lock = threading.Lock()
        self._pending: dict[int, Pending] = {}
        self._closed = False
        self._down: str | None = "it was not made yet"  # why there is no line
        self._first: Future[Welcome] = Future()  # done at the first welcome
        self._main: asyncio.Task[None] | None = None  # of the loop, as all below
        self._socket: Any = None
        self.welcome: Welcome | None = None
        self._seen = self._told_seen = 0
        self._unseen_bytes = 0
        self._seen_timer: asyncio.TimerHandle | None = None

    # -- on any thread ------------------------------------------------------------------------

    def open(self, timeout: float) -> Welcome:
        """Make the line, and return what the server says first.

        Raises
        ------
        ConnectionLostError
            If there is no server.
        NotAllowedError, ProtocolError
            If it does not let us in.
        """
        self.thread.start()
        try:
            return self._first.result(timeout)
        except TimeoutError:
            why = self._down
            self.close()
            raise ConnectionLostError(
                f"{self.url} did not answer within {timeout:g} s: {why}."
            ) from None
        except BaseException:
            self.close()
            raise

    @property
    def is_up(self) -> bool:
        """Whether there is a line, as far as is known."""
        return self._down is None

    def call(self, verb: str, args: dict[str, Any]) -> Pending:
        """Ask for something.

        Raises
        ------
        ConnectionLostError
            If there is no line: nothing was sent.
        ForkedProcessError
            In a forked child: nobody would send it.
        TypeError
            If there is something in it that cannot be sent.
        """
        if os.getpid() != self._process:
            raise ForkedProcessError(
                f"The line to {self.url} belongs to the parent process; its thread does not exist "
                f"here. {verb!r} was not sent: connect anew in the child."
            )
        pending = Pending(Call(next(self._numbers), verb, args))
        data = to_server(pending.call)
        with self._lock:
            if self._down is not None:
                raise ConnectionLostError(
                    f"There is no line to {self.url}: {self._down}. {verb!r} was not sent."
                )
            self._pending[pending.call.id] = pending
        call_soon(self.loop, self._send, data)
        return pending

    def close(self) -> None:
        """Leave, and end the thread; in a forked child, leave the parent's line alone."""
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
        call_soon(self.loop, self._leave)
        if threading.current_thread() is not self.thread:
            self.thread.join()

    # -- on its thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self._serve())
        finally:
            self._go_down("it was closed")
            self._fail_all(ConnectionLostError(f"The line to {self.url} was closed."))

    async def _serve(self) -> None:
        self._main = asyncio.create_task(self._keep_up())
        with contextlib.suppress(asyncio.CancelledError):
            await self._main

    def _leave(self) -> None:
        assert self._main is not None
        if self._main.done():  # it was refused, and the loop ends by itself
            return
        self._send(to_server(Bye("closed")))
        self._main.cancel()

    async def _keep_up(self) -> None:
        wait = _FIRST_WAIT
        while not self._closed:
            began = time.monotonic()
            try:
                why = await self._live()
            except (NotAllowedError, ProtocolError) as error:
                self._go_down(str(error))
                if not self._first.done():
                    self._first.set_exception(error)
                    return
                self._fail_all(error)
                why = str(error)
            except ssl.SSLCertVerificationError as error:
                why = f"its certificate is not to be trusted: {error.verify_message}"
                if not self._first.done():
                    text = f"{self.url}: {why}. If it is your own, give its context with tls=…."
                    self._first.set_exception(ConnectionLostError(text))
                    return
            except (OSError, TimeoutError, websockets.WebSocketException) as error:
                why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self._go_down(why)
            if time.monotonic() - began > _LONGEST_WAIT:
                wait = _FIRST_WAIT
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    async def _live(self) -> str:
        """Keep one connection for as long as it lasts; return why it ended."""
        options: dict[str, Any] = {} if self._tls is None else {"ssl": self._tls}
        async with connect_socket(self._address, **_OPTIONS, **options) as socket:
            with contextlib.suppress(websockets.ConnectionClosed):
                await socket.send(to_server(self._hello()))
            # Why it was closed, if it was, came before that.
            async with asyncio.timeout(_OPEN):
                welcome = from_server(await socket.recv(decode=False))
            self._socket = socket
            try:
                self._enter(welcome)
                return await self._read(socket)
            finally:
                self._socket = None

    def _hello(self) -> Hello:
        last = self.welcome
        return Hello(
            VERSION,
            self._token,
            self._program,
            "" if last is None else last.session,
            "" if last is None else last.server,
            self._seen,
        )

    def _enter(self, welcome: Any) -> None:
        if isinstance(welcome, Bye):
            raise _refusal(welcome)
        if not isinstance(welcome, Welcome):
            raise ProtocolError(f"The server began with {type(welcome).__name__}.")
        restarted = self.welcome is not None and welcome.server != self.welcome.server
        self.welcome = welcome
        with self._lock:
            again = list(self._pending.values())
            if not welcome.resumed:
                self._pending.clear()
        if welcome.resumed:
            for pending in again:
                pending.call.again = True
                self._send(to_server(pending.call))
        else:
            self._seen = self._told_seen = welcome.number
            error = ServerRestartedError if restarted else ConnectionLostError
            why = "the server is a new one" if restarted else welcome.why
            for pending in again:
                pending.fail(error(f"{pending.call.verb!r} has no answer: {why}."))
        with self._lock:
            self._down = None
        self._receiver.welcomed(welcome, restarted=restarted)
        if not self._first.done():
            self._first.set_result(welcome)

    async def _read(self, socket: Any) -> str:
        async for data in socket:
            message = from_server(data)
            if isinstance(message, Answer):
                with self._lock:
                    pending = self._pending.get(message.id)
                    if pending is not None and (message.done or message.fault is not None):
                        del self._pending[message.id]
                if pending is not None:
                    pending.settle(message)
            elif isinstance(message, Bye):
                return message.reason
            elif isinstance(message, News | Document):
                if 0 < message.number <= self._seen:
                    continue  # sent again, though it had come
                self._receiver.told(message)
                self._note(message.number or self._seen, len(data))
            elif isinstance(message, Frame | Value):
                self._receiver.told(message)
        return socket.close_reason or "the server has closed it"

    def _send(self, data: bytes) -> None:
        """Send something; without a line it goes nowhere, and calls are sent again with the next.

        At once: a task in between is one more turn of the loop, before what a person has pressed.
        """
        if self._socket is not None:
            broadcast([self._socket], data)

    def _note(self, number: int, size: int) -> None:
        """Note what was seen, and tell the server of it now and then."""
        self._seen = number
        self._unseen_bytes += size
        if number - self._told_seen >= _SEEN_MESSAGES or self._unseen_bytes >= _SEEN_BYTES:
            self._tell_seen()
        elif self._seen_timer is None:
            self._seen_timer = self.loop.call_later(_SEEN_SECONDS, self._tell_seen)

    def _tell_seen(self) -> None:
        if self._seen_timer is not None:
            self._seen_timer.cancel()
            self._seen_timer = None
        self._told_seen, self._unseen_bytes = self._seen, 0
        self._send(to_server(_seen(self._seen)))

    def _go_down(self, why: str) -> None:
        with self._lock:
            was_up, self._down = self._down is None, why
        if was_up:
            self._receiver.lost(why)

    def _fail_all(self, error: BaseException) -> None:
        with self._lock:
            pending, self._pending = list(self._pending.values()), {}
        for each in pending:
            each.fail(error)
        if not self._first.done():
            self._first.set_exception(error)


def _seen(number: int) -> FromClient:
    return Seen(number)


def _refusal(bye: Bye) -> BaseException:
    if bye.fault is None:
        return ConnectionLostError(bye.reason)
    return error_of(bye.fault)
