"""An engine served to clients, and a line between them that can be cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from bluesky.protocols import Movable, Readable
from bluesky.utils import Msg, MsgGenerator
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from freewheel import Action, PlanCall
from freewheel.plan_stubs import wait_for_action
from freewheel.remote._protocol import VERSION, Answer, Bye, Call, Hello, Welcome
from freewheel.remote._wire import from_server, to_server

T = 10


def some_plans() -> dict[str, Callable[..., Any]]:
    """Plans to be served, with an action of their own."""
    go = Action(name="go", description="Go on.")
    light = Action(name="light", togglable=True, toggle_states=("Bright", "Dark"))

    def measure(detectors: Sequence[Readable] = (), num: int = 1) -> MsgGenerator[str]:
        """Measure some times."""
        yield Msg("open_run")
        for _ in range(num):
            yield Msg("checkpoint")
            yield Msg("create", name="primary")
            for detector in detectors:
                yield Msg("read", detector)
            yield Msg("save")
        yield Msg("close_run")
        return "measured"

    def waits(label: str = "") -> MsgGenerator[str]:
        """Wait for the action go."""
        yield Msg("checkpoint")
        go.event_map["go"].reset()
        yield from wait_for_action(go)
        return label

    def measure_when_told(detectors: Sequence[Readable] = (), num: int = 1) -> MsgGenerator[Any]:
        yield from waits()
        return (yield from measure(detectors, num))

    def lit() -> MsgGenerator[None]:
        """Wait until it is bright, then until it is dark again."""
        yield from wait_for_action(light)
        yield from wait_for_action(light, wait_for="reset")

    def fails(text: str = "no beam") -> MsgGenerator[None]:
        yield Msg("null")
        raise ValueError(text)

    def holds(device: Movable) -> MsgGenerator[None]:  # type: ignore[type-arg]
        """Hold a device until the action go."""
        yield Msg("claim", None, device)
        yield from waits()

    def moves(device: Movable, to: float) -> MsgGenerator[None]:  # type: ignore[type-arg]
        yield Msg("set", device, to, group="move")
        yield Msg("wait", group="move")

    plans = (measure, waits, measure_when_told, lit, fails, holds, moves)
    return {plan.__name__: plan for plan in plans}


def heard(signal: Any, when: Callable[..., bool] = lambda *_: True) -> threading.Event:
    """An event that is set when a signal is emitted with what is wanted."""
    event = threading.Event()

    def slot(*what: Any) -> None:
        if when(*what):
            event.set()

    signal.connect(slot)
    event.slot = slot  # type: ignore[attr-defined] - psygnal keeps it only weakly
    return event


def until(engine: Any, signal: str, true: Callable[[], bool]) -> None:
    """Wait until something is true that a signal of the engine tells of."""
    told = threading.Condition()

    def slot(*_: Any) -> None:
        with told:
            told.notify_all()

    instance = getattr(engine.events, signal)
    instance.connect(slot)
    try:
        with told:
            assert told.wait_for(true, T), f"{signal} did not tell of it: {engine.snapshot()}"
    finally:
        instance.disconnect(slot)


class Here:
    """An engine of this process, with the words of one elsewhere."""

    def __init__(self, engine: Any, plans: dict[str, Any], devices: dict[str, Any]) -> None:
        self.engine = engine
        self.devices = devices
        self._plans = plans

    def call(self, name: str, *args: Any, **kwargs: Any) -> PlanCall:
        return PlanCall(self._plans[name], args, kwargs)

    def plan(self, name: str) -> Any:
        return self._plans[name]


class Afar:
    """An engine elsewhere."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.devices = engine.devices

    def call(self, name: str, *args: Any, **kwargs: Any) -> PlanCall:
        return self.engine.plans[name](*args, **kwargs)

    def plan(self, name: str) -> Any:
        return self.engine.plans[name]


def _end(end: socket.socket) -> None:
    """End a connection, also while another thread waits for it."""
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()


class Cable:
    """A line to a server that can be cut, and mended: a proxy."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"
        self._lock = threading.Lock()  # guards the next two
        self._ends: list[socket.socket] = []
        self._is_cut = False
        self._threads = [threading.Thread(target=self._accept, name="cable")]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                if self._is_cut:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    near.close()
                    continue
                self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                thread = threading.Thread(target=self._carry, args=(one, other), name="cable")
                self._threads.append(thread)
                thread.start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            _end(end)

    def lead_to(self, port: int) -> None:
        """Lead to another server from now on."""
        self._to = port

    def cut(self) -> None:
        """Cut it; nobody can connect until it is mended."""
        with self._lock:
            self._is_cut = True
            ends, self._ends = self._ends, []
        for end in ends:
            _end(end)

    def mend(self) -> None:
        """Let clients connect again."""
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join()


# -- a client without ours ----------------------------------------------------------------------


def hear(line: ClientConnection, kind: type[Any]) -> Any:
    """The next message of a kind."""
    while True:
        message = from_server(line.recv(T, decode=False))
        if isinstance(message, kind):
            return message


def enter(line: ClientConnection, token: str, version: int = VERSION) -> Any:
    line.send(to_server(Hello(version, token)))
    return hear(line, Welcome | Bye)


def ask(line: ClientConnection, verb: str, number: int = 1, **args: Any) -> Answer:
    line.send(to_server(Call(number, verb, args)))
    while (answer := hear(line, Answer)).id != number:
        pass
    return answer


def is_over(line: ClientConnection) -> bool:
    try:
        while True:
            line.recv(T)
    except ConnectionClosed:
        return True
