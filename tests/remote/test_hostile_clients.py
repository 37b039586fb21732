"""Clients that do what no client of ours does, and what engines tell that no client can take."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import numpy as np
import pytest
from bluesky.utils import Msg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as plain_connect

from afar import T, ask, enter, hear, heard, is_over
from freewheel import RunEngine
from freewheel.remote import EngineServer, Limits, NotAllowedError, TokenFile, connect
from freewheel.remote._protocol import Answer, Bye, Call, Frame
from freewheel.remote._wire import to_server

pytestmark = pytest.mark.servers  # with those, for the README's command is to stay short


class Raw:
    """A client by hand."""

    def __init__(self, line: ClientConnection, token: str) -> None:
        self.line = line
        self.welcome = enter(line, token)

    def hear(self, kind: Any) -> Any:
        return hear(self.line, kind)

    def ask(self, verb: str, number: int = 1, **args: Any) -> Answer:
        return ask(self.line, verb, number, **args)


@contextmanager
def by_hand(server: EngineServer, token: str) -> Iterator[Raw]:
    with plain_connect(f"{server.url}/ws", compression=None, proxy=None) as line:
        yield Raw(line, token)


@pytest.fixture
def raw(server: EngineServer, tokens: TokenFile) -> Iterator[Raw]:
    with by_hand(server, tokens.add("mallory")) as made:
        yield made


# -- keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["c999-1", "", "{}outcome", "{}1-outcome", "{}" + "1" * 1_000])
@pytest.mark.parametrize("verb", ["submit", "preempt"])
def test_a_plan_whose_key_is_refused_does_not_run(
    raw: Raw, engine: RunEngine, verb: str, key: str
) -> None:
    started = heard(engine.events.plan_started)
    key = key.format(raw.welcome.tag)
    assert raw.ask(verb, call={"plan": "measure"}, key=key).fault is not None
    assert not started.is_set()
    assert not engine.queued


def test_a_key_stands_for_one_plan(raw: Raw, engine: RunEngine) -> None:
    engine.queue.hold("lunch")
    key = f"{raw.welcome.tag}1"
    assert raw.ask("submit", 1, call={"plan": "measure"}, key=key).fault is None
    again = raw.ask("submit", 2, call={"plan": "measure"}, key=key)
    assert again.fault is not None
    assert "another plan" in again.fault.text
    assert len(engine.queued) == 1


# -- tokens ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["taken away", "made anew", "of another role"])
def test_a_token_that_counts_no_more_ends_the_line(
    server: EngineServer, tokens: TokenFile, engine: RunEngine, how: str
) -> None:
    with by_hand(server, tokens.add("ben", "operator")) as raw:
        assert raw.ask("claim", devices=["stage"]).fault is None
        other = TokenFile(tokens.path)  # another process writes it
        if how == "taken away":
            other.remove("ben")
        else:
            other.add("ben", "operator" if how == "made anew" else "observer")
        raw.line.send(to_server(Call(2, "submit", {"call": {"plan": "measure"}})))
        bye = raw.hear(Bye | Answer)
        assert isinstance(bye, Bye)
        assert "ben" in bye.reason
        assert "token" in bye.reason
    assert not engine.claims
    assert not engine.queued


def test_who_only_looks_is_sent_away_too(engine: RunEngine, tokens: TokenFile) -> None:
    limits = Limits(guard=0.05)
    token = tokens.add("ben", "observer")
    with (
        EngineServer(engine, tokens=tokens, port=0, limits=limits) as server,
        connect(server.url, token) as remote,
    ):
        lost = heard(remote.events.connection_changed, lambda up, why: not up)
        tokens.remove("ben")
        assert lost.wait(T)


def test_a_file_of_tokens_that_breaks_lets_nobody_in_and_sends_nobody_away(
    server: EngineServer, tokens: TokenFile, raw: Raw, caplog: Any
) -> None:
    token = tokens.add("ben")
    tokens.path.write_text("{")
    with pytest.raises(NotAllowedError, match="cannot read its tokens"):
        connect(server.url, token)
    assert raw.ask("picture").fault is None
    assert "is no file of tokens" in caplog.text
    assert "Traceback" not in caplog.text


# -- the log ---------------------------------------------------------------------------------

FORGED = "x\n2026-11-30 anna (admin): revoke()\x1b[2J"


@pytest.mark.parametrize(
    ("verb", "args"), [(FORGED, {}), ("queue_hold", {FORGED: 1})], ids=["verb", "argument"]
)
def test_nobody_writes_lines_of_a_log(raw: Raw, caplog: Any, verb: str, args: Any) -> None:
    caplog.set_level(logging.INFO)
    assert raw.ask(verb, 3, **args).fault is not None
    assert any("revoke" in each for each in caplog.messages)
    assert all(each.isprintable() for each in caplog.messages)


def test_nobody_writes_lines_of_a_log_at_the_door(server: EngineServer, caplog: Any) -> None:
    with plain_connect(f"{server.url}/ws", proxy=None) as line:
        line.send(msgspec.msgpack.encode({"type": FORGED * 1_000}))
        assert is_over(line)
    refused = [each for each in caplog.messages if "refused" in each]
    assert refused
    assert all(each.isprintable() and len(each) < 1_000 for each in refused)


@pytest.mark.parametrize("verb", ["submit", "hand_stop", "trigger", "cancel", "no such verb"])
def test_an_endless_name_does_not_come_back(raw: Raw, verb: str) -> None:
    endless = "x" * 500_000
    args: dict[str, Any] = {
        "submit": {"call": {"plan": endless}, "key": f"{raw.welcome.tag}1"},
        "hand_stop": {"device": endless},
        "trigger": {"name": endless},
        "cancel": {"key": endless},
    }
    if verb not in args:
        verb = f"{verb} {endless}"
    answer = raw.ask(verb, 3, **args.get(verb, {}))
    assert answer.fault is not None
    assert len(answer.fault.text) < 5_000
    assert not answer.fault.text.endswith("x")  # what to do is at the end


def test_an_endless_name_does_not_come_back_as_a_last_word(server: EngineServer) -> None:
    with plain_connect(f"{server.url}/ws", proxy=None) as line:
        line.send(msgspec.msgpack.encode({"type": "x" * 500_000}))
        bye = hear(line, Bye)
    assert len(bye.reason) < 5_000


# -- too much --------------------------------------------------------------------------------


def test_who_never_says_what_it_has_seen_is_dropped(engine: RunEngine, tokens: TokenFile) -> None:
    # The engine is idle: there are no news with which the backlog would be looked at.
    limits = Limits(backlog=50_000, burst=1_000)
    with (
        EngineServer(engine, tokens=tokens, port=0, limits=limits) as server,
        by_hand(server, tokens.add("mallory")) as raw,
    ):
        with suppress(ConnectionClosed):  # it is sent away while it asks
            for number in range(1_000):
                raw.line.send(to_server(Call(number, "picture", {})))
        assert "too slow" in raw.hear(Bye).reason


@pytest.mark.parametrize("kind", ["f8,(", ",", "(1,2", "f8,,f8", "S9999999999"])
def test_the_type_of_an_array_is_never_parsed_as_python(raw: Raw, kind: str) -> None:
    head = msgspec.msgpack.encode((kind, (0,)))
    array = msgspec.msgpack.Ext(2, len(head).to_bytes(2) + head)
    call = {"type": "call", "id": 1, "verb": "explain", "args": {"a": array}}
    raw.line.send(msgspec.msgpack.encode(call))
    bye = raw.hear(Bye | Answer)
    assert isinstance(bye, Bye)
    assert "cannot be sent" in bye.reason


# -- what no client can take -----------------------------------------------------------------


def circle() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


STRANGE = {
    "a number of more than 64 bits": lambda: {"n": 1 << 70},
    "half a character": lambda: "\ud800",
    "a circle": circle,
    "a long double": lambda: np.longdouble(1),
}


@contextmanager
def serving_strange(engine: RunEngine, tokens: TokenFile, value: Any) -> Iterator[Any]:
    def strange() -> Any:
        yield Msg("open_run", odd=value if not isinstance(value, list) else 1)
        yield Msg("close_run")
        return value

    with (
        EngineServer(engine, plans=[strange], tokens=tokens, port=0) as server,
        connect(server.url, tokens.add("anna")) as remote,
    ):
        yield remote


@pytest.mark.parametrize("made", STRANGE.values(), ids=STRANGE)
def test_what_cannot_be_sent_keeps_nothing_else_back(
    engine: RunEngine, tokens: TokenFile, made: Any
) -> None:
    with serving_strange(engine, tokens, made()) as remote:
        names: list[str] = []
        remote.subscribe(lambda name, doc: names.append(name))
        result = remote(remote.plans.strange()).result(T)
        assert result.exit_status == "success"
        assert names == ["start", "stop"]


@pytest.mark.parametrize("odd", ["O", "M8[ns]", "U1"])
def test_arrays_that_are_no_pictures_are_not_shown_as_frames(
    engine: RunEngine, tokens: TokenFile, odd: str
) -> None:
    from ophyd.sim import SynSignal

    frame = np.arange(16, dtype="u1").reshape(4, 4)
    arrays = {"odd": np.zeros((4, 4), odd), "picture": frame}
    cameras = [SynSignal(name=name, func=lambda a=a: a) for name, a in arrays.items()]
    for camera in cameras:
        camera.trigger().wait(T)

    def shows() -> Any:
        yield Msg("open_run")
        yield Msg("create", name="primary")
        for camera in cameras:
            yield Msg("read", camera)
        yield Msg("save")
        yield Msg("close_run")

    with (
        EngineServer(engine, plans=[shows], tokens=tokens, port=0) as server,
        by_hand(server, tokens.add("anna")) as raw,
    ):
        assert raw.ask("frames", 1).fault is None
        call = {"call": {"plan": "shows"}, "key": f"{raw.welcome.tag}1"}
        raw.line.send(to_server(Call(2, "submit", call)))
        shown = raw.hear(Frame)
        assert shown.key == "picture"
        assert np.array_equal(np.frombuffer(shown.data, shown.dtype).reshape(4, 4), frame)
        assert raw.ask("explain", 3).fault is None
