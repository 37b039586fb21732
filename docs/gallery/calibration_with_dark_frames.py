"""Calibrate a camera: dark frames with the shutter closed, then frames without the dark."""

from freewheel import RunEngine
from freewheel.plans import dark_frame
from freewheel.sim import microscope

scope = microscope(shape=(64, 64), instant=True)
with RunEngine() as RE:
    plan = dark_frame([scope.camera], dark_frames=8, shutter=scope.shutter)
    done = RE(plan).result().plan_result
    image = done.corrected["camera-image"]
    print("corrected", image.shape, "mean", "above zero" if image.mean() > 0 else "at zero")
