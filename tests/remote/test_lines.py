"""Lines that are cut, servers that end, and clients that are slow, flood or die."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bluesky.plan_stubs import rd
from bluesky.plans import count
from bluesky.utils import Msg
from ophyd_async.core import SignalRW, SoftSignalBackend
from websockets.sync.client import connect as plain_connect

from afar import Cable, T, enter, hear, heard, is_over, some_plans, until
from doubles import Silent
from freewheel import RunEngine
from freewheel.core import ResourceConflictError
from freewheel.core._crossings import call_soon, run_soon
from freewheel.core._subscription import Subscription
from freewheel.remote import (
    ConnectionLostError,
    EngineServer,
    Limits,
    RemoteEngine,
    RemoteFrame,
    ServerRestartedError,
    TokenFile,
    _door,
    _values,
    connect,
)
from freewheel.remote._delivery import Delivery, Subscriptions
from freewheel.remote._protocol import (
    VERSION,
    Answer,
    Bye,
    Call,
    Document,
    Hello,
    News,
    Welcome,
)
from freewheel.remote._session import Session
from freewheel.remote._wire import from_server, to_server
from freewheel.sim import microscope


def opened(server: EngineServer, **options: Any) -> Any:
    """A line without a client."""
    return plain_connect(
        f"{server.url}/ws", compression=None, proxy=None, close_timeout=0.1, **options
    )


def lose(cable: Cable, remote: RemoteEngine) -> None:
    """Cut a line, and wait until the client knows."""
    lost = heard(remote.events.connection_changed, lambda up, why: not up)
    cable.cut()
    assert lost.wait(T)


def regain(cable: Cable, remote: RemoteEngine) -> str:
    """Mend it; how the client has come back."""
    how: list[str] = []
    back = heard(remote.events.connection_changed, lambda up, why: up and not how.append(why))
    cable.mend()
    assert back.wait(T)
    return how[0]


@pytest.fixture
def remote(join: Any, cable: Cable) -> RemoteEngine:
    """A client whose line may be cut."""
    return join(url=cable.url)


def test_a_future_survives_a_line_that_is_cut(
    remote: RemoteEngine, cable: Cable, engine: RunEngine
) -> None:
    documents: list[tuple[str, Any]] = []
    remote.subscribe(lambda name, doc: documents.append((name, doc.get("seq_num"))))
    future = remote(remote.plans.measure_when_told([remote.devices.camera], num=30))
    until(remote, "actions_changed", lambda: "go" in remote.pending_actions)
    lose(cable, remote)
    ended = heard(engine.events.plan_ended)
    engine.trigger_action("go")
    assert ended.wait(T)
    assert not future.done()
    assert regain(cable, remote) == "resumed"
    assert future.result(T).plan_result == "measured"
    assert [name for name, _ in documents] == ["start", "descriptor", *["event"] * 30, "stop"]
    assert [number for name, number in documents if name == "event"] == list(range(1, 31))


def test_without_a_line_a_call_is_refused_at_once(remote: RemoteEngine, cable: Cable) -> None:
    lose(cable, remote)
    for ask in (remote.stop_all, remote.queue.hold, remote.plans.waits):
        with pytest.raises(ConnectionLostError, match="was not sent"):
            ask() if ask is not remote.plans.waits else remote(ask())
    assert "there is no line" in repr(remote)
    assert "There is no line" in remote.explain()
    assert remote.snapshot().state == "idle"


def test_what_had_not_arrived_is_not_carried_out_later(
    remote: RemoteEngine, cable: Cable, engine: RunEngine
) -> None:
    # Sent into a line that is dead already, though the client does not know.
    call = remote._line.call("queue_hold", {"reason": "late"})
    remote._line.loop.call_soon_threadsafe(lambda: None)
    lose(cable, remote)
    regain(cable, remote)
    error = call.accepted.exception(T)
    held = engine.queue.held
    assert (held is None) is isinstance(error, ConnectionLostError)


def test_a_call_that_is_sent_twice_is_carried_out_once(
    server: EngineServer, tokens: TokenFile, engine: RunEngine
) -> None:
    token = tokens.add("anna")
    with opened(server) as line:
        line.send(to_server(Hello(VERSION, token)))
        welcome = from_server(line.recv(T, decode=False))
        assert isinstance(welcome, Welcome)
        call = {"call": {"plan": "waits"}, "key": f"{welcome.tag}1"}
        line.send(to_server(Call(1, "submit", call)))
        until(engine, "state_changed", lambda: engine.state == "running")
    with opened(server) as line:
        line.send(to_server(Hello(VERSION, token, session=welcome.session, server=welcome.server)))
        again = from_server(line.recv(T, decode=False))
        assert isinstance(again, Welcome)
        assert again.resumed
        line.send(to_server(Call(1, "submit", call, again=True)))
        line.send(to_server(Call(2, "queue_hold", {"reason": "late"}, again=True)))
        answers: dict[int, Any] = {}
        while 2 not in answers:
            message = from_server(line.recv(T, decode=False))
            if hasattr(message, "fault") and hasattr(message, "id"):
                answers[message.id] = message
        assert answers[1].value["name"] == "waits"
        assert answers[2].fault.kind == "ConnectionLostError"
    assert engine.queued == ()
    assert engine.queue.held is None


def test_a_lease_survives_a_short_cut_and_ends_after_a_long_one(
    engine: RunEngine, tokens: TokenFile, devices: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(grace=600)  # the first cut is short, however long this machine takes for it
    with (
        EngineServer(engine, devices=devices, tokens=tokens, port=0, limits=limits) as server,
        connect(server.url, tokens.add("ben")) as ben,
    ):
        cable = Cable(server.port)
        with connect(cable.url, tokens.add("anna")) as anna:
            with anna.claims.hold(anna.devices.camera):
                lose(cable, anna)
                assert regain(cable, anna) == "resumed"
                assert engine.claims.get(devices["camera"]) == "anna"
                with (
                    pytest.raises(ResourceConflictError, match=r"'camera', which 'anna' holds"),
                    ben.claims.hold(ben.devices.camera),
                ):
                    pass
                monkeypatch.setattr(server._door, "_limits", Limits(grace=0.05))
                lose(cable, anna)
                until(ben, "claims_changed", lambda: not ben.claims)
                with ben.claims.hold(ben.devices.camera):
                    pass
                regain(cable, anna)
        cable.close()


def test_a_lease_ends_with_a_client_that_leaves(join: Any, engine: RunEngine) -> None:
    anna, ben = join("anna"), join("ben")
    hold = anna.claims.hold(anna.devices.camera)
    hold.__enter__()
    until(ben, "claims_changed", lambda: len(ben.claims) == 1)
    anna.close()
    until(ben, "claims_changed", lambda: not ben.claims)


def test_an_admin_takes_a_lease_away(join: Any, engine: RunEngine, devices: Any) -> None:
    anna, chief = join("anna"), join("chief", "admin")
    with anna.claims.hold(anna.devices.stage):
        assert chief.claims.revoke(chief.devices.stage.x) == ("anna",)
        assert engine.claims.get(devices["stage"]) is None
    with pytest.raises(KeyError, match="No client holds"):
        chief.claims.revoke(chief.devices.stage)


def test_of_two_that_claim_a_device_at_once_one_gets_it(join: Any) -> None:
    clients = [join("anna"), join("ben")]
    ready, got = threading.Barrier(2), []

    def claim(client: RemoteEngine) -> None:
        ready.wait()
        try:
            got.append(client._asker.ask("claim", devices=["camera"]))
        except ResourceConflictError as error:
            got.append(error)

    threads = [threading.Thread(target=claim, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(each).__name__ for each in got) == ["ResourceConflictError", "str"]


def test_of_two_that_trigger_an_action_the_plan_goes_on_once(join: Any) -> None:
    anna, ben = join("anna"), join("ben")
    future = anna(anna.plans.waits("once"))
    until(ben, "actions_changed", lambda: "go" in ben.pending_actions)
    until(anna, "actions_changed", lambda: "go" in anna.pending_actions)
    for client in (anna, ben):
        try:
            client.trigger_action("go")
        except KeyError:
            assert client is ben
    assert future.result(T).plan_result == "once"
    assert ben.state in ("idle", "running")


def test_every_client_sees_what_one_does(join: Any) -> None:
    anna, ben = join("anna"), join("ben", "observer")
    future = anna(anna.plans.waits("seen"))
    until(ben, "actions_changed", lambda: "go" in ben.pending_actions)
    same = ben.current
    assert (same.plan_name, same.status) == ("waits", "running")
    anna.trigger_action("go")
    assert same.result(T).plan_result == future.result(T).plan_result == "seen"


@pytest.fixture
def servers(
    engine: RunEngine, tokens: TokenFile, devices: Any
) -> Iterator[Callable[[], EngineServer]]:
    """Serve the same engine again and again, as after a restart."""
    made: list[EngineServer] = []

    def serve() -> EngineServer:
        plans = some_plans().values()
        made.append(EngineServer(engine, plans=plans, devices=devices, tokens=tokens, port=0))
        return made[-1].start()

    yield serve
    for server in made:
        server.close()


def test_a_new_server_is_told_of_and_what_was_waited_for_ends(
    servers: Any, tokens: TokenFile, engine: RunEngine
) -> None:
    first = servers()
    cable = Cable(first.port)
    with connect(cable.url, tokens.add("anna")) as remote:
        documents: list[str] = []
        remote.subscribe(lambda name, doc: documents.append(name))
        future = remote(remote.plans.waits())
        until(remote, "actions_changed", lambda: "go" in remote.pending_actions)
        lose(cable, remote)
        first.close()
        engine.stop().result(T)
        cable.lead_to(servers().port)
        assert regain(cable, remote) == "restarted"
        with pytest.raises(ServerRestartedError, match="the server is a new one"):
            future.result(T)
        with pytest.raises(ServerRestartedError):
            future.outcome.result(T)
        assert future.status == "failed"
        assert remote.state == "idle"
        until(remote, "queue_changed", lambda: remote.queue.held is None)
        remote(remote.plans.measure([remote.devices.camera])).result(T)
        until(remote, "state_changed", lambda: documents[-1:] == ["stop"])
    cable.close()


class Told:
    """What a device elsewhere says of whether it reads what was told of it."""

    def __init__(self, device: Any) -> None:
        self._told = threading.Condition()
        self.said: list[bool] = []
        self.values: list[Any] = []
        device.subscribe_reading(self._reads)
        self.end = device.watch_server(self._says).close

    def _reads(self, reading: Any) -> None:
        with self._told:
            self.values += [each["value"] for each in reading.values()]
            self._told.notify_all()

    def _says(self, there: bool) -> None:
        with self._told:
            self.said.append(there)
            self._told.notify_all()

    def wait_for(self, there: bool, value: Any) -> None:
        with self._told:
            now = [there], [value]
            assert self._told.wait_for(lambda: (self.said[-1:], self.values[-1:]) == now, T)


def test_what_was_read_is_old_without_a_line(
    remote: RemoteEngine, cable: Cable, devices: Any
) -> None:
    told = Told(remote.devices.camera.gain)
    told.wait_for(True, 1.0)
    lose(cable, remote)
    told.wait_for(False, 1.0)
    assert regain(cable, remote) == "resumed"
    told.wait_for(True, 1.0)
    told.end()
    lose(cable, remote)
    assert told.said[-1] is True


def test_what_was_read_is_old_until_a_new_server_has_read_it(
    servers: Any, tokens: TokenFile, engine: RunEngine, devices: Any
) -> None:
    first = servers()
    cable = Cable(first.port)
    with connect(cable.url, tokens.add("anna")) as remote:
        told = Told(remote.devices.camera.gain)
        told.wait_for(True, 1.0)
        lose(cable, remote)
        told.wait_for(False, 1.0)
        first.close()
        told.said.clear()
        cable.lead_to(servers().port)
        assert regain(cable, remote) == "restarted"
        told.wait_for(True, 1.0)
        assert len(told.values) == 2  # the new one's
    cable.close()


class Elsewhere(SignalRW[float]):
    """A signal whose server comes and goes, and says so."""

    def __init__(self) -> None:
        super().__init__(SoftSignalBackend(float, 7.0), name="elsewhere")
        self.watched = threading.Event()

    def watch_server(self, told: Callable[[bool], object]) -> Any:
        self.says = told
        self.watched.set()
        return self

    def close(self) -> None:
        self.watched.clear()


def test_what_the_servers_own_device_has_lost_is_told(engine: RunEngine, tokens: TokenFile) -> None:
    signal = Elsewhere()
    run_soon(engine.loop, signal.connect()).result(T)
    server = EngineServer(engine, devices={"elsewhere": signal}, tokens=tokens, port=0)
    with server, connect(server.url, tokens.add("anna")) as remote:
        told = Told(remote.devices.elsewhere)
        told.wait_for(True, 7.0)
        assert signal.watched.wait(T)
        call_soon(engine.loop, signal.says, False)
        told.wait_for(False, 7.0)
        late = Told(remote.devices.elsewhere)
        late.wait_for(False, 7.0)
        call_soon(engine.loop, signal.says, True)
        for each in (told, late):
            each.wait_for(True, 7.0)


def test_what_tells_nothing_by_itself_is_asked_and_is_in_no_plans_way(
    engine: RunEngine, tokens: TokenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_values, "Subscription", partial(Subscription, silence=0, period=0.01))
    signal = SignalRW(backend := Silent(float, 1.0), name="silent")
    run_soon(engine.loop, signal.connect()).result(T)
    server = EngineServer(engine, devices={"silent": signal}, tokens=tokens, port=0)
    with server, connect(server.url, tokens.add("anna")) as remote:
        told = Told(remote.devices.silent)
        told.wait_for(True, 1.0)
        call_soon(engine.loop, backend.set_value, 2.0)
        told.wait_for(True, 2.0)
        assert engine(rd(signal)).result(T).plan_result == 2.0  # which waited for ever
        backend.is_away = True
        told.wait_for(False, 2.0)
        backend.is_away = False
        told.wait_for(True, 2.0)


def test_a_server_that_ends_tells_its_clients(server: EngineServer, remote: RemoteEngine) -> None:
    told: list[str] = []
    lost = heard(remote.events.connection_changed, lambda up, why: not up and not told.append(why))
    server.close()
    assert lost.wait(T)
    assert told[0] == "The server was closed."


def test_a_client_that_reads_nothing_is_dropped_and_told(
    engine: RunEngine, tokens: TokenFile
) -> None:
    limits = Limits(backlog=200_000)
    with EngineServer(engine, tokens=tokens, port=0, limits=limits) as server:
        token = tokens.add("sleepy")
        with (
            opened(server, max_queue=1) as line,
            connect(server.url, tokens.add("ben")) as ben,
        ):
            line.send(to_server(Hello(VERSION, token)))
            welcome = from_server(line.recv(T, decode=False))
            assert isinstance(welcome, Welcome)
            line.send(to_server(Call(1, "subscribe", {"delivery": "queued"})))
            assert from_server(line.recv(T, decode=False))
            ben.subscribe(lambda name, doc: None, delivery="latest")
            assert engine(large(400)).result(T).exit_status == "success"
            assert ben._asker.ask("picture")["state"] == "idle"
            with opened(server) as again:
                hello = Hello(VERSION, token, session=welcome.session, server=welcome.server)
                again.send(to_server(hello))
                told = from_server(again.recv(T, decode=False))
            assert isinstance(told, Welcome)
            assert not told.resumed
            assert "too slow" in told.why
            line.socket.shutdown(socket.SHUT_RDWR)


def subscribe(line: Any, tokens: TokenFile, delivery: str) -> None:
    line.send(to_server(Hello(VERSION, tokens.add("anna"))))
    line.send(to_server(Call(1, "subscribe", {"delivery": delivery})))
    while not isinstance(from_server(line.recv(T, decode=False)), Answer):
        pass


def test_the_newest_events_have_no_number_and_all_else_has_one(
    engine: RunEngine, server: EngineServer, tokens: TokenFile
) -> None:
    with opened(server) as line:
        subscribe(line, tokens, "latest")
        engine(large(50)).result(T)
        numbers, newest = [], 0
        while True:
            message = from_server(line.recv(T, decode=False))
            if isinstance(message, Document) and message.latest:
                assert (message.name, message.number) == ("event", 0)
                newest = message.doc["seq_num"]
            elif isinstance(message, News | Document):
                numbers.append(message.number)
            if isinstance(message, Document) and message.name == "stop":
                break
    assert newest == 50
    assert numbers == sorted(set(numbers))


def test_of_pictures_that_wait_the_numbers_stay_on_the_server() -> None:
    session = Session(None, 1_000)  # type: ignore[arg-type]
    session.put_newest(1, b"picture 1", "stream", b"one")
    session.put(2, b"other")
    for number, text in ((3, b"three"), (4, b"four"), (5, b"five")):
        session.put_newest(number, b"picture %d" % number, "stream", text)
    # The first has its picture, too: the last may be far away.
    waiting = [b"picture 1", b"other", b"three", b"four", b"picture 5"]
    assert session.backlog == len(b"".join(waiting))
    assert [session.next() for _ in range(6)] == [*waiting, None]
    # Of what a client has not seen when its line is lost the newest has its picture.
    session.rewind(0)
    waiting[0] = b"one"
    assert session.backlog == len(b"".join(waiting))
    assert [session.next() for _ in range(6)] == [*waiting, None]
    session.seen(5)
    assert session.backlog == 0
    # Without numbers there is one, as ever.
    for number in (6, 7):
        session.put_newest(number, b"picture", "stream")
    assert [session.next(), session.next()] == [b"picture", None]


def test_of_pictures_that_wait_the_numbers_stay_at_a_client() -> None:
    delivery, gate, got = Delivery(), threading.Event(), []
    subscriptions = Subscriptions(delivery, lambda _: None)
    subscriptions.add(lambda name, doc: got.append(doc["data"]), "event", "display", None)
    picture = np.zeros((100, 100))
    delivery.put(gate.wait)
    delivery.start()
    for number, data in enumerate(({"mean": 1, "camera": picture}, {"mean": 2}), 1):
        for stream in ("a", "b"):
            doc = {"descriptor": stream, "seq_num": number, "data": data}
            subscriptions.take(Document(number, "event", doc))
    for number in (3, 4):
        doc = {"descriptor": "a", "seq_num": number, "data": {"mean": number, "camera": picture}}
        subscriptions.take(Document(number, "event", doc))
    gate.set()
    delivery.close()
    assert [each["mean"] for each in got] == [1, 1, 2, 2, 3, 4]
    # Of each stream the first and the last have it.
    assert ["camera" in each for each in got] == [True, True, False, False, False, True]


def test_no_number_is_lost_with_a_picture_that_is_left_out(
    engine: RunEngine, server: EngineServer, tokens: TokenFile
) -> None:
    with opened(server) as line:
        subscribe(line, tokens, "display")
        engine(large(200, mean=True)).result(T)  # more than fits into a line that is not read
        numbers, events = [], []
        while True:
            message = from_server(line.recv(T, decode=False))
            if isinstance(message, News | Document):
                numbers.append(message.number)
            if isinstance(message, Document) and message.name == "event":
                events.append(message.doc)
            if isinstance(message, Document) and message.name == "stop":
                break
    assert [doc["seq_num"] for doc in events] == list(range(1, 201))
    assert all("mean" in doc["data"] for doc in events)
    assert "camera" in events[-1]["data"]
    assert numbers == sorted(set(numbers))


def large(number: int, mean: bool = False) -> Any:
    """A plan whose documents are large."""

    class Camera:
        name = "camera"
        parent = None

        def read(self) -> Any:
            picture = {"camera": {"value": np.zeros((100, 100)), "timestamp": 0.0}}
            return {**picture, "mean": {"value": 1.0, "timestamp": 0.0}} if mean else picture

        def describe(self) -> Any:
            key = {"source": "", "dtype": "array", "shape": [100, 100]}
            more = {"mean": {"source": "", "dtype": "number", "shape": []}} if mean else {}
            return {"camera": key, **more}

        def read_configuration(self) -> Any:
            return {}

        def describe_configuration(self) -> Any:
            return {}

    camera = Camera()
    yield Msg("open_run")
    for _ in range(number):
        yield Msg("create", name="primary")
        yield Msg("read", camera)
        yield Msg("save")
    yield Msg("close_run")


def test_a_client_that_floods_waits_on_its_own_line(
    server: EngineServer,
    tokens: TokenFile,
    remote: RemoteEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server._door, "_limits", Limits(rate=10.0))
    with opened(server) as line:
        line.send(to_server(Hello(VERSION, tokens.add("flood"))))
        for number in range(2_000):
            line.send(to_server(Call(number, "picture")))
        # Others are served meanwhile: so many calls take minutes.
        assert remote(remote.plans.measure()).result(T).plan_result == "measured"
        assert server._door is not None
        session = next(s for s in server._door._hub.sessions.values() if s.client.name == "flood")
        assert len(session.answers) < 500
        # No more than there are in a bite of 4 KB, each of more than 30 bytes.
        assert session.connection._transport.get_protocol().queue.qsize() < 140


def test_of_changes_at_once_is_told_once(
    server: EngineServer, tokens: TokenFile, monkeypatch: Any
) -> None:
    with opened(server) as line:
        enter(line, tokens.add("flood"))
        door = server._door
        assert door is not None
        (session,) = door._hub.sessions.values()
        taken, picture = [], door._hub.picture
        monkeypatch.setattr(door._hub, "picture", lambda: taken.append(1) or picture())

        def change() -> None:
            for number in range(20):
                door._take(session, Call(number, "queue_hold", {"reason": f"reason {number}"}))

        call_soon(door._hub._loop, change)
        assert hear(line, News | Answer).picture["queue_held"] == "reason 19"
        assert [hear(line, Answer).id for _ in range(20)] == list(range(20))  # in their order
        assert len(taken) < 5  # each takes the interpreter from a plan


def test_what_is_small_is_sent_at_once(server: EngineServer, remote: RemoteEngine) -> None:
    assert server._door is not None
    (session,) = server._door._hub.sessions.values()
    line = session.connection._transport.get_extra_info("socket")
    assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_sessions_without_a_line_are_few(server: EngineServer, tokens: TokenFile) -> None:
    token = tokens.add("anna")
    welcomes = []
    for _ in range(20):
        with opened(server) as line:
            line.send(to_server(Hello(VERSION, token)))
            welcomes.append(from_server(line.recv(T, decode=False)))
    for welcome, resumed in ((welcomes[0], False), (welcomes[-1], True)):
        assert isinstance(welcome, Welcome)
        with opened(server) as line:
            line.send(to_server(Hello(VERSION, token, session=welcome.session)))
            again = from_server(line.recv(T, decode=False))
        assert isinstance(again, Welcome)
        assert again.resumed is resumed
        assert ("too many sessions" in again.why) is not resumed


def test_more_clients_than_there_may_be_are_told_so(engine: RunEngine, tokens: TokenFile) -> None:
    token = tokens.add("anna")
    limits = Limits(clients=2)
    with (
        EngineServer(engine, tokens=tokens, port=0, limits=limits) as server,
        connect(server.url, token),
        connect(server.url, token),
        pytest.raises(Exception, match="2 clients already"),
    ):
        connect(server.url, token)


def test_one_that_says_nothing_is_sent_away(
    server: EngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The door's alone: whoever takes longer to ask to be let in is cut before.
    monkeypatch.setattr(server._door, "_limits", Limits(patience=0.05))
    with opened(server) as line:
        bye = from_server(line.recv(T, decode=False))
        assert isinstance(bye, Bye)
        assert bye.reason == "No hello came in time."


def test_a_line_ends_when_both_have_said_so(server: EngineServer, monkeypatch: Any) -> None:
    monkeypatch.setattr(_door, "_LINGER", 1_000.0)  # after which it is cut
    ended = threading.Event()
    with opened(server) as line:
        assert server._uvicorn is not None
        (protocol,) = server._uvicorn.server_state.connections
        lost: Any = protocol.connection_lost
        monkeypatch.setattr(protocol, "connection_lost", lambda why: (lost(why), ended.set()))
        assert isinstance(enter(line, "wrong"), Bye)
        assert is_over(line)
        assert ended.wait(T)


def test_where_nobody_serves_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConnectionLostError, match=r"did not answer within .*Error"):
        connect("ws://127.0.0.1:1", "token", timeout=1.0)
    with pytest.raises(ValueError, match="is no address"):
        connect("gopher://somewhere", "token")


def test_a_port_that_is_taken_is_told(server: EngineServer, tokens: TokenFile) -> None:
    with pytest.raises(OSError, match=r"cannot be served.*--port"):
        EngineServer(server._engine, tokens=tokens, port=server.port)


def test_values_are_watched_and_go_on_after_a_cut(
    remote: RemoteEngine, cable: Cable, devices: Any, engine: RunEngine
) -> None:
    exposure = remote.devices.camera.exposure
    assert exposure.datatype is float
    told = threading.Condition()
    values: list[float] = []

    def changed(reading: Any) -> None:
        with told:
            values.append(reading["camera-exposure"]["value"])
            told.notify_all()

    def wait_for(value: float) -> None:
        with told:
            assert told.wait_for(lambda: values[-1:] == [value], T), values

    first = devices["camera"].exposure.get_value()
    now = run_soon(engine.loop, first).result(T)
    exposure.subscribe_reading(changed)
    wait_for(now)
    remote.by_hand.set(exposure, 0.25).result(T)
    wait_for(0.25)
    lose(cable, remote)
    engine.by_hand.set(devices["camera"].exposure, 0.5).result(T)
    regain(cable, remote)
    wait_for(0.5)
    exposure.clear_sub(changed)
    engine.by_hand.set(devices["camera"].exposure, 0.75).result(T)
    remote._asker.ask("picture")
    assert values[-1] == 0.5
    with pytest.raises(TypeError, match="tells of no changes"):
        remote._asker.ask("watch", device="camera")


def test_a_large_frame_comes_as_it_is(engine: RunEngine, tokens: TokenFile) -> None:
    scope = microscope(shape=(400, 400), instant=True)
    events: list[Any] = []
    engine.subscribe(lambda name, doc: events.append(doc), "event")
    frames: queue.Queue[RemoteFrame] = queue.Queue()
    with (
        EngineServer(engine, plans=[count], devices=scope, tokens=tokens, port=0) as server,
        connect(server.url, tokens.add("anna")) as remote,
    ):
        remote.show_frames(frames.put, max_side=400)
        remote(remote.plans.count([remote.devices.camera])).result(T)
        frame = frames.get(timeout=T)
    np.testing.assert_array_equal(frame.data, events[0]["data"][frame.key])
    assert frame.data.nbytes > 65_536
    assert np.ptp(frame.data) > 0
