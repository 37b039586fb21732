"""Previews by an engine: its preprocessors, its commands, who has the devices; checked tasks."""

# ruff: noqa: N803

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest
from bluesky.preprocessors import SupplementalData
from bluesky.suspenders import SuspendBoolHigh
from bluesky.utils import Msg
from ophyd import Signal

from doubles import Gate
from freewheel import BlockingRunEngine, PlanCall, ResourceConflictError, RunEngine, preview
from freewheel.engine._owned_tasks import WAIT_FOR_OWNED
from freewheel.engine.commands import COMMANDS
from freewheel.plan_stubs import background, wait_for_background
from freewheel.plans import live_view
from freewheel.previews import Times
from freewheel.previews._budget import Budget
from freewheel.previews._journey import Journey
from freewheel.previews._look import Looker
from freewheel.recording import Recorder
from freewheel.sim import Microscope, microscope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def scope() -> Microscope:
    return microscope(shape=(16, 16), instant=True)


def test_what_the_preprocessors_add_is_counted(RE: RunEngine, scope: Microscope) -> None:
    RE.preprocessors.append(SupplementalData(baseline=[scope.temperature]))
    assert RE.preview(bp.count, [scope.camera]).events == {"baseline": 2, "primary": 1}
    assert preview(bp.count, [scope.camera]).events == {"primary": 1}


def test_what_does_not_say_where_it_writes_is_left_out(RE: RunEngine) -> None:
    class Broken:
        name, parent = "broken", None

        @property
        def writes_to(self) -> str:
            raise RuntimeError("not yet")

        def __call__(self, name: str, doc: Any) -> None: ...
        def set(self, value: Any) -> Any: ...

    RE.subscribe(Broken())
    foreseen = RE.preview(bps.abs_set, Broken(), 1)
    assert (foreseen.disks, foreseen.problems) == ((), ())


def test_what_may_hold_a_plan_up_is_named_and_not_foreseen(
    RE: RunEngine, scope: Microscope
) -> None:
    tripped = [False]
    RE.interlocks.add("door", lambda: tripped[0], devices=[scope.lamp])
    RE.interlocks.add("water", lambda: False, devices=[scope.camera], otherwise="fail")
    RE.install_suspender(SuspendBoolHigh(Signal(name="beam", value=0)))
    RE.queue.every(600, bps.null)
    plan = bps.mv, scope.lamp, 50
    foreseen = RE.preview(*plan)
    assert foreseen.unforeseen == (
        "whether the interlock 'door' holds it up",
        "whether the suspender SuspendBoolHigh holds it up",
        "that null takes its place every 10 min 0 s",
    )
    tripped[0] = True
    text = str(RE.preview(*plan))
    assert "not foreseen: the interlock 'door' holds it up while it is tripped" in text
    assert "makes it fail" in RE.preview(bp.count, [scope.camera]).unforeseen[0]


class Huge:
    """A detector whose frames fit onto no disk."""

    name, parent = "huge", None

    def __init__(self, folder: Path) -> None:
        self.writes_to = folder

    def read(self) -> Any: ...

    def describe(self) -> Any:
        return {"huge": {"dtype": "array", "shape": [10**9, 10**9], "dtype_numpy": "<u2"}}


def test_what_recorders_and_detectors_write_is_compared_with_what_is_free(
    RE: RunEngine, tmp_path: Path
) -> None:
    scope = microscope(shape=(100, 100), instant=True, directory=tmp_path / "frames")
    (frames,) = RE.preview(bp.count, [scope.file_camera], 3).disks
    assert (frames.path, frames.needed) == (str(tmp_path / "frames"), 60_000)
    assert frames.free > 0
    token = RE.subscribe(Recorder(tmp_path / "runs"), delivery="queued")
    both = RE.preview(bp.count, [scope.camera, scope.file_camera], 3)
    assert {disk.path: disk.needed for disk in both.disks} == {
        str(tmp_path / "frames"): 60_000,
        str(tmp_path / "runs"): pytest.approx(60_000, rel=0.01),
    }
    assert not both.problems
    assert f"writes 60 kB to {tmp_path}" in str(both)
    short = RE.preview(bp.count, [Huge(tmp_path)], 3)
    (problem,) = short.problems
    assert problem.is_guess
    assert "are free" in problem.text
    assert not short.is_wrong
    (live,) = RE.preview(live_view, [scope.camera]).disks
    assert live.lasts is not None
    assert live.lasts > 0
    RE.unsubscribe(token)
    assert not RE.preview(bp.count, [scope.camera], 3).disks


def test_a_command_of_the_users_is_known(RE: RunEngine) -> None:
    async def shine(msg: Msg) -> None: ...

    RE.register_command("shine", shine)
    assert not RE.preview([Msg("shine")]).problems
    RE.unregister_command("shine")
    assert RE.preview([Msg("shine")]).is_wrong


def test_who_has_the_devices_is_told(RE: RunEngine, scope: Microscope) -> None:
    task = RE.background.launch(
        live_view([scope.camera]), name="live", claims=[scope.camera], on_conflict="pause"
    )
    with RE.claims.hold(scope.focus, "manual move"):
        foreseen = RE.preview(bp.scan, [scope.camera], scope.focus, 0, 1, 2)
    assert foreseen.rivals == ("live gives way: it has camera", "manual move has focus")
    assert "manual move has focus" in str(foreseen)
    task.cancel()
    task.wait(10)
    assert RE.preview(bp.count, [scope.camera]).rivals == ()


def test_a_preview_in_the_middle_of_a_plan_changes_nothing(
    RE: RunEngine, scope: Microscope, gate: Gate
) -> None:
    running = RE(gate.plan())
    gate.wait()
    assert RE.preview(bp.count, [scope.camera], 3).num_events == 3
    gate.open()
    running.result(10)


def test_on_the_engines_own_thread(RE: RunEngine, scope: Microscope) -> None:
    seen = []
    RE.subscribe(lambda *_: seen.append(RE.preview(bp.scan, [], scope.focus, 0, 1, 2)), "start")
    RE(bp.count([scope.camera])).result(10)
    assert seen[0].num_events == 2


def test_a_blocking_engine_has_it_too(scope: Microscope) -> None:
    with BlockingRunEngine() as engine:
        assert engine.preview(PlanCall(bp.count, ([scope.camera],))).num_events == 1


def _uses(
    scope: Microscope, later: Callable[[], Any], *, check: bool = True, payload: Any = None
) -> Iterator[Msg]:
    task = payload or bps.mv(scope.focus, 2)
    yield from background(task, name="move", check=check)
    yield from wait_for_background("move")
    yield from later()


def test_a_task_that_the_plan_would_fight_with_is_refused(RE: RunEngine, scope: Microscope) -> None:
    call = PlanCall(_uses, (scope, lambda: bps.mv(scope.focus, 0)))
    with pytest.raises(ResourceConflictError, match="'move' needs 'focus', which '_uses' holds"):
        RE(call).result(10)
    assert scope.focus.position == 0.0


def test_a_task_that_it_does_not_fight_with_is_not(RE: RunEngine, scope: Microscope) -> None:
    RE(PlanCall(_uses, (scope, lambda: bps.mv(scope.lamp, 20)))).result(10)
    assert scope.focus.position == 2.0


def test_without_a_check_it_is_dealt_with_when_it_comes(RE: RunEngine, scope: Microscope) -> None:
    call = PlanCall(_uses, (scope, lambda: bps.mv(scope.focus, 1)), {"check": False})
    RE(call).result(10)
    assert scope.focus.position == 1.0


def test_of_a_generator_nothing_is_known(RE: RunEngine, scope: Microscope) -> None:
    RE(_uses(scope, lambda: bps.mv(scope.focus, 1))).result(10)
    assert scope.focus.position == 1.0


def test_every_command_of_the_engine_is_one_of_previews() -> None:
    sent_by_the_engine_itself = {WAIT_FOR_OWNED}
    known = Journey(
        [], "", looker=Looker(), times=Times(), budget=Budget(1, 1.0)
    ).main.handlers.keys()
    assert set(COMMANDS) - sent_by_the_engine_itself <= known
