"""Faults on purpose."""

from __future__ import annotations

import asyncio
import math
import threading

import numpy as np
import pytest
from bluesky.protocols import Readable, Triggerable
from ophyd_async.core import AsyncStatus

from doubles import Clock
from freewheel.sim import (
    ConnectionLostError,
    Fail,
    Fault,
    FaultError,
    Hang,
    LoseConnection,
    ReturnNaN,
    SimCamera,
    Slow,
    WrongShape,
    inject,
    microscope_async,
)


@pytest.fixture
async def camera() -> SimCamera:
    camera = SimCamera("camera", shape=(8, 10), exposure=0.0, readout=0.0)
    await camera.connect()
    return camera


async def outcomes(camera: SimCamera, count: int) -> list[bool]:
    results = []
    for _ in range(count):
        try:
            await camera.trigger()
            results.append(True)
        except FaultError:
            results.append(False)
    return results


async def test_fails_at_the_nth_call(camera: SimCamera) -> None:
    with inject(camera, Fail("trigger", at=3)) as injection:
        assert await outcomes(camera, 5) == [True, True, False, True, True]
    assert injection.calls("trigger") == 5
    assert [firing.call.number for firing in injection.fired] == [3]


async def test_error_names_device_call_and_fault(camera: SimCamera) -> None:
    with inject(camera, Fail("trigger", at=(1, 2))):
        with pytest.raises(FaultError) as caught:
            await camera.trigger()
    assert str(caught.value) == (
        "call 1 of camera.trigger() failed on purpose: Fail('trigger', at=(1, 2))"
    )


async def test_own_error(camera: SimCamera) -> None:
    with inject(camera, Fail("read", error=OSError("cable"))):
        for _ in range(2):
            with pytest.raises(OSError, match="cable"):
                await camera.read()


async def test_failing_status_is_a_status(camera: SimCamera) -> None:
    with inject(camera, Fail("trigger")):
        status = camera.trigger()
        assert isinstance(status, AsyncStatus)
        ended = asyncio.Event()
        status.add_callback(lambda _: ended.set())
        await ended.wait()
        assert status.done
        assert not status.success
        assert isinstance(status.exception(), FaultError)


async def test_probability_is_seeded(camera: SimCamera) -> None:
    runs = []
    for seed in (1, 1, 2):
        with inject(camera, Fail("trigger", probability=0.5, seed=seed)):
            runs.append(await outcomes(camera, 40))
    assert runs[0] == runs[1] != runs[2]
    assert 5 < sum(runs[0]) < 35


async def test_time_window(camera: SimCamera) -> None:
    clock = Clock()
    with inject(camera, Fail("trigger", window=(10.0, 20.0)), clock=clock):
        results = []
        for now in (100.0, 109.9, 110.0, 119.9, 120.0):
            clock.now = now
            results += await outcomes(camera, 1)
    assert results == [True, True, False, False, True]


async def test_a_number_of_times(camera: SimCamera) -> None:
    with inject(camera, Fail("trigger", times=2)):
        assert await outcomes(camera, 4) == [False, False, True, True]


async def test_slow_waits_then_does_its_work(camera: SimCamera) -> None:
    waited: list[float] = []

    async def record(seconds: float) -> None:
        waited.append(seconds)

    with inject(camera, Slow(("trigger", "read"), seconds=3.0), sleep=record):
        await camera.trigger()
        assert (await camera.read())["camera-image"]["value"].shape == (8, 10)
    assert waited == [3.0, 3.0]


async def test_hang_can_be_cancelled(camera: SimCamera) -> None:
    with inject(camera, Hang("trigger")):
        status = camera.trigger()
        await asyncio.sleep(0)
        assert not status.done
        status.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await status
    await camera.trigger()


async def test_hang_ends_when_removed_from_a_thread(camera: SimCamera) -> None:
    injection = inject(camera, Hang("trigger"))
    status = camera.trigger()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    thread = threading.Thread(target=injection.remove)
    thread.start()
    with pytest.raises(FaultError, match="hung until the fault was removed"):
        await status
    thread.join()


async def test_hanging_read(camera: SimCamera) -> None:
    with inject(camera, Hang("read")):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(camera.read(), 0.01)


async def test_lost_connection_fails_everything_until_it_heals(camera: SimCamera) -> None:
    clock = Clock()
    with inject(camera, LoseConnection("trigger", at=2, duration=5.0), clock=clock):
        await camera.trigger()
        await camera.read()
        for call in (camera.trigger, camera.read, camera.describe, camera.unstage):
            with pytest.raises(ConnectionLostError):
                await call()
        with pytest.raises(ConnectionError):
            await camera.read_configuration()
        clock.now += 5.0
        await camera.trigger()
        await camera.read()


async def test_nan(camera: SimCamera) -> None:
    with inject(camera, ReturnNaN()):
        value = (await camera.read())["camera-image"]["value"]
    assert value.shape == (8, 10)
    assert np.isnan(value).all()


async def test_nan_for_numbers() -> None:
    scope = await microscope_async(shape=(8, 8), instant=True)
    with inject(scope.focus, ReturnNaN(("read", "locate"))):
        assert math.isnan((await scope.focus.read())["focus"]["value"])
        assert math.isnan((await scope.focus.locate())["readback"])
    assert (await scope.focus.read())["focus"]["value"] == 0.0


async def test_wrong_shape(camera: SimCamera) -> None:
    with inject(camera, WrongShape(at=1), WrongShape(at=2, shape=(3, 4, 5))):
        assert (await camera.read())["camera-image"]["value"].shape == (7, 10)
        assert (await camera.read())["camera-image"]["value"].shape == (3, 4, 5)
        assert (await camera.read())["camera-image"]["value"].shape == (8, 10)


async def test_faults_on_one_call_act_in_order(camera: SimCamera) -> None:
    waited: list[float] = []

    async def record(seconds: float) -> None:
        waited.append(seconds)

    faults = (Slow("trigger", seconds=2.0), Fail("trigger"), Slow("trigger", seconds=9.0))
    with inject(camera, *faults, sleep=record), pytest.raises(FaultError):
        await camera.trigger()
    assert waited == [2.0]


async def test_removal_gives_the_device_back(camera: SimCamera) -> None:
    first = inject(camera, Fail("trigger", at=1))
    second = inject(camera, ReturnNaN())
    assert isinstance(camera, Readable)
    assert isinstance(camera, Triggerable)
    first.remove()
    await camera.trigger()
    assert np.isnan((await camera.read())["camera-image"]["value"]).all()
    second.remove()
    second.remove()
    assert not {"trigger", "read"} & set(vars(camera))
    assert (await camera.read())["camera-image"]["value"].dtype == np.uint16


async def test_other_devices_are_untouched(camera: SimCamera) -> None:
    other = SimCamera("other", shape=(8, 8), exposure=0.0, readout=0.0)
    with inject(camera, Fail("trigger")):
        await other.trigger()
        assert await outcomes(camera, 1) == [False]


async def test_faults_of_a_signal(camera: SimCamera) -> None:
    with inject(camera.exposure, Fail("set")), pytest.raises(FaultError, match="camera-exposure"):
        await camera.exposure.set(1.0)
    await camera.exposure.set(1.0)
    assert await camera.exposure.get_value() == 1.0


async def test_axis_faults_show_in_the_stage() -> None:
    scope = await microscope_async(shape=(8, 8), instant=True)
    with inject(scope.stage.x, Fail("read")), pytest.raises(FaultError, match="stage-x"):
        await scope.stage.read()
    assert list(await scope.stage.read()) == ["stage-x", "stage-y"]


async def test_faults_from_the_start() -> None:
    scope = await microscope_async(
        shape=(8, 8),
        instant=True,
        faults={"camera": [Fail("trigger", at=1)], "stage.x": [Fail("set")]},
    )
    with pytest.raises(FaultError):
        await scope.camera.trigger()
    with pytest.raises(FaultError):
        await scope.stage.x.set(1.0)
    await scope.stage.y.set(1.0)
    camera = SimCamera("own", shape=(8, 8), faults=[Fail("read")])
    with pytest.raises(FaultError):
        await camera.read()


async def test_faults_for_unknown_devices_are_refused() -> None:
    with pytest.raises(KeyError, match="it has camera, stage"):
        await microscope_async(faults={"kamera": [Fail("read")]})
    with pytest.raises(KeyError, match="it has x, y"):
        await microscope_async(faults={"stage.z": [Fail("read")]})


class Plain:
    """A device that is none of ophyd-async's."""

    name = "plain"

    def __init__(self) -> None:
        self.read_times = 0

    def read(self) -> dict[str, dict[str, float]]:
        self.read_times += 1
        return {"plain": {"value": 1.0, "timestamp": 0.0}}

    def stage(self) -> list[object]:
        return [self]


async def test_plain_methods() -> None:
    device = Plain()
    with inject(device, Fail("read", at=1), ReturnNaN(at=2)):
        with pytest.raises(FaultError):
            device.read()
        assert math.isnan(device.read()["plain"]["value"])
        assert device.read()["plain"]["value"] == 1.0
    assert device.read_times == 2
    with inject(device, Slow("stage", seconds=0.0)):
        await device.stage()


def test_what_would_hold_up_the_loop_is_refused() -> None:
    with pytest.raises(TypeError, match=r"plain.read\(\) returns at once"):
        inject(Plain(), Hang("read"))


async def test_unknown_methods_are_refused(camera: SimCamera) -> None:
    with pytest.raises(ValueError, match=r"camera has no method 'triger'.*it has trigger, read"):
        inject(camera, Fail("triger"))
    with pytest.raises(TypeError, match="at least one"):
        inject(camera)
    with pytest.raises(TypeError, match="only faults"):
        inject(camera, "fail")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "culprit"),
    [
        (lambda: Fail(""), "on"),
        (lambda: Fail(()), "on"),
        (lambda: Fail("read", at=0), "at"),
        (lambda: Fail("read", probability=1.5), "probability"),
        (lambda: Fail("read", probability=math.nan), "probability"),
        (lambda: Fail("read", window=(2.0, 1.0)), "window"),
        (lambda: Fail("read", window=(math.nan, 1.0)), "window"),
        (lambda: Fail("read", times=0), "times"),
        (lambda: Slow("read", seconds=-1.0), "seconds"),
        (lambda: Slow("read", seconds=math.nan), "seconds"),
        (lambda: LoseConnection("read", duration=0.0), "duration"),
        (lambda: ReturnNaN("trigger"), "on"),
    ],
)
def test_impossible_faults_are_refused(make: object, culprit: str) -> None:
    with pytest.raises(ValueError, match=f"^{culprit} of "):
        make()  # type: ignore[operator]


def test_a_fault_must_say_what() -> None:
    with pytest.raises(TypeError, match="use Fail"):
        Fault("read")


def test_repr_shows_what_differs() -> None:
    assert repr(Fail("trigger", at=3)) == "Fail('trigger', at=3)"
    assert repr(Slow("set", seconds=2.0, probability=0.1)) == (
        "Slow('set', probability=0.1, seconds=2.0)"
    )
    assert repr(ReturnNaN()) == "ReturnNaN('read')"


async def test_repr_of_injection(camera: SimCamera) -> None:
    with inject(camera, Fail("read")) as injection:
        assert repr(injection) == "<faults of camera: Fail('read')>"
