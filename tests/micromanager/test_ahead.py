"""Frames that are asked for while the one before is taken."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from bluesky.plan_stubs import mv
from bluesky.utils import RunEngineInterrupted

from doubles import at_message
from freewheel import InterlockError, RunEngine
from freewheel.core import TriggersAhead
from freewheel.micromanager._ahead import AheadFrames
from freewheel.plans import live_view
from freewheel.testing import DocumentLog, assert_valid

if TYPE_CHECKING:
    from freewheel.micromanager import MicroManagerDevices

WAIT = 60


def fast(scope: Any, frames: int = 0) -> Any:
    return live_view([scope.camera], rate=1e6, frames=frames, at_once=True)


def test_a_live_view_without_a_pace_asks_for_the_next_frame_ahead(
    RE: RunEngine, scope, documents: DocumentLog
):
    assert isinstance(scope.camera, TriggersAhead)
    messages: list[Any] = []
    RE.msg_hook = messages.append
    RE(fast(scope, 4)).result(WAIT)
    steps = [msg for msg in messages if msg.command in ("trigger", "wait", "save")]
    first = next(n for n, msg in enumerate(steps) if msg.command == "trigger")
    taken = [(msg.command, msg.kwargs.get("ahead", False)) for msg in steps[first:-1]]
    plain, ahead = ("trigger", False), ("trigger", True)
    frame = [("wait", False), ("save", False)]
    assert taken == [plain, ahead, *frame, ahead, *frame, ahead, *frame, *frame]
    assert len({frame.ctypes.data for frame in documents.data("camera-image", "live")}) == 4
    assert_valid(documents)


@pytest.mark.parametrize("what", ["a pace", "a long exposure", "a camera that runs freely"])
def test_otherwise_each_frame_is_taken_by_itself(RE: RunEngine, scope, what: str):
    rate = 1e6
    if what == "a pace":
        rate = 1000
    elif what == "a long exposure":
        RE(mv(scope.camera.exposure, 100)).result(WAIT)
    else:
        RE(mv(scope.camera.free_running, True)).result(WAIT)
    messages: list[Any] = []
    RE.msg_hook = messages.append
    RE(live_view([scope.camera], rate=rate, frames=2, at_once=True)).result(WAIT)
    assert [msg.command for msg in messages].count("acquire") == 2


@pytest.mark.parametrize("frames", [1, 3])
def test_a_frame_is_kept_when_the_next_one_is_refused(
    RE: RunEngine, scope, documents: DocumentLog, frames: int
):
    triggers: list[Any] = []
    RE.msg_hook = lambda msg: triggers.append(msg) if msg.command == "trigger" else None
    RE.interlocks.add(
        "door",
        lambda: len(triggers) > frames,
        devices=scope.camera,
        verbs=("trigger",),
        otherwise="fail",
    )
    error = RE(fast(scope)).exception(WAIT)
    assert isinstance(error, InterlockError)
    assert len(documents.events("live")) == frames
    assert_valid(documents)


def test_a_loop_that_is_held_up_misses_no_frame(scope: MicroManagerDevices, on_loop: Any):
    camera = scope.camera
    assert camera is not None

    async def take() -> list[int]:
        first = camera.trigger()
        second = camera.trigger(ahead=True)
        # Behind both: they have come, and the loop has heard of it.
        await camera._port.camera_lane.call(lambda: None)
        assert first.done
        assert not second.done
        places = [(await camera.read())["camera-image"]["value"].ctypes.data]
        await second
        return [*places, (await camera.read())["camera-image"]["value"].ctypes.data]

    assert len(set(on_loop(take()))) == 2


def test_a_plain_trigger_waits_for_no_reading(scope: MicroManagerDevices, on_loop: Any):
    camera = scope.camera
    assert camera is not None

    async def take() -> None:
        given_up = [camera.trigger(), camera.trigger(ahead=True)]
        again = [camera.trigger(), camera.trigger(ahead=True)]
        for status in [*given_up, again[0]]:
            await status
        await camera.read()
        await again[1]

    on_loop(take())


def test_what_is_asked_for_ahead_is_not_taken_when_the_camera_is_unstaged(scope, on_loop):
    camera = scope.camera
    shown: list[Any] = []

    async def take() -> None:
        camera.image.subscribe_reading(shown.append)
        await asyncio.sleep(0)
        shown.clear()
        await camera.exposure.set(500)
        first, second = camera.trigger(), camera.trigger(ahead=True)
        await camera.unstage()
        await first
        await second
        camera.image.clear_sub(shown.append)

    on_loop(take())
    assert len(shown) == 1


async def test_unstaging_waits_for_an_exposure_that_has_begun():
    frames = AheadFrames()
    asked, waiting = frames.ask(), frames.ask()
    await frames.over()  # nothing has begun
    asked.begun = True
    over = asyncio.create_task(frames.over())
    await asyncio.sleep(0)
    assert not over.done()
    asked.when_read(lambda: None)
    await over
    assert not waiting.over.done()


def test_a_pause_anywhere_takes_anew_what_was_asked_for(RE: RunEngine, scope):
    messages: list[Any] = []
    RE.msg_hook = messages.append
    RE(fast(scope, 3)).result(WAIT)
    first = next(n for n, msg in enumerate(messages) if msg.command == "checkpoint")
    for number in range(first + 1, len(messages), 2):
        log = DocumentLog()
        token = RE.subscribe(log)
        at_message(RE, number, RE.request_pause)
        if isinstance(RE(fast(scope, 3)).exception(WAIT), RunEngineInterrupted):
            RE.msg_hook = None
            RE.resume().result(WAIT)
        RE.unsubscribe(token)
        assert {event["seq_num"] for event in log.events("live")} == {1, 2, 3}, number


def test_nothing_of_it_is_under_way_in_a_pause(RE: RunEngine, scope, on_loop):
    RE(mv(scope.camera.exposure, 40)).result(WAIT)
    messages: list[Any] = []

    # With one frame exposed, one asked for, and the plan waiting for the first.
    def pause(msg: Any) -> None:
        messages.append(msg.command)
        if messages.count("wait") == 3:
            RE.msg_hook = None
            RE.request_pause()

    RE.msg_hook = pause
    with pytest.raises(RunEngineInterrupted):
        RE(fast(scope)).result(WAIT)

    async def over() -> None:
        await scope.camera._port.camera_lane.call(lambda: None)

    on_loop(over())
    assert "has under way" not in RE.explain()
    RE.stop().result(WAIT)


def test_a_snapshot_of_it_is_a_frame_of_its_own(RE: RunEngine, scope, documents: DocumentLog):
    def snap(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == 2:
            RE.unsubscribe(token)
            RE.trigger_action("snap")

    token = RE.subscribe(snap)
    view = RE(fast(scope, 5)).result(WAIT).plan_result
    assert (view.frames, view.snapshots) == (5, 1)
    frames = [event["data"]["camera-image"] for event in documents.events("live")]
    frames += [event["data"]["camera-image"] for event in documents.events("snapshot")]
    assert len({frame.ctypes.data for frame in frames}) == len(frames)


def set_binning(scope: Any) -> Any:
    return scope.camera.binning.set(4)


def set_a_group(scope: Any) -> Any:
    return scope["camera_group"].set("LowRes")


def set_exposure(scope: Any) -> Any:
    return scope.camera.exposure.set(2)


@pytest.mark.parametrize("change", [set_binning, set_a_group, set_exposure])
def test_a_frame_that_began_before_a_change_is_of_before(scope, on_loop, change: Any):
    camera = scope.camera

    async def take() -> list[tuple[int, ...]]:
        await camera.exposure.set(30)
        begun = camera.trigger()
        changed = change(scope)
        ended = []
        begun.add_callback(lambda _: ended.append(changed.done))
        await changed
        assert ended == [False]
        shapes = [(await camera.read())["camera-image"]["value"].shape]
        await camera.trigger()
        return [*shapes, (await camera.read())["camera-image"]["value"].shape]

    after = (512, 512) if change is set_exposure else (128, 128)
    assert on_loop(take()) == [(512, 512), after]


def test_a_hand_changes_it_between_two_frames(RE: RunEngine, scope, documents: DocumentLog):
    began = RE(fast(scope))

    def change(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == 3:
            RE.unsubscribe(token)
            changes.append(RE.by_hand.set(scope.camera.binning, 4, between=True))
            changes[0].add_done_callback(lambda _: RE.subscribe(stop))

    def stop(name: str, doc: Any) -> None:
        if doc.get("seq_num", 0) > 10:
            RE.stop()

    changes: list[Any] = []
    token = RE.subscribe(change)
    began.outcome.result(WAIT)
    changes[0].result(WAIT)
    shapes = [event["data"]["camera-image"].shape for event in documents.events("live")]
    assert shapes == sorted(shapes, reverse=True)  # no frame in between that is neither
    assert set(shapes) == {(512, 512), (128, 128)}
    assert all(event["data"]["camera-image"].any() for event in documents.events("live"))
