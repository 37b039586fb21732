"""A door that keeps the stage still while somebody is inside; reading goes on."""

import threading

from bluesky.plan_stubs import mv
from bluesky.plans import count
from ophyd import Signal

from freewheel import RunEngine
from freewheel.sim import microscope

scope = microscope(shape=(32, 32), instant=True)
held = threading.Event()
door = Signal(name="door_open", value=0)


def look(pictures):
    """Note when somebody waits for the door."""
    if any(each.waiting for each in pictures):
        held.set()


with RunEngine() as RE:
    RE.interlocks.add("door", door, devices=scope.stage)
    door.put(1)  # somebody goes in
    RE.events.interlocks_changed.connect(look)
    move = RE(mv(scope.stage.x, 5))
    readings = RE.background.launch(count([scope.temperature], 3))
    readings.result()
    held.wait()
    print("held by the door, while", readings.status, "readings go on")
    door.put(0)
    print(move.result().exit_status, "at", scope.stage.x.position, "um")
