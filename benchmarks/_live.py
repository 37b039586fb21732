"""Live loops: events per second, time kept, memory, and how cost grows.

``python -m benchmarks --only live`` prints the table; ``python -m benchmarks._live growth.svg``
draws how the cost of a turn grows with what it takes up.

The peer is bluesky's own engine with bluesky's own stubs, in the same process and in turns with
ours. ``FREEWHEEL_BENCH_SECONDS`` says for how long time is kept (20 s; the limits are for 60).
"""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import bluesky
import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
from bluesky.run_engine import DuringTask
from bluesky.utils import Msg
from ophyd_async.core import AsyncStatus

import freewheel.plan_stubs as fps
from benchmarks._rows import Row, interleave, make_row, resident
from freewheel import RunEngine, Status
from freewheel.cli._job import no_full_collections
from freewheel.engine import remember_call_sites

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["growth", "rows"]

SECONDS = float(os.environ.get("FREEWHEEL_BENCH_SECONDS", "20"))


# -- devices -------------------------------------------------------------------------------------


class SoftCamera:
    """A camera with nothing behind it: triggered and read as an ophyd-async device is."""

    parent = None

    def __init__(self, name: str, shape: tuple[int, ...] = (512, 512), fresh: bool = False) -> None:
        self.name = name
        self.hints: dict[str, Any] = {}
        self._frame = np.zeros(shape, np.uint16)
        self._fresh = fresh
        self._count = 0

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        self._count += 1
        if self._fresh:
            self._frame = np.full(self._frame.shape, self._count & 0xFFFF, np.uint16)

    async def read(self) -> dict[str, Any]:
        return {self.name: {"value": self._frame, "timestamp": time.time()}}

    async def describe(self) -> dict[str, Any]:
        return {
            self.name: {
                "source": "bench",
                "dtype": "array",
                "dtype_numpy": "<u2",
                "shape": list(self._frame.shape),
            }
        }


class Keys:
    """A sensor with many keys."""

    parent = None

    def __init__(self, points: int) -> None:
        self.name = "keys"
        self.hints: dict[str, Any] = {}
        self._reading = {f"p{i}": {"value": float(i), "timestamp": 1.0} for i in range(points)}

    async def read(self) -> dict[str, Any]:
        return self._reading

    async def describe(self) -> dict[str, Any]:
        return {key: {"source": "bench", "dtype": "number", "shape": []} for key in self._reading}


class SoftTrace:
    """A sensor whose value is a list of numbers, as an oscilloscope's is."""

    parent = None

    def __init__(self, points: int = 1000) -> None:
        self.name = "trace"
        self.hints: dict[str, Any] = {}
        self._values = [float(i) for i in range(points)]

    async def read(self) -> dict[str, Any]:
        return {self.name: {"value": self._values, "timestamp": time.time()}}

    async def describe(self) -> dict[str, Any]:
        shape = [len(self._values)]
        return {self.name: {"source": "bench", "dtype": "array", "shape": shape}}


class SoftMotor:
    """A motor that is there at once, or when the loop comes round."""

    parent = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.hints: dict[str, Any] = {}
        self._value = 0.0

    @AsyncStatus.wrap
    async def set(self, value: float) -> None:
        self._value = value

    def read(self) -> dict[str, Any]:
        return {self.name: {"value": self._value, "timestamp": 1.0}}

    def describe(self) -> dict[str, Any]:
        return {self.name: {"source": "bench", "dtype": "number", "shape": []}}


class QuickMotor(SoftMotor):
    """A motor whose status is done when it is returned."""

    def set(self, value: float) -> Any:
        self._value = value
        status = Status()
        status.set_finished()
        return status


# -- plans ---------------------------------------------------------------------------------------


def steps_of_bluesky(devices: Sequence[Any], turns: int) -> Any:
    yield from bps.open_run()
    for _ in range(turns):
        yield from bps.checkpoint()
        yield from bps.trigger_and_read(devices)
    yield from bps.close_run()


def steps(devices: Sequence[Any], turns: int) -> Any:
    yield Msg("open_run")
    for _ in range(turns):
        yield from fps.checkpoint()
        yield from fps.trigger_and_read(devices)
    yield Msg("close_run")


def at_once(devices: Sequence[Any], turns: int) -> Any:
    yield Msg("open_run")
    for _ in range(turns):
        yield from fps.checkpoint()
        yield from fps.acquire(devices)
    yield Msg("close_run")


def sets(motors: Sequence[Any], turns: int) -> Any:
    for turn in range(turns):
        yield Msg("checkpoint")
        for motor in motors:
            yield Msg("set", motor, turn, group="all")
        yield Msg("wait", None, group="all")


# -- engines -------------------------------------------------------------------------------------


class Engines:
    """bluesky's engine and ours, on asyncio and on uvloop."""

    def __init__(self) -> None:
        self.peer = bluesky.RunEngine({}, context_managers=[], during_task=DuringTask())
        self.asyncio = RunEngine({}, loop=asyncio.SelectorEventLoop())
        try:
            import uvloop
        except ImportError:
            self.uvloop = None
        else:
            self.uvloop = RunEngine({}, loop=uvloop.new_event_loop())
        self.ours = [engine for engine in (self.asyncio, self.uvloop) if engine is not None]
        for engine in (self.peer, *self.ours):
            engine.md["versions"] = {}

    def close(self) -> None:
        for engine in self.ours:
            engine.close()
            if not engine.loop.is_closed():
                engine.loop.close()
        loop, thread = self.peer.loop, self.peer._th
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()

    def __enter__(self) -> Engines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def rate(engine: Any, plan: Any, turns: int) -> float:
    """Run a plan of so many turns; return turns per second."""
    began = time.perf_counter()
    answer = engine(plan)
    if not isinstance(answer, tuple):
        answer.result()
    return turns / (time.perf_counter() - began)


def device_alone(loop: asyncio.AbstractEventLoop, camera: SoftCamera, turns: int) -> float:
    """Trigger and read a device without any engine; return turns per second."""

    async def drive() -> float:
        began = time.perf_counter()
        for _ in range(turns):
            await camera.trigger()
            await camera.read()
        return turns / (time.perf_counter() - began)

    return asyncio.run_coroutine_threadsafe(drive(), loop).result()


# -- rows ----------------------------------------------------------------------------------------


def rows() -> Iterable[Row]:
    """Measure every row of the table."""
    with Engines() as engines:
        yield from _live_rows(engines)
        yield from _large_frame_rows(engines)
        yield from _count_rows(engines)
        yield from _many_rows(engines)
    yield from _pacing_rows()
    yield _memory_row()


def _live_rows(engines: Engines) -> Iterable[Row]:
    cameras = [SoftCamera("camera")]
    cases: dict[str, Callable[[], float]] = {
        "bluesky": lambda: rate(engines.peer, steps_of_bluesky(cameras, 500), 500),
        "asyncio": lambda: rate(engines.asyncio, steps(cameras, 4000), 4000),
    }
    if engines.uvloop is not None:
        uv = engines.uvloop
        cases |= {
            "uvloop": lambda: rate(uv, steps(cameras, 4000), 4000),
            "acquire": lambda: rate(uv, at_once(cameras, 4000), 4000),
        }
    figures = interleave(cases, repeats=5)
    for name, limit, what in (
        ("asyncio", ">= 7", "live loop, camera 512 x 512"),
        ("uvloop", ">= 10", "the same, uvloop"),
        ("acquire", ">= 14", "the same, acquire and uvloop"),
    ):
        if name in figures:
            yield _rate_row(what, figures, name, limit, "events/s")


def _rate_row(
    what: str, figures: Any, ours: str, limit: str, unit: str, peer: str = "bluesky"
) -> Row:
    return make_row(
        what,
        figures,
        peer=peer,
        unit=unit,
        more_is_better=True,
        must_reach=limit,
        ours=ours,
    )


def _large_frame_rows(engines: Engines) -> Iterable[Row]:
    cameras = [SoftCamera("camera", (2048, 2048), fresh=True)]
    ours = engines.uvloop or engines.asyncio
    figures = interleave(
        {
            "bluesky": lambda: rate(engines.peer, steps_of_bluesky(cameras, 150), 150),
            "steps": lambda: rate(ours, steps(cameras, 500), 500),
            "acquire": lambda: rate(ours, at_once(cameras, 500), 500),
            "device alone": lambda: device_alone(ours.loop, cameras[0], 500),
        },
        repeats=5,
    )
    what = "live loop, 2048 x 2048, a new 8 MB frame each"
    yield _rate_row(what, figures, "acquire", ">= 3.3", "events/s")
    yield _rate_row("the same, step by step", figures, "steps", ">= 3.3", "events/s")
    yield _rate_row(
        "the same, acquire against the device alone",
        figures,
        "acquire",
        ">= 0.8",
        "events/s",
        peer="device alone",
    )


def _count_rows(engines: Engines) -> Iterable[Row]:
    cameras = [SoftCamera("camera")]
    ours = engines.uvloop or engines.asyncio

    def with_call_sites() -> float:
        with remember_call_sites():
            return rate(ours, bp.count(cameras, 2000), 2000)

    figures = interleave(
        {
            "bluesky": lambda: rate(engines.peer, bp.count(cameras, 400), 400),
            "freewheel": lambda: rate(ours, bp.count(cameras, 400), 400),
            "call sites": with_call_sites,
        },
        repeats=5,
    )
    yield _rate_row("bluesky's count, unchanged", figures, "freewheel", ">= 1.2", "events/s")
    yield _rate_row("the same, call sites remembered", figures, "call sites", ">= 3", "events/s")


def _many_rows(engines: Engines) -> Iterable[Row]:
    ours = engines.uvloop or engines.asyncio
    many = {
        "4 cameras in one event": ([SoftCamera(f"camera{i}") for i in range(4)], ">= 9", 300, 2000),
        "a 1,000-point trace": ([SoftTrace()], ">= 15", 300, 3000),
        "1,000 keys of one device": ([Keys(1000)], "", 100, 1000),
        "200 motors in one event": ([SoftMotor(f"m{i}") for i in range(200)], "", 5, 100),
    }
    for what, (devices, limit, peer_turns, turns) in many.items():
        figures = interleave(
            {
                "bluesky": lambda d=devices, n=peer_turns: rate(
                    engines.peer, steps_of_bluesky(d, n), n
                ),
                "freewheel": lambda d=devices, n=turns: rate(ours, steps(d, n), n),
            },
            repeats=5,
        )
        yield _rate_row(what, figures, "freewheel", limit, "events/s")
    for what, kind, limit in (
        ("1,000 sets in one group", QuickMotor, ">= 5"),
        ("the same, ophyd-async statuses, a task each", SoftMotor, ">= 2.6"),
    ):
        motors = [kind(f"motor{i}") for i in range(1000)]
        # As many on both sides: each eighth group or so brings a collection of all that there is,
        # which takes as long as several groups.
        figures = interleave(
            {
                "bluesky": lambda m=motors: rate(engines.peer, sets(m, 10), 10),
                "freewheel": lambda m=motors: rate(ours, sets(m, 10), 10),
            },
            repeats=5,
        )
        yield _rate_row(what, figures, "freewheel", limit, "groups/s")


# -- time ----------------------------------------------------------------------------------------


class Beats:
    """When each turn of a loop began, part by part."""

    def __init__(self) -> None:
        self._parts: list[list[float]] = []

    def begin(self) -> None:
        self._parts.append([])

    def mark(self) -> None:
        self._parts[-1].append(time.perf_counter())

    def off_by(self, period: float) -> float:
        """Return how far the mean rate is off, in percent."""
        took = sum(part[-1] - part[0] for part in self._parts)
        turns = sum(len(part) - 1 for part in self._parts)
        return abs(period * turns / took - 1) * 100

    def errors(self, period: float) -> tuple[float, float]:
        """Return the median and the 99th percentile of each period's error, in ms."""
        errors = np.concatenate([np.abs(np.diff(part) - period) for part in self._parts]) * 1e3
        return float(np.median(errors)), float(np.percentile(errors, 99))


def paced(camera: SoftCamera, hertz: float, beats: Beats, turns: int) -> Any:
    beats.begin()
    yield Msg("open_run")
    for _ in range(turns):
        yield from fps.pace(1 / hertz)
        beats.mark()
        yield from fps.checkpoint()
        yield from fps.trigger_and_read([camera])
    yield Msg("close_run")


def slept(camera: SoftCamera, hertz: float, beats: Beats, turns: int) -> Any:
    beats.begin()
    yield from bps.open_run()
    for _ in range(turns):
        yield from bps.sleep(1 / hertz)
        beats.mark()
        yield from bps.checkpoint()
        yield from bps.trigger_and_read([camera])
    yield from bps.close_run()


def _pacing_rows(parts: int = 4) -> Iterable[Row]:
    camera = SoftCamera("camera")
    for hertz in (60, 200):
        mine, theirs = Beats(), Beats()
        turns = round(hertz * SECONDS / parts)
        with Engines() as engines, no_full_collections():
            ours = engines.uvloop or engines.asyncio
            for _ in range(parts):
                ours(paced(camera, hertz, mine, turns)).result()
                engines.peer(slept(camera, hertz, theirs, turns))
        period = 1 / hertz
        what = f"{hertz} Hz, {SECONDS:g} s"
        yield make_row(
            f"{what}: rate off by",
            {"freewheel": mine.off_by(period), "bluesky": theirs.off_by(period)},
            peer="bluesky",
            unit="%",
            must_reach="<= 0.1 %",
        )
        for name, place, limit in (("median", 0, ">= 10"), ("99th percentile", 1, ">= 3")):
            yield make_row(
                f"{what}: error of the period, {name}",
                {
                    "freewheel": mine.errors(period)[place],
                    "bluesky": theirs.errors(period)[place],
                },
                peer="bluesky",
                unit="ms",
                must_reach=limit,
            )


# -- memory --------------------------------------------------------------------------------------


def _memory_row(turns: int = 200_000) -> Row:
    cameras = [SoftCamera("camera", (64, 64))]
    with Engines() as engines:
        ours = engines.uvloop or engines.asyncio
        rate(ours, steps(cameras, 5000), 5000)
        gc.collect()
        before = resident()
        rate(ours, steps(cameras, turns), turns)
        gc.collect()
        grown = max(0.0, resident() - before)
    return make_row(
        f"memory over {turns:,} live turns", {"freewheel": grown}, unit="MB", must_reach="< 5 MB"
    )


# -- growth --------------------------------------------------------------------------------------


def growth() -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Measure how the cost of a turn grows.

    Returns
    -------
    dict
        By what grows, by engine, pairs of how many and microseconds per turn.
    """
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    kinds: dict[str, tuple[Callable[[int], list[Any]], tuple[int, ...]]] = {
        "cameras in one event": (
            lambda n: [SoftCamera(f"c{i}") for i in range(n)],
            (1, 2, 4, 8, 16),
        ),
        "keys of one device": (lambda n: [Keys(n)], (1, 10, 100, 1000)),
        "motors in one event": (lambda n: [SoftMotor(f"m{i}") for i in range(n)], (1, 10, 50, 200)),
    }
    with Engines() as engines:
        ours = engines.uvloop or engines.asyncio
        for what, (make, sizes) in kinds.items():
            curves = found[what] = {"bluesky": [], "freewheel": []}
            for size in sizes:
                devices = make(size)
                turns = max(3, 200 // size)
                curves["bluesky"].append(
                    (size, _micro(rate, engines.peer, steps_of_bluesky, devices, turns))
                )
                curves["freewheel"].append((size, _micro(rate, ours, steps, devices, 10 * turns)))
        curves = found["sets in one group"] = {"bluesky": [], "freewheel": []}
        for size in (1, 10, 100, 1000):
            motors = [SoftMotor(f"m{i}") for i in range(size)]
            turns = max(2, 200 // size)
            curves["bluesky"].append((size, _micro(rate, engines.peer, sets, motors, turns)))
            curves["freewheel"].append((size, _micro(rate, ours, sets, motors, 5 * turns)))
    return found


def _micro(
    measure: Callable[..., float], engine: Any, plan: Callable[..., Any], devices: Any, turns: int
) -> float:
    """Return the median microseconds per turn of three."""
    return statistics.median(1e6 / measure(engine, plan(devices, turns), turns) for _ in range(3))


def draw(path: str) -> None:
    """Draw `growth` into a file."""
    from matplotlib.figure import Figure

    found = growth()
    figure = Figure(figsize=(9, 6), layout="constrained")
    for axes, (what, curves) in zip(figure.subplots(2, 2).flat, found.items(), strict=True):
        for name, points in curves.items():
            axes.loglog(*zip(*points, strict=True), marker="o", label=name)
        axes.set_xlabel(what)
        axes.set_ylabel("µs per turn")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    draw(sys.argv[1])
