"""Plans that previews are compared with reality for, and what reality was."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import h5py
import numpy as np
from ophyd_async.core import (
    StaticFilenameProvider,
    StaticPathProvider,
    TriggerInfo,
    init_devices,
)
from ophyd_async.sim import SimBlobDetector, SimMotor, SimPointDetector

from freewheel import PlanCall, RunEngine
from freewheel.plan_stubs import (
    background,
    cancel_background,
    claim_wrapper,
    pace,
    restoring,
    wait_for_background,
)
from freewheel.plans import MDADevices, dark_frame, fly_count, fly_scan, live_view, mda
from freewheel.sim import microscope

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PLANS", "Instruments", "Reality", "run_for_real"]


class Instruments:
    """A simulated microscope, and ophyd-async's simulated devices.

    Parameters
    ----------
    directory : Path
        Where files go.
    instant : bool
        Whether everything happens at once.
    slow : bool
        Whether it takes so long that the engine's own time is little beside it.
    """

    def __init__(self, directory: Path, *, instant: bool, slow: bool = False) -> None:
        exposure = 0.15 if slow else 0.005
        self.times = 4 if slow else 1  # how often the short plans do what they do
        scope = self.scope = microscope(
            shape=(64, 48), directory=directory, instant=instant, exposure=exposure
        )
        self.camera, self.stage, self.focus = scope.camera, scope.stage, scope.focus
        self.shutter, self.lamp = scope.shutter, scope.lamp
        self.temperature, self.file_camera = scope.temperature, scope.file_camera
        with RunEngine() as engine:
            names = StaticFilenameProvider("blob")
            with init_devices():
                motor = SimMotor(instant=instant)
                point = SimPointDetector(None)
                blob = SimBlobDetector(StaticPathProvider(names, directory))
            self.motor, self.point, self.blob = motor, point, blob
            if not instant:
                engine(_set_up(motor)).result(10)
            if slow:
                engine(_slow_down(self)).result(10)
            engine(bps.abs_set(point.acquire_time, 0.0 if instant else 0.2, wait=True)).result(10)
        self.mda = MDADevices(
            camera=self.camera,
            exposure=self.camera.exposure,
            exposure_unit=1.0,
            x=self.stage.x,
            y=self.stage.y,
            z=self.focus,
        )


def _set_up(motor: Any) -> Any:
    yield from bps.mv(motor.velocity, 5.0, motor.acceleration_time, 0.1)


def _slow_down(scope: Instruments) -> Any:
    yield from bps.mv(scope.stage.x.velocity, 40.0, scope.stage.y.velocity, 40.0)
    yield from bps.mv(scope.focus.velocity, 8.0)


def _nested(scope: Instruments) -> Any:
    def inner(number: int) -> Any:
        yield from bpp.set_run_key_wrapper(bp.count([scope.camera], 2), f"inner {number}")

    yield from bps.open_run({})
    for number in range(3):
        yield from bps.mv(scope.focus, number * 2)
        yield from inner(number)
        yield from bps.trigger_and_read([scope.temperature, scope.focus])
    yield from bps.close_run()


def _beside(scope: Instruments) -> Any:
    live = bp.count([scope.file_camera], 6)
    yield from background(live, name="beside")
    yield from bp.scan([scope.camera], scope.focus, 0, 4, 5)
    yield from wait_for_background("beside")


def _cancelled(scope: Instruments) -> Any:
    yield from background(live_view([scope.camera], rate=50.0), name="live", claims=[scope.camera])
    yield from bps.mv(scope.focus, 3)
    yield from bps.sleep(0.2)
    yield from cancel_background("live")


def _guarded(scope: Instruments) -> Any:
    def closed() -> Any:
        yield from bps.mv(scope.shutter, "Closed")

    yield from bps.mv(scope.shutter, "Open", scope.lamp, 50)
    yield from bpp.finalize_wrapper(bp.count([scope.camera], 4 * scope.times), closed)


def _flown(scope: Instruments, detector: Any, info: TriggerInfo) -> Any:
    @bpp.stage_decorator([detector])
    @bpp.run_decorator()
    def inner() -> Any:
        yield from bps.prepare(detector, info, wait=True)
        yield from bps.declare_stream(detector, name="main", collect=True)
        yield from bps.kickoff_all(detector, wait=True)
        yield from bps.collect_while_completing([detector], [detector], 0.1, "main")

    yield from inner()


def _clocked(scope: Instruments) -> Any:
    @bpp.run_decorator()
    def inner() -> Any:
        for _ in range(5 * scope.times):
            yield from pace(0.05)
            yield from bps.checkpoint()
            yield from bps.trigger_and_read([scope.camera])

    yield from inner()


def _too_far(scope: Instruments) -> Any:
    yield from bp.list_scan([scope.temperature], scope.lamp, [20, 80, 120, 140])


def _held(scope: Instruments) -> Any:
    yield from claim_wrapper(
        restoring(
            bp.scan([scope.temperature], scope.focus, 0, 2 * scope.times, 1 + 2 * scope.times),
            scope.focus,
        ),
        scope.shutter,
    )


SEQUENCE: dict[str, Any] = {
    "axis_order": "tpz",
    "stage_positions": [(0, 0), (20, 10)],
    "z_plan": {"range": 4, "step": 1},
}


def times(loops: int) -> dict[str, Any]:
    """Return a sequence of frames in time."""
    return {"axis_order": "t", "time_plan": {"interval": 0.3, "loops": loops}}


#: By name, what makes the plan for some instruments. Those whose names end with "?" hang on what
#: is read, so that their previews are guesses.
PLANS: dict[str, Any] = {
    "count": lambda s: PlanCall(bp.count, ([s.camera],), {"num": 10 * s.times}),
    "count with delay": lambda s: PlanCall(
        bp.count, ([s.camera],), {"num": 5 * s.times, "delay": 0.1}
    ),
    "count two detectors": lambda s: PlanCall(
        bp.count, ([s.camera, s.temperature],), {"num": 4 * s.times}
    ),
    "count to file": lambda s: PlanCall(bp.count, ([s.file_camera],), {"num": 6 * s.times}),
    "scan": lambda s: PlanCall(bp.scan, ([s.camera], s.stage.x, -20, 60, 9)),
    "scan two axes": lambda s: PlanCall(
        bp.scan, ([s.camera], s.stage.x, 0, 60, s.stage.y, 0, -30, 7)
    ),
    "rel_scan": lambda s: PlanCall(bp.rel_scan, ([s.camera], s.focus, -5, 5, 11)),
    "list_scan": lambda s: PlanCall(bp.list_scan, ([s.camera], s.focus, [3, 1, 4, 1, 5])),
    "log_scan": lambda s: PlanCall(bp.log_scan, ([s.camera], s.focus, 0, 1.3, 6)),
    "grid_scan": lambda s: PlanCall(
        bp.grid_scan, ([s.camera], s.stage.x, 0, 20, 4, s.stage.y, 0, 30, 5)
    ),
    "grid_scan with snake": lambda s: PlanCall(
        bp.grid_scan, ([s.camera], s.stage.x, 0, 20, 4, s.stage.y, 0, 30, 5, True)
    ),
    "rel_grid_scan with snake": lambda s: PlanCall(
        bp.rel_grid_scan, ([s.temperature], s.stage.x, -9, 9, 3, s.stage.y, -9, 9, 4, True)
    ),
    "list_grid_scan": lambda s: PlanCall(
        bp.list_grid_scan, ([s.camera], s.stage.x, [0, 5, 1], s.stage.y, [2, 7])
    ),
    "spiral": lambda s: PlanCall(bp.spiral, ([s.camera], s.stage.x, s.stage.y, 0, 0, 20, 20, 5, 4)),
    "spiral_fermat": lambda s: PlanCall(
        bp.spiral_fermat, ([s.camera], s.stage.x, s.stage.y, 0, 0, 20, 20, 6 / s.times**0.5, 1)
    ),
    "spiral_square": lambda s: PlanCall(
        bp.spiral_square, ([s.camera], s.stage.x, s.stage.y, 0, 0, 20, 20, 4, 4)
    ),
    "x2x_scan": lambda s: PlanCall(
        bp.x2x_scan, ([s.camera], s.stage.x, s.stage.y, -8, 8, 1 + 4 * s.times)
    ),
    "live view": lambda s: PlanCall(live_view, ([s.camera],), {"rate": 40.0, "frames": 20}),
    "dark_frame?": lambda s: PlanCall(
        dark_frame,
        ([s.camera],),
        {"shutter": s.shutter, "dark_frames": 3 * s.times, "frames": 4 * s.times},
    ),
    "nested runs": lambda s: PlanCall(_nested, (s,)),
    "a task beside": lambda s: PlanCall(_beside, (s,)),
    "a task cancelled?": lambda s: PlanCall(_cancelled, (s,)),
    "a guarded shutter": lambda s: PlanCall(_guarded, (s,)),
    "a clock": lambda s: PlanCall(_clocked, (s,)),
    "beyond a limit": lambda s: PlanCall(_too_far, (s,)),
    "claims, and back": lambda s: PlanCall(_held, (s,)),
    "mda stacks": lambda s: PlanCall(mda, (SEQUENCE, s.mda)),
    "mda times": lambda s: PlanCall(mda, (times(4 * s.times), s.mda)),
    "ophyd-async scan": lambda s: PlanCall(bp.scan, ([s.point], s.motor, 0, 4, 5)),
    "ophyd-async blobs": lambda s: PlanCall(bp.count, ([s.blob],), {"num": 3 * s.times}),
    "ophyd-async flight": lambda s: PlanCall(
        _flown,
        (s, s.blob, TriggerInfo(livetime=0.02, deadtime=0.01, number_of_events=20 * s.times)),
    ),
    "a flight of the file camera": lambda s: PlanCall(
        _flown, (s, s.file_camera, TriggerInfo(livetime=0.01, number_of_events=15 * s.times**2))
    ),
    "fly_count": lambda s: PlanCall(
        fly_count, ([s.file_camera],), {"num": 30 * s.times, "period": 0.02}
    ),
    "fly_scan": lambda s: PlanCall(
        fly_scan,
        ([s.file_camera, s.stage.recorder], s.stage.x, 0, 30 * s.times),
        {"num": 1 + 30 * s.times, "period": 0.02, "flyers": [s.stage.triggers, s.stage.trajectory]},
    ),
}


@dataclass
class Reality:
    """What a run was."""

    duration: float = 0.0
    events: Counter[str] = field(default_factory=Counter)
    data_bytes: int = 0
    claims: set[str] = field(default_factory=set)
    error: BaseException | None = None


def run_for_real(engine: RunEngine, call: PlanCall) -> Reality:
    """Run a plan, and say what it was."""
    seen, files = Reality(), set()

    def note(name: str, doc: dict[str, Any]) -> None:
        if name == "stop":
            seen.events.update(doc["num_events"])
        elif name == "event":
            seen.data_bytes += sum(map(_size, doc["data"].values()))
        elif name == "stream_resource":
            files.add((doc["uri"], doc["parameters"]["dataset"]))

    def look(_: Any = None) -> None:
        seen.claims.update(engine.claims.by_name())

    statuses = engine._core.statuses
    told = statuses.use_changed

    def use_changed() -> None:
        look()
        told()

    # Whenever the plan begins or ends to use a device; and what is held, at every message.
    statuses.use_changed = use_changed
    token = engine.subscribe(note)
    engine.msg_hook = look
    disconnect = engine.claims.when_changed(look)
    began = time.perf_counter()
    try:
        engine(call).outcome.result(120)
    except Exception as error:
        seen.error = error
    seen.duration = time.perf_counter() - began
    disconnect()
    engine.msg_hook = None
    statuses.use_changed = told
    engine.unsubscribe(token)
    for uri, dataset in files:
        with h5py.File(uri.removeprefix("file://localhost"), "r", swmr=True) as file:
            seen.data_bytes += file[dataset].nbytes
    return seen


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    return len(value.encode()) if isinstance(value, str) else 8
