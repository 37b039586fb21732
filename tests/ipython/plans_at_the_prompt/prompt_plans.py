"""Plans that the tests run at a prompt."""

import bluesky.plan_stubs as bps
from bluesky.plans import count
from bluesky.preprocessors import run_decorator
from bluesky.protocols import Readable

from freewheel import Action
from freewheel.plan_stubs import (
    background,
    declare_progress,
    update_progress,
    wait_for_action,
    wait_for_actions,
)


def long():
    """Reaches no checkpoint for a minute."""
    yield from bps.checkpoint()
    yield from bps.sleep(60)


def bad():
    """Fails while nobody looks."""
    yield from bps.sleep(0.3)
    raise ValueError("no light")


@run_decorator(md={})
def guarded(path: str):
    """Writes to a file when it is cleaned up."""
    try:
        yield from bps.sleep(60)
    finally:
        with open(path, "a") as file:
            file.write("cleaned up\n")


GO = Action(name="go")


def asks_twice(go=GO):
    """Waits for an action, and again."""
    yield from wait_for_action(go)
    print("once", flush=True)
    go.event_map["go"].reset()
    yield from wait_for_action(go)


def nested(outer: int = 3, inner: int = 4):
    """Two loops, each with progress."""
    yield from declare_progress("tiles")
    for tile in range(outer):
        yield from declare_progress("lines", parent="tiles")
        for line in range(inner):
            yield from bps.null()
            yield from update_progress("lines", current=line + 1, target=inner, unit="lines")
        yield from update_progress("lines", done=True)
        yield from update_progress("tiles", current=tile + 1, target=outer, unit="tiles")
    yield from update_progress("tiles", done=True)


def add(number: int, scale: float = 1.0):
    """Return a number, as a plan."""
    yield from bps.null()
    return number * scale


def slow(camera: Readable):
    """Take as long as a person needs to see it."""
    return (yield from count([camera], 40, delay=0.1))


def held(name: str):
    """Two loops that wait for an action in the second line of the second tile."""
    action = Action(name=name)
    yield from declare_progress("tiles")
    for tile in range(3):
        yield from declare_progress("lines", parent="tiles")
        for line in range(4):
            yield from update_progress("lines", current=line + 1, target=4, unit="lines")
            if (tile, line) == (1, 1):
                yield from wait_for_actions(action.event_map, timeout=None)
        yield from update_progress("lines", done=True)
        yield from update_progress("tiles", current=tile + 1, target=3, unit="tiles")
    yield from update_progress("tiles", done=True)


def beside():
    """Nested loops in the background and in the foreground, both held."""
    yield from background(held("back"), name="behind")
    yield from held("front")
