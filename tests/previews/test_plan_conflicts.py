"""Which devices two plans would fight for, before either starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest

from freewheel import PlanCall, ResourceConflictError, conflicts, preview, validate_no_overlap
from freewheel.plan_stubs import background
from freewheel.plans import live_view
from freewheel.sim import Microscope, microscope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluesky.utils import Msg


@pytest.fixture(scope="module")
def scope() -> Microscope:
    return microscope(shape=(16, 16), instant=True)


def test_two_plans_that_need_one_camera(scope: Microscope) -> None:
    (conflict,) = conflicts(
        PlanCall(bp.count, ([scope.camera],)), PlanCall(live_view, ([scope.camera],))
    )
    assert str(conflict) == "camera"
    assert conflict.first is conflict.second is scope.camera


def test_two_children_of_one_device_do_not_conflict_and_the_whole_does(scope: Microscope) -> None:
    x, y = PlanCall(bps.mv, (scope.stage.x, 1)), PlanCall(bps.mv, (scope.stage.y, 1))
    whole = PlanCall(bps.stage, (scope.stage,))
    assert conflicts(x, y) == ()
    assert [str(each) for each in conflicts(whole, y)] == ["stage and stage-y"]


def test_reading_needs_nothing(scope: Microscope) -> None:
    def look() -> Iterator[Msg]:
        yield from bps.read(scope.stage)

    assert conflicts(look, PlanCall(bps.mv, (scope.stage.x, 1))) == ()


def test_tasks_count_with_their_plan(scope: Microscope) -> None:
    def beside() -> Iterator[Msg]:
        yield from background(bp.count([scope.camera]), name="count")

    assert conflicts(beside, PlanCall(bp.count, ([scope.camera],)))


def test_previews_are_compared_as_they_are(scope: Microscope) -> None:
    one = preview(bps.mv, scope.focus, 1)
    assert conflicts(one, one)
    assert not conflicts(one, preview(bps.mv, scope.lamp, 1))


def test_a_device_that_drives_another_conflicts_with_it(scope: Microscope) -> None:
    class Turret:
        name, parent = "turret", None

        def set(self, value: Any) -> Any: ...

        def claimed_devices(self) -> list[Any]:
            return [scope.lamp]

    (conflict,) = conflicts(PlanCall(bps.abs_set, (Turret(), 2)), PlanCall(bps.mv, (scope.lamp, 1)))
    assert conflict.first is conflict.second is scope.lamp


def test_plans_that_may_run_side_by_side_are_let_pass(scope: Microscope) -> None:
    def move(device: Any) -> PlanCall:
        return PlanCall(bps.mv, (device, 1))

    validate_no_overlap(move(scope.lamp), move(scope.focus), move(scope.stage.x))
    with pytest.raises(ResourceConflictError, match="'mv' needs 'focus', which 'scan' holds"):
        validate_no_overlap(
            move(scope.lamp),
            PlanCall(bp.scan, ([scope.temperature], scope.focus, 0, 1, 2)),
            move(scope.focus),
        )
