"""An IOC of softioc: a beamline that has two motors without inertia and a detector."""

import asyncio
import math
import sys

from softioc import alarm as alarms
from softioc import asyncio_dispatcher, builder, softioc

builder.SetDeviceName("FW")

x = builder.aOut("X", initial_value=0.0, EGU="mm", PREC=3, DRVL=-100, DRVH=100, always_update=True)
y = builder.aOut("Y", initial_value=0.0, EGU="mm", PREC=3, always_update=True)
value = builder.aIn("VALUE", initial_value=0.0, EGU="counts")
alarming = builder.aIn("ALARMING", initial_value=7.0)
frame = builder.WaveformIn("FRAME", [0.0] * 100)
mode = builder.mbbOut("MODE", "Idle", "Count", "Integrate")
exposure = builder.aOut("EXPOSURE", initial_value=0.01, EGU="s")
ticks = builder.longIn("TICKS", initial_value=0)
ticking = builder.aOut("TICKING", initial_value=1, always_update=True)
rested = builder.longIn("RESTED", initial_value=-1)  # the last tick, while there are no more
many = [builder.aIn(f"MANY:{number}", initial_value=float(number)) for number in range(1000)]


async def acquire(_value: float) -> None:
    await asyncio.sleep(exposure.get())
    signal = 1000 * math.exp(-((x.get() - 1) ** 2) - y.get() ** 2)
    value.set(signal)
    frame.set([signal * number for number in range(100)])


builder.aOut("ACQUIRE", initial_value=0, on_update=acquire, blocking=True, always_update=True)


async def alarm(severity: float) -> None:
    alarming.set_alarm(int(severity), alarms.STATE_ALARM if severity else 0)


builder.aOut("SEVERITY", initial_value=0, on_update=alarm, always_update=True)


async def tick() -> None:
    number = 0
    while True:
        await asyncio.sleep(0.05)
        rested.set(-1 if ticking.get() else number)
        if not ticking.get():
            continue
        number += 1
        ticks.set(number)
        for record in many[number % 4 :: 4]:  # each of them five times a second
            record.set(float(number))


dispatcher = asyncio_dispatcher.AsyncioDispatcher()
builder.LoadDatabase()
softioc.iocInit(dispatcher)
dispatcher(tick)
print("FW is up", flush=True)
sys.stdin.read()  # until whoever has started it is gone, or ends it
