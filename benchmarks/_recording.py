"""Recording and replaying: how fast, how evenly, and what a plan notices of it.

``python -m benchmarks --only recording`` prints the table. The peers of writing are h5py and
zarr, writing the same frames by themselves, in the same process and in turns with ours.
``FREEWHEEL_BENCH_SECONDS`` says for how long time is kept (20 s; the limits are for 60),
``FREEWHEEL_BENCH_DIR`` where frames are written (a temporary directory).
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import event_model
import h5py
import numpy as np
from bluesky.callbacks.json_writer import JSONWriter
from bluesky.utils import Msg
from ophyd_async.core import AsyncStatus

from benchmarks._rows import Row, interleave, make_row
from freewheel import RunEngine
from freewheel.plan_stubs import pace, trigger_and_read
from freewheel.recording import MemoryRun, Recorder, read_runs, replay, replay_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["rows"]

SECONDS = float(os.environ.get("FREEWHEEL_BENCH_SECONDS", "20"))
SHAPE = (2048, 2048)
MEGABYTES = SHAPE[0] * SHAPE[1] * 2 / 1e6
FRAMES = 40
COMPRESSED_FRAMES = 6
RATE = 60.0
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # files that no disk slows down


def rows() -> Iterable[Row]:
    """Measure, and yield the lines of the table."""
    yield from _writing()
    yield from _scalar_loop()
    yield from _camera_loop()
    yield from _slow_down()
    yield from _spacing()


# -- writing ------------------------------------------------------------------------------------


def _frames(shape: tuple[int, int] = SHAPE) -> list[np.ndarray]:
    """Return frames as a camera's are: shot noise on a smooth background, in 12 bits."""
    rng = np.random.default_rng(0)
    mean = 200 + 100 * np.sin(np.linspace(0, 9, shape[1]))
    return [rng.poisson(mean, shape).astype("u2") for _ in range(4)]


@contextlib.contextmanager
def _folder(place: str | None = None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(dir=place or os.environ.get("FREEWHEEL_BENCH_DIR")))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _documents(frames: Iterable[Any], period: float = 0.0, key: str = "camera") -> Iterator[Any]:
    run = event_model.compose_run()
    yield "start", run.start_doc
    began = run.start_doc["time"]
    stream = None
    for number, frame in enumerate(frames):
        if stream is None:
            about: dict[str, Any] = {"source": "sim", "dtype": "number", "shape": []}
            if isinstance(frame, np.ndarray):
                about |= {"dtype": "array", "shape": [*frame.shape], "dtype_numpy": frame.dtype.str}
            stream = run.compose_descriptor(name="primary", data_keys={key: about}, time=began)
            yield "descriptor", stream.descriptor_doc
        when = began + number * period
        yield (
            "event",
            stream.compose_event(
                data={key: frame}, timestamps={key: when}, time=when, validate=False
            ),
        )
    yield "stop", run.compose_stop()


def _rate(write: Callable[[Path, Iterable[np.ndarray]], None], count: int) -> Callable[[], float]:
    frames = _frames()

    def measure() -> float:
        with _folder() as folder:
            os.sync()  # else each pays for what the one before it left to be written
            began = time.perf_counter()
            write(folder, itertools.islice(itertools.cycle(frames), count))
            return count * MEGABYTES / (time.perf_counter() - began)

    return measure


def _with_recorder(compression: str | None) -> Callable[[Path, Iterable[np.ndarray]], None]:
    def write(folder: Path, frames: Iterable[np.ndarray]) -> None:
        with Recorder(folder, compression=compression) as recorder:
            for name, doc in _documents(frames):
                recorder(name, doc)

    return write


def _with_h5py(compression: str | None) -> Callable[[Path, Iterable[np.ndarray]], None]:
    def write(folder: Path, frames: Iterable[np.ndarray]) -> None:
        filters = {"compression": compression, "shuffle": True} if compression else {}
        with h5py.File(folder / "plain.h5", "w") as file:
            data = file.create_dataset(
                "data", (0, *SHAPE), "u2", maxshape=(None, *SHAPE), chunks=(1, *SHAPE), **filters
            )
            for number, frame in enumerate(frames):
                data.resize(number + 1, axis=0)
                data[number] = frame

    return write


def _with_zarr(compression: str | None) -> Callable[[Path, Iterable[np.ndarray]], None]:
    import zarr

    def write(folder: Path, frames: Iterable[np.ndarray]) -> None:
        codecs = zarr.codecs.GzipCodec(level=4) if compression else None
        data = zarr.create_array(
            folder / "plain.zarr",
            shape=(0, *SHAPE),
            chunks=(1, *SHAPE),
            dtype="u2",
            compressors=codecs,
        )
        for number, frame in enumerate(frames):
            data.resize((number + 1, *SHAPE))
            data[number] = frame

    return write


def _writing() -> Iterable[Row]:
    for compression, count, repeats in ((None, FRAMES, 5), ("gzip", COMPRESSED_FRAMES, 3)):
        cases = {
            "freewheel": _rate(_with_recorder(compression), count),
            "h5py": _rate(_with_h5py(compression), count),
        }
        with contextlib.suppress(ImportError):
            cases["zarr"] = _rate(_with_zarr(compression), count)
        figures = interleave(cases, repeats=repeats)
        for peer in [name for name in cases if name != "freewheel"]:
            yield make_row(
                f"recording 2048 x 2048 uint16 frames, {compression or 'no compression'}",
                figures,
                peer=peer,
                unit="MB/s",
                more_is_better=True,
                must_reach=">= 0.8",
            )


# -- a loop, and what follows it ----------------------------------------------------------------


class _Detector:
    """A device that is triggered, and gives a number."""

    name = "detector"
    parent = None

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        pass

    def read(self) -> dict[str, Any]:
        return {"detector": {"value": 1.5, "timestamp": time.time()}}

    def describe(self) -> dict[str, Any]:
        return {"detector": {"source": "sim", "dtype": "number", "shape": []}}


class _SoftCamera(_Detector):
    """A device that is triggered, and gives one of a few frames of 512 x 512."""

    def __init__(self) -> None:
        self._frames = itertools.cycle(_frames((512, 512)))

    def read(self) -> dict[str, Any]:
        return {"detector": {"value": next(self._frames), "timestamp": time.time()}}

    def describe(self) -> dict[str, Any]:
        about = {"source": "sim", "dtype": "array", "shape": [512, 512], "dtype_numpy": "<u2"}
        return {"detector": about}


def _steps(device: Any, turns: int, period: float | None = None) -> Any:
    yield Msg("open_run")
    for _ in range(turns):
        if period is not None:
            yield from pace(period)
        yield Msg("checkpoint")
        yield from trigger_and_read([device])
    yield Msg("close_run")


def _reads(device: Any, turns: int) -> Any:
    """Yield a loop of readings alone: the quickest that there is, which feels most what follows."""
    yield Msg("open_run")
    for _ in range(turns):
        yield Msg("checkpoint")
        yield Msg("create", name="primary")
        yield Msg("read", device)
        yield Msg("save")
    yield Msg("close_run")


Subscriber = contextlib.AbstractContextManager[Any]


def _loop_rate(
    device: Any,
    turns: int,
    subscriber: Callable[[Path], Subscriber] | None = None,
    steps: Callable[[Any, int], Any] = _steps,
) -> float:
    """Run a plan to its end, all documents delivered; return events a second."""
    with _folder(MEMORY) as folder, RunEngine({}) as engine, contextlib.ExitStack() as stack:
        engine(steps(device, 200)).result()
        if subscriber is not None:
            engine.subscribe(stack.enter_context(subscriber(folder)), delivery="queued")
        gc.collect()
        began = time.perf_counter()
        engine(steps(device, turns)).result()
        return turns / (time.perf_counter() - began)


def _json_writer(folder: Path) -> Subscriber:
    return contextlib.nullcontext(JSONWriter(str(folder)))


def _nothing(folder: Path) -> Subscriber:
    return contextlib.nullcontext(lambda name, doc: None)


def _scalar_loop() -> Iterable[Row]:
    yield from _loop_rows("a loop of readings", _reads, ">= 2.2")
    yield from _documents_alone()
    # Most of a turn is the device's task here: a loop that nothing follows is itself 1.7 to 2.1 x
    # as fast as with JSONWriter.
    yield from _loop_rows("a loop of a scalar detector", _steps, "")


def _loop_rows(
    what: str, steps: Callable[[Any, int], Any], against_json: str, turns: int = 20_000
) -> Iterable[Row]:
    device = _Detector()
    followers: dict[str, Callable[[Path], Subscriber] | None] = {
        "not recorded": None,
        "recorded": Recorder,
        "JSONWriter": _json_writer,
        "empty callback": _nothing,
    }
    figures = interleave(
        {
            name: lambda follower=follower: _loop_rate(device, turns, follower, steps)
            for name, follower in followers.items()
        },
        repeats=5,
    )
    for row, ours, peer, limit in (
        ("recorded", "recorded", "not recorded", ">= 0.85"),
        ("recorded, against bluesky's JSONWriter", "recorded", "JSONWriter", against_json),
        ("queued delivery to an empty callback", "empty callback", "not recorded", ">= 0.95"),
    ):
        yield make_row(
            f"{what}: {row}",
            figures,
            ours=ours,
            peer=peer,
            unit="events/s",
            more_is_better=True,
            must_reach=limit,
        )


def _documents_alone(count: int = 5_000) -> Iterable[Row]:
    """Compare what writes events where no loop runs beside it, which is most of the time above."""

    def taking(subscriber: Callable[[Path], Subscriber]) -> Callable[[], float]:
        def measure() -> float:
            documents = list(_documents(itertools.repeat(1.5, count)))
            with _folder(MEMORY) as folder, subscriber(folder) as write:
                began = time.process_time()
                if isinstance(write, Recorder):
                    for batch in range(0, len(documents), 500):
                        write.take_batch(documents[batch : batch + 500])
                else:
                    for name, doc in documents:
                        write(name, doc)
                return (time.process_time() - began) / count * 1e6

        return measure

    yield make_row(
        "an event of a scalar detector, written without a loop",
        interleave({"freewheel": taking(Recorder), "JSONWriter": taking(_json_writer)}),
        peer="JSONWriter",
        unit="µs",
        must_reach=">= 2.2",
    )


def _camera_loop(turns: int = 3000) -> Iterable[Row]:
    camera = _SoftCamera()
    frames = _frames((512, 512))
    figures = interleave(
        {
            "recorded": lambda: _loop_rate(camera, turns, Recorder),
            "write()": lambda: _plain_writes(frames, turns),
        },
        repeats=5,
    )
    yield make_row(
        "512 x 512 flat out, recorded to memory-backed files",
        figures,
        ours="recorded",
        peer="write()",
        unit="frames/s",
        more_is_better=True,
        must_reach=">= 0.8",
    )
    count = round(500 * min(SECONDS, 10))
    rate, lost = _paced(camera, 500.0, count)
    name = "512 x 512 paced at 500 a second, recorded"
    yield Row(f"{name}: rate", rate, 500.0, "asked for", rate / 500.0, "1/s", ">= 0.98")
    # What the machine has left to a loop that nothing follows.
    bare = _paced_rate(camera, 500.0, count)
    yield make_row(
        f"{name}: rate, against that of the loop not recorded",
        {"freewheel": rate, "not recorded": bare},
        peer="not recorded",
        unit="1/s",
        more_is_better=True,
    )
    yield Row(f"{name}: lost or damaged", lost, None, "", None, "frames", "<= 0 frames")


def _plain_writes(frames: list[np.ndarray], count: int) -> float:
    with _folder(MEMORY) as folder, (folder / "plain").open("wb", buffering=0) as file:
        began = time.perf_counter()
        for frame in itertools.islice(itertools.cycle(frames), count):
            file.write(frame.data)
        return count / (time.perf_counter() - began)


def _paced(camera: _SoftCamera, hertz: float, turns: int) -> tuple[float, float]:
    """Return the rate that a paced loop keeps, and how many frames its recording lacks."""
    with _folder(MEMORY) as folder:
        with Recorder(folder) as recorder:
            rate = _paced_rate(camera, hertz, turns, recorder)
        (run,) = read_runs(folder)
        sound = sum(1 for name, _ in run.documents(skip_damaged=True) if name == "event")
    return rate, float(turns - sound)


def _paced_rate(
    camera: _SoftCamera, hertz: float, turns: int, recorder: Recorder | None = None
) -> float:
    times: list[float] = []
    with RunEngine({}) as engine:
        engine.subscribe(lambda *_: times.append(time.perf_counter()), "event")
        if recorder is not None:
            engine.subscribe(recorder, delivery="queued")
        engine(_steps(camera, turns, 1 / hertz)).result()
    return (turns - 1) / (times[-1] - times[0])


# -- what a plan notices ------------------------------------------------------------------------


class _Camera:
    """A device that has a frame ready always."""

    name = "camera"
    parent = None

    def __init__(self) -> None:
        self._frames = itertools.cycle(_frames())

    def read(self) -> dict[str, Any]:
        return {"camera": {"value": next(self._frames), "timestamp": time.time()}}

    def describe(self) -> dict[str, Any]:
        return {
            "camera": {
                "source": "sim",
                "dtype": "array",
                "shape": [*SHAPE],
                "dtype_numpy": "<u2",
            }
        }

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


def _live(recorded: bool, turns: int) -> tuple[float, float]:
    """Return the rate that a paced live loop keeps, and the seconds until all is on disk."""

    @bpp.run_decorator()
    def plan() -> Any:
        camera = _Camera()
        for _ in range(turns):
            yield from pace(1 / RATE)
            yield from bps.checkpoint()
            yield from trigger_and_read([camera])
        ended.append(time.perf_counter())

    ended: list[float] = []
    times: list[float] = []
    with _folder() as folder, RunEngine() as engine:
        engine.subscribe(lambda *_: times.append(time.perf_counter()), "event")
        with Recorder(folder) as recorder:
            if recorded:
                engine.subscribe(recorder, delivery="queued")
            engine(plan()).result()
            drained = time.perf_counter() - ended[0]
    return (len(times) - 1) / (times[-1] - times[0]), drained


def _slow_down() -> Iterable[Row]:
    turns = int(RATE * min(SECONDS, 5))
    drains = []

    def recorded() -> float:
        rate, drain = _live(True, turns)
        drains.append(drain)
        return rate

    figures = interleave(
        {"freewheel": recorded, "not recorded": lambda: _live(False, turns)[0]},
        repeats=3,
        warm_up=0,
    )
    yield make_row(
        "60 Hz live loop of 2048 x 2048 frames, recorded (500 MB/s)",
        figures,
        peer="not recorded",
        unit="1/s",
        more_is_better=True,
        must_reach=">= 0.99",
    )
    yield Row(
        f"the same: until the last of {turns} frames is on disk",
        statistics.median(drains),
        None,
        "",
        None,
        "s",
    )


# -- spacing ------------------------------------------------------------------------------------


def _errors(times: list[float], period: float) -> tuple[float, float]:
    """Return median and 99th percentile of how late events are, in ms."""
    errors = [abs(t - times[0] - i * period) * 1e3 for i, t in enumerate(times)]
    return statistics.median(errors), statistics.quantiles(errors, n=100)[98]


def _spacing() -> Iterable[Row]:
    for speed in (1.0, 10.0):
        count = int(RATE * speed * SECONDS)
        run = MemoryRun(_documents(range(count), 1 / RATE, "x"))
        times = [time.perf_counter() for name, _ in replay(run, speed=speed) if name == "event"]
        yield from _spacing_rows("iterator", speed, _errors(times, 1 / RATE / speed), 1.0)
        times = []
        with RunEngine() as engine:
            engine.subscribe(lambda *_, t=times: t.append(time.perf_counter()), "event")
            engine(replay_plan(run, speed=speed)).result()
        yield from _spacing_rows("plan", speed, _errors(times, 1 / RATE / speed), 2.0)


def _spacing_rows(
    way: str, speed: float, errors: tuple[float, float], limit: float
) -> Iterable[Row]:
    title = f"replay of 60 Hz at {speed:g} x, as {way}, {SECONDS:g} s: off by"
    yield Row(f"{title} (median)", errors[0], None, "", None, "ms", f"<= {limit:g} ms")
    yield Row(f"{title} (99th percentile)", errors[1], None, "", None, "ms", "<= 5 ms")
