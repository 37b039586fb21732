"""A scan whose next point is chosen by an async decision, such as a service that is asked."""

import asyncio

from bluesky.plan_stubs import wait_for
from bluesky.preprocessors import run_decorator
from ophyd.sim import SynAxis, SynGauss

from freewheel import RunEngine
from freewheel.plan_stubs import checkpoint, mv, trigger_and_read

motor = SynAxis(name="motor")
diode = SynGauss("diode", motor, "motor", center=2.3, Imax=1, sigma=1.0)


async def choose(seen, step):
    """Say where to go next: here uphill, there a service would be asked."""
    await asyncio.sleep(0)  # the engine's loop is free meanwhile
    if len(seen) < 2:
        return seen[-1][0] + step, step
    if seen[-1][1] < seen[-2][1]:
        step = -step / 2
    return seen[-1][0] + step, step


@run_decorator()
def climb(step=1.0, until=0.01):
    position, seen = 0.0, []
    while abs(step) > until:
        yield from checkpoint()
        yield from mv(motor, position)
        reading = yield from trigger_and_read([diode, motor])
        seen.append((position, reading["diode"]["value"]))
        (answer,) = yield from wait_for([lambda step=step: choose(seen, step)])
        position, step = answer.result()
    places.append(max(seen, key=lambda pair: pair[1])[0])


places = []
with RunEngine() as RE:
    print(RE(climb()).result().exit_status, f"top near {places[0]:.1f}")
