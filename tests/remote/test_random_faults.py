"""Faults at random while plans run: nothing is lost, and everything ends.

``FREEWHEEL_FAULTS`` sets how many faults there are, ``FREEWHEEL_SEED`` which.
"""

from __future__ import annotations

import contextlib
import os
import random
from concurrent.futures import CancelledError
from typing import Any

import pytest
from bluesky.run_engine import TransitionError
from bluesky.utils import RunEngineInterrupted
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect as plain_connect

from afar import Cable, T, heard, until
from freewheel import RunEngine
from freewheel.core import ResourceConflictError
from freewheel.remote import (
    ConnectionLostError,
    EngineServer,
    NotAllowedError,
    RemoteEngine,
    TokenFile,
    connect,
)
from freewheel.remote._protocol import VERSION, Call, Hello
from freewheel.remote._wire import to_server

pytestmark = pytest.mark.servers  # with those, for the README's command is to stay short

FAULTS = int(os.environ.get("FREEWHEEL_FAULTS", "25"))
SEED = int(os.environ.get("FREEWHEEL_SEED", "20"))


class Faults:
    """One kind of fault after the other, beside a client whose line may be cut."""

    def __init__(
        self, chance: random.Random, server: EngineServer, tokens: TokenFile, cable: Cable
    ) -> None:
        self._chance = chance
        self._server = server
        self._tokens = tokens
        self._cable = cable
        self._token = tokens.add("mallory")

    def one(self) -> None:
        """Do something that must harm nobody."""
        faults = [getattr(self, name) for name in vars(Faults) if name.startswith("fault_")]
        with contextlib.suppress(OSError, WebSocketException):
            self._chance.choice(faults)()

    def _line(self) -> Any:
        return plain_connect(
            f"{self._server.url}/ws", compression=None, proxy=None, close_timeout=0.05
        )

    def fault_cut(self) -> None:
        self._cable.cut()
        self._cable.mend()

    def fault_garbage(self) -> None:
        with self._line() as line:
            line.send(self._chance.randbytes(self._chance.randrange(1, 2_000)))

    def fault_garbage_of_a_client(self) -> None:
        with self._line() as line:
            line.send(to_server(Hello(VERSION, self._token)))
            line.send(self._chance.randbytes(self._chance.randrange(1, 2_000)))

    def fault_wrong_token(self) -> None:
        with contextlib.suppress(NotAllowedError):
            connect(self._server.url, "wrong").close()

    def fault_half_a_frame(self) -> None:
        with self._line() as line:
            line.send(to_server(Hello(VERSION, self._token)))
            line.socket.sendall(b"\x82\xfe\xff\xff")

    def fault_dies_with_a_lease(self) -> None:
        with self._line() as line:
            line.send(to_server(Hello(VERSION, self._token)))
            line.send(to_server(Call(1, "claim", {"devices": ["lamp"]})))
            line.socket.close()

    def fault_burst(self) -> None:
        with self._line() as line:
            line.send(to_server(Hello(VERSION, self._token)))
            for number in range(40):
                line.send(to_server(Call(number, "picture")))
            line.socket.close()

    def fault_large(self) -> None:
        with self._line() as line:
            line.send(bytes(3 << 20))


def ask(chance: random.Random, remote: RemoteEngine, futures: list[Any]) -> None:
    """Have the client do something; a line that is cut is told at once."""
    plans, devices = remote.plans, remote.devices
    camera = [devices.camera]
    choices: list[Any] = [
        lambda: futures.append(remote(plans.measure(camera, num=chance.randrange(1, 9)))),
        lambda: futures.append(remote(plans.measure(camera, num=3))),
        lambda: futures.append(remote(plans.waits("told"))),
        lambda: remote.trigger_action("go"),
        lambda: remote.trigger_action("go"),
        remote.request_pause,
        lambda: futures.append(remote.resume()),
        lambda: remote.by_hand.set(devices.stage.x, chance.random()),
        lambda: remote.queue.hold("a moment"),
        remote.queue.release,
        lambda: remote.background.launch(plans.measure(camera)),
    ]
    with contextlib.suppress(
        ConnectionLostError,
        KeyError,
        ResourceConflictError,
        TimeoutError,
        TransitionError,
    ):
        chance.choice(choices)()


def test_whatever_happens_nothing_is_lost_and_everything_ends(
    server: EngineServer,
    tokens: TokenFile,
    join: Any,
    cable: Cable,
    engine: RunEngine,
) -> None:
    chance = random.Random(SEED)
    remote: RemoteEngine = join(url=cable.url)
    made: list[tuple[str, str]] = []
    came: list[tuple[str, str]] = []
    engine.subscribe(lambda name, doc: made.append((name, doc.get("uid", ""))))
    remote.subscribe(lambda name, doc: came.append((name, doc.get("uid", ""))))
    faults, futures = Faults(chance, server, tokens, cable), []
    for _ in range(FAULTS):
        for _ in range(chance.randrange(4)):
            ask(chance, remote, futures)
        faults.one()
    if not remote.connected:
        back = heard(remote.events.connection_changed, lambda up, why: up)
        assert remote.connected or back.wait(T)
    remote.stop_all("the end").result(T)
    remote.queue.clear()
    until(engine, "state_changed", lambda: engine.state == "idle" and not engine.queued)
    for future in futures:
        with contextlib.suppress(RunEngineInterrupted, CancelledError, ConnectionLostError):
            future.result(T)
        with contextlib.suppress(CancelledError, ConnectionLostError):
            # Nothing but what was asked for has ended a plan.
            assert future.outcome.result(T).exit_status in ("success", "abort")
    # Through the line itself: what comes after all documents.
    remote.queue.release()
    last = remote(remote.plans.measure())
    assert last.result(T).plan_result == "measured"
    until(remote, "state_changed", lambda: len(came) == len(made))
    assert came == made
