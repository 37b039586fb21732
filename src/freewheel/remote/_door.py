"""The door: connections of clients, one WebSocket each, from hello to goodbye."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import secrets
import time
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from starlette.websockets import WebSocketDisconnect, WebSocketState

from ._errors import ConnectionLostError, NotAllowedError, ProtocolError
from ._faults import bye_of, fault_of
from ._ledger import result_of
from ._protocol import VERSION, Answer, Bye, Call, Hello, Seen, Welcome
from ._roles import LOOKING
from ._session import Session
from ._tokens import digest_of
from ._verb_room import Later
from ._wire import from_client, to_client

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from ._hub import Hub
    from ._limits import Limits
    from ._tokens import Client, TokenFile
    from ._verbs import Verbs

__all__ = ["Door"]

_log = logging.getLogger("freewheel")

#: Sessions that were given up, of which it is remembered why.
_REMEMBERED: Final = 1_000
_LINGER: Final = 2.0  # seconds that a line has to take the last word
_CLOSE: Final = 1008  # WebSocket's code for "not let in"


class _Connection:
    """One WebSocket, while it serves a session."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.over = asyncio.Event()
        self.digest = ""  # of the token that it came in with
        self.tokens: object = None  # the version of the tokens that it stood by last
        self.bye: Bye | None = None

    def end(self, bye: Bye | None = None) -> None:
        """Have it end, with a last word."""
        self.bye = self.bye or bye
        self.over.set()

    @property
    def _transport(self) -> asyncio.Transport:
        found: asyncio.Transport = self.socket.scope["freewheel.transport"]
        return found

    @property
    def is_cut(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._transport.is_closing()

    def abort(self) -> None:
        """Cut it: who does not read would never let it close."""
        self._transport.abort()


class Door:
    """Lets clients in, and keeps their sessions. On the server's loop alone.

    Parameters
    ----------
    hub : Hub
        What tells clients.
    verbs : Verbs
        What they may ask for.
    tokens : TokenFile
        Who they are.
    limits : Limits
        How much each of them may.
    """

    def __init__(self, hub: Hub, verbs: Verbs, tokens: TokenFile, limits: Limits) -> None:
        self.server = secrets.token_hex(8)
        self.connections = 0  # of those who are known
        self._unknown = 0
        self.dropped = 0
        self.refused = 0
        self._hub = hub
        self._verbs = verbs
        self._tokens = tokens
        self._limits = limits
        self._gone: OrderedDict[str, str] = OrderedDict()  # sessions, and why they are
        self._tasks: set[asyncio.Task[Any]] = set()  # calls under way
        self._serving: set[asyncio.Task[Any]] = set()

    async def serve(self, socket: WebSocket) -> None:
        """Serve a connection from its first message to its end."""
        await socket.accept()
        connection = _Connection(socket)
        try:
            await self._serve(connection)
        finally:
            # Who does not read, or does not answer the last word, does not let it close.
            asyncio.get_running_loop().call_later(_LINGER, connection.abort)

    async def _serve(self, connection: _Connection) -> None:
        socket = connection.socket
        # Those who have not said who they are keep nobody out who has.
        if self._unknown >= self._limits.clients:
            self.refused += 1
            await _say_bye(socket, Bye("Too many are at the door. Try again."))
            return
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            session = await self._greet(connection)
            self.connections += 1
            try:
                await self._attend(connection, session)
            finally:
                self.connections -= 1
        except (ProtocolError, NotAllowedError) as error:
            self.refused += 1
            why = _plain(error, 300)
            _log.warning("A client from %s was refused: %s", _address(socket), why)
            await _say_bye(socket, bye_of(error))
        except WebSocketDisconnect:
            pass
        finally:
            self._serving.discard(task)

    async def close(self) -> None:
        """Tell all clients that the server ends, and end their leases."""
        for session in list(self._hub.sessions.values()):
            if session.connection is not None:
                session.connection.end(Bye("The server was closed."))
            self._forget(session, "the server was closed")
        if self._serving:  # until they have said so
            await asyncio.wait(self._serving, timeout=_LINGER)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- coming in ----------------------------------------------------------------------------

    async def _greet(self, connection: _Connection) -> Session:
        self._unknown += 1
        try:
            async with asyncio.timeout(self._limits.patience):
                hello = await _receive(connection.socket)
        except TimeoutError:
            raise ProtocolError("No hello came in time.") from None
        finally:
            self._unknown -= 1
        client = self._client_of(connection, hello)
        if self.connections >= self._limits.clients:
            raise NotAllowedError(
                f"This server has {self._limits.clients} clients already. Try again later."
            )
        session, why = self._session_for(hello, client)
        resumed = not why
        if session.connection is not None:
            session.connection.end()  # an old line that has not noticed that it is cut
            session.connection.abort()
        session.connection = connection
        self._stop_timers(session)
        if resumed:
            session.rewind(hello.seen)
        picture = {} if resumed else self._hub.picture()
        await connection.socket.send_bytes(
            to_client(
                Welcome(
                    VERSION,
                    self.server,
                    session.id,
                    session.tag,
                    client.name,
                    str(client.role),
                    resumed,
                    "" if why == "new" else why,
                    self._hub.number,
                    picture,
                )
            )
        )
        return session

    def _client_of(self, connection: _Connection, hello: Any) -> Client:
        """Return who somebody is by the first message; refuse all others."""
        if not isinstance(hello, Hello):
            raise ProtocolError("The first message must be a hello.")
        if hello.version != VERSION:
            raise ProtocolError(
                f"The client speaks version {hello.version} of the protocol, and this server "
                f"version {VERSION}: use the same freewheel on both sides."
            )
        connection.digest = digest_of(hello.token)
        client = self._known(connection)
        if client is None:
            raise NotAllowedError(
                "There is no such token here. `freewheel serve token NAME --role operator`, on the "
                "server's machine, makes one."
            )
        return client

    def _known(self, connection: _Connection) -> Client | None:
        """Return who a connection's token is of now; the file may have changed."""
        try:
            return self._tokens.client_with(connection.digest)
        except (OSError, ValueError) as error:
            _log.error("Nobody can be let in: %s", error)
            raise NotAllowedError(
                "The server cannot read its tokens now: ask whoever runs it to look into its log."
            ) from None

    def _session_for(self, hello: Hello, client: Any) -> tuple[Session, str]:
        """Return the session that goes on, and nothing; or a new one, and why."""
        known = self._hub.sessions.get(hello.session) if hello.session else None
        if known is not None and known.client == client:
            return known, ""
        why = "new"
        if hello.session:
            why = self._gone.get(hello.session, "this server does not know the session")
            if hello.server and hello.server != self.server:
                why = "the server is a new one"
        session = Session(client, self._limits.backlog)
        session.program = hello.program[:100]
        self._hub.sessions[session.id] = session
        _log.info("%s (%s) came in%s.", client.name, client.role, _with(session.program))
        return session, why

    # -- while it is there --------------------------------------------------------------------

    async def _attend(self, connection: _Connection, session: Session) -> None:
        work = [
            asyncio.create_task(self._read(connection, session)),
            asyncio.create_task(self._write(connection, session)),
            asyncio.create_task(connection.over.wait()),
            asyncio.create_task(self._stand_guard(connection, session)),
        ]
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in work:
                task.cancel()
            results = await asyncio.gather(*work, return_exceptions=True)
            for error in results:
                if isinstance(error, ProtocolError):
                    connection.bye = bye_of(error)
                    why = _plain(error, 300)
                    _log.warning("%s sent what is no message: %s", session.client.name, why)
            await self._part(connection, session)

    async def _part(self, connection: _Connection, session: Session) -> None:
        """End a connection; its session waits a while for another one."""
        if session.connection is connection:
            session.connection = None
            self._start_timers(session)
        if connection.bye is not None:
            await _say_bye(connection.socket, connection.bye)

    async def _read(self, connection: _Connection, session: Session) -> None:
        """Take what the client sends, no faster than it may: its line is left full then."""
        allowed, last = float(self._limits.burst), time.monotonic()
        while True:
            message = await _receive(connection.socket)
            now = time.monotonic()
            allowed = min(self._limits.burst, allowed + (now - last) * self._limits.rate) - 1
            last = now
            if isinstance(message, Call):
                if not self._stands(connection, session):
                    return
                self._take(session, message)
            elif isinstance(message, Seen):
                session.seen(message.number)
            elif isinstance(message, Bye):
                self._forget(session, "the client has left")
                return
            else:
                raise ProtocolError("A second hello.")
            if allowed < 0:
                await asyncio.sleep(-allowed / self._limits.rate)

    async def _stand_guard(self, connection: _Connection, session: Session) -> None:
        """Return when the client's token counts no more: it may only look, and never ask."""
        while True:
            await asyncio.sleep(self._limits.guard)
            if not self._stands(connection, session):
                return

    def _stands(self, connection: _Connection, session: Session) -> bool:
        """Tell whether the token of a client counts still; if not, it is sent away."""
        try:
            version = self._tokens.version
            if version is connection.tokens or self._known(connection) == session.client:
                connection.tokens = version
                return True
        except (OSError, ValueError, NotAllowedError):
            return True  # nobody's token was taken away: the file cannot be read
        why = "its token was taken away, or changed"
        self._forget(session, why)
        error = NotAllowedError(f"{session.client.name!r} was sent away: {why}.")
        connection.end(bye_of(error))
        return False

    async def _write(self, connection: _Connection, session: Session) -> None:
        send = connection.socket.send_bytes
        while not connection.is_cut:
            session.ready.clear()
            wait = None
            while not connection.is_cut and (data := session.next()) is not None:
                await self._in_time(send(data))
            frames = self._hub.frames
            if session.frames is not None:
                keys, wait = session.frames_due(frames.numbers())
                for key in keys:
                    number, data = frames.message(key, session.frames.max_side)
                    session.frame_sent(key, number)
                    await self._in_time(send(data))
                    if session.frames is None:
                        break
                if keys:
                    continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await session.ready.wait()

    async def _in_time(self, sending: Any) -> None:
        """Wait until there is room on the line again, but not for ever."""
        async with asyncio.timeout(self._limits.stuck):
            await sending

    # -- calls --------------------------------------------------------------------------------

    def _take(self, session: Session, call: Call) -> None:
        if not session.begin(call.id):
            if (known := session.answers[call.id]) is not None:
                self._put_answer(session, known)
            return
        if call.again:
            text = "The line was lost before this came: it was not carried out."
            self._answer(session, Answer(call.id, fault=fault_of(ConnectionLostError(text))))
            return
        changes = call.verb not in LOOKING
        try:
            value = self._verbs(session, call.verb, call.args)
        except Exception as error:
            if changes:
                _tell_of(session.client, call)
            self._answer(session, Answer(call.id, fault=fault_of(error)))
            return
        if changes:
            # With the answer, a moment later: a plan that goes on now needs the interpreter.
            self._hub.touch()
            self._hub.after(partial(_tell_of, session.client, call))
        if inspect.iscoroutine(value):
            task = asyncio.create_task(self._finish(session, call.id, value))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._accept(session, call.id, value)

    async def _finish(self, session: Session, number: int, work: Any) -> None:
        try:
            self._accept(session, number, await work)
        except Exception as error:
            self._answer(session, Answer(number, fault=fault_of(error)))

    def _accept(self, session: Session, number: int, value: Any) -> None:
        if not isinstance(value, Later):
            self._answer(session, Answer(number, value))
            return
        accepted = to_client(Answer(number, value.accepted, done=False))
        self._hub.after(lambda: self._put_answer(session, accepted))
        task = asyncio.create_task(self._wait(session, number, value.future))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, session: Session, number: int, future: Any) -> None:
        try:
            self._answer(session, Answer(number, result_of(await future)))
        except Exception as error:
            self._answer(session, Answer(number, fault=fault_of(error)))

    def _answer(self, session: Session, answer: Answer) -> None:
        try:
            data = to_client(answer)
        except Exception as error:  # a value of somebody's own class, whose repr raises
            data = to_client(Answer(answer.id, fault=fault_of(error)))
        if answer.id in session.answers:
            session.answers[answer.id] = data
        # Who asks sees what he has done: the news of it go first.
        self._hub.after(lambda: self._put_answer(session, data))

    def _put_answer(self, session: Session, data: bytes) -> None:
        """Have an answer sent; who asks for more than it takes is dropped."""
        if not session.put_answer(data):
            self.drop(session)

    # -- leaving ------------------------------------------------------------------------------

    def _start_timers(self, session: Session) -> None:
        loop = asyncio.get_running_loop()
        session.lease_end = loop.call_later(self._limits.grace, self._end_leases, session)
        session.end = loop.call_later(
            self._limits.memory, self._forget, session, "it was away for too long"
        )

        name = session.client.name
        away = [
            s for s in self._hub.sessions.values() if not s.connection and s.client.name == name
        ]
        if len(away) > self._limits.away:
            self._forget(away[0], f"{name!r} has too many sessions without a line")

    def _stop_timers(self, session: Session) -> None:
        for timer in (session.lease_end, session.end):
            if timer is not None:
                timer.cancel()
        session.lease_end = session.end = None

    def _end_leases(self, session: Session, why: str = "its client is away") -> None:
        for lease in list(session.leases.values()):
            _log.info("The lease of %s ended: %s.", session.client.name, why)
            self._hub.end_lease(session, lease, why)

    def drop(self, session: Session) -> None:
        """Give up a session for which too much waits, and say so."""
        if session.dropped:
            return
        session.dropped = (
            f"the client was too slow, and {session.backlog / 1e6:.0f} MB waited for it: documents "
            "were lost"
        )
        self.dropped += 1
        _log.warning("%s was dropped: %s.", session.client.name, session.dropped)
        connection = session.connection
        self._forget(session, session.dropped)
        if connection is not None:
            connection.end(Bye(session.dropped))

    def _forget(self, session: Session, why: str) -> None:
        self._end_leases(session, why)
        self._stop_timers(session)
        if self._hub.sessions.pop(session.id, None) is None:
            return
        session.connection = None
        self._hub.values.leave(session)
        self._gone[session.id] = why
        while len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)
        self._hub.follow()
        _log.info("%s left: %s.", session.client.name, why)


async def _receive(socket: WebSocket) -> Any:
    event = await socket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(event.get("code", 1005))
    data = event.get("bytes")
    if data is None:
        raise ProtocolError("Messages are msgpack, and not text.")
    return from_client(data)


async def _say_bye(socket: WebSocket, bye: Bye) -> None:
    """Send the last word, if the line takes it."""
    if socket.application_state is not WebSocketState.CONNECTED:
        return
    with contextlib.suppress(Exception):
        async with asyncio.timeout(1.0):
            await socket.send_bytes(to_client(bye))
            await socket.close(_CLOSE)


def _address(socket: WebSocket) -> str:
    return "an unknown address" if socket.client is None else socket.client.host


def _tell_of(client: Client, call: Call) -> None:
    """Write who did what into the log."""
    if not _log.isEnabledFor(logging.INFO):
        return
    what = ", ".join(f"{key}={str(value)[:80]!r}" for key, value in call.args.items())
    told = f"{_plain(call.verb, 40)}({_plain(what, 300)})"
    _log.info("%s (%s): %s", client.name, client.role, told)


def _plain(words: object, length: int) -> str:
    """Return what somebody else wrote as a piece of one line of a log."""
    text = str(words)[:length]
    return text if text.isprintable() else repr(text)[1:-1]


def _with(program: str) -> str:
    return f" with {program!r}" if program else ""
