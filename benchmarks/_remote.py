"""An engine in a process of its own, and clients on loopback.

``python -m benchmarks --only remote`` prints the table. All times are those of one monotonic clock,
which processes share. Where Redis is installed, the same action goes through a queueserver too. The
clients are processes: what they cost the loop is more than the server's part where others use the
computer, and ``chrt -r 5 python -m benchmarks --only remote`` leaves these out.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from websockets.asyncio.client import connect as open_line
from websockets.sync.client import connect as open_plain_line

from benchmarks import _hosts
from benchmarks._rows import Row, make_row
from freewheel.remote import RemoteEngine, TokenFile, connect
from freewheel.remote._protocol import VERSION, Hello, News, Welcome
from freewheel.remote._wire import from_server, to_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["rows"]

ACTIONS = 200
PAUSE = 0.02
CLIENTS = 20
CHANGES = 100
LIVE = 5.0  # seconds beside each kind of client, several times
TURNS = 3
CONNECTIONS = 10_000

SERVER = """
    import sys, time
    from bluesky.plan_stubs import sleep
    from freewheel import Action, RunEngine
    from freewheel.plan_stubs import wait_for_action
    from freewheel.plans import live_view
    from freewheel.remote import EngineServer, Limits
    from freewheel.sim import microscope

    def waiting(number: int):
        went_on = []
        for each in range(number):
            yield from sleep({pause})
            yield from wait_for_action(Action(name=f"go {each}"))
            went_on.append(time.monotonic())
        return went_on

    events = []

    def events_of(first: float, last: float):
        yield from sleep(0)
        return [at for at in events if first <= at <= last]

    RE = RunEngine()
    RE.subscribe(lambda name, doc: events.append(time.monotonic()), "event")
    scope = microscope(shape=(1024, 1024), exposure=0.002)
    with EngineServer(RE, plans=[waiting, events_of, live_view], devices=scope, port=0,
                      tokens=sys.argv[1], limits=Limits(clients=1000)) as server:
        print(server.url, flush=True)
        sys.stdin.read()
    RE.close()
"""
VIEWER = """
    import sys, time
    from freewheel.remote import connect
    frames = []
    remote = connect(sys.argv[1], sys.argv[2])
    remote.show_frames(lambda _: frames.append(time.monotonic()), max_side=1024, rate=60)
    print("up", flush=True)
    sys.stdin.readline()
    print((len(frames) - 1) / (frames[-1] - frames[0]), flush=True)
    sys.stdin.read()
"""
#: Clients that are made of bare lines, for none of ours behaves so.
_BARE = """
    import sys, warnings
    from websockets.sync.client import connect
    from freewheel.remote._protocol import VERSION, Call, Hello
    from freewheel.remote._wire import to_server
    warnings.simplefilter("ignore")  # newer ones want a block, which a script that is killed is not
    line = connect(f"{sys.argv[1]}/ws", compression=None, max_size=None, max_queue=1)
    line.send(to_server(Hello(VERSION, sys.argv[2])))
"""
SLEEPER = (
    _BARE
    + """
    line.send(to_server(Call(1, "subscribe", {"delivery": "queued"})))
    line.send(to_server(Call(2, "frames", {"max_side": 1024, "rate": 60.0})))
    print("up", flush=True)
    sys.stdin.read()
"""
)
FLOOD = (
    _BARE
    + """
    print("up", flush=True)
    number = 0
    while True:
        number += 1
        line.send(to_server(Call(number, "picture")))
"""
)
CHANGES_FLOOD = FLOOD.replace('"picture")', '"queue_hold", {"reason": f"reason {number}"})')
HOLDER = """
    import sys, time
    from freewheel.remote import connect
    remote = connect(sys.argv[1], sys.argv[2])
    with remote.claims.hold(remote.devices.stage):
        print("held", flush=True)
        sys.stdin.read()
"""


def rows() -> Iterable[Row]:
    """Measure, and yield the lines of the table."""
    with tempfile.TemporaryDirectory() as name:
        tokens = TokenFile(Path(name) / "tokens.json")
        token = tokens.add("benchmark", "admin")
        with _python(SERVER.replace("{pause}", str(PAUSE)), str(tokens.path)) as (server, url):
            with connect(url, token) as remote:
                yield from _actions(remote)
                yield from _changes(remote, url, token)
                yield from _live(remote, url, token)
                yield from _killed(remote, url, token)
            yield _memory(server, url, token)


@contextlib.contextmanager
def _python(script: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a script, and give its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


# -- actions -------------------------------------------------------------------------------------


def _actions(remote: RemoteEngine) -> Iterable[Row]:
    theirs = _through_queueserver()
    idle = _trigger(remote)
    yield from _of("an action, until the plan goes on, idle", idle, theirs, ("2", "10"))
    remote(remote.plans.live_view([remote.devices.camera], rate=60))
    live = _trigger(remote)
    remote.stop().result(30)
    yield from _of("an action, until the plan goes on, live at 60 Hz", live, [], ("4", "15"))


def _of(
    what: str, ours: list[float], theirs: list[float], limits: tuple[str, str]
) -> Iterable[Row]:
    for name, take, limit in (("median", statistics.median, 0), ("p99", _p99, 1)):
        figures = {"freewheel": take(ours)}
        yield make_row(f"{what}: {name}", figures, unit="ms", must_reach=f"<= {limits[limit]} ms")
        if theirs:
            figures["queueserver"] = take(theirs)
            yield make_row(
                f"{what}, beside queueserver: {name}",
                figures,
                peer="queueserver",
                unit="ms",
                must_reach=">= 2",
            )


def _trigger(remote: RemoteEngine) -> list[float]:
    """Trigger actions one after the other; return in ms how long it took the plan to go on."""
    offered = threading.Semaphore(0)
    seen: set[str] = set()

    def look(names: frozenset[str]) -> None:
        for name in names - seen:
            if name.startswith("go "):
                seen.add(name)
                offered.release()

    remote.events.actions_changed.connect(look)
    task = remote.background.launch(remote.plans.waiting(ACTIONS), name="waiting")
    triggered = []
    for number in range(ACTIONS):
        assert offered.acquire(timeout=30)
        triggered.append(time.monotonic())
        remote.trigger_action(f"go {number}")
    remote.events.actions_changed.disconnect(look)
    went_on = task.result(30)
    return [1000 * (end - start) for start, end in zip(triggered, went_on, strict=True)]


def _through_queueserver() -> list[float]:
    redis = shutil.which("redis-server")
    if redis is None:
        return []
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        state = f"tcp://127.0.0.1:{_hosts.free_port()}"
        api = stack.enter_context(_hosts._queueserver(Path(name), redis, state))
        told = stack.enter_context(_hosts._listener(state))
        return _hosts._measure(api, told)[1]


# -- many clients --------------------------------------------------------------------------------


def _changes(remote: RemoteEngine, url: str, token: str) -> Iterable[Row]:
    """Hold the queue with one reason after the other, until each of the clients knows."""
    times = asyncio.run(_listen(remote, url, token))
    yield make_row(
        f"a change of state, until each of {CLIENTS} clients knows: p99",
        {"freewheel": _p99(times)},
        unit="ms",
        must_reach="<= 20 ms",
    )
    remote.queue.release()


async def _listen(remote: RemoteEngine, url: str, token: str) -> list[float]:
    heard: dict[str, list[float]] = {f"reason {number}": [] for number in range(CHANGES)}
    everybody = asyncio.Event()

    async def client() -> None:
        async with open_line(f"{url}/ws", compression=None, max_size=None) as line:
            await line.send(to_server(Hello(VERSION, token)))
            async for data in line:
                now, message = time.monotonic(), from_server(data)
                reason = isinstance(message, News) and message.picture.get("queue_held")
                if reason in heard:
                    heard[reason].append(now)
                    if len(heard[reason]) == CLIENTS:
                        everybody.set()

    clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    await asyncio.sleep(1)
    times = []
    for reason in heard:
        everybody.clear()
        start = time.monotonic()
        await asyncio.to_thread(remote.queue.hold, reason)
        await asyncio.wait_for(everybody.wait(), 30)
        times.append(1000 * (max(heard[reason]) - start))
        await asyncio.sleep(0.01)
    for task in clients:
        task.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    return times


# -- live ----------------------------------------------------------------------------------------


def _live(remote: RemoteEngine, url: str, token: str) -> Iterable[Row]:
    """Measure in turns what clients of each kind cost a live view's loop, and other clients."""
    remote(remote.plans.live_view([remote.devices.camera], rate=60))
    time.sleep(2)
    beside: dict[str, list[str]] = {"nobody": [], "viewers": 3 * [VIEWER]}
    beside |= {"sleeper": [SLEEPER], "flood": [FLOOD], "changes": [CHANGES_FLOOD]}
    rates: dict[str, list[float]] = {kind: [] for kind in beside}
    answers: dict[str, list[float]] = {kind: [] for kind in beside}
    seen: list[float] = []
    for _ in range(TURNS):
        for kind, scripts in beside.items():
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(_python(each, url, token))[0] for each in scripts]
                rates[kind].append(_rate(remote, lambda kind=kind: _ask(remote, answers[kind])))
                seen += [_told(client) for client in clients if kind == "viewers"]
                for client in clients:
                    client.kill()  # one that floods hears nothing else
    remote.queue.release()
    remote.stop().result(30)
    rate = {kind: statistics.median(each) for kind, each in rates.items()}
    yield from _live_rows(rate, answers, min(seen))


def _live_rows(
    rate: dict[str, float], answers: dict[str, list[float]], seen: float
) -> Iterable[Row]:
    for kind, name, limit in (
        ("viewers", "three that see every frame", "0.1"),
        ("sleeper", "one that reads nothing", "1"),
        ("flood", "one that floods", "1"),
        ("changes", "one that floods with changes", "1"),
    ):
        yield make_row(
            f"live at 60 Hz, 1024 x 1024, beside {name}: the loop",
            {"freewheel": rate[kind], "nobody": rate["nobody"]},
            peer="nobody",
            unit="1/s",
            more_is_better=True,
        )
        yield make_row(
            f"what {name} cost the loop",
            {"freewheel": 100 * (1 - rate[kind] / rate["nobody"])},
            unit="%",
            must_reach=f"<= {limit} %",
        )
    yield make_row(
        "frames that each of three clients gets, the least",
        {"freewheel": seen},
        unit="1/s",
        must_reach=">= 30 1/s",
    )
    for kind, name in (("flood", "one that floods"), ("changes", "one that floods with changes")):
        yield make_row(
            f"an answer, live at 60 Hz, beside {name}: p99",
            {"freewheel": _p99(answers[kind]), "nobody": _p99(answers["nobody"])},
            peer="nobody",
            unit="ms",
            must_reach=">= 1/2",
        )


def _ask(remote: RemoteEngine, took: list[float]) -> None:
    """Ask something again and again for a while; note in ms how long the answers took."""
    end = time.monotonic() + LIVE
    while (start := time.monotonic()) < end:
        remote.explain()
        took.append(1000 * (time.monotonic() - start))
        time.sleep(0.008)


def _told(viewer: subprocess.Popen[str]) -> float:
    """Return how many frames a second a viewer has seen."""
    assert viewer.stdin is not None
    assert viewer.stdout is not None
    viewer.stdin.write("\n")
    viewer.stdin.flush()
    return float(viewer.stdout.readline())


def _rate(remote: RemoteEngine, meanwhile: Callable[[], object]) -> float:
    """Return how many events a second there were while something was done."""
    first = time.monotonic()
    meanwhile()
    last = time.monotonic()
    task = remote.background.launch(remote.plans.events_of(first, last), name="events")
    at = task.result(60)
    return (len(at) - 1) / (at[-1] - at[0])


# -- the end of a client -------------------------------------------------------------------------


def _killed(remote: RemoteEngine, url: str, token: str) -> Iterable[Row]:
    free = threading.Event()
    remote.events.claims_changed.connect(look := lambda claims: None if claims else free.set())
    with _python(HOLDER, url, token) as (holder, _):
        free.clear()
        assert remote.claims.by_name()
        start = time.monotonic()
        holder.kill()
        assert free.wait(30)
        took = time.monotonic() - start
    remote.events.claims_changed.disconnect(look)
    yield make_row(
        "a client that is killed: until its leases are free",
        {"freewheel": took},
        unit="s",
        must_reach="<= 2.5 s",
    )


def _memory(server: subprocess.Popen[str], url: str, token: str) -> Row:
    process = psutil.Process(server.pid)

    def come_and_go(number: int) -> None:
        for _ in range(number):
            with open_plain_line(f"{url}/ws", compression=None, close_timeout=0.1) as line:
                line.send(to_server(Hello(VERSION, token)))
                assert isinstance(from_server(line.recv(10, decode=False)), Welcome)

    come_and_go(CONNECTIONS // 10)
    before = process.memory_info().rss
    come_and_go(CONNECTIONS)
    grown = (process.memory_info().rss - before) / 1e6
    return make_row(
        f"memory of the server, grown over {CONNECTIONS} connections that were cut",
        {"freewheel": grown},
        unit="MB",
    )
