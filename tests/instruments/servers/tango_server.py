"""A Tango device server without a database: a stage that takes its time, and a detector."""

import asyncio
import enum
import math
import sys

from tango import AttrWriteType, DevState, GreenMode
from tango.server import Device, attribute, command, run

TICK = 0.02  # s


class Mode(enum.IntEnum):
    IDLE = 0
    COUNT = 1


class Bench(Device):
    green_mode = GreenMode.Asyncio

    async def init_device(self):
        await super().init_device()
        self.set_state(DevState.ON)
        self._x = self._target = 0.0
        self._velocity = 50.0
        self._value = 0.0
        self._mode = Mode.IDLE
        self._move = None

    @attribute(
        dtype=float, unit="mm", access=AttrWriteType.READ_WRITE, min_value=-100, max_value=100
    )
    async def x(self):
        return self._x

    @x.write
    async def x(self, value):
        self._target = value
        if self._move is not None:
            self._move.cancel()
        self.set_state(DevState.MOVING)
        self._move = asyncio.ensure_future(self._travel())

    async def _travel(self):
        while self._x != self._target:
            step = self._velocity * TICK
            left = self._target - self._x
            self._x = self._target if abs(left) <= step else self._x + math.copysign(step, left)
            await asyncio.sleep(TICK)
        self.set_state(DevState.ON)

    @attribute(dtype=float, unit="mm/s", access=AttrWriteType.READ_WRITE)
    async def velocity(self):
        return self._velocity

    @velocity.write
    async def velocity(self, value):
        self._velocity = value

    @attribute(dtype=float, unit="counts")
    async def value(self):
        return self._value

    @attribute(dtype=Mode, access=AttrWriteType.READ_WRITE)
    async def mode(self):
        return self._mode

    @mode.write
    async def mode(self, value):
        self._mode = Mode(value)

    @command
    async def halt(self):
        if self._move is not None:
            self._move.cancel()
        self.set_state(DevState.ON)

    @command
    async def acquire(self):
        await asyncio.sleep(0.01)
        self._value = 1000 * math.exp(-((self._x - 1) ** 2))


if __name__ == "__main__":
    port = sys.argv[1]
    run(
        [Bench],
        args=[
            "bench",
            "test",
            "-nodb",
            "-ORBendPoint",
            f"giop:tcp:127.0.0.1:{port}",
            "-dlist",
            "test/bench/1",
        ],
        green_mode=GreenMode.Asyncio,
    )
