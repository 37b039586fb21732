"""An overnight map that a calibration steps into every now and then, by itself."""

import threading

from bluesky.plans import grid_scan

from freewheel import RunEngine
from freewheel.plan_stubs import mv, trigger_and_read
from freewheel.sim import microscope

scope = microscope(shape=(32, 32), instant=True)
calibrated = threading.Event()


def calibrate(camera, lamp):
    """Take a frame without light; the map goes on where it was."""
    from bluesky.preprocessors import run_wrapper

    def dark():
        yield from mv(lamp, 0)
        yield from trigger_and_read([camera], "dark")
        yield from mv(lamp, 100)
        calibrated.set()

    yield from run_wrapper(dark())


with RunEngine() as RE:
    runs = []
    RE.subscribe(lambda name, doc: runs.append(doc["plan_name"]), "start")
    stage = scope.stage
    night = RE(grid_scan([scope.camera], stage.x, 0, 1, 12, stage.y, 0, 1, 12))
    periodic = RE.queue.every(600, calibrate, scope.camera, scope.lamp)
    RE.preempt(calibrate(scope.camera, scope.lamp), restore=True)  # and once by hand
    result = night.outcome.result()
    calibrated.wait()
    periodic.cancel()
    print(result.exit_status, "the map, with", runs[0], "first and a calibration in it")
