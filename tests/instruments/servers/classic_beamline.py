"""A scan and a live view on caproto's mini beamline, with classic ophyd's signals."""

import json

import bluesky.plans as bp
import numpy as np
from ophyd import Component, Device, EpicsSignal, EpicsSignalRO

from freewheel import RunEngine
from freewheel.plans import live_view
from freewheel.testing import DocumentLog


class Slit(Device):
    detector = Component(EpicsSignalRO, "det", kind="hinted")
    motor = Component(EpicsSignal, "mtr")


class Dot(Device):
    image = Component(EpicsSignalRO, "det", kind="hinted")


slit = Slit("mini:slit:", name="slit")
dot = Dot("mini:dot:", name="dot")
for device in (slit, dot):
    device.wait_for_connection(timeout=30)

with RunEngine() as RE:
    log = DocumentLog()
    RE.subscribe(log)
    RE(bp.scan([slit], slit.motor, -2, 2, 5)).result(60)
    values = log.data("slit_detector")
    log.clear()
    RE(live_view([dot], rate=10, frames=5)).result(60)
    print(
        json.dumps(
            {
                "slit": [float(value) for value in values],
                "live": len(log.events("live")),
                "shape": [int(edge) for edge in np.shape(log.data("dot_image", "live")[0])],
            }
        )
    )
