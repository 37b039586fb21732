"""What previews say of plans on Micro-Manager's core, and what the engine then does."""

# ruff: noqa: N803

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bluesky.plans as bp
import pytest

from foreseen import run_for_real
from freewheel import PlanCall, RunEngine, preview
from freewheel.plans import live_view, mda

if TYPE_CHECKING:
    from freewheel.micromanager import MicroManagerDevices

STACKS = {
    "axis_order": "tpcz",
    "channels": ["DAPI", {"config": "FITC", "exposure": 2}],
    "z_plan": {"range": 4, "step": 1},
    "stage_positions": [(0, 0), (20, 10)],
}
TIMES = {"time_plan": {"interval": 0.05, "loops": 4}}

PLANS: dict[str, Any] = {
    "count": lambda s: PlanCall(bp.count, ([s.camera], 4)),
    "scan": lambda s: PlanCall(bp.scan, ([s.camera], s["z"], 0, 5, 6)),
    "grid": lambda s: PlanCall(bp.grid_scan, ([s.camera], s.xy.x, 0, 9, 3, s.xy.y, 0, 9, 2, True)),
    "live view": lambda s: PlanCall(live_view, ([s.camera],), {"rate": 50, "frames": 5}),
    "mda stacks": lambda s: PlanCall(mda, (STACKS, s)),
    "mda stacks by software": lambda s: PlanCall(mda, (STACKS, s), {"hardware": False}),
    "mda times": lambda s: PlanCall(mda, (TIMES, s)),
}


@pytest.mark.parametrize("triggered", ["Yes", "No"])
@pytest.mark.parametrize("name", PLANS)
def test_what_is_said_comes_true(
    name: str, triggered: str, RE: RunEngine, core: Any, scope: MicroManagerDevices
) -> None:
    core.setProperty("Z", "UseSequences", triggered)
    call = PLANS[name](scope)
    foreseen = preview(call)
    real = run_for_real(RE, call)
    assert dict(foreseen.events) == dict(real.events)
    assert foreseen.data_bytes == pytest.approx(real.data_bytes, rel=0.05)
    assert set(foreseen.claims) == real.claims
    assert real.error is None
    assert not foreseen.problems
    # Stages and configuration groups do not say how long they take.
    assert all("does not say how long" in guess for guess in foreseen.guesses)


def test_what_devices_do_not_say_is_learned(RE: RunEngine, scope: MicroManagerDevices) -> None:
    call = PLANS["grid"](scope)
    RE.preview.learn()
    RE(call).result(60)
    foreseen = RE.preview(call)
    assert foreseen.guesses == ()
    assert foreseen.longest < 60
