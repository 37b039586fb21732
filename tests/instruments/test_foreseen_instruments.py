"""What previews say of plans on real EPICS records, and what the engine then does."""

# ruff: noqa: N803

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest
from ophyd_async.core import StandardReadable, StandardReadableFormat
from ophyd_async.epics.core import epics_signal_r, epics_signal_rw
from ophyd_async.epics.motor import Motor

from foreseen import run_for_real
from freewheel import PlanCall, RunEngine
from freewheel.plans import live_view
from freewheel.testing import IocProcess

pytestmark = pytest.mark.servers  # IOCs are processes of their own

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 60
SERVERS = Path(__file__).parent / "servers"


class Detector(StandardReadable):
    """Counts when it is triggered, for as long as its exposure says."""

    def __init__(self, prefix: str, name: str) -> None:
        with self.add_children_as_readables(StandardReadableFormat.HINTED_UNCACHED_SIGNAL):
            self.value = epics_signal_r(float, f"{prefix}VALUE")
        with self.add_children_as_readables(StandardReadableFormat.CONFIG_SIGNAL):
            self.exposure = epics_signal_rw(float, f"{prefix}EXPOSURE")
        self.acquire = epics_signal_rw(float, f"{prefix}ACQUIRE")
        super().__init__(name=name)

    def trigger(self) -> Any:
        return self.acquire.set(1)


@pytest.fixture(scope="module")
def motor_ioc() -> Iterator[IocProcess]:
    with IocProcess(SERVERS / "motor_ioc.py", ready="Server startup complete") as server:
        yield server


@pytest.fixture(scope="module")
def soft_ioc() -> Iterator[IocProcess]:
    with IocProcess(SERVERS / "soft_ioc.py", ready="FW is up") as server:
        yield server


@pytest.fixture
def motor(motor_ioc: IocProcess, on_loop: Any) -> Motor:
    motor_ioc.start()  # if a test has killed it
    device = Motor("ca://FW:motor", name="motor")

    async def connect() -> None:
        await device.connect(timeout=20)
        await device.velocity.set(20.0)

    on_loop(connect())
    return device


@pytest.fixture(params=["ca", "pva"])
def detector(request: Any, soft_ioc: IocProcess, on_loop: Any) -> Detector:
    device = Detector(f"{request.param}://FW:", "detector")
    on_loop(device.connect(timeout=20))
    return device


def check(RE: RunEngine, call: PlanCall) -> None:
    """Compare what is foreseen of a plan with what comes."""
    foreseen = RE.preview(call)
    real = run_for_real(RE, call)
    assert dict(foreseen.events) == dict(real.events)
    assert foreseen.data_bytes == pytest.approx(real.data_bytes, rel=0.05)
    assert set(foreseen.claims) == real.claims
    assert foreseen.is_wrong == (real.error is not None)
    assert foreseen.guesses == ()


def test_a_scan_of_a_motor_record(RE: RunEngine, motor: Motor) -> None:
    RE(bps.mv(motor, 0)).result(WAIT)
    call = PlanCall(bp.scan, ([], motor, 10, 20, 3))
    assert RE.preview(call).moves["motor"].path == (0.0, 10.0, 15.0, 20.0)
    assert 1.0 < RE.preview(call).duration < 2.0
    check(RE, call)
    assert RE.preview(call).moves["motor"].path[0] == pytest.approx(20.0)


def test_a_limit_of_a_motor_record(RE: RunEngine, motor: Motor) -> None:
    call = PlanCall(bp.scan, ([], motor, 98, 102, 3))
    (problem,) = RE.preview(call).problems
    assert "motor" in problem.text
    assert "-100" in problem.text
    check(RE, call)


def test_a_count_and_a_live_view(RE: RunEngine, detector: Detector) -> None:
    RE(bps.mv(detector.exposure, 0.05)).result(WAIT)
    call = PlanCall(bp.count, ([detector],), {"num": 8})
    assert 0.4 < RE.preview(call).duration < 0.5
    check(RE, call)
    check(RE, PlanCall(live_view, ([detector],), {"rate": 10, "frames": 5}))


def test_an_exposure_that_the_plan_sets(RE: RunEngine, detector: Detector) -> None:
    def plan() -> Any:
        yield from bps.mv(detector.exposure, 0.2)
        yield from bp.count([detector], 5)

    RE(bps.mv(detector.exposure, 0.01)).result(WAIT)
    assert 1.0 < RE.preview(plan).duration < 1.1
    check(RE, PlanCall(plan))


def test_an_ioc_that_is_gone_is_told(RE: RunEngine, motor: Motor, motor_ioc: IocProcess) -> None:
    motor_ioc.kill()
    foreseen = RE.preview(bps.mv, motor, 1)
    (problem,) = foreseen.problems  # which says that it may: an IOC can come back
    # The second is what it says where the client hears of the end while it asks.
    assert problem.text in ("motor does not answer", "motor is not connected")
