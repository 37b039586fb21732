"""Plans on a server of p4p: PV Access without an IOC's database."""

# ruff: noqa: N803

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from ophyd_async.core import StrictEnum
from ophyd_async.epics.core import epics_signal_r, epics_signal_rw

from freewheel.plans import live_view
from freewheel.testing import IocProcess, assert_events, assert_valid

pytestmark = pytest.mark.servers  # IOCs and device servers are processes of their own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from freewheel import RunEngine
    from freewheel.testing import DocumentLog

WAIT = 60


class Gain(StrictEnum):
    LOW = "Low"
    HIGH = "High"


@pytest.fixture(scope="module")
def server() -> Iterator[IocProcess]:
    script = Path(__file__).parent / "servers" / "p4p_server.py"
    with IocProcess(script, ready="p4p is up") as running:
        yield running


@pytest.fixture
def bench(server: IocProcess, on_loop: Any) -> Any:
    class Bench:
        x = epics_signal_rw(float, "pva://P4P:X", name="x")
        frame = epics_signal_r(np.ndarray, "pva://P4P:FRAME", name="frame")
        gain = epics_signal_rw(Gain, "pva://P4P:GAIN", name="gain")

    async def connect() -> None:
        for device in (Bench.x, Bench.frame, Bench.gain):
            await device.connect(timeout=20)

    on_loop(connect())
    return Bench


def test_a_scan_with_pictures(RE: RunEngine, bench, documents: DocumentLog):
    RE(bps.mv(bench.gain, "High")).result(WAIT)
    RE(bp.scan([bench.frame, bench.gain], bench.x, 0, 2, 3)).result(WAIT)
    assert_valid(documents)
    assert_events(documents, x=[0, 1, 2], gain=["High"] * 3)
    frames = documents.data("frame")
    assert [(frame.shape, int(frame[0, 0])) for frame in frames] == [
        ((8, 12), 0),
        ((8, 12), 100),
        ((8, 12), 200),
    ]


def test_a_live_view_of_pictures(RE: RunEngine, bench, documents: DocumentLog):
    RE(live_view([bench.frame], rate=50, frames=10)).result(WAIT)
    assert {frame.shape for frame in documents.data("frame", "live")} == {(8, 12)}


def test_what_the_server_refuses_fails_the_plan(RE: RunEngine, bench, documents: DocumentLog):
    error = RE(bp.scan([], bench.x, 0, 20, 3)).exception(WAIT)
    assert "20 is too far" in str(error)
    assert "(set of 'x')" in str(error)
    assert documents.of("stop")[0]["exit_status"] == "fail"
