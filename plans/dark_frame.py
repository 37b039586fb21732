"""A dark frame of the simulated camera, and a frame from which it is subtracted.

Run it: ``python plans/dark_frame.py``
"""

from __future__ import annotations

import argparse

from freewheel import RunEngine
from freewheel.plans import DarkFrameResult, dark_frame
from freewheel.sim import microscope


def main(dark_frames: int = 16) -> DarkFrameResult:
    """Take them; return both."""
    scope = microscope(shape=(256, 256))
    with RunEngine() as RE:  # noqa: N806 - as everybody calls it
        plan = dark_frame([scope.camera], dark_frames=dark_frames, shutter=scope.shutter)
        result: DarkFrameResult = RE(plan).result().plan_result
    for key, dark in result.dark.items():
        light = result.corrected[key]
        print(f"{key}: {dark.mean():.1f} in the dark, {light.mean():.1f} above that in the light")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dark-frames", type=int, default=16)
    main(parser.parse_args().dark_frames)
