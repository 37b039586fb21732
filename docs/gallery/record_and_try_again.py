"""Record a scan once, and try another plan on it afterwards, without the instrument."""

import tempfile

from bluesky.plans import scan

from freewheel import RunEngine
from freewheel.recording import Recorder, read_runs, replay_devices
from freewheel.sim import microscope

scope = microscope(shape=(32, 32), instant=True)
with tempfile.TemporaryDirectory() as folder, RunEngine() as RE:
    token = RE.subscribe(Recorder(folder), delivery="queued")
    RE(scan([scope.camera], scope.stage.x, -2, 2, 5)).result()  # at the instrument
    RE.unsubscribe(token)

    (run,) = read_runs(folder)  # at home
    again = replay_devices(run, speed=float("inf"))
    places = []
    RE.subscribe(lambda name, doc: places.append(doc["data"]["stage-x"]), "event")
    RE(scan([again["camera"]], again["stage-x"], 2, -2, 3)).result()
    print("seen again at", places)
