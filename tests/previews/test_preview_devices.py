"""What devices of all libraries say of themselves: times, limits, positions, what they drive."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest
from bluesky.utils import Msg
from ophyd_async.core import StandardReadable, init_devices, set_mock_value, soft_signal_rw
from ophyd_async.epics.motor import Motor
from ophyd_async.sim import SimMotor

from freewheel import RunEngine, preview
from freewheel.plans import live_view
from freewheel.previews import Move, Previewer, Times
from freewheel.sim import Axis, Microscope, SimCamera, microscope
from freewheel.sim._making import MakingTime

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def scope() -> Microscope:
    return microscope(shape=(32, 32), exposure=0.1)


@pytest.fixture
def motor() -> Iterator[Motor]:
    pytest.importorskip("aioca")  # what ophyd-async makes the record of, in the extra epics
    with RunEngine():
        with init_devices(mock=True):
            motor = Motor("TEST:M1")
        for signal, value in (
            (motor.velocity, 2.0),
            (motor.acceleration_time, 0.5),
            (motor.low_limit_travel, -10.0),
            (motor.high_limit_travel, 10.0),
            (motor.dial_high_limit_travel, 10.0),
        ):
            set_mock_value(signal, value)
        yield motor


class TestTimes:
    def test_a_motor_record_takes_as_long_as_its_velocity_says(self, motor: Motor) -> None:
        assert preview(bps.mv, motor, 8).duration == pytest.approx(4.5, rel=0.01)

    def test_a_short_move_never_comes_to_its_velocity(self, motor: Motor) -> None:
        assert preview(bps.mv, motor, 0.25).duration == pytest.approx(0.5, rel=0.02)

    def test_moves_at_the_same_time_take_as_long_as_the_longest(self) -> None:
        fast = SimMotor("fast", instant=False)
        slow = SimMotor("slow", instant=False)
        foreseen = preview(bps.mv, fast, 2, slow, 6)
        assert foreseen.duration == pytest.approx(6.5, rel=0.01)

    def test_a_velocity_that_the_plan_sets_counts(self) -> None:
        motor = SimMotor("motor", instant=False)

        def plan() -> Iterator[Msg]:
            yield from bps.mv(motor.velocity, 10.0)
            yield from bps.mv(motor, 10.0)

        assert preview(plan).duration == pytest.approx(1.5, rel=0.01)

    def test_an_exposure_that_the_plan_sets_counts(self, scope: Microscope) -> None:
        def plan() -> Iterator[Msg]:
            yield from bp.count([scope.camera], 10)
            yield from bps.mv(scope.camera.exposure, 0.5)
            yield from bp.count([scope.camera], 10)

        assert preview(plan).duration == pytest.approx(6, rel=0.05)

    def test_a_region_that_the_plan_sets_counts_for_data_and_time(self) -> None:
        camera = SimCamera("camera", shape=(1000, 100), exposure=0.0, readout=1.0)

        def plan() -> Iterator[Msg]:
            yield from bps.mv(camera.roi, [0, 0, 100, 500], camera.binning, 2)
            yield from bp.count([camera])

        foreseen = preview(plan)
        assert foreseen.data_bytes == 250 * 50 * 2
        assert foreseen.duration == pytest.approx(0.5, rel=0.05)

    def test_frames_are_reckoned_anew_when_the_plan_makes_them_smaller(self) -> None:
        camera = SimCamera("camera", shape=(100, 100))

        def plan() -> Iterator[Msg]:
            yield from bp.count([camera], 2)
            yield from bps.mv(camera.binning, 2)
            yield from bp.count([camera], 2)

        assert preview(plan).data_bytes == 2 * 2 * (100 * 100 + 50 * 50)

    def test_a_time_that_hangs_on_a_pseudo_axis_is_reckoned_anew(self) -> None:
        both = _diagonal()

        class Sensor:
            name, parent = "sensor", None

            def trigger(self) -> None: ...
            def read(self) -> dict[str, Any]: ...
            def describe(self) -> dict[str, Any]: ...

            def expected_time(self, verb: str, value: Any, known: Any) -> float | None:
                return float(known(both.far)) if verb == "trigger" else None

        sensor = Sensor()

        def plan() -> Iterator[Msg]:
            for place in (0.5, 4.0):
                yield from bps.mv(both.far, place)
                yield from bps.trigger(sensor, wait=True)

        assert preview(plan).duration == pytest.approx(4.5, rel=0.05)

    def test_frames_that_take_a_computer_longer_than_they_are_exposed(self) -> None:
        making = MakingTime()
        assert 0 < making.of(10**6) < 0.1
        for seconds in (2.0, 1.0, 40.0):  # the last one while the machine was busy
            making.note(seconds, 10**6)
        assert making.of(2 * 10**6) == pytest.approx(4)

    def test_frames_that_are_asked_for_ahead_are_taken_one_after_the_other(self) -> None:
        class Ahead(SimCamera):
            triggers_ahead = True

            def trigger(self, *, ahead: bool = False) -> Any: ...

        camera = Ahead(name="camera", shape=(32, 32), exposure=0.1)
        foreseen = preview(live_view, [camera], rate=1e6, frames=10, at_once=True)
        assert foreseen.duration == pytest.approx(1.0, rel=0.1)
        assert not foreseen.problems

    def test_large_frames_take_as_long_as_those_before(self) -> None:
        large = microscope(shape=(2048, 2048), exposure=0.001)
        with RunEngine() as engine:
            for camera in (large.camera, large.file_camera):
                engine(bp.count([camera], 2)).result(60)
        for camera in (large.camera, large.file_camera):
            assert preview(bp.count, [camera], 5).duration > 5 * 0.012  # 0.011 for the read-out

    def test_a_device_may_take_longer_after_something_has_changed(self) -> None:
        class Filtered(StandardReadable):
            def __init__(self) -> None:
                self.filter = soft_signal_rw(int)
                super().__init__(name="filtered")

            def trigger(self) -> None: ...

            def expected_time(self, verb: str, value: Any, known: Any) -> float | None:
                known(self.filter)
                return {"trigger": 10.0, "again": 1.0}.get(verb)

        device = Filtered()

        def plan() -> Iterator[Msg]:
            for number in range(2):
                yield from bps.mv(device.filter, number)
                for _ in range(3):
                    yield from bps.trigger(device, wait=True)

        assert preview(plan).duration == pytest.approx(24, rel=0.01)

    def test_a_large_frame_of_a_new_place_takes_longer_than_one_more_of_it(self) -> None:
        scope = microscope(shape=(32, 32), exposure=0.001)
        frames = scope.camera._frames
        with RunEngine() as engine:
            engine(bp.count([scope.camera])).result(20)
        for _ in range(16):  # as if they were large
            frames.rendering.note(1.0, 32 * 32)
            frames.framing.note(0.1, 32 * 32)

        def moved(device: Any, *places: Any) -> float:
            return preview(bp.list_scan, [scope.camera], device, list(places)).duration

        travel = preview(bp.list_scan, [], scope.focus, [10, 20, 30]).duration
        assert preview(bp.count, [scope.camera], 5).duration == pytest.approx(0.5, rel=0.05)
        assert moved(scope.focus, 10, 20, 30) == pytest.approx(3 * 1.1 + travel, rel=0.05)
        assert moved(scope.shutter, "Closed") == pytest.approx(1.1, rel=0.05)
        assert moved(scope.camera.gain, 2.0, 3.0) == pytest.approx(2.2, rel=0.05)
        # It looks at this place now.
        assert moved(scope.shutter, "Open") == pytest.approx(0.1, rel=0.3)

    def test_new_places_take_a_file_camera_a_quarter_of_its_time(self) -> None:
        scope = microscope(shape=(32, 32), exposure=0.001)
        camera = scope.file_camera
        with RunEngine() as engine:
            engine(bp.count([camera])).result(20)
        for _ in range(16):
            camera._acquisition.frames.rendering.note(1.0, 32 * 32)
            camera._acquisition.making.note(0.3, 32 * 32)
        still = preview(bp.count, [camera], 4)
        moved = preview(bp.list_scan, [camera], scope.lamp, [10, 20, 30, 40])
        assert moved.duration - 4 * 0.05 == pytest.approx(still.duration * 4 / 3, rel=0.05)

    def test_an_axis_of_ophyds_simulation(self) -> None:
        sim = pytest.importorskip("ophyd.sim")
        axis = sim.SynAxis(name="axis", delay=1.5)
        detector = sim.SynGauss("det", axis, "axis", center=0, Imax=1)
        detector.exposure_time = 0.5
        foreseen = preview(bp.scan, [detector], axis, 0, 1, 3)
        assert foreseen.duration == pytest.approx(6, rel=0.05)
        assert not foreseen.guesses

    def test_what_took_so_long_before_is_taken_for_what_it_takes(self) -> None:
        class Slide:
            name, parent = "slide", None

            def set(self, value: Any) -> Any: ...

        times = Times()
        for seconds in (1.0, 2.0, 6.0):
            times.note("slide", "set", seconds)
        foreseen = Previewer(times=times)(bps.mv, Slide(), 3)
        assert foreseen.duration == pytest.approx(2, rel=0.01)
        assert foreseen.shortest < 1.01
        assert foreseen.longest > 6
        assert not foreseen.guesses

    def test_a_wait_that_is_too_short_may_fail(self) -> None:
        motor = SimMotor("motor", instant=False)

        def plan() -> Iterator[Msg]:
            yield Msg("set", motor, 10, group="move")
            yield Msg("wait", None, group="move", timeout=1.0)

        (problem, *_) = preview(plan).problems
        assert "a wait of 1 s" in problem.text

    def test_a_status_is_done_when_its_time_has_come(self) -> None:
        motor = SimMotor("motor", instant=False)
        told = []

        def plan() -> Iterator[Msg]:
            status = yield Msg("set", motor, 10)
            status.add_callback(lambda each: told.append(each.success))
            while not status.done:
                yield from bps.sleep(1)

        assert preview(plan).duration == pytest.approx(11, rel=0.02)
        assert told == [True]


class TestLimits:
    def test_a_motor_record_refuses_what_is_beyond_its_limits(self, motor: Motor) -> None:
        foreseen = preview(bp.list_scan, [], motor, [0, 5, 10.5])
        (problem,) = foreseen.problems
        assert "motor" in problem.text
        assert "-10" in problem.text
        assert not problem.is_guess
        assert preview(bp.list_scan, [], motor, [0, 5, 10]).problems == ()

    def test_dial_limits_of_zero_are_no_limits(self, motor: Motor) -> None:
        set_mock_value(motor.dial_high_limit_travel, 0.0)
        assert preview(bps.mv, motor, 1e4).problems == ()

    def test_an_axis_says_its_limits_itself(self) -> None:
        axis = Axis("axis", limits=(-5, 5))
        foreseen = preview(bps.mv, axis, 6)
        assert foreseen.problems[0].text == "axis can move from -5 to 5 um, not to 6 um"

    def test_what_is_refused_at_once_is_no_move(self) -> None:
        assert not preview(bps.mv, Axis("axis", limits=(-5, 5)), 6).moves

    def test_a_check_that_waits_for_something_is_waited_for(self) -> None:
        class Checked(Axis):
            async def check_value(self, value: float) -> None:
                await asyncio.sleep(0)
                if value > 2:
                    raise ValueError(f"{self.name} is blocked from 2 um on")

        axis = Checked("axis")
        foreseen = preview(bp.scan, [], axis, 0, 4, 5)
        assert foreseen.problems[0].text == "axis is blocked from 2 um on"
        assert foreseen.moves["axis"].highest == 2.0

    def test_pseudo_axes_are_checked_where_the_real_ones_go(self) -> None:
        foreseen = preview(bps.mv, _diagonal().far, 8)
        assert "near" in foreseen.problems[0].text or "limits" in foreseen.problems[0].text
        assert foreseen.is_wrong

    def test_a_pseudo_axis_keeps_the_others_where_the_plan_has_sent_them(self) -> None:
        both = _diagonal()

        def plan() -> Iterator[Msg]:
            yield from bps.mv(both.across, 4)
            yield from bps.mv(both.far, 4)

        foreseen = preview(plan)
        assert foreseen.moves["both_right"].path[-1] == 0.0
        assert foreseen.moves["both_left"].path[-1] == 8.0
        assert not foreseen.problems
        assert set(foreseen.claims) == {"both_across", "both_far", "both"}


def _diagonal() -> Any:
    pseudopos = pytest.importorskip("ophyd.pseudopos")
    from ophyd import Component, SoftPositioner

    class Diagonal(pseudopos.PseudoPositioner):
        across = Component(pseudopos.PseudoSingle)
        far = Component(pseudopos.PseudoSingle)
        left = Component(SoftPositioner, limits=(-10, 10), init_pos=0)
        right = Component(SoftPositioner, limits=(-5, 5), init_pos=0)

        def forward(self, pseudo_pos: Any) -> Any:
            return self.RealPosition(
                left=pseudo_pos.across + pseudo_pos.far, right=pseudo_pos.far - pseudo_pos.across
            )

        def inverse(self, real_pos: Any) -> Any:
            return self.PseudoPosition(
                across=(real_pos.left - real_pos.right) / 2,
                far=(real_pos.left + real_pos.right) / 2,
            )

    return Diagonal(name="both")


class TestPictures:
    def test_a_raster_is_drawn(self, scope: Microscope) -> None:
        pytest.importorskip("matplotlib")
        foreseen = preview(
            bp.grid_scan, [scope.temperature], scope.stage.x, 0, 3, 4, scope.stage.y, 0, 2, 3, True
        )
        ax = foreseen.plot()
        (line,) = ax.lines
        assert list(line.get_xdata())[:4] == [0, 0, 0, 1]
        assert ax.get_xlabel() == "stage-x [um]"
        with pytest.raises(KeyError, match="stage-y"):
            foreseen.plot(x="focus")

    def test_one_axis_is_drawn_by_event(self, scope: Microscope) -> None:
        pytest.importorskip("matplotlib")
        ax = preview(bp.scan, [scope.temperature], scope.focus, 0, 3, 4).plot()
        assert list(ax.lines[0].get_ydata()) == [0, 1, 2, 3]
        assert ax.get_ylabel() == "focus [um]"

    def test_all_places_are_told_that_are_no_numbers(self) -> None:
        # A stage that is moved whole, back and forth; a list is where it stood.
        move = Move(None, None, ([0.0, 0.0], *((0.0, 0.0),) * 9, (200.0, 0.0)))
        assert str(move) == "(0.0, 0.0), (200.0, 0.0)"

    def test_a_plan_that_moves_nothing_has_an_empty_picture(self, scope: Microscope) -> None:
        pytest.importorskip("matplotlib")
        assert not preview(bp.count, [scope.temperature]).plot().lines

    def test_it_is_put_into_words(self, scope: Microscope) -> None:
        foreseen = preview(bp.scan, [scope.camera], scope.stage.x, -10, 10, 200)
        assert str(foreseen).splitlines() == [
            f"scan: {foreseen.summary}",
            "moves stage-x -10 … 10 um",
            "needs camera, stage, stage-x",
        ]
        assert foreseen.summary == "about 21 s, 200 events, 411 kB"
