"""Run a plan on devices that answer as recorded ones did, with no hardware at all.

Run it: ``python plans/replay_on_devices.py [RECORDING] [--speed N]``
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bluesky.plans import scan

from freewheel import RunEngine
from freewheel.recording import read_runs, replay_devices
from freewheel.testing import DocumentLog

DEFAULT = Path(__file__).parents[1] / "tests" / "recording" / "data" / "microscope"


def main() -> None:
    """Run the recorded scan the other way round: each position gives what was seen there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--speed", type=float, default=1.0)
    arguments = parser.parse_args()
    run = next(run for run in read_runs(arguments.recording) if run.start["plan_name"] == "scan")
    devices = replay_devices(run, speed=arguments.speed)
    log = DocumentLog()
    with RunEngine() as engine:
        engine.subscribe(log)
        engine(scan([devices["camera"]], devices["stage-x"], 10, -10, 5)).result()
    for event in log.events():
        x, image = event["data"]["stage-x"], event["data"]["camera-image"]
        print(f"x = {x:5.1f}: mean {image.mean():.1f}")


if __name__ == "__main__":
    main()
