"""A scan, a pause in a move and a monitor with classic ophyd's EpicsMotor; says what it saw."""

import json
import threading

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import ophyd
from bluesky.utils import RunEngineInterrupted
from ophyd import EpicsMotor, EpicsSignalRO

from freewheel import RunEngine
from freewheel.forms import connect_devices
from freewheel.testing import DocumentLog

motor = EpicsMotor("sim:mtr1", name="motor")
motor.wait_for_connection(timeout=30)
place = EpicsSignalRO("sim:mtr1.RBV", name="place")
place.wait_for_connection(timeout=30)

with RunEngine() as RE:
    RE(bps.mv(motor.velocity, 2)).result(30)
    RE(bps.mv(motor, 1)).result(30)
    log = DocumentLog()
    RE.subscribe(log)

    def watched():
        yield from bps.open_run()
        yield from bps.monitor(place, name="place")
        yield from bps.mv(motor, 0)
        yield from bps.unmonitor(place)
        yield from bps.close_run()

    RE(watched()).result(30)
    monitored = len(log.events("place"))
    log.clear()
    RE(bps.mv(motor.velocity, 0.2)).result(30)  # so that the pause comes before the end
    moving = threading.Event()
    place.subscribe(lambda value, **_: moving.set() if 0.5 < value < 1 else None, run=False)
    future = RE(bp.scan([], motor, 0, 2, 3))
    moving.wait(30)
    RE.request_pause().result(30)
    paused = isinstance(future.exception(30), RunEngineInterrupted)
    # It has been told to stop; its record says so a moment later, and would end the next move.
    standing = threading.Event()
    motor.motor_done_move.subscribe(lambda value, **_: standing.set() if value else None)
    standing.wait(30)
    motor.velocity.put(5)
    RE.resume().result(60)
    nobody = EpicsMotor("sim:nobody", name="nobody")
    connected = connect_devices(RE, {"nobody": nobody}, 0.5)["nobody"].exception(60)
    print(
        json.dumps(
            {
                "motor": log.data("motor"),
                "layer": ophyd.cl.name,
                "paused": paused,
                "monitored": monitored,
                "nobody": str(RE(bps.mv(nobody, 1)).exception(60)),
                "not connected": str(connected),
                "states": [str(RE.state)],
            }
        )
    )
