"""useq's sequences on Micro-Manager's core, beside pymmcore-plus's own runner."""

# ruff: noqa: N803

from __future__ import annotations

import logging
import threading
from itertools import groupby
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import pytest
import useq
from bluesky.utils import RunEngineInterrupted
from hypothesis import HealthCheck, given, settings

from doubles import at_message
from freewheel import RunEngine
from freewheel.micromanager import BufferOverflowError, FrameLimits, devices, load
from freewheel.plans import mda
from freewheel.testing import DocumentLog, assert_events, assert_valid
from useq_sequences import KNOWN, sequences

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 60


def index_of(event: Any) -> dict[str, int]:
    axes = event["data"]
    return {axis: axes[f"mda-{axis}"] for axis in "tpgcz" if axes.get(f"mda-{axis}", -1) >= 0}


@pytest.fixture
def triggered(core):
    """The focus drive of the demo follows the camera's triggers."""
    core.setProperty("Z", "UseSequences", "Yes")
    return core


STACKS = useq.MDASequence(
    stage_positions=[(10, 20, 5), (30, 40, 7)],
    channels=["DAPI", {"config": "FITC", "exposure": 2}],
    z_plan={"range": 4, "step": 1},
)


@pytest.mark.parametrize("hardware", [True, False])
def test_frames_places_and_channels(RE: RunEngine, triggered, scope, documents, hardware):
    RE(mda(STACKS, scope, hardware=hardware)).result(WAIT)
    assert_valid(documents)
    wanted = list(STACKS)
    assert [index_of(event) for event in documents.events()] == [dict(e.index) for e in wanted]
    assert_events(
        documents,
        z=[event.z_pos for event in wanted],
        xy_x=[event.x_pos for event in wanted],
        xy_y=[event.y_pos for event in wanted],
        mda_channel=[event.channel.config for event in wanted],
        atol=0.1,
    )
    assert len({frame.ctypes.data for frame in documents.data("camera-image")}) == len(wanted)
    assert scope.mmcore.getCurrentConfig("Channel") == "FITC"
    assert not scope.mmcore.isSequenceRunning()


def test_stacks_are_run_by_hardware(RE: RunEngine, triggered, scope, on_loop):
    batches = on_loop(scope.sequencer.batches(list(STACKS)))
    assert [len(batch) for batch in batches] == [5, 5, 5, 5]
    started: list[Any] = []
    RE.msg_hook = lambda msg: started.append(msg.args) if msg.command == "prepare" else None
    RE(mda(STACKS, scope)).result(WAIT)
    assert [len(events) for ((events, _),) in started] == [5, 5, 5, 5]
    RE(mda(STACKS, scope, hardware=False)).result(WAIT)
    assert len(started) == 4


def test_the_core_knows_which_channel_hardware_has_come_to(RE: RunEngine, core, scope, on_loop):
    core.setConfig("Objective", "10X")
    events = [
        useq.MDAEvent(index={"t": t, "c": c}, channel={"group": "Objective", "config": config})
        for t in range(2)
        for c, config in enumerate(("10X", "20X"))
    ]
    assert [len(batch) for batch in on_loop(scope.sequencer.batches(events))] == [4]
    RE(mda(events, scope)).result(WAIT)
    assert core.getCurrentConfigFromCache("Objective") == "20X"
    RE(mda(events[:1], scope, hardware=False)).result(WAIT)
    assert core.getCurrentConfig("Objective") == "10X"


@pytest.mark.parametrize("hardware", [True, False])
def test_an_exposure_out_of_limits_is_refused_in_hardware_too(RE: RunEngine, scope, hardware):
    sequence = useq.MDASequence(
        channels=[{"config": "DAPI", "exposure": 1e6}], time_plan={"interval": 0, "loops": 2}
    )
    error = RE(mda(sequence, scope, hardware=hardware)).exception(WAIT)
    said = "the exposure of 'Camera' takes 0 to 10000 ms, not 1e+06"
    assert error is not None
    assert said in str(error.__cause__)


def test_hardware_that_was_paused_goes_on_where_it_was(RE: RunEngine, triggered, scope, documents):
    sequence = useq.MDASequence(channels=["DAPI"], z_plan={"range": 40, "step": 1})

    def pause(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == 7:
            RE.unsubscribe(token)
            RE.request_pause()

    token = RE.subscribe(pause)
    with pytest.raises(RunEngineInterrupted):
        RE(mda(sequence, scope)).result(WAIT)
    assert not triggered.isSequenceRunning()
    triggered.setPosition("Z", 100)  # by hand
    RE.resume().result(WAIT)
    by_number = {event["seq_num"]: event for event in documents.events()}
    assert [index_of(event)["z"] for event in by_number.values()] == list(range(41))
    assert [event["data"]["z"] for event in by_number.values()] == [e.z_pos for e in sequence]


def test_hardware_that_another_plan_has_used_goes_on_with_its_own_events(
    RE: RunEngine, triggered, scope, documents
):
    sequence = useq.MDASequence(channels=["DAPI"], z_plan={"range": 40, "step": 1})
    other = useq.MDASequence(channels=["FITC"], z_plan={"range": 30, "step": 0.5})
    inside: list[Any] = []

    def step_in(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == 7 and not inside:
            inside.append(RE.preempt(mda(other, scope)))

    RE.subscribe(step_in)
    RE(mda(sequence, scope)).result(WAIT)
    assert inside[0].result(0).plan_result.events == 61
    by_run: dict[str, list[Any]] = {}
    runs = {doc["uid"]: doc["run_start"] for doc in documents.of("descriptor")}
    for event in documents.events():
        by_run.setdefault(runs[event["descriptor"]], []).append(event["data"]["z"])
    assert list(by_run.values()) == [[e.z_pos for e in each] for each in (sequence, other)]


SHORT = useq.MDASequence(channels=["DAPI"], z_plan={"range": 3, "step": 1})


def messages_of(RE: RunEngine, scope: Any) -> range:
    """Return the numbers of the messages from the first that concerns the hardware on."""
    messages: list[Any] = []
    RE.msg_hook = messages.append
    RE(mda(SHORT, scope)).result(WAIT)
    RE.msg_hook = None
    first = next(n for n, msg in enumerate(messages, 1) if msg.command == "prepare")
    return range(first, len(messages))


def test_hardware_may_be_paused_at_any_message(RE: RunEngine, triggered, scope):
    for number in messages_of(RE, scope):
        log = DocumentLog()
        token = RE.subscribe(log)
        at_message(RE, number, RE.request_pause)
        future = RE(mda(SHORT, scope))
        if isinstance(future.exception(WAIT), RunEngineInterrupted):
            assert not triggered.isSequenceRunning(), number
            RE.msg_hook = None
            RE.resume().result(WAIT)
        RE.unsubscribe(token)
        by_number = {event["seq_num"]: index_of(event)["z"] for event in log.events()}
        assert list(by_number.values()) == [0, 1, 2, 3], number
        assert not triggered.isSequenceRunning(), number


def test_hardware_may_be_aborted_at_any_message(RE: RunEngine, triggered, scope):
    for number in messages_of(RE, scope):
        at_message(RE, number, RE.abort)
        result = RE(mda(SHORT, scope)).outcome.result(WAIT)
        assert result.exit_status == "abort", (number, result.exception)
        assert not triggered.isSequenceRunning(), number
    RE.msg_hook = None
    RE(mda(SHORT, scope)).result(WAIT)


def test_what_autofocus_found_holds_in_hardware_too(RE: RunEngine, triggered, scope, documents):
    sequence = STACKS.replace(autofocus_plan={"axes": ("p",)})
    RE(mda(sequence, scope)).result(WAIT)
    positions = [event["data"]["mda-p"] for event in documents.events()]
    assert positions == [0] * 10 + [1] * 10
    assert_valid(documents)


def test_a_skip_ends_what_hardware_runs(RE: RunEngine, triggered, scope, documents):
    def skip(name: str, doc: Any) -> None:
        if name == "event" and doc["seq_num"] == 3:
            RE.trigger_action("skip")

    RE.subscribe(skip)
    result = RE(mda(STACKS, scope)).result(WAIT).plan_result
    assert (result.events, result.skipped) == (13, 7)
    assert [event["data"]["mda-p"] for event in documents.events()] == [0] * 3 + [1] * 10
    assert not triggered.isSequenceRunning()


def test_frames_that_are_lost_are_an_error(RE: RunEngine, core, scope, documents):
    core.setCircularBufferMemoryFootprint(2)
    scope.camera.frame_limits = FrameLimits(in_hand=512 * 512 * 2)
    held, release = threading.Event(), threading.Event()

    def hold(name: str, doc: Any) -> None:  # as a slow disk does
        if name == "event" and not held.is_set():
            held.set()
            release.wait(WAIT)

    RE.subscribe(hold)
    sequence = useq.MDASequence(time_plan={"interval": 0, "loops": 300}, channels=["DAPI"])
    future = RE(mda(sequence, scope))
    assert held.wait(WAIT)
    while core.isSequenceRunning():
        pass
    release.set()
    error = future.exception(WAIT)
    assert error is not None
    assert isinstance(error.__cause__, BufferOverflowError)
    assert "could not deliver 300 frames" in str(error.__cause__)
    assert 0 < len(documents.events()) < 300


def test_the_shutter_stays_open_across_a_stack(RE: RunEngine, core, scope):
    opened: list[bool] = []
    core.events.shutterOpenChanged.connect(lambda label, is_open: opened.append(is_open))
    sequence = STACKS.replace(keep_shutter_open_across=("z",))
    RE(mda(sequence, scope, hardware=False)).result(WAIT)
    assert core.getAutoShutter()
    assert not core.getShutterOpen()
    # Once for each stack, not once for each of twenty frames.
    changes = [is_open for is_open, _ in groupby(opened)]  # some are announced twice
    assert changes == [True, False] * 4


def test_the_shutter_that_stays_open_is_the_channels(RE: RunEngine, core, scope, documents):
    # Which shutter the core opens is a part of the channel.
    RE(bps.mv(scope["channel_group"], "DAPI")).result(WAIT)
    opened: set[str] = set()
    core.events.shutterOpenChanged.connect(lambda label, is_open: is_open and opened.add(label))
    group = "Channel-Multiband"
    sequence = useq.MDASequence(
        channels=[{"group": group, "config": "DAPI"}, {"group": group, "config": "FITC"}],
        z_plan={"range": 1, "step": 1},
        keep_shutter_open_across=("z",),
    )
    RE(mda(sequence, scope, hardware=False)).result(WAIT)
    assert len(documents.events()) == 4
    assert opened == {"LED Shutter"}
    assert not core.getShutterOpen()


def test_a_grid_is_told_the_field_of_view(RE: RunEngine, core, scope, documents):
    assert core.getPixelSizeUm() == 1
    sequence = useq.MDASequence(grid_plan={"rows": 1, "columns": 2}, channels=["DAPI"])
    RE(mda(sequence, scope)).result(WAIT)
    x = documents.data("xy-x")
    assert x[1] - x[0] == pytest.approx(512, abs=0.1)
    (start,) = documents.of("start")
    assert start["useq_sequence"]["grid_plan"]["fov_width"] == 512


def test_a_setup_event_comes_first(RE: RunEngine, core, scope, documents):
    sequence = useq.MDASequence(
        setup=useq.MDAEvent(
            roi=(8, 8, 128, 64), properties=[("Camera", "Gain", 2), ("Objective", "State", 3)]
        ),
        channels=["DAPI"],
        grid_plan={"rows": 1, "columns": 2},
    )
    RE(mda(sequence, scope)).result(WAIT)
    x = documents.data("xy-x")
    assert x[1] - x[0] == pytest.approx(128, abs=0.1)
    assert {frame.shape for frame in documents.data("camera-image")} == {(64, 128)}
    assert documents.of("descriptor")[0]["data_keys"]["camera-image"]["shape"] == [64, 128]
    assert core.getProperty("Camera", "Gain") == "2"
    assert core.getState("Objective") == 3
    (start,) = documents.of("start")
    again = useq.MDASequence.model_validate(start["useq_sequence"])
    assert again.setup.roi == sequence.setup.roi
    assert len(list(again)) == len(x)


@pytest.mark.parametrize("hardware", [True, False])
def test_the_position_of_a_further_stage_is_a_property(RE, core, on_loop, documents, hardware):
    core.loadDevice("Fine", "DemoCamera", "DStage")
    core.initializeDevice("Fine")
    scope = devices(core)
    on_loop(scope.connect())
    further = [("Fine", "Position", 7.0), ("XY", "Position", (30.0, 40.0))]
    events = [useq.MDAEvent(index={"t": n}, properties=further) for n in range(3)]
    RE(mda(events, scope, hardware=hardware)).result(WAIT)
    assert len(documents.events()) == 3
    assert core.getPosition("Fine") == 7
    assert core.getXYPosition("XY") == pytest.approx((30, 40), abs=0.1)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[RunEngine, Any]]:
    core = load()
    core.setExposure(1)
    core.setProperty("Z", "UseSequences", "Yes")
    with RunEngine() as engine:
        scope = devices(core)
        engine(_connect(scope)).result(WAIT)
        yield engine, scope
    core.unloadAllDevices()


def _connect(scope: Any) -> Any:
    yield from bps.wait_for([scope.connect])


class _Lost(logging.Handler):
    """Notes that pymmcore-plus' own runner has lost frames, as it may on a busy machine."""

    frames = False

    def emit(self, record: logging.LogRecord) -> None:
        self.frames |= "Unexpected number of images" in record.getMessage()


def run_theirs(core: Any, sequence: useq.MDASequence) -> None:
    """Run a sequence with pymmcore-plus' runner; raise if it has lost frames."""
    lost, log = _Lost(), logging.getLogger("pymmcore-plus")
    log.addHandler(lost)
    try:
        core.mda.run(sequence)
    finally:
        log.removeHandler(lost)
    if lost.frames:
        raise LookupError


def both(pair: Any, sequence: useq.MDASequence) -> tuple[list[Any], list[Any]]:
    """Run a sequence on both; return what events ours and theirs recorded, with the places."""
    engine, scope = pair
    text = sequence.model_dump_json(exclude_unset=sequence.setup is None)
    theirs: list[Any] = []
    core = scope.mmcore
    core.clearROI()

    def keep(image: Any, event: useq.MDAEvent, _meta: Any) -> None:
        index = {str(axis.value): number for axis, number in event.index.items()}
        channel = event.channel.config if event.channel else ""
        theirs.append((index, channel, image.shape))

    core.mda.events.frameReady.connect(keep)
    try:
        for last in (False, False, True):
            theirs.clear()
            try:
                run_theirs(core, useq.MDASequence.model_validate_json(text))
                break
            except LookupError:
                if last:
                    raise
    finally:
        core.mda.events.frameReady.disconnect(keep)
    log = DocumentLog()
    token = engine.subscribe(log)
    engine(mda(useq.MDASequence.model_validate_json(text), scope)).result(WAIT)
    engine.unsubscribe(token)
    ours = [
        (index_of(event), event["data"]["mda-channel"], event["data"]["camera-image"].shape)
        for event in log.events()
    ]
    return ours, theirs


@pytest.mark.leaks("engine and core are the module's")
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning:pymmcore_plus")
@settings(max_examples=25, deadline=None, suppress_health_check=[*HealthCheck], derandomize=True)
@given(sequence=sequences())
def test_events_are_those_of_pymmcores_own_runner(pair, sequence: useq.MDASequence):
    ours, theirs = both(pair, sequence)
    assert ours == theirs


@pytest.mark.leaks("engine and core are the module's")
@pytest.mark.parametrize("name", KNOWN)
def test_known_sequences_are_those_of_pymmcores_own_runner(pair, name: str):
    ours, theirs = both(pair, useq.MDASequence.model_validate(KNOWN[name]))
    assert ours == theirs
    assert ours


@pytest.mark.leaks("engine and core are the module's")
def test_a_sequence_that_gives_a_place_at_some_positions_only(pair):
    # pymmcore-plus's runner fails on it; useq's iteration has it.
    engine, scope = pair
    sequence = useq.MDASequence(
        stage_positions=[{}, {"sequence": {"z_plan": {"top": 3, "bottom": 1, "step": 1}}}],
        channels=[{"config": "Cy5", "exposure": 2}],
    )
    log = DocumentLog()
    token = engine.subscribe(log)
    engine(mda(sequence, scope)).result(WAIT)
    engine.unsubscribe(token)
    assert [index_of(event) for event in log.events()] == [
        {str(axis.value): number for axis, number in event.index.items()} for event in sequence
    ]
