"""A watchdog that ends whatever runs when the objective comes too close to the sample."""

import logging

from bluesky.plans import scan

from freewheel import RunEngine
from freewheel.sim import microscope

logging.getLogger("freewheel").setLevel(logging.CRITICAL)  # it fails on purpose
logging.getLogger("bluesky").setLevel(logging.CRITICAL)
scope = microscope(shape=(32, 32), instant=True)


def watch(context):
    """Look at the focus until the engine ends."""
    while not context.cancel_event.wait(0.001):
        if scope.focus.position > 20:
            raise RuntimeError("the objective is too close to the sample")


with RunEngine() as RE:
    RE.adopt(watch)
    plan = RE(scan([scope.camera], scope.focus, 0, 10000, 10001))
    print(type(plan.exception()).__name__, "-", plan.outcome.result().exit_status)
    print("stopped" if scope.focus.position < 10000 else "went on")
