"""Plans that are hard to foresee: the preview says what it does not know, and always ends."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import itertools
import math
import threading
import time
import tracemalloc
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import bluesky.utils
import numpy as np
import pytest
from bluesky.utils import FailedStatus, Msg, Plan
from ophyd_async.core import (
    Array1D,
    AsyncStatus,
    SignalRW,
    SoftSignalBackend,
    StandardReadable,
    StrictEnum,
    soft_signal_rw,
)
from ophyd_async.epics.motor import Motor
from ophyd_async.sim import SimMotor, SimPointDetector

from doubles import Mover
from freewheel import Action, PlanCall, RunEngine, preview
from freewheel.plan_stubs import background, checkpoint, read_while_waiting, wait_for_action
from freewheel.plan_stubs._answer import answer_of
from freewheel.plans import live_view
from freewheel.previews import Preview, Previewer, _look
from freewheel.previews._disks import with_disks
from freewheel.sim import Axis, Microscope, SimCamera, microscope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def scope() -> Microscope:
    return microscope(shape=(32, 32))


def texts(foreseen: Preview) -> str:
    return "\n".join(map(str, foreseen.problems))


# -- what cannot be known --------------------------------------------------------------------------


def test_a_plan_that_looks_at_its_readings_is_a_guess(scope: Microscope) -> None:
    def until_bright() -> Iterator[Msg]:
        while True:
            reading = yield from bps.rd(scope.temperature.readback)
            if reading < 100:
                return
            yield from bps.mv(scope.focus, 1)

    def look(device: Any) -> Iterator[Msg]:
        reading = yield Msg("read", device)
        assert reading[f"{device.name}-image"]["value"].shape == (32, 32)

    assert preview(bp.count, [scope.camera]).guesses == ()
    (guess,) = preview(look, scope.camera).guesses
    assert "camera-image" in guess


def test_a_plan_that_looks_at_the_clock_itself_may_have_an_end(scope: Microscope) -> None:
    def for_a_minute() -> Iterator[Msg]:
        begin = time.monotonic()
        while time.monotonic() - begin < 60:
            yield from bps.sleep(1)

    def by_a_name_of_its_own(clock: Any = None) -> Iterator[Msg]:
        while clock is None or monotonic() < clock:
            yield from bps.sleep(1)

    for plan in (for_a_minute, by_a_name_of_its_own):
        (guess,) = preview(plan).guesses
        assert "looks at the clock" in guess
    assert preview(bp.count, [scope.camera], num=None, delay=1).guesses == ()


def test_a_plan_that_wants_an_event_loop_may_find_one_in_its_run() -> None:
    def looks_for_loop() -> Iterator[Msg]:
        asyncio.get_running_loop()
        yield from bps.null()

    (problem,) = preview(looks_for_loop).problems
    assert "no running event loop" in problem.text
    assert problem.is_guess


@pytest.mark.parametrize("seconds", [math.inf, 1e300])
def test_a_wait_for_ever_is_told(seconds: float, tmp_path: Path) -> None:
    camera = microscope(shape=(32, 32), directory=tmp_path).file_camera

    def waits() -> Iterator[Msg]:
        yield from bp.count([camera])
        yield from bps.sleep(seconds)

    foreseen = preview(waits)
    assert foreseen.is_endless == math.isinf(seconds)
    assert ("until it is stopped" in str(foreseen)) == foreseen.is_endless
    assert foreseen.disks


def test_a_plan_that_is_too_long_to_be_followed_says_when_its_disk_is_full(tmp_path: Path) -> None:
    camera = microscope(shape=(32, 32), directory=tmp_path, exposure=0.1).file_camera
    foreseen = Previewer(max_messages=1000)(bp.count, [camera], num=10**6)
    (disk,) = foreseen.disks
    assert not foreseen.is_endless
    assert disk.lasts is not None
    assert disk.lasts == pytest.approx(disk.free / disk.needed * foreseen.followed)
    assert "full after" in str(foreseen)


@pytest.mark.parametrize("folder", ["C:\\data", "/" + "x" * 300])
def test_a_folder_that_cannot_be_seen_from_here_is_left_out(folder: str) -> None:
    foreseen = with_disks(preview(bp.count, []), {folder: 10**18}, [])
    assert not foreseen.disks
    assert not foreseen.problems


def test_a_text_that_is_no_value_of_a_device_is_refused(scope: Microscope) -> None:
    for device, value, other in (
        (scope.shutter, "open", "Open"),
        (scope.stage.x.velocity, "long", "0.2"),
    ):
        (problem,) = preview(bps.mv, device, value).problems
        assert f"cannot be set to {value!r}" in problem.text
        assert not problem.is_guess
        with RunEngine() as engine, pytest.raises(FailedStatus):
            engine(bps.mv(device, value)).result(10)
        assert not preview(bps.mv, device, other).problems


class Mode(StrictEnum):
    FAST = "fast"


def _soft(kind: Any) -> Any:
    return soft_signal_rw(kind, name="soft")


@pytest.mark.parametrize("kind", [float, int, bool, str, Mode, Array1D[np.int32], Sequence[str]])
def test_a_soft_signal_refuses_beforehand_what_it_refuses(kind: Any, engine: RunEngine) -> None:
    values = (
        1,
        2.5,
        "a",
        "fast",
        "3",
        None,
        [1, 2],
        ["a"],
        np.zeros(3),
        math.nan,
        math.inf,
        {},
        b"x",
    )
    for value in values:
        signal = _soft(kind)
        outcome = engine(bps.mv(signal, value)).outcome.exception(10)
        assert bool(preview(bps.mv, signal, value).problems) == bool(outcome), value


def test_a_setting_refuses_beforehand_what_it_refuses(engine: RunEngine) -> None:
    for name, value in (
        ("exposure", -1.0),
        ("exposure", math.nan),
        ("gain", 0),
        ("gain", 100.0),
        ("binning", 2.5),
        ("binning", 33),
        ("binning", 32),
        ("roi", [0, 0, 33, 10]),
        ("roi", [1, 1, 31, 31]),
        ("roi", [1, 2]),
    ):
        signal = getattr(SimCamera("camera", shape=(32, 32)), name)
        outcome = engine(bps.mv(signal, value)).outcome.exception(10)
        problems = preview(bps.mv, signal, value).problems
        assert bool(problems) == bool(outcome), (name, value)
        assert not outcome or str(outcome.__cause__) in problems[0].text


def test_what_is_refused_may_hang_on_what_the_plan_has_set(scope: Microscope) -> None:
    camera = scope.camera
    small, binned = [0, 0, 8, 8], 16

    def one_after_the_other(*moves: Any) -> Iterator[Msg]:
        for device, value in moves:
            yield from bps.mv(device, value)

    def refusals(*moves: Any) -> list[str]:
        return texts(preview(one_after_the_other, *moves)).splitlines()

    assert "from 1 to 8" in refusals((camera.roi, small), (camera.binning, binned))[0]
    assert "one binned pixel (16)" in refusals((camera.binning, binned), (camera.roi, small))[0]
    assert not refusals((camera.roi, small), (camera.roi, [0, 0, 32, 32]), (camera.binning, binned))


def test_no_engine_is_called_for_a_preview(scope: Microscope) -> None:
    with RunEngine() as engine:
        for function in (engine, engine.preempt):
            foreseen = preview(PlanCall(function, (bp.count([scope.camera]),)))
            assert "Give the plan alone" in texts(foreseen)
        assert engine.snapshot().plan_name is None


def test_an_axis_is_where_it_was_sent(scope: Microscope) -> None:
    def there_and_further() -> Iterator[Msg]:
        yield from bps.mv(scope.focus, 7.0)
        assert (yield from bps.rd(scope.focus)) == 7.0
        yield from bps.mvr(scope.focus, 2.0)

    foreseen = preview(there_and_further)
    assert not foreseen.is_guess
    assert not foreseen.problems
    assert foreseen.moves["focus"].path[1:] == (7.0, 9.0)


def test_an_adaptive_scan_is_followed_with_values_that_are_made_up(scope: Microscope) -> None:
    foreseen = preview(
        bp.adaptive_scan,
        [SimPointDetector(None, num_channels=1, name="point")],
        "point-channel-1-value",
        scope.focus,
        0,
        10,
        min_step=0.5,
        max_step=2,
        target_delta=0.1,
        backstep=False,
    )
    assert foreseen.is_guess
    assert foreseen.is_complete
    assert foreseen.events["primary"] > 3


def test_a_person_who_is_asked_takes_an_unknown_time(scope: Microscope) -> None:
    def asking() -> Iterator[Msg]:
        yield from bps.input_plan("ready? ")
        yield from wait_for_action(Action(name="go on"))
        yield from bps.sleep(1)

    foreseen = preview(asking)
    assert foreseen.longest == math.inf
    assert foreseen.duration == pytest.approx(1, abs=0.1)
    assert "asks for input" in foreseen.guesses[0]
    assert "go on" in foreseen.guesses[1]


def test_a_device_that_does_not_say_how_long_it_takes_is_named() -> None:
    foreseen = preview(bps.mv, Mover("slide"), 3)
    assert foreseen.longest == math.inf
    assert any("slide" in guess for guess in foreseen.guesses)


def test_a_function_in_the_background_is_not_called() -> None:
    called = []

    def plan() -> Iterator[Msg]:
        yield from background(lambda: called.append(1), name="side effect")

    foreseen = preview(plan)
    assert not called
    assert "side effect" in foreseen.guesses[0]


# -- what never ends -------------------------------------------------------------------------------


def test_a_live_view_goes_on_until_it_is_stopped(scope: Microscope) -> None:
    foreseen = preview(live_view, [scope.camera], rate=20.0)
    assert foreseen.is_endless
    assert not foreseen.is_complete
    assert foreseen.duration == math.inf
    assert foreseen.events["live"] / foreseen.followed == pytest.approx(20, rel=0.02)
    assert "until it is stopped" in foreseen.summary


def test_a_live_view_that_ends_is_counted_to_its_end(scope: Microscope) -> None:
    foreseen = preview(live_view, [scope.camera], rate=50.0, frames=5000)
    assert foreseen.events == {"live": 5000}
    assert foreseen.duration == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize("number", [None, 3000])
def test_a_count_without_a_number_is_endless(scope: Microscope, number: int | None) -> None:
    foreseen = preview(bp.count, [scope.temperature], number)
    assert foreseen.is_endless == (number is None)


def test_runs_without_an_end_are_endless(scope: Microscope) -> None:
    def watch(pause: float) -> Iterator[Msg]:
        while True:
            yield from bp.count([scope.temperature], 2, pause)
            yield from bps.sleep(60)

    foreseen = preview(watch, 0.1)
    assert foreseen.is_endless
    assert foreseen.messages < 30_000


def test_a_plan_that_looks_until_a_move_arrives_has_an_end(scope: Microscope) -> None:
    motor = SimMotor("motor", instant=False)

    def far() -> Iterator[Msg]:
        return (yield Msg("set", motor, 3000.0))

    def look() -> Iterator[Msg]:
        yield from bps.checkpoint()
        yield from bps.trigger_and_read([scope.temperature])

    foreseen = preview(bp.ramp_plan, far(), motor, look, period=1)
    assert not foreseen.is_endless
    assert foreseen.duration == pytest.approx(3000, rel=0.01)


def test_a_clean_up_is_followed_when_a_plan_does_not_end(scope: Microscope) -> None:
    def watch() -> Iterator[Msg]:
        while True:
            yield from checkpoint()
            yield from bps.sleep(0.1)

    def close() -> Iterator[Msg]:
        yield from bps.mv(scope.shutter, "Closed")

    foreseen = preview(lambda: bpp.finalize_wrapper(watch(), close))
    assert foreseen.is_endless
    assert "shutter" in foreseen.claims


def test_turns_that_are_counted_somewhere_else_are_counted(scope: Microscope) -> None:
    class Counting:
        taken = 0

        def plan(self) -> Iterator[Msg]:
            while self.taken < 2000:
                self.taken += 1
                yield from checkpoint()
                yield from bps.sleep(0.1)

    counting = Counting()
    assert preview(counting.plan).is_complete
    assert counting.taken == 2000


def test_ten_million_messages_are_not_all_followed() -> None:
    def long() -> Iterator[Msg]:
        for number in range(10_000_000):
            yield Msg("sleep", None, 1 + number % 7)

    began = time.process_time()
    tracemalloc.start()
    foreseen = Previewer(max_seconds=0.5)(long)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not foreseen.is_complete
    assert foreseen.messages < 10_000_000
    assert "not followed further" in foreseen.guesses[0]
    assert foreseen.summary.startswith("at least")
    assert peak < 20e6
    assert time.process_time() - began < 60


def test_a_machine_that_is_busy_with_other_things_shortens_no_preview() -> None:
    def slow() -> Iterator[Msg]:
        threading.Event().wait(0.6)  # others have the processor
        for number in range(1000):
            yield Msg("sleep", None, 1 + number % 7)

    assert Previewer(max_seconds=0.5)(slow).is_complete


def test_the_number_of_messages_is_bounded_too() -> None:
    foreseen = Previewer(max_messages=1000)(lambda: (Msg("sleep", None, n) for n in range(5000)))
    assert not foreseen.is_complete
    assert 1000 <= foreseen.messages <= 1001


def test_a_path_of_very_many_moves_is_thinned_out(scope: Microscope) -> None:
    def far() -> Iterator[Msg]:
        for number in range(30_000):
            yield Msg("set", scope.lamp, number % 101)

    move = preview(far).moves["lamp"]
    assert (move.lowest, move.highest, move.count) == (0.0, 100.0, 30_000)
    assert len(move.path) <= 10_001


def test_a_plan_that_goes_on_when_it_is_told_to_end_is_left() -> None:
    def stubborn() -> Iterator[Msg]:
        while True:
            try:
                yield from bps.sleep(1)
            except Exception:
                continue

    foreseen = Previewer(max_messages=5000)(stubborn)
    assert foreseen.is_endless or not foreseen.is_complete


# -- what is wrong ---------------------------------------------------------------------------------


def test_an_argument_that_is_refused_is_a_problem(scope: Microscope) -> None:
    foreseen = preview(live_view, [scope.camera], rate=-1.0)
    assert foreseen.is_wrong
    assert "rate" in texts(foreseen)


def test_a_call_that_python_refuses_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be called like this"):
        preview(bp.scan)


@pytest.mark.parametrize("thing", [None, 3, "scan", {}, [3]])
def test_what_is_no_plan_is_no_preview(thing: Any) -> None:
    if thing == [3]:
        assert "no message" in texts(preview(thing))
        return
    with pytest.raises(TypeError, match="no plan"):
        preview(thing)


def test_arguments_for_what_takes_none() -> None:
    with pytest.raises(TypeError, match="takes no arguments any more"):
        preview(bp.count([]), 3)


def test_two_runs_of_one_key(scope: Microscope) -> None:
    def twice() -> Iterator[Msg]:
        yield from bps.open_run()
        yield from bps.open_run()

    assert "second run" in texts(preview(twice))


def test_a_checkpoint_within_an_event() -> None:
    def wrong() -> Iterator[Msg]:
        yield from bps.open_run()
        yield from bps.create()
        yield from bps.checkpoint()

    assert "checkpoint within an event" in texts(preview(wrong))


def test_a_device_of_ophyd_that_is_staged_twice() -> None:
    sim = pytest.importorskip("ophyd.sim")
    detector = sim.SynAxis(name="axis")

    def twice() -> Iterator[Msg]:
        yield from bps.stage(detector)
        yield from bps.stage(detector)

    assert "staged twice" in texts(preview(twice))


def test_a_plan_without_messages() -> None:
    def nothing() -> Iterator[Msg]:
        yield from ()

    foreseen = preview(nothing)
    assert (foreseen.messages, foreseen.duration, foreseen.problems) == (0, 0.0, ())


def test_a_plan_that_raises_tells_what() -> None:
    def broken() -> Iterator[Msg]:
        yield from bps.sleep(2)
        raise ValueError("the sample is missing")

    foreseen = preview(broken)
    (problem,) = foreseen.problems
    assert "the sample is missing" in problem.text
    assert (problem.message, problem.is_guess) == (1, False)
    assert problem.time == pytest.approx(2, abs=0.1)


def test_what_a_finally_yields_is_followed(scope: Microscope) -> None:
    def plan() -> Iterator[Msg]:
        try:
            yield from bps.mv(scope.lamp, 500)
        finally:
            yield from bps.mv(scope.shutter, "Closed")

    foreseen = preview(plan)
    assert list(foreseen.moves) == ["shutter"]
    assert "0 to 100" in texts(foreseen)
    assert len(foreseen.problems) == 1


def test_a_failure_that_a_plan_handles_is_handled(scope: Microscope) -> None:
    def plan() -> Iterator[Msg]:
        try:
            yield from bps.mv(scope.lamp, 500)
        except Exception:
            yield from bps.mv(scope.lamp, 50)

    assert preview(plan).moves["lamp"].path[-1] == 50


def test_a_device_that_is_not_connected() -> None:
    pytest.importorskip("aioca")
    foreseen = preview(bps.mv, Motor("TEST:M1", name="motor"), 3)
    assert foreseen.is_wrong
    assert "motor is not connected" in texts(foreseen)


class Far(SoftSignalBackend[float]):
    """A signal of a server elsewhere, which tells subscribers nothing."""

    def source(self, name: str, read: bool) -> str:
        return f"far://{name}"

    def set_callback(self, callback: Any) -> None: ...


class Slow(StandardReadable):
    """A device elsewhere that is asked for more than it answers."""

    def __init__(self) -> None:
        self.exposure = SignalRW(Far(float, 0.5), name="exposure")
        self.answers = asyncio.Event()
        super().__init__(name="slow")

    async def describe(self) -> dict[str, Any]:
        await self.answers.wait()
        return {"slow": {"source": "far://slow", "dtype": "number", "shape": []}}

    @AsyncStatus.wrap
    async def trigger(self) -> None: ...

    @AsyncStatus.wrap
    async def set(self, value: float) -> None: ...

    async def check_value(self, value: float) -> None: ...


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_look, "_PATIENCE", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_device_that_is_late_may_be_there_in_the_run(RE: RunEngine) -> None:
    foreseen = RE.preview(bp.count, [Slow()], 3)
    assert texts(foreseen) == "slow does not answer"
    assert not foreseen.is_wrong
    assert foreseen.events == {"primary": 3}


def test_a_check_that_is_late_may_be_passed_in_the_run(
    RE: RunEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, asked = Slow(), []
    RE.loop.call_soon_threadsafe(slow.answers.set)
    ask = _look.Looker.ask

    def ask_in_time(looker: _look.Looker, device: Any, question: Any) -> Any:
        asked.append(question)
        if len(asked) > 1:  # not what it is
            raise TimeoutError
        return ask(looker, device, question)

    monkeypatch.setattr(_look.Looker, "ask", ask_in_time)
    foreseen = RE.preview(bp.list_scan, [], slow, [1, 2, 3])
    assert texts(foreseen) == "slow does not answer"
    assert not foreseen.is_wrong
    assert foreseen.events == {"primary": 3}
    assert len(asked) == 2  # and not with each place


@pytest.mark.usefixtures("impatient")
def test_what_a_plan_asks_of_a_device_that_is_late_is_a_guess(RE: RunEngine) -> None:
    slow = Slow()

    def plan() -> Iterator[Msg]:
        yield from answer_of(slow.answers.wait, looks_at=slow)

    foreseen = RE.preview(plan)
    assert texts(foreseen) == "slow does not answer"
    assert not foreseen.is_wrong


def test_a_signal_whose_subscribers_are_told_nothing_is_asked_itself(RE: RunEngine) -> None:
    slow = Slow()

    async def subscribe() -> None:
        await slow.exposure.connect()
        slow.exposure.subscribe_reading(lambda _: None)
        slow.answers.set()

    asyncio.run_coroutine_threadsafe(subscribe(), RE.loop).result(60)
    foreseen = RE.preview(bp.count, [slow], 3)
    assert not foreseen.problems
    assert foreseen.duration > 1.5


def test_a_motor_without_a_velocity_jumps_and_one_without_limits_goes_anywhere() -> None:
    axis = Axis("axis", velocity=0.0)
    foreseen = preview(bps.mv, axis, 1e6)
    assert not foreseen.problems
    assert foreseen.duration < 0.1


def test_what_is_no_device_is_named() -> None:
    def wrong() -> Iterator[Msg]:
        yield Msg("set", "motor", 3)

    assert "'motor'" in texts(preview(wrong))


def test_a_device_that_cannot_do_it_is_named(scope: Microscope) -> None:
    def wrong() -> Iterator[Msg]:
        yield Msg("set", scope.temperature, 3)

    assert "temperature has no set()" in texts(preview(wrong))


def test_a_command_that_there_is_not() -> None:
    def wrong() -> Iterator[Msg]:
        yield Msg("levitate", None)

    assert "levitate" in texts(preview(wrong))
    known = Previewer(commands=["levitate"])(wrong)
    assert not known.problems
    assert "levitate" in known.guesses[0]


def test_code_of_the_plan_runs() -> None:
    done = []

    def plan() -> Iterator[Msg]:
        done.append("written")
        yield from bps.null()

    preview(plan)
    assert done == ["written"]


def test_a_generator_is_used_up_and_a_call_is_not(scope: Microscope) -> None:
    plan, call = bp.count([scope.camera]), PlanCall(bp.count, ([scope.camera],))
    assert preview(plan).num_events == 1
    assert preview(plan).messages == 0
    assert preview(call).num_events == preview(call).num_events == 1


def test_groups_that_nobody_waits_for_are_forgotten(scope: Microscope) -> None:
    def plan() -> Iterator[Msg]:
        for number in range(3000):
            yield Msg("trigger", scope.camera, group=f"group {number}")
            yield Msg("sleep", None, 0.1)

    assert preview(plan).is_complete


def test_several_threads_preview_at_once(scope: Microscope) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(number: int) -> float:
        return preview(bp.count, [scope.temperature], 5, number).duration

    with ThreadPoolExecutor(4) as pool:
        durations = list(pool.map(one, range(1, 9)))
    assert durations == [pytest.approx(5 * number, rel=0.01) for number in range(1, 9)]


async def test_within_a_loop_that_runs(scope: Microscope) -> None:
    foreseen = preview(bp.scan, [scope.camera], scope.focus, 0, 100, 3)
    assert foreseen.num_events == 3
    assert foreseen.duration > 0.5


def test_bluesky_is_as_it_was_afterwards(scope: Microscope) -> None:
    preview(bp.count, [scope.temperature], 2, 1)
    assert bps.time is time
    assert bp.time is time
    assert "isinstance" not in vars(bps)
    made = bps.null()
    assert isinstance(made, Plan)
    made.close()  # or else it says that nobody has iterated it


def test_other_threads_see_bluesky_as_it_is_meanwhile(scope: Microscope) -> None:
    seen = []

    def look() -> None:
        plan = bps.mv(scope.focus, 1)
        seen.append((type(plan) is Plan, time.time() - bps.time.time()))
        seen.append(next(iter(plan)).kwargs["group"])

    def plan() -> Iterator[Msg]:
        yield from bps.sleep(1000)
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    preview(plan)
    (wrapped, ahead), group = seen
    assert wrapped
    assert abs(ahead) < 100
    assert not group.removeprefix("set-").isdecimal()


def test_bluesky_has_its_own_class_of_plans_meanwhile() -> None:
    """Programs ask by it what is a plan, in whatever thread."""
    seen = []

    def look() -> None:
        named = bluesky.utils.Plan
        seen.append((isinstance(3, named), isinstance(mine, named), issubclass(Plan, named)))

    def plan() -> Iterator[Msg]:
        yield Msg("null")
        look()  # and in the preview's own
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    mine = bps.null()
    preview(plan)
    assert seen == [(False, True, True)] * 2
    mine.close()


def test_plans_are_told_of_that_nobody_iterates_after_a_preview() -> None:
    preview(bps.null)
    with pytest.warns(RuntimeWarning, match="never iterated"):
        bps.null()


def test_what_others_put_into_bluesky_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def theirs(label: str | None = None, truncate: int | None = 6) -> str:
        return "theirs"

    seen = []

    def look() -> None:
        seen.append(bps._short_uid())

    def plan() -> Iterator[Msg]:
        yield Msg("null")
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    monkeypatch.setattr(bps, "_short_uid", theirs)
    preview(plan)
    assert seen == ["theirs"]
    assert bps._short_uid is theirs


def test_an_action_that_the_plan_reads_until(scope: Microscope) -> None:
    stop = Action(name="stop")

    def plan() -> Iterator[Msg]:
        yield from bps.open_run()
        yield from read_while_waiting([scope.temperature], stop.event_map, refresh_period=0.5)
        yield from bps.close_run()

    foreseen = preview(plan)
    assert foreseen.is_endless
    assert not stop.latch.is_set()


def test_a_soft_signal_is_what_the_plan_has_set() -> None:
    class Box(StandardReadable):
        def __init__(self) -> None:
            self.level = soft_signal_rw(float, 2.0)
            super().__init__(name="box")

    box = Box()
    levels = []

    def plan() -> Iterator[Msg]:
        levels.append((yield from bps.rd(box.level)))
        yield from bps.mv(box.level, 5.0)
        levels.append((yield from bps.rd(box.level)))

    assert not preview(plan).problems
    assert levels == [2.0, 5.0]


@pytest.mark.parametrize(
    "several",
    [
        lambda: itertools.repeat(None, 3000),
        lambda: [1.0] * 3000,
        lambda: zip([1.0] * 3000, itertools.repeat(2), strict=False),
        lambda: enumerate_equal(3000),
        lambda: itertools.zip_longest([1.0] * 3000, [2]),  # which crashed Python
        lambda: itertools.chain([1.0] * 1500, (1.0,) * 1500),
    ],
)
def test_a_repetition_over_equal_things_is_counted(several: Any) -> None:
    def plan() -> Iterator[Msg]:
        for _ in several():
            yield from bps.sleep(1)

    assert preview(plan).duration == pytest.approx(3000, rel=0.01)


def enumerate_equal(number: int) -> Iterator[float]:
    for _ in range(number):
        yield 1.0


@pytest.mark.parametrize("stop", [1.0, 1e-6])
def test_a_scan_of_very_many_points_has_an_end(scope: Microscope, stop: float) -> None:
    """Its place stands in a dictionary, and changes by less than a reading of the clock may."""
    foreseen = preview(bp.scan, [scope.temperature], scope.focus, 0, stop, 1500)
    assert foreseen.events == {"primary": 1500}
    equal = preview(bp.list_scan, [scope.temperature], scope.focus, [stop] * 1500)
    assert equal.events == {"primary": 1500}


def test_a_loop_within_a_loop_without_end_is_endless(scope: Microscope) -> None:
    def watch() -> Iterator[Msg]:
        while True:
            for device in (scope.temperature, scope.focus, scope.temperature):
                yield from bps.rd(device)
                yield from bps.checkpoint()

    foreseen = preview(watch)
    assert foreseen.is_endless
    assert foreseen.messages < 30_000


def test_a_number_that_creeps_gets_somewhere(scope: Microscope) -> None:
    def creep() -> Iterator[Msg]:
        place = 0.0
        while place < 1e-5:
            place += 5e-9
            yield from bps.mv(scope.focus, place)
            yield from bps.checkpoint()

    assert not preview(creep).is_endless


def test_a_motor_that_takes_its_time() -> None:
    motor = SimMotor("motor", instant=False)
    foreseen = preview(bps.mv, motor, 10)  # 1 mm/s, half a second to get there
    assert foreseen.duration == pytest.approx(10.5, rel=0.01)
    assert foreseen.moves["motor"].path == (0.0, 10)
