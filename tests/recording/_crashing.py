"""A process that records until it is killed; told by the test where."""

import itertools
import sys
import time

import event_model
import numpy as np

from freewheel.recording import Recorder

SHAPE = (40, 60)


def frame(number):
    return np.arange(number, number + SHAPE[0] * SHAPE[1], dtype="u2").reshape(SHAPE)


def main(path):
    recorder = Recorder(path)
    run = event_model.compose_run()
    recorder("start", run.start_doc)
    keys = {
        "camera": {"dtype": "array", "shape": list(SHAPE), "dtype_numpy": "<u2", "source": "sim"},
        "x": {"dtype": "number", "shape": [], "source": "sim"},
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    recorder("descriptor", stream.descriptor_doc)
    for number in itertools.count():
        data = {"camera": frame(number), "x": number / 7}
        now = time.time()
        event = stream.compose_event(data=data, timestamps=dict.fromkeys(data, now))
        recorder("event", event)
        # What the test counts: this event was complete.
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
