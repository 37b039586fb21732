"""Make the small recording that comes with the source, in ``tests/recording/data/microscope``.

A scan of the stage and a count, on the simulated microscope with the real engine.

Run it: ``python plans/record_small_recording.py [DIRECTORY]``
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from bluesky.plans import count, scan

from freewheel import RunEngine
from freewheel.recording import Recorder, read_runs
from freewheel.sim import microscope

DEFAULT = Path(__file__).parents[1] / "tests" / "recording" / "data" / "microscope"


def main() -> None:
    """Record, and say what was recorded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", nargs="?", type=Path, default=DEFAULT)
    directory = parser.parse_args().directory
    shutil.rmtree(directory, ignore_errors=True)
    scope = microscope(shape=(64, 64), exposure=0.02, seed=6)
    with RunEngine() as engine, Recorder(directory, compression="gzip") as recorder:
        engine.subscribe(recorder, delivery="queued")
        engine(scan([scope.camera, scope.temperature], scope.stage.x, -10, 10, 5)).result()
        engine(count([scope.camera], 5)).result()
    # Where it was made is nobody's business: a recording that was moved is read all the same.
    here = directory.absolute().as_uri().removeprefix("file://")
    for path in directory.glob("*.jsonl"):
        path.write_text(path.read_text().replace(here, "/recordings/microscope"))
    for run in read_runs(directory):
        print(f"{run.uid}: {run.start['plan_name']}, {len(list(run.documents()))} documents")


if __name__ == "__main__":
    main()
