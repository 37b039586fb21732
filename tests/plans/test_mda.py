"""useq's sequences as a plan: the events are useq's, in useq's order, whatever the sequence."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from concurrent.futures import wait
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import useq
from bluesky.utils import RunEngineInterrupted
from hypothesis import HealthCheck, given, settings
from ophyd_async.core import AsyncStatus, StandardReadable, SubsetEnum, soft_signal_rw

from doubles import at_message
from freewheel import RunEngine
from freewheel.plan_stubs import background, sleep, wait_for_background
from freewheel.plans import FINISH, MDADevices, live_view, mda
from freewheel.sim import SimCamera
from freewheel.testing import DocumentLog, assert_emitted, assert_valid
from useq_sequences import CHANNELS, sequences

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 60

Channel = SubsetEnum("Channel", {name.upper(): name for name in CHANNELS})


class Autofocus(StandardReadable):
    """Finds the focus half a micrometre above where it is; fails as often as it is told."""

    def __init__(self, z: Any, name: str) -> None:
        self.moves = (z,)
        self.failures = 0
        self.searched = 0
        self.offset = soft_signal_rw(float)
        super().__init__(name=name)

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        self.searched += 1
        if self.failures:
            self.failures -= 1
            raise RuntimeError("nothing to see")
        await self.moves[0].set(await self.moves[0].get_value() + 0.5)


class Scope:
    """A microscope without inertia, that remembers what was asked of it."""

    def __init__(self) -> None:
        self.x = soft_signal_rw(float, units="um", name="x")
        self.y = soft_signal_rw(float, units="um", name="y")
        self.z = soft_signal_rw(float, units="um", name="z")
        self.channel = soft_signal_rw(Channel, name="channel")
        self.exposure = soft_signal_rw(float, 1.0, name="exposure")
        self.auto_shutter = soft_signal_rw(bool, True, name="auto_shutter")
        self.shutter = soft_signal_rw(str, "Closed", name="shutter")
        self.gain = soft_signal_rw(int, name="gain")
        self.camera = SimCamera("camera", shape=(16, 16), exposure=0, readout=0)
        self.autofocus = Autofocus(self.z, "autofocus")

    def all(self) -> list[Any]:
        return [device for device in vars(self).values() if hasattr(device, "connect")]

    def mda_devices(self) -> MDADevices:
        return MDADevices(
            camera=self.camera,
            exposure=self.exposure,
            x=self.x,
            y=self.y,
            z=self.z,
            channels={"Channel": self.channel},
            properties={("Camera", "Gain"): self.gain},
            shutter=self.shutter,
            auto_shutter=self.auto_shutter,
            autofocus=self.autofocus,
            autofocus_offset=self.autofocus.offset,
            readables=[self.x, self.y, self.z, self.channel, self.shutter],
        )


def connected(engine: RunEngine) -> Scope:
    scope = Scope()

    async def connect() -> None:
        for device in scope.all():
            await device.connect()

    asyncio.run_coroutine_threadsafe(connect(), engine.loop).result(WAIT)
    return scope


@pytest.fixture
def scope(RE: RunEngine) -> Scope:
    return connected(RE)


@pytest.fixture
def documents(RE: RunEngine) -> DocumentLog:
    log = DocumentLog()
    RE.subscribe(log)
    return log


@pytest.fixture(scope="module")
def engine() -> Iterator[RunEngine]:
    with RunEngine() as engine:
        yield engine


def anew(sequence: useq.MDASequence) -> useq.MDASequence:
    """Return the sequence as nobody has gone through it: useq's autofocus plans have a memory."""
    return useq.MDASequence.model_validate_json(sequence.model_dump_json(exclude_unset=True))


def index_of(event: Any) -> dict[str, int]:
    """Return the index that an event document tells of."""
    axes = event["data"]
    return {axis: axes[f"mda-{axis}"] for axis in "tpgcz" if axes.get(f"mda-{axis}", -1) >= 0}


@pytest.mark.leaks("the engine is the module's")
@pytest.mark.filterwarnings("ignore::UserWarning:useq", "ignore::UserWarning:pydantic")
@settings(max_examples=100, deadline=None, suppress_health_check=[*HealthCheck], derandomize=True)
@given(sequence=sequences())
def test_the_events_are_useqs_in_useqs_order(engine: RunEngine, sequence: useq.MDASequence):
    scope = connected(engine)
    log = DocumentLog()
    token = engine.subscribe(log)
    result = engine(mda(sequence, scope)).result(WAIT).plan_result
    engine.unsubscribe(token)
    assert_valid(log)
    sequence = anew(sequence)
    every = list(sequence)
    wanted = [e for e in every if e.action.type == "acquire_image"]
    assert [index_of(event) for event in log.events()] == [dict(event.index) for event in wanted]
    assert result.events == len(wanted)
    assert scope.autofocus.searched == len(every) - len(wanted)
    (start,) = log.of("start")
    assert start["num_points"] == len(wanted)
    again = useq.MDASequence.model_validate(start["useq_sequence"])
    assert [e.model_dump(exclude={"sequence"}) for e in again] == [
        e.model_dump(exclude={"sequence"}) for e in every
    ]
    json.dumps(start["useq_sequence"])
    _check_places(log, every)
    assert asyncio.run_coroutine_threadsafe(scope.auto_shutter.get_value(), engine.loop).result()


def _check_places(log: DocumentLog, sequence: list[useq.MDAEvent]) -> None:
    """Check that each frame was taken where, and with what, its event says."""
    corrections: dict[Any, float] = {}
    place = {"x": 0.0, "y": 0.0, "z": 0.0}
    events = iter(log.events())
    channel = None
    for wanted in sequence:
        position = wanted.index.get("p")
        for axis in "xy":
            value = getattr(wanted, f"{axis}_pos")
            place[axis] = place[axis] if value is None else value
        if wanted.z_pos is not None:
            place["z"] = wanted.z_pos + corrections.get(position, 0.0)
        if wanted.action is not None and wanted.action.type == "hardware_autofocus":
            corrections[position] = corrections.get(position, 0.0) + 0.5
            place["z"] += 0.5
            continue
        data = next(events)["data"]
        assert {axis: data[axis] for axis in "xyz"} == pytest.approx(place)
        if wanted.channel is not None:
            channel = wanted.channel.config
            assert data["mda-channel"] == channel
        if channel is not None:
            assert data["channel"] == channel
        if wanted.exposure is not None:
            assert data["mda-exposure"] == wanted.exposure
        assert data["mda-position"] == (wanted.pos_name or "")
        assert data["shutter"] == ("Open" if wanted.keep_shutter_open else data["shutter"])
    assert next(events, None) is None


def test_the_axes_are_dimensions(RE: RunEngine, scope, documents: DocumentLog):
    sequence = useq.MDASequence(channels=["DAPI", "FITC"], z_plan={"range": 2, "step": 1})
    RE(mda(sequence, scope, md={"sample": "beads"})).result(WAIT)
    (start,) = documents.of("start")
    assert start["hints"]["dimensions"] == [(["mda-c"], "primary"), (["mda-z"], "primary")]
    assert start["plan_name"] == "mda"
    assert start["sample"] == "beads"
    assert useq.MDASequence.model_validate(start["useq_sequence"]) == sequence
    assert_emitted(documents, start=1, descriptor=1, event=6, stop=1)


def test_a_sequence_may_be_a_file_or_fields_or_events(
    RE: RunEngine, scope, documents: DocumentLog, tmp_path
):
    sequence = useq.MDASequence(channels=["DAPI"], time_plan={"interval": 0, "loops": 2})
    file = tmp_path / "sequence.yaml"
    file.write_text(sequence.yaml())
    for source in (file, str(file), sequence.model_dump(), list(sequence)):
        documents.clear()
        RE(mda(source, scope)).result(WAIT)
        assert [index_of(event) for event in documents.events()] == [
            {"t": 0, "c": 0},
            {"t": 1, "c": 0},
        ]
    events = documents.of("start")[0]["useq_events"]
    assert [useq.MDAEvent.model_validate(event).index for event in events] == [
        event.index for event in sequence
    ]


def test_times_are_kept_and_the_timer_begins_anew(RE: RunEngine, scope, documents: DocumentLog):
    events = [
        useq.MDAEvent(index={"t": 0}, min_start_time=0, reset_event_timer=True),
        useq.MDAEvent(index={"t": 1}, min_start_time=0.1),
        useq.MDAEvent(index={"t": 2}, min_start_time=0.0, reset_event_timer=True),
        useq.MDAEvent(index={"t": 3}, min_start_time=0.2),
    ]
    RE(mda(events, scope)).result(WAIT)
    elapsed = documents.data("mda-elapsed")
    assert elapsed[1] >= 0.1
    # The third one's own time is no measure: the timer has begun anew a moment before it is read.
    assert elapsed[3] - elapsed[1] >= 0.2
    assert documents.data("mda-t") == [0, 1, 2, 3]


def test_the_time_of_a_pause_does_not_count(RE: RunEngine, scope, documents: DocumentLog):
    sequence = useq.MDASequence(time_plan={"interval": 0.3, "loops": 3})

    def pause(name: str, doc: Any) -> None:
        if name == "event":
            RE.unsubscribe(token)
            RE.request_pause()

    token = RE.subscribe(pause)
    began = time.monotonic()
    with pytest.raises(RunEngineInterrupted):
        RE(mda(sequence, scope)).result(WAIT)
    paused = time.monotonic()
    assert not threading.Event().wait(0.7)  # longer than what is left of the sequence
    assert len(documents.events()) == 1
    away = time.monotonic() - paused
    RE.resume().result(WAIT)
    ended = time.monotonic()
    # The first may be there twice: a pause before its next checkpoint takes it again.
    assert {event["seq_num"] for event in documents.events()} == {1, 2, 3}
    assert 0.6 <= documents.data("mda-elapsed")[-1] < ended - began - away


def test_a_pause_between_any_two_messages_costs_no_frame(RE: RunEngine, scope):
    sequence = useq.MDASequence(
        channels=["DAPI", "FITC"], z_plan={"range": 2, "step": 1}, stage_positions=[(1, 2, 3)]
    )
    wanted = [dict(event.index) for event in sequence]
    messages: list[Any] = []
    RE.msg_hook = messages.append
    RE(mda(sequence, scope)).result(WAIT)
    for number in range(3, len(messages), 7):
        log = DocumentLog()
        token = RE.subscribe(log)
        at_message(RE, number, RE.request_pause)
        future = RE(mda(sequence, scope))
        if isinstance(future.exception(WAIT), RunEngineInterrupted):
            RE.msg_hook = None
            RE.resume().result(WAIT)
        RE.unsubscribe(token)
        # An event that was taken up to its end may be there twice, under one number, as ever.
        by_number = {event["seq_num"]: index_of(event) for event in log.events()}
        assert list(by_number.values()) == wanted, number


def test_a_hand_that_moved_something_in_a_pause_is_put_right(
    RE: RunEngine, scope, documents: DocumentLog
):
    sequence = useq.MDASequence(stage_positions=[(1, 2, 3)], channels=["DAPI", "FITC", "Cy5"])

    def pause_after_first(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == 1:
            RE.unsubscribe(token)  # it is taken again afterwards
            RE.request_pause()

    token = RE.subscribe(pause_after_first)
    with pytest.raises(RunEngineInterrupted):
        RE(mda(sequence, scope)).result(WAIT)

    async def move() -> None:
        await scope.z.set(99.0)

    asyncio.run_coroutine_threadsafe(move(), RE.loop).result(WAIT)
    RE.resume().result(WAIT)
    assert set(documents.data("z")) == {3}


class PlacedCamera(StandardReadable):
    """Takes frames that say where the focus was when they were exposed."""

    def __init__(self, z: Any, name: str) -> None:
        self.moves = (z,)
        self.exposed = 0
        self.fails_at = 0
        with self.add_children_as_readables():
            self.seen = soft_signal_rw(float)
        super().__init__(name=name)

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        self.exposed += 1
        exposed = self.exposed
        place = await self.moves[0].get_value()
        await asyncio.sleep(0.001)
        if exposed == self.fails_at:
            raise RuntimeError("no light")
        await self.seen.set(place)


def with_placed_camera(RE: RunEngine, scope: Scope) -> MDADevices:
    camera = PlacedCamera(scope.z, "camera")
    asyncio.run_coroutine_threadsafe(camera.connect(), RE.loop).result(WAIT)
    return replace(scope.mda_devices(), camera=camera)


ALIKE = useq.MDASequence(stage_positions=[(1, 2, 3)], time_plan={"interval": 0, "loops": 4})


def test_the_camera_exposes_for_the_next_event_while_documents_go_out(
    RE: RunEngine, scope, documents: DocumentLog
):
    devices = with_placed_camera(RE, scope)
    exposed: list[int] = []
    RE.subscribe(lambda name, _: exposed.append(devices.camera.exposed), "event")
    messages: list[str] = []
    RE.msg_hook = lambda msg: messages.append(msg.command)
    RE(mda(ALIKE, devices)).result(WAIT)
    assert exposed == [2, 3, 4, 4]
    assert messages.count("trigger") == 4
    assert "locate" not in messages  # no event asks for the shutter's or the autofocus' state
    assert documents.data("mda-t") == [0, 1, 2, 3]
    assert_valid(documents)
    # With something to set in between it does not.
    exposed.clear()
    RE(mda({"channels": ["DAPI", "FITC"]}, devices)).result(WAIT)
    assert exposed == [5, 6]


def test_a_pause_anywhere_exposes_anew_what_was_exposed_ahead(RE: RunEngine, scope):
    devices = with_placed_camera(RE, scope)
    messages: list[Any] = []
    RE.msg_hook = messages.append
    RE(mda(ALIKE, devices)).result(WAIT)

    async def move() -> None:
        await scope.z.set(99.0)

    first = next(n for n, msg in enumerate(messages) if msg.command == "checkpoint")
    for number in range(first + 1, len(messages), 3):
        log = DocumentLog()
        token = RE.subscribe(log)
        at_message(RE, number, RE.request_pause)
        if isinstance(RE(mda(ALIKE, devices)).exception(WAIT), RunEngineInterrupted):
            RE.msg_hook = None
            asyncio.run_coroutine_threadsafe(move(), RE.loop).result(WAIT)
            RE.resume().result(WAIT)
        RE.unsubscribe(token)
        by_number = {event["seq_num"]: event["data"] for event in log.events()}
        taken = [(data["mda-t"], data["z"], data["camera-seen"]) for data in by_number.values()]
        assert taken == [(t, 3, 3) for t in range(4)], number


@pytest.mark.parametrize(("action", "at", "taken"), [("skip", 2, (4, 1)), ("finish", 3, (3, 0))])
def test_what_was_exposed_ahead_is_dropped_when_a_user_wants_it_no_more(
    RE: RunEngine, scope, documents: DocumentLog, action: str, at: int, taken: tuple[int, int]
):
    devices = with_placed_camera(RE, scope)
    events = [useq.MDAEvent(index={"t": t, "p": 0}) for t in (0, 0, 0, 1, 1)]
    trigger_after(RE, action, at)
    result = RE(mda(events, devices)).result(WAIT).plan_result
    assert (result.events, result.skipped) == taken
    assert len(documents.events()) == taken[0]
    assert devices.camera.exposed == taken[0] + 1


def test_a_frame_is_recorded_though_the_next_one_fails(
    RE: RunEngine, scope, documents: DocumentLog
):
    devices = with_placed_camera(RE, scope)
    devices.camera.fails_at = 3
    assert "no light" in str(RE(mda(ALIKE, devices)).exception(WAIT))
    assert documents.data("mda-t") == [0, 1]

    class Refusing(PlacedCamera):
        def trigger(self) -> Any:
            if self.exposed == 2:
                raise RuntimeError("no film")
            return super().trigger()

    camera = Refusing(scope.z, "camera")
    asyncio.run_coroutine_threadsafe(camera.connect(), RE.loop).result(WAIT)
    error = RE(mda(ALIKE, replace(devices, camera=camera))).exception(WAIT)
    assert "no film" in str(error)
    assert documents.data("mda-t") == [0, 1] * 2


def trigger_after(RE: RunEngine, action: str, count: int) -> None:
    def look(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == count:
            RE.trigger_action(action)

    RE.subscribe(look)


def test_what_is_left_of_a_position_can_be_skipped(RE: RunEngine, scope, documents: DocumentLog):
    sequence = useq.MDASequence(
        stage_positions=[(0, 0, 0), (1, 1, 1)], z_plan={"range": 4, "step": 1}
    )
    trigger_after(RE, "skip", 2)
    result = RE(mda(sequence, scope)).result(WAIT).plan_result
    assert (result.events, result.skipped) == (7, 3)
    assert documents.data("mda-p") == [0, 0, 1, 1, 1, 1, 1]


def test_it_can_end_after_this_position(RE: RunEngine, scope, documents: DocumentLog):
    sequence = useq.MDASequence(
        stage_positions=[(0, 0, 0), (1, 1, 1)], z_plan={"range": 4, "step": 1}
    )
    trigger_after(RE, "finish", 2)
    result = RE(mda(sequence, scope)).result(WAIT).plan_result
    assert result.events == 5
    assert documents.data("mda-p") == [0] * 5
    assert documents.of("stop")[0]["exit_status"] == "success"
    assert not RE.pending_actions


def test_what_was_skipped_once_can_be_again(RE: RunEngine, scope, documents: DocumentLog):
    sequence = useq.MDASequence(
        stage_positions=[(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3)],
        z_plan={"range": 4, "step": 1},
    )
    trigger_after(RE, "skip", 2)
    trigger_after(RE, "skip", 3)
    trigger_after(RE, "finish", 5)
    result = RE(mda(sequence, scope)).result(WAIT).plan_result
    assert (result.events, result.skipped) == (8, 7)
    assert documents.data("mda-p") == [0] * 2 + [1] + [2] * 5
    assert not RE.pending_actions


def test_what_came_too_late_for_one_sequence_is_not_done_in_the_next(RE: RunEngine, scope):
    FINISH.latch.set()
    result = RE(mda({"stage_positions": [(0, 0), (1, 1)]}, scope)).result(WAIT).plan_result
    assert result.events == 2


def test_a_wait_for_a_time_can_be_skipped(RE: RunEngine, scope, documents: DocumentLog):
    sequence = useq.MDASequence(time_plan={"interval": 3600, "loops": 3})
    future = RE(mda(sequence, scope))
    while not future.done():
        if documents.events() and "skip" in RE.pending_actions:
            RE.trigger_action("skip")
        wait([future], timeout=0.05)
    result = future.result(WAIT).plan_result
    assert (result.events, result.skipped) == (1, 2)


def test_autofocus_that_fails_is_tried_again_and_told(RE: RunEngine, scope, caplog):
    sequence = useq.MDASequence(
        stage_positions=[(0, 0, 10)],
        channels=["DAPI", "FITC"],
        autofocus_plan=useq.AxesBasedAF(axes=("c",), autofocus_motor_offset=7),
    )
    scope.autofocus.failures = 4  # three tries, and once of the next three
    with caplog.at_level(logging.WARNING, "freewheel.plans._mda_acquisition"):
        result = RE(mda(sequence, scope)).result(WAIT).plan_result
    assert (result.events, result.unfocused) == (2, 1)
    assert scope.autofocus.searched == 5
    assert "try 3 of 3: nothing to see" in caplog.text
    value = asyncio.run_coroutine_threadsafe(scope.autofocus.offset.get_value(), RE.loop)
    assert value.result(WAIT) == 7


def test_properties_setup_and_custom_actions(RE: RunEngine, scope, documents: DocumentLog):
    seen: list[Any] = []

    def bleach(event: useq.MDAEvent) -> Any:
        seen.append(event.action.data)
        yield from sleep(0)

    events = [
        useq.MDAEvent(index={"t": 0}, properties=[("Camera", "Gain", 3)], metadata={"a": 1}),
        useq.MDAEvent(action=useq.CustomAction(name="bleach", data={"power": 5})),
        useq.MDAEvent(index={"t": 1}),
    ]
    RE(mda(events, scope, actions={"bleach": bleach})).result(WAIT)
    assert seen == [{"power": 5}]
    assert documents.data("mda-metadata") == ['{"a": 1}', "{}"]
    value = asyncio.run_coroutine_threadsafe(scope.gain.get_value(), RE.loop)
    assert value.result(WAIT) == 3


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"channels": ["GFP"]}, "'Channel' has no channel 'GFP'; it has: Cy5, DAPI, FITC"),
        (
            {"channels": [{"config": "DAPI", "group": "Lamp"}]},
            "no group of channels 'Lamp'; there are: Channel",
        ),
        ([useq.MDAEvent(roi=(0, 0, 8, 8))], "needs a region of interest that can be set"),
        ([useq.MDAEvent(properties=[("Camera", "Speed", 1)])], "no property 'Speed'; it has: Gain"),
        ([useq.MDAEvent(properties=[("Laser", "On", 1)])], "no device 'Laser' with properties"),
        ([useq.MDAEvent(slm_image=1)], "an image for an SLM"),
        ([useq.MDAEvent(action=useq.CustomAction(name="x"))], "has the action 'x', and mda was"),
        ({}, "the sequence has no events"),
        (7, "mda runs a useq.MDASequence"),
    ],
)
def test_what_the_devices_do_not_have_is_refused_before_anything_moves(
    RE: RunEngine, scope, documents: DocumentLog, source, said
):
    if isinstance(source, list):
        source = [useq.MDAEvent(x_pos=50, index={"p": 0}), *source]
    error = RE(mda(source, scope)).exception(WAIT)
    assert isinstance(error, ValueError)
    assert said in str(error)
    assert len(documents) == 0
    value = asyncio.run_coroutine_threadsafe(scope.x.get_value(), RE.loop)
    assert value.result(WAIT) == 0


@pytest.mark.parametrize(("missing", "said"), [("x", "a stage for x"), ("z", "a focus drive")])
def test_a_stage_that_is_missing_is_named(RE: RunEngine, scope, missing, said):
    devices = scope.mda_devices()
    object.__setattr__(devices, missing, None)
    sequence = useq.MDASequence(stage_positions=[(1, 2, 3)])
    error = RE(mda(sequence, devices)).exception(WAIT)
    assert isinstance(error, ValueError)
    assert said in str(error)
    assert "the devices are: camera" in str(error)


def test_a_live_view_in_the_background_gives_way(RE: RunEngine, scope, documents: DocumentLog):
    sequence = useq.MDASequence(channels=["DAPI"], time_plan={"interval": 0, "loops": 5})

    def both() -> Any:
        view = live_view([scope.camera], rate=200, frames=10)
        yield from background(view, name="live", on_conflict="pause")
        yield from mda(sequence, scope)
        yield from wait_for_background("live")

    RE(both()).result(WAIT)
    assert len(documents.events("primary")) == 5
    # One may be there twice, under one number: a pause before its next checkpoint takes it again.
    assert {event["seq_num"] for event in documents.events("live")} == set(range(1, 11))
    runs = [doc["run_start"] for doc in documents.of("descriptor")]
    assert len(set(runs)) == 2


def test_all_that_it_sets_is_held_by_it(RE: RunEngine, scope):
    first, second = soft_signal_rw(int, name="first"), soft_signal_rw(int, name="second")
    scoped = replace(
        scope.mda_devices(), properties={("Camera", "Gain"): first, ("Camera", "Offset"): second}
    )
    events = [useq.MDAEvent(exposure=2.0, properties=[("Camera", "Gain", 4)])]
    held: dict[str, str] = {}
    RE.subscribe(lambda name, doc: held.update(RE.claims.by_name()) if name == "event" else None)
    asyncio.run_coroutine_threadsafe(first.connect(), RE.loop).result(WAIT)
    RE(mda(events, scoped)).result(WAIT)
    assert {"exposure", "shutter", "auto_shutter", "autofocus", "first"} <= set(held)
    assert "second" not in held  # no event sets it
    assert not {"autofocus-offset"} & set(held)  # a part of what is held


def test_a_plan_that_is_stopped_closes_the_shutter(RE: RunEngine, scope, documents: DocumentLog):
    sequence = useq.MDASequence(z_plan={"range": 4, "step": 1}, keep_shutter_open_across=("z",))

    def stop(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == 2:
            RE.stop()

    RE.subscribe(stop)
    RE(mda(sequence, scope)).outcome.result(WAIT)
    assert documents.data("shutter") == ["Open", "Open"]

    async def look() -> tuple[Any, Any]:
        return await scope.shutter.get_value(), await scope.auto_shutter.get_value()

    assert asyncio.run_coroutine_threadsafe(look(), RE.loop).result(WAIT) == ("Closed", True)
