"""Two cameras of one core, which takes frames of one of them at a time by itself."""

# ruff: noqa: N803

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest

from freewheel import ResourceConflictError
from freewheel.micromanager import devices
from freewheel.plan_stubs import background, cancel_background, wait_for_background
from freewheel.plans import live_view, mda

if TYPE_CHECKING:
    from freewheel import RunEngine

WAIT = 30


@pytest.fixture
def scope_of_pair(core: Any, on_loop: Any) -> Any:
    core.loadDevice("Second", "DemoCamera", "DCam")
    core.initializeDevice("Second")
    made = devices(core)
    on_loop(made.connect())
    return made


@pytest.fixture
def pair(scope_of_pair: Any) -> Any:
    return scope_of_pair["camera"], scope_of_pair["second"]


def fly(camera: Any, frames: int, *, begun: Any = None) -> Any:
    """Let a camera take frames by itself."""
    yield from bps.open_run()
    yield from bps.stage(camera, wait=True)
    yield from bps.prepare(camera, frames, wait=True)
    yield from bps.kickoff(camera, wait=True)
    if begun is not None:
        yield from begun
    yield from bps.complete(camera, wait=True)
    yield from bps.unstage(camera, wait=True)
    yield from bps.close_run()


def test_a_sequence_of_one_keeps_the_other_from_all(RE: RunEngine, pair):
    camera, second = pair
    for wanted in (bps.trigger(second, wait=True), fly(second, 5)):
        task = background(wanted, name="behind", on_conflict="error")
        error = RE(fly(camera, 100_000, begun=_waited_for(task))).exception(WAIT)
        assert isinstance(error, ResourceConflictError)
        assert "'behind' needs 'second', which 'fly' holds with 'camera'" in str(error)


def _waited_for(task: Any, name: str = "behind") -> Any:
    yield from task
    yield from wait_for_background(name)


def test_the_other_waits_for_the_end_of_a_sequence(RE: RunEngine, pair):
    camera, second = pair
    order: list[str] = []

    def behind() -> Any:
        yield from bps.trigger(second, wait=True)
        order.append("second")

    def then() -> Any:
        yield from background(behind(), name="behind", on_conflict="pause")

    def whole() -> Any:
        yield from fly(camera, 30, begun=then())
        order.append("camera")

    RE(whole()).result(WAIT)
    assert order == ["camera", "second"]


def test_a_live_view_that_runs_freely_gives_way_to_the_other(RE: RunEngine, pair):
    camera, second = pair
    RE(bps.mv(camera.free_running, True)).result(WAIT)
    seen: list[str] = []
    RE.subscribe(lambda name, doc: seen.append(name), "event")

    def plan() -> Any:
        yield from background(live_view([camera]), name="live", on_conflict="pause")
        while not seen:
            yield from bps.null()
        yield from fly(second, 5)
        assert RE.background["live"].status == "paused"
        yield from cancel_background("live")

    RE(plan()).result(WAIT)


def test_both_can_be_snapped_in_turn_by_two_plans(RE: RunEngine, core, pair, documents):
    camera, second = pair
    assert (
        core.getAutoShutter()
    )  # the core moves the one shutter for each frame, and they take turns

    def plan() -> Any:
        yield from background(bp.count([camera], 5), name="live", on_conflict="error")
        yield from bp.count([second], 5)

    RE(plan()).result(WAIT)
    assert len(documents.events()) == 10


def test_a_shutter_that_frames_move_is_not_moved_under_them(RE: RunEngine, pair, scope_of_pair):
    camera, _ = pair
    shutter = scope_of_pair.shutter
    closed = bps.mv(shutter, "Closed")
    task = background(closed, name="dark", on_conflict="error")
    error = RE(fly(camera, 100_000, begun=_waited_for(task, "dark"))).exception(WAIT)
    assert isinstance(error, ResourceConflictError)
    assert "'dark' needs 'white_light_shutter', which 'fly' holds with 'camera'" in str(error)


def test_a_shutter_that_a_plan_holds_is_not_moved_by_frames(RE: RunEngine, pair, scope_of_pair):
    _, second = pair
    snap = background(bps.trigger(second, wait=True), name="behind", on_conflict="error")

    def plan() -> Any:
        yield from bps.open_run()
        yield from bps.mv(scope_of_pair.shutter, "Open")
        yield from _waited_for(snap)

    error = RE(plan()).exception(WAIT)
    assert isinstance(error, ResourceConflictError)
    assert "'behind' needs 'second', which 'plan' holds with 'white_light_shutter'" in str(error)


def test_a_shutter_that_frames_leave_alone_is_free(RE: RunEngine, pair, scope_of_pair, documents):
    camera, _ = pair
    RE(bps.mv(scope_of_pair["core"].auto_shutter, False)).result(WAIT)

    def plan() -> Any:
        yield from background(bp.count([camera], 5), name="live", on_conflict="error")
        yield from bps.mv(scope_of_pair.shutter, "Open")

    RE(plan()).result(WAIT)
    assert len(documents.events()) == 5


def test_cameras_know_of_one_another_though_nobody_keeps_all_devices(RE: RunEngine, core, on_loop):
    core.loadDevice("Second", "DemoCamera", "DCam")
    core.initializeDevice("Second")
    made = devices(core)
    on_loop(made.connect())
    camera, second, shutter = made["camera"], made["second"], made.shutter
    del made
    gc.collect()
    RE(bps.mv(camera.free_running, True)).result(WAIT)
    assert list(camera.claimed_devices()) == [second]
    assert list(shutter.claimed_devices()) == [camera, second]


def test_what_a_sequence_has_held_is_free_after_it(RE: RunEngine, pair):
    camera, second = pair
    RE(fly(camera, 5)).result(WAIT)
    assert second not in RE.claims
    RE(fly(second, 5)).result(WAIT)
    assert len(RE.claims) == 0


@pytest.fixture
def both_in_one(core: Any, on_loop: Any) -> Any:
    core.loadDevice("Second", "DemoCamera", "DCam")
    core.loadDevice("Both", "Utilities", "Multi Camera")
    for label in ("Second", "Both"):
        core.initializeDevice(label)
    core.setProperty("Both", "Physical Camera 1", "Camera")
    core.setProperty("Both", "Physical Camera 2", "Second")
    core.setProperty("Second", "PixelType", core.getProperty("Camera", "PixelType"))
    core.setCameraDevice("Both")
    made = devices(core)
    on_loop(made.connect())
    return made


def test_two_cameras_that_are_one_are_snapped_together(RE: RunEngine, both_in_one, documents):
    both = both_in_one.camera
    assert set(both.claimed_devices()) == {both_in_one["camera"], both_in_one["second"]}
    RE(bp.count([both], 2)).result(WAIT)
    RE(mda({"channels": ["DAPI"], "time_plan": {"interval": 0, "loops": 3}}, both_in_one)).result(
        WAIT
    )
    assert [frame.shape for frame in documents.data("both-image")] == [(2, 512, 512)] * 5
    shapes = [d["data_keys"]["both-image"]["shape"] for d in documents.of("descriptor")]
    assert shapes == [[2, 512, 512]] * 2


def test_two_cameras_that_are_one_do_not_fly(RE: RunEngine, core, both_in_one):
    error = RE(fly(both_in_one.camera, 5)).exception(WAIT)
    assert "it has 2 channels, and is for snaps alone here" in str(error)
    assert not core.isSequenceRunning()


def test_two_cameras_that_are_one_and_differ_are_told_so(RE: RunEngine, core, both_in_one):
    core.setProperty("Second", "PixelType", "8bit")
    error = RE(bps.trigger(both_in_one.camera, wait=True)).exception(WAIT)
    assert "'Both' could not take a frame: its cameras differ in the size or the type" in str(error)
