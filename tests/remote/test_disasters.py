"""Servers that are killed, lines that are cut for long, and clocks that jump."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from afar import Cable, T, heard, some_plans, until
from freewheel import RunEngine
from freewheel.core import ResourceConflictError
from freewheel.remote import (
    ConnectionLostError,
    EngineServer,
    Limits,
    ServerRestartedError,
    TokenFile,
    connect,
)
from freewheel.testing import free_port

pytestmark = pytest.mark.servers  # with those, for the README's command is to stay short

SERVER = """
    import sys
    sys.path.insert(0, sys.argv[3])
    from afar import some_plans
    from freewheel import RunEngine
    from freewheel.remote import EngineServer
    from freewheel.sim import microscope
    server = EngineServer(
        RunEngine(), plans=some_plans().values(), devices=microscope(shape=(32, 32), instant=True),
        tokens=sys.argv[1], port=int(sys.argv[2]),
    )
    print(server.start().port, flush=True)
    sys.stdin.read()
"""


class Elsewhere:
    """A server in a process of its own."""

    def __init__(self, tokens: TokenFile, port: int) -> None:
        support = str(Path(__file__).parents[1] / "support")
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SERVER), str(tokens.path), str(port), support],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.url = f"ws://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def elsewhere(tokens: TokenFile, port: int) -> Iterator[Elsewhere]:
    made = Elsewhere(tokens, port)
    try:
        yield made
    finally:
        made.kill()


@pytest.mark.servers
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_a_server_that_is_killed_ends_what_was_waited_for_once_another_is_there(
    tokens: TokenFile,
) -> None:
    token = tokens.add("anna")
    # At a port that no connection has by chance, before the second server has begun.
    with elsewhere(tokens, free_port()) as first, connect(first.url, token) as remote:
        runs = remote(remote.plans.waits())
        waits = remote(remote.plans.measure())
        task = remote.background.launch(remote.plans.lit(), name="lit")
        until(remote, "actions_changed", lambda: {"go", "light"} <= set(remote.pending_actions))
        lost = heard(remote.events.connection_changed, lambda up, why: not up)
        back = heard(remote.events.connection_changed, lambda up, why: why == "restarted")
        with remote.claims.hold(remote.devices.stage):
            first.kill()
            assert lost.wait(T)
            with pytest.raises(ConnectionLostError, match="There is no line"):
                remote.trigger_action("go")
            with elsewhere(tokens, first.port):
                assert back.wait(T)
                for future in (runs, waits, task):
                    with pytest.raises(ServerRestartedError, match="the server is a new one"):
                        future.result(T)
                assert remote.state == "idle"
                assert not remote.claims
                assert not remote.queued
                measured = remote(remote.plans.measure([remote.devices.camera]))
                assert measured.result(T).plan_result == "measured"


@pytest.fixture
def forgotten() -> Iterator[threading.Event]:
    """Set when a server says that it has waited long enough for a client."""
    event = threading.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "it was away for too long" in record.getMessage():
                event.set()

    log, listener = logging.getLogger("freewheel"), Listener()
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(listener)
    yield event
    log.removeHandler(listener)
    log.setLevel(level)


def test_a_line_that_is_cut_for_longer_than_a_session_lives_harms_no_plan(
    engine: RunEngine, tokens: TokenFile, devices: Any, forgotten: threading.Event, caplog: Any
) -> None:
    plans = some_plans().values()
    limits = Limits(grace=0.1, memory=0.2)
    with EngineServer(
        engine, plans=plans, devices=devices, tokens=tokens, port=0, limits=limits
    ) as server:
        cable = Cable(server.port)
        with connect(cable.url, tokens.add("anna")) as remote:
            names: list[str] = []
            remote.subscribe(lambda name, doc: names.append(name))
            ended = remote(remote.plans.measure_when_told([remote.devices.camera], num=3))
            goes_on = remote(remote.plans.waits("still here"))
            until(remote, "actions_changed", lambda: "go" in remote.pending_actions)
            lost = heard(remote.events.connection_changed, lambda up, why: not up)
            back = heard(remote.events.connection_changed, lambda up, why: up)
            cable.cut()
            assert lost.wait(T)
            assert forgotten.wait(T)
            engine.trigger_action("go")  # by somebody beside the instrument
            until(engine, "plan_started", lambda: len(engine.queued) == 0)
            cable.mend()
            assert back.wait(T)
            assert ended.result(T).plan_result == "measured"
            assert "Documents of" in caplog.text  # that some may be missing is told
            until(remote, "actions_changed", lambda: "go" in remote.pending_actions)
            remote.trigger_action("go")
            assert goes_on.result(T).plan_result == "still here"
            remote(remote.plans.measure([remote.devices.camera])).result(T)
            until(remote, "state_changed", lambda: names[-1:] == ["stop"])
        cable.close()


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0], ids=["ahead", "back"])
def test_a_clock_that_jumps_ends_nothing(
    join: Any, cable: Cable, server: EngineServer, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """The computer's clock cannot be moved in a test: what Python reads of it is."""
    monkeypatch.setattr(server._door, "_limits", Limits(grace=600))  # the lease outlives the cut
    anna, ben = join("anna", url=cable.url), join("ben")
    camera = anna.devices.camera
    with anna.claims.hold(camera):
        future = anna(anna.plans.waits())
        until(anna, "actions_changed", lambda: "go" in anna.pending_actions)
        true = time.time
        monkeypatch.setattr(time, "time", lambda: true() + jump)
        assert 0 <= (future.elapsed or 0) < T
        lost = heard(anna.events.connection_changed, lambda up, why: not up)
        back = heard(anna.events.connection_changed, lambda up, why: why == "resumed")
        cable.cut()
        assert lost.wait(T)
        cable.mend()
        assert back.wait(T)
        with (
            pytest.raises(ResourceConflictError, match="which 'anna' holds"),
            ben.claims.hold(ben.devices.camera),
        ):
            pass
        assert 0 <= anna.snapshot().elapsed < T
        anna.trigger_action("go")
        assert future.result(T).exit_status == "success"
        assert anna.by_hand.read(anna.devices.stage.x).result(T)
