"""A server of p4p: a position, a picture, and a setting of a few choices."""

import threading

import numpy as np
from p4p.nt import NTEnum, NTNDArray, NTScalar
from p4p.server import Server
from p4p.server.thread import SharedPV

position = SharedPV(nt=NTScalar("d", display=True), initial=0.0)
frame = SharedPV(nt=NTNDArray(), initial=np.zeros((8, 12), np.uint16))
gain = SharedPV(nt=NTEnum(), initial={"index": 0, "choices": ["Low", "High"]})


@position.put
def moved(pv, operation):
    value = float(operation.value())
    if abs(value) > 10:
        operation.done(error=f"{value:g} is too far")
        return
    pv.post(value)
    frame.post(np.full((8, 12), int(100 * value), np.uint16))
    operation.done()


@gain.put
def chosen(pv, operation):
    pv.post({"index": int(operation.value()), "choices": ["Low", "High"]})
    operation.done()


with Server(providers=[{"P4P:X": position, "P4P:FRAME": frame, "P4P:GAIN": gain}]):
    print("p4p is up", flush=True)
    threading.Event().wait()
