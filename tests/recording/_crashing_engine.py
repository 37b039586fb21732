"""A process whose engine records, with queued delivery, until it is killed."""

import sys
import time

import numpy as np
from bluesky.utils import Msg

from freewheel import RunEngine
from freewheel.recording import Recorder

SHAPE = (64, 64)


class Camera:
    name, parent = "camera", None
    number = 0

    def read(self):
        self.number += 1
        frame = np.full(SHAPE, self.number % 60000, "u2")
        return {"camera": {"value": frame, "timestamp": time.time()}}

    def describe(self):
        about = {"source": "sim", "dtype": "array", "shape": [*SHAPE], "dtype_numpy": "<u2"}
        return {"camera": about}


def live(camera, turns):
    yield Msg("open_run")
    for _ in range(turns):
        yield Msg("checkpoint")
        yield Msg("create", name="primary")
        yield Msg("read", camera)
        yield Msg("save")
    yield Msg("close_run")


def main(path):
    engine = RunEngine({})
    engine.subscribe(Recorder(path), delivery="queued")
    for _ in range(2):
        result = engine(live(Camera(), 300)).result()
        # What a plan's future promises: all of its run is safe from here on.
        sys.stdout.write(f"{result.run_start_uids[0]}\n")
        sys.stdout.flush()
    camera = Camera()
    engine.subscribe(lambda name, doc: sys.stdout.write("event\n"), "event")
    engine(live(camera, 10**9)).result()


if __name__ == "__main__":
    main(sys.argv[1])
