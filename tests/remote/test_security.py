"""What a server never does, one test each; and what each role may."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as plain_connect

from afar import T, ask, enter, hear, is_over
from freewheel import BlockingRunEngine, RunEngine
from freewheel.remote import EngineServer, NotAllowedError, Role, TokenFile, connect
from freewheel.remote._protocol import VERSION, Bye, Call, Hello, Welcome
from freewheel.remote._roles import VERBS
from freewheel.remote._wire import to_server

Raw = Callable[..., ClientConnection]


@pytest.fixture
def http(server: EngineServer) -> Iterator[httpx.Client]:
    base = server.url.replace("ws", "http", 1)
    with httpx.Client(base_url=base, verify=False, trust_env=False) as client:
        yield client


def opened(server: EngineServer) -> ClientConnection:
    return plain_connect(f"{server.url}/ws", compression=None, proxy=None)


# -- never -----------------------------------------------------------------------------------


def test_nobody_comes_in_without_a_token(server: EngineServer, tokens: TokenFile) -> None:
    tokens.add("anna")
    for wrong in ("", "wrong", "anna"):
        with opened(server) as line:
            bye = enter(line, wrong)
            assert isinstance(bye, Bye)
            assert bye.fault.kind == "NotAllowedError"
            assert is_over(line)
        with pytest.raises(NotAllowedError, match="freewheel serve token"):
            connect(server.url, wrong)


def test_nothing_is_done_before_the_hello(server: EngineServer, engine: RunEngine) -> None:
    with opened(server) as line:
        line.send(to_server(Call(1, "queue_hold", {"reason": "mine"})))
        assert isinstance(hear(line, Bye), Bye)
        assert is_over(line)
    assert engine.queue.held is None


def test_another_version_is_told_so(server: EngineServer, tokens: TokenFile) -> None:
    with opened(server) as line:
        bye = enter(line, tokens.add("anna"), version=99)
        assert "version 99" in bye.reason
        assert is_over(line)


def test_garbage_ends_the_connection_and_harms_nobody(
    server: EngineServer, tokens: TokenFile, remote: Any
) -> None:
    for data in [b"", b"\xc1", b"\xff" * 50, b"GET / HTTP/1.1\r\n\r\n", bytes(1000)]:
        with opened(server) as line:
            enter(line, tokens.add("mallory"))
            line.send(data)
            assert hear(line, Bye).fault.kind == "ProtocolError"
            assert is_over(line)
        assert remote(remote.plans.measure()).result(T).plan_result == "measured"


def test_a_payload_that_is_too_large_is_not_taken(
    server: EngineServer, tokens: TokenFile, remote: Any
) -> None:
    with opened(server) as line:
        enter(line, tokens.add("mallory"))
        try:
            line.send(bytes(8 << 20))
        except ConnectionClosed:
            pass
        assert is_over(line)
    assert remote(remote.plans.measure()).result(T).plan_result == "measured"


def test_nothing_is_unpickled(
    server: EngineServer, tokens: TokenFile, tmp_path: Path, devices: Any
) -> None:
    proof = tmp_path / "unpickled"

    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (proof,)

    evil = pickle.dumps(Evil())
    with opened(server) as line:
        enter(line, tokens.add("mallory"))
        answer = ask(line, "hand_set", device="stage.x", value=evil)
        assert answer.fault is not None or not answer.done
        objects = msgspec.msgpack.Ext(2, (3).to_bytes(2) + b"\x92\xa2|O" + b"\x91\x01" + evil)
        line.send(
            msgspec.msgpack.encode(
                {"type": "call", "id": 2, "verb": "hand_set", "args": {"value": objects}}
            )
        )
        assert is_over(line)
    assert not proof.exists()


def test_nothing_is_evaluated_or_imported(remote: Any) -> None:
    for text in [
        "__import__('os').getpid()",
        "os.system",
        "freewheel.RunEngine",
        "measure.__globals__",
    ]:
        with pytest.raises(KeyError, match="There is no plan"):
            remote._asker.ask("submit", call={"plan": text}, key=f"{remote._line.welcome.tag}1")
        with pytest.raises(KeyError, match="There is no device"):
            remote._asker.ask("hand_set", device=text, value=1)
        assert remote(remote.plans.waits(text)).call.arguments == repr(text)


def test_no_attribute_is_reached_that_is_no_device(remote: Any) -> None:
    for name in ["stage.__class__", "stage.x.parent", "camera.exposure.set", "."]:
        with pytest.raises(KeyError, match="There is no device"):
            remote._asker.ask("read", device=name)


def test_no_path_is_served_but_those_that_are_meant(http: httpx.Client) -> None:
    for path in ["/../pyproject.toml", "/%2e%2e/etc/passwd", "/static/..%2f..", "/x"]:
        assert http.get(path).status_code == 404


def test_no_token_is_in_a_log_or_an_answer(
    server: EngineServer, tokens: TokenFile, http: httpx.Client, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "asyncio"):  # of the client in this process
        logging.getLogger(name).setLevel(logging.WARNING)
    token = tokens.add("anna")
    with connect(server.url, token, program="a test") as remote:
        remote(remote.plans.measure()).result(T)
        remote.queue.hold("lunch")
        shown = repr(remote) + repr(vars(remote)) + str(remote._asker.ask("picture"))
    http.get("/snapshot", headers={"Authorization": f"Bearer {token}"})
    assert "anna (operator): queue_hold(reason='lunch')" in caplog.text
    assert token not in caplog.text
    assert token not in shown


def test_other_servers_of_the_process_keep_their_logs(
    engine: RunEngine, tokens: TokenFile, caplog: Any
) -> None:
    log, theirs = logging.getLogger("uvicorn.access"), logging.NullHandler()
    log.addHandler(theirs)
    try:
        caplog.set_level(logging.INFO)
        with EngineServer(engine, tokens=tokens, port=0) as serving:
            httpx.get(f"{serving.page}health", trust_env=False)
        assert theirs in log.handlers
        assert not [each for each in caplog.records if each.name == log.name]
    finally:
        log.removeHandler(theirs)


def test_a_log_has_one_line_for_a_call(server: EngineServer, remote: Any, caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    remote.queue.hold("lunch\nanna (admin): revoke()\x1b[2J")
    (line,) = [each for each in caplog.messages if "queue_hold" in each]
    assert "\n" not in line
    assert "\x1b" not in line


def test_a_client_cannot_take_another_ones_key(remote: Any, join: Any) -> None:
    join("ben")
    with pytest.raises(Exception, match="no key of this session"):
        remote._asker.ask("submit", call={"plan": "waits"}, key="c999-1")


def test_who_has_a_session_needs_its_token_too(
    server: EngineServer, tokens: TokenFile, remote: Any
) -> None:
    session = remote._line.welcome.session
    with opened(server) as line:
        line.send(to_server(Hello(VERSION, tokens.add("mallory"), session=session)))
        welcome = hear(line, Welcome)
    assert not welcome.resumed
    assert welcome.session != session


def test_nobody_else_can_be_a_holder(remote: Any, devices: Any, engine: RunEngine) -> None:
    with remote.claims.hold(remote.devices.camera, holder="the director"):
        assert engine.claims.get(devices["camera"]) == "anna (the director)"


def test_other_machines_are_served_only_with_tokens(engine: RunEngine, tokens: TokenFile) -> None:
    with pytest.raises(ValueError, match="freewheel serve token"):
        EngineServer(engine, tokens=tokens, host="0.0.0.0", port=0)
    tokens.add("anna")
    EngineServer(engine, tokens=tokens, host="0.0.0.0", port=0).close()


def test_an_engine_whose_calls_wait_is_not_served(tokens: TokenFile) -> None:
    with BlockingRunEngine({}) as engine, pytest.raises(TypeError, match="its calls wait"):
        EngineServer(engine, tokens=tokens, port=0)


def test_only_health_is_told_without_a_token(http: httpx.Client, tokens: TokenFile) -> None:
    token = tokens.add("anna", Role.OBSERVER)
    assert http.get("/health").json()["ok"] is True
    for path in ("snapshot", "plans", "devices", "metrics"):
        assert http.get(f"/{path}").status_code == 401
        wrong = {"Authorization": "Bearer wrong"}
        assert http.get(f"/{path}", headers=wrong).status_code == 401
        right = {"Authorization": f"Bearer {token}"}
        assert http.get(f"/{path}", headers=right).status_code == 200


def test_pages_load_nothing_from_elsewhere(http: httpx.Client) -> None:
    page = http.get("/docs")
    assert "GET /snapshot" in page.text
    assert "Authorization: Bearer TOKEN" in page.text
    assert "://" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert http.get("/openapi.json").json()["info"]["title"] == "freewheel"


# -- roles -----------------------------------------------------------------------------------

#: Arguments that each verb takes, which need not make sense.
_ARGS: dict[str, dict[str, Any]] = {
    "futures": {"keys": []},
    "read": {"device": "stage.x"},
    "watch": {"device": "no such"},
    "subscribe": {"delivery": "latest"},
    "submit": {"call": {"plan": "no such"}, "key": "c0-1"},
    "preempt": {"call": {"plan": "no such"}, "key": "c0-1"},
    "resume": {"key": "c0-1"},
    "cancel": {"key": "no such"},
    "trigger": {"name": "no such"},
    "release": {"name": "no such"},
    "preview": {"call": {"plan": "no such"}},
    "queue_move": {"key": "no such", "position": 0},
    "queue_edit": {"key": "no such", "call": {"plan": "no such"}},
    "queue_on_interruption": {"value": "hold"},
    "every": {"seconds": 1, "call": {"plan": "no such"}},
    "every_cancel": {"key": "no such"},
    "hand_set": {"device": "no such", "value": 1},
    "hand_stop": {"device": "no such"},
    "claim": {"devices": []},
    "unclaim": {"key": "no such"},
    "revoke": {"device": "stage.x"},
    "launch": {"call": {"plan": "no such"}},
    "launch_registered": {"task_id": "x", "name": "no such"},
    "task_cancel": {"key": "no such"},
    "task_pause": {"key": "no such"},
    "task_resume": {"key": "no such"},
}


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_what_it_may_and_nothing_else(
    server: EngineServer, tokens: TokenFile, role: Role
) -> None:
    with opened(server) as line:
        enter(line, tokens.add("somebody", role))
        for number, (verb, needed) in enumerate(VERBS.items()):
            answer = ask(line, verb, number, **_ARGS.get(verb, {}))
            refused = answer.fault is not None and answer.fault.kind == "NotAllowedError"
            assert refused is not role.includes(needed), (verb, answer)


def test_a_verb_that_is_none_is_refused(remote: Any) -> None:
    for verb in ("close", "__init__", "_signed", "end_lease", "request_pause"):
        with pytest.raises(KeyError, match="There is no verb"):
            remote._asker.ask(verb)


def test_arguments_of_the_wrong_type_are_refused(remote: Any) -> None:
    for verb, args in [
        ("queue_move", {"key": 3, "position": "first"}),
        ("stop", {"unasked": 1}),
        ("submit", {}),
        ("submit", {"call": "measure", "key": "c0-1"}),
        ("submit", {"call": {"plan": "measure", "evil": 1}, "key": "c0-1"}),
        ("frames", {"rate": "often"}),
        ("subscribe", {"delivery": "inline"}),
        ("claim", {"devices": "stage"}),
    ]:
        with pytest.raises(TypeError, match="cannot be asked for so"):
            remote._asker.ask(verb, **args)


def test_frames_are_asked_for_within_limits(remote: Any) -> None:
    for wish in [{"rate": 0.0}, {"rate": 1e9}, {"max_side": 0}, {"rate": np.nan}]:
        with pytest.raises(ValueError, match="frames have sides"):
            remote._asker.ask("frames", **wish)
