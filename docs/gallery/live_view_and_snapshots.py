"""A live view in the background that gives its camera away for snapshots, and takes it back."""

import threading

from freewheel import RunEngine
from freewheel.plans import live_view, snapshot
from freewheel.sim import microscope

scope = microscope(shape=(64, 64), instant=True)
with RunEngine() as RE:
    live = threading.Event()
    frames = RE.subscribe(lambda name, doc: live.set(), "event")
    view = RE.background.launch(
        live_view([scope.camera], rate=100), name="live", claims=scope.camera, on_conflict="pause"
    )
    live.wait()
    result = RE(snapshot([scope.camera], frames=3)).result()
    live.clear()
    live.wait()  # it is back
    view.cancel()
    print(result.exit_status, "and the view was", view.future.exception() or "back afterwards")
