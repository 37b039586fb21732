"""A live view in which a person asks for autofocus, and goes on looking."""

import numpy as np
from bluesky.preprocessors import run_decorator

from freewheel import Action, RunEngine
from freewheel.plan_stubs import checkpoint, mv, read_while_waiting, trigger_and_read
from freewheel.sim import microscope

focus_now = Action(name="focus", description="Find the sharpest plane.")
end = Action(name="end", description="End the live view.")


def sharpness(image):
    """Return how much neighbours differ: large in focus."""
    return float(np.abs(np.diff(image.astype(float), axis=0)).sum())


def autofocus(camera, focus, reach=12.0, planes=7):
    """Look at some planes, and go to the sharpest."""
    seen = {}
    for position in np.linspace(-reach, reach, planes):
        yield from checkpoint()
        yield from mv(focus, float(position))
        reading = yield from trigger_and_read([camera], "focus")
        seen[float(position)] = sharpness(reading["camera-image"]["value"])
    best = max(seen, key=seen.__getitem__)
    yield from mv(focus, best)
    return best


def look(camera, focus, found):
    """Show frames until somebody ends it."""

    @run_decorator()
    def view():
        events = focus_now.event_map | end.event_map
        while True:
            name, latch = yield from read_while_waiting([camera], events, "live")
            latch.reset()
            if name == "end":
                return
            found.append((yield from autofocus(camera, focus)))
            end.latch.set()  # a person would look a while longer

    return view()


scope = microscope(shape=(128, 128), instant=True)
scope_found = []
with RunEngine() as RE:
    RE(mv(scope.focus, 9.0))
    live = RE(look(scope.camera, scope.focus, scope_found))
    focus_now.latch.set()  # what the button "focus" does
    print(live.result().exit_status, "sharpest at", scope_found[0], "um")
