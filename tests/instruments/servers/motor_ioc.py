"""An IOC with a motor record that completes its puts on arrival, as a real one does."""

from caproto.server import PVGroup, ioc_arg_parser, pvproperty, run

TICK = 0.02  # s


class Motor(PVGroup):
    motor = pvproperty(value=0.0, name="motor", record="motor", precision=3, units="mm")

    @motor.startup
    async def motor(self, instance, async_lib):
        self.sleep = async_lib.library.sleep
        fields = instance.field_inst
        await fields.velocity.write(100.0)
        await fields.max_velocity.write(1000.0)
        await fields.seconds_to_velocity.write(0.1)
        await fields.user_low_limit.write(-100.0)
        await fields.user_high_limit.write(100.0)
        await fields.dial_low_limit.write(-100.0)
        await fields.dial_high_limit.write(100.0)
        await fields.done_moving_to_value.write(1)

    @motor.putter
    async def motor(self, instance, value):
        fields = instance.field_inst
        place = fields.user_readback_value.value
        await fields.stop.write(0)
        await fields.done_moving_to_value.write(0)
        while place != value and not fields.stop.value:
            step = fields.velocity.value * TICK
            place = (
                value if abs(value - place) <= step else place + step * (1 if value > place else -1)
            )
            await fields.user_readback_value.write(place)
            await self.sleep(TICK)
        await fields.done_moving_to_value.write(1)
        return place


if __name__ == "__main__":
    options, run_options = ioc_arg_parser(default_prefix="FW:", desc="A motor")
    run(Motor(**options).pvdb, **run_options)
