"""The engine's state machine on an engine elsewhere, whose line is cut at random.

A twentieth of the examples of ``FREEWHEEL_EXAMPLES``, each with a server of its own.
"""

from __future__ import annotations

import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from bluesky.utils import MsgGenerator
from hypothesis.stateful import rule

from afar import Cable, T, heard
from doubles import AccountedDevice, User
from engine_machine import EXAMPLES, EngineMachine, Turn, machine_settings
from freewheel.remote import ConnectionLostError, EngineServer, RemoteError, TokenFile, connect


class FarTurn(Turn):
    """A turn whose futures are told of what becomes of it, a moment later."""

    def is_parked(self) -> bool:
        return False


class FarDevice(AccountedDevice):
    """A device that is moved by hand with the number of who moves it: people cannot be sent."""

    people: list[User]

    def set(self, value: Any) -> Any:
        if isinstance(value, list):
            value = self.people[value[0]], value[1]
        return super().set(value)


class RemoteMachine(EngineMachine):
    """Drives an engine over a line, and asks again for what a cut line has not brought there."""

    make_turn = FarTurn
    held_by = "anna"

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[str, str]] = []
        self.came: list[tuple[str, str]] = []
        self.arrived = threading.Condition()  # guards the latter
        self.here.subscribe(lambda name, doc: self.made.append((name, doc.get("uid", ""))))
        self.engine.subscribe(self.take)  # after the machine's own, which has each then, too

    def take(self, name: str, doc: Any) -> None:
        with self.arrived:
            self.came.append((name, doc.get("uid", "")))
            self.arrived.notify_all()

    def make_device(self, number: int) -> AccountedDevice:
        return FarDevice(f"d{number}", self.account)

    def enter(self) -> Any:
        self.functions: list[Any] = []
        self.people: list[User] = []
        for device in self.devices:
            device.people = self.people  # type: ignore[attr-defined]
        functions = self.functions

        def numbered(number: int) -> MsgGenerator[Any]:
            """Run what the machine has put under a number."""
            return (yield from functions[number]())

        self.all = ExitStack()
        tokens = TokenFile(Path(self.all.enter_context(tempfile.TemporaryDirectory())) / "tokens")
        devices = {device.name: device for device in self.devices}
        server = self.all.enter_context(
            EngineServer(self.here, plans=[numbered], devices=devices, tokens=tokens, port=0)
        )
        self.cable = Cable(server.port)
        self.all.callback(self.cable.close)
        # Somebody else's devices are lent to none of these plans, and his line is not cut.
        self.other = self.all.enter_context(connect(server.url, tokens.add("ben")))
        return self.all.enter_context(connect(self.cable.url, tokens.add("anna")))

    def leave(self) -> None:
        self.all.close()
        super().leave()

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        while True:
            try:
                return super().call(function, *args, **kwargs)
            except ConnectionLostError:  # it was not carried out
                self.wait_for_the_line()

    def wait_for_the_line(self) -> None:
        back = heard(self.engine.events.connection_changed, lambda up, why: up)
        assert self.engine.connected or back.wait(T)

    @rule()
    def cut(self) -> None:
        self.cable.cut()
        self.cable.mend()

    # -- what is sent -------------------------------------------------------------------------

    def call_of(self, plan: Any) -> Any:
        self.functions.append(plan)
        return self.engine.plans.numbered(len(self.functions) - 1)

    asked = call_of

    def turn_of(self, future: Any) -> Turn:
        call = future.arguments
        (turn,) = (turn for turn in self.turns if turn.futures[0].arguments == call)
        return turn

    def hold_of(self, device: AccountedDevice) -> Any:
        return self.other.claims.hold(self.other.devices[device.name])

    def by_hand(self, device: AccountedDevice, user: User, seconds: float) -> tuple[Any, Any]:
        self.people.append(user)
        return self.engine.devices[device.name], [len(self.people) - 1, seconds]

    # -- what comes back ----------------------------------------------------------------------

    def is_failure(self, error: Any) -> bool:
        told = isinstance(error, RemoteError) and "PlanFailureError" in str(error)
        return told or super().is_failure(error)  # a plan's own tasks are of its process

    def is_same(self, one: Any, other: Any) -> bool:
        if isinstance(other, Turn):
            return bool(one == repr(other))  # as what has no form of its own is sent
        return type(one) is type(other) and str(one) == str(other)

    def was_refused(self, turn: Turn, error: Any) -> bool:
        return isinstance(error, ConnectionLostError)

    def is_over(self, turn: Turn) -> bool:
        try:
            turn.outcome.exception(T)
        except TimeoutError:
            return False
        except BaseException:
            return True
        return True

    def pause_as_queueserver_does(self) -> None:  # type: ignore[override]
        """Nobody can from elsewhere."""

    def settle(self) -> None:
        super().settle()
        with self.arrived:  # documents are told on a thread of their own
            self.arrived.wait_for(lambda: len(self.came) >= len(self.made), T)
        assert self.came == self.made


@pytest.mark.servers
class TestEngineElsewhere(RemoteMachine.TestCase):  # type: ignore[misc,name-defined]
    settings = machine_settings(EXAMPLES // 20)
