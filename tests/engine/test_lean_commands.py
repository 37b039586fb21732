"""The lean commands: what they share with bluesky's, and what is theirs alone."""

from __future__ import annotations

import gc
import sys
import threading
import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.run_engine import RunEngineInterrupted, WaitForTimeoutError
from bluesky.utils import FailedStatus, IllegalMessageSequence, Msg, Plan

import freewheel.plan_stubs as fps
from doubles import Finished, FrameCamera, Mover, run
from freewheel import RunEngine
from freewheel.engine import remember_call_sites
from freewheel.engine._bluesky import _statuses, _tracing

if TYPE_CHECKING:
    pass

WAIT = 20.0


# -- waiting -------------------------------------------------------------------------------------


def test_the_waiting_hook_is_told_of_the_statuses_and_of_the_end(engine: RunEngine) -> None:
    mover, told = Mover(), []

    def hook(statuses: Any) -> None:
        told.append(statuses)
        if statuses is not None:
            mover.statuses[0].set_finished()

    def plan() -> Any:
        yield Msg("set", mover, 1, group="move")
        return (yield Msg("wait", None, group="move"))

    engine.waiting_hook = hook

    assert run(engine, plan()) is True
    assert told == [set(mover.statuses), None]


def test_a_wait_that_takes_too_long_leaves_the_group_to_wait_for(engine: RunEngine) -> None:
    mover, told = Mover(), []
    engine.waiting_hook = told.append

    def plan() -> Any:
        yield Msg("set", mover, 1, group="move")
        with pytest.raises(WaitForTimeoutError, match="failed to complete in the specified time"):
            yield Msg("wait", None, group="move", timeout=0.001)
        mover.statuses[0].set_finished()
        return (yield Msg("wait", None, group="move", timeout=WAIT))

    assert run(engine, plan()) is True
    assert told == [set(mover.statuses), None] * 2


def test_rarer_arguments_are_blueskys_business(engine: RunEngine) -> None:
    mover, other = Mover("mover"), Mover("other")

    def plan() -> Any:
        yield Msg("set", mover, 1, group="move")
        early = yield Msg("wait", None, group="move", error_on_timeout=False, timeout=0.001)
        mover.statuses[0].set_finished()
        late = yield Msg("wait", None, group="move", error_on_timeout=False, timeout=WAIT)
        yield Msg("set", mover, 1, group="move")
        yield Msg("set", other, 1, group="other")
        other.statuses[0].set_exception(OSError("lost"))
        try:
            yield Msg("wait", None, group="move", watch=["other"])
        except FailedStatus as failure:
            return early, late, type(failure.__cause__)

    assert run(engine, plan()) == (False, True, OSError)


def test_one_failure_among_many_ends_the_wait_at_once(engine: RunEngine) -> None:
    movers = [Mover(str(i)) for i in range(20)]

    def plan() -> Any:
        for mover in movers:
            yield Msg("set", mover, 1, group="all")
        movers[7].statuses[0].set_exception(OSError("lost"))
        yield Msg("wait", None, group="all")

    with pytest.raises(FailedStatus, match="lost") as failure:
        engine(plan()).result(WAIT)
    assert isinstance(failure.value.__cause__, OSError)


def test_the_group_of_a_status_that_failed_before_the_wait(engine: RunEngine) -> None:
    """bluesky's trap, kept: a status that failed unseen spoils its group's name."""
    mover = Mover()

    def plan() -> Any:
        yield Msg("set", mover, 1, group="same")
        try:
            mover.statuses[0].set_exception(OSError("lost"))
            while True:
                yield Msg("null")
        except FailedStatus:
            pass
        yield Msg("set", mover, 2, group="same")
        yield Msg("wait", None, group="same")

    with pytest.raises(WaitForTimeoutError):
        engine(plan()).result(WAIT)


class CannotSay(Finished):
    """A status that calls back, and cannot be asked whether it is done."""

    def __init__(self, error: Exception) -> None:
        self._cannot = error
        super().__init__(done=False)

    @property  # type: ignore[override]
    def done(self) -> bool:
        if self._is_done:
            raise self._cannot
        return False

    @done.setter
    def done(self, done: bool) -> None:
        self._is_done = done


@pytest.mark.parametrize("error", [OSError("no line"), AttributeError("done")])
def test_a_status_need_not_say_whether_it_is_done(engine: RunEngine, error: Exception) -> None:
    mover = Mover()
    mover.set = lambda value: status  # type: ignore[method-assign,assignment,return-value]
    status = CannotSay(error)
    status.finish()
    status.add_callback = lambda callback: callback(status)  # type: ignore[method-assign]

    def plan() -> Any:
        yield from bps.abs_set(mover, 1, group="A")
        yield from bps.wait("A")
        assert not engine.claims
        yield Msg("null")

    assert engine(plan()).result(WAIT).exit_status == "success"


def test_statuses_that_end_in_many_threads_are_all_counted(engine: RunEngine) -> None:
    movers = [Mover(str(i)) for i in range(400)]

    def end(part: list[Mover]) -> None:
        for mover in part:
            assert mover.given.acquire(timeout=WAIT)
            mover.statuses[0].set_finished()

    threads = [threading.Thread(target=end, args=(movers[i::8],)) for i in range(8)]
    for thread in threads:
        thread.start()

    def plan() -> Any:
        for mover in movers:
            yield Msg("set", mover, 1, group="all")
        return (yield Msg("wait", None, group="all"))

    assert run(engine, plan()) is True
    assert all(mover.statuses[0].done for mover in movers)
    for thread in threads:
        thread.join()


def test_groups_that_nobody_waits_for_do_not_pile_up(engine: RunEngine) -> None:
    camera = FrameCamera()

    def plan() -> Any:
        for i in range(5000):
            yield Msg("trigger", camera, group=f"group {i}")
        many = len(engine._groups), len(engine._status_objs)
        for _ in range(5000):
            yield Msg("trigger", camera, group="one")
        return *many, len(engine._groups["one"]), len(engine._status_objs["one"])

    assert max(run(engine, plan())) <= 2 * _statuses.PURGE_EVERY


def test_a_status_that_is_still_under_way_is_not_forgotten(engine: RunEngine) -> None:
    mover, camera = Mover(), FrameCamera()

    def plan() -> Any:
        yield Msg("set", mover, 1, group="same")
        for _ in range(3 * _statuses.PURGE_EVERY):
            yield Msg("trigger", camera, group="same")
        with pytest.raises(WaitForTimeoutError):
            yield Msg("wait", None, group="same", timeout=0.001)
        mover.statuses[0].set_finished()
        return (yield Msg("wait", None, group="same"))

    assert run(engine, plan()) is True


# -- whose commands ------------------------------------------------------------------------------


def test_a_command_that_a_subclass_changes_is_left_alone() -> None:
    seen = []

    class Mine(RunEngine):
        async def _read(self, msg: Msg) -> Any:
            seen.append(msg.obj)
            return await super()._read(msg)

    camera = FrameCamera()
    with Mine({}) as engine:
        engine([Msg("read", camera)]).result(WAIT)

    assert seen == [camera]


def test_a_command_that_is_registered_later_wins(engine: RunEngine) -> None:
    async def read(msg: Msg) -> str:
        return "mine"

    def plan() -> Any:
        return (yield Msg("read", FrameCamera()))

    engine.register_command("read", read)

    assert run(engine, plan()) == "mine"


def test_bluesky_serves_a_tracer(engine: RunEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    camera, asked = FrameCamera(), []
    for name in ("_set", "_wait"):
        original = getattr(engine, name)

        async def spy(msg: Msg, original: Any = original) -> Any:
            asked.append(msg.command)
            return await original(msg)

        monkeypatch.setattr(engine, name, spy)
    monkeypatch.setattr(_tracing, "get_tracer_provider", object)
    camera.set = lambda value: camera.trigger()

    def plan() -> Any:
        yield Msg("open_run")
        yield from bps.mv(camera, 1)
        readings = yield from fps.acquire([camera])
        yield Msg("close_run")
        return readings

    assert run(engine, plan()).keys() == {"camera"}
    assert asked == ["set", "wait", "wait"]


def test_a_tracer_that_comes_while_a_plan_runs_is_noticed(
    engine: RunEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = engine._wait

    async def spy(msg: Msg) -> Any:
        asked.append(msg.command)
        return await original(msg)

    monkeypatch.setattr(engine, "_wait", spy)

    def plan() -> Any:
        yield from bps.wait("nothing")
        assert not asked
        monkeypatch.setattr(_tracing, "get_tracer_provider", object)
        for _ in range(_tracing.UNTIL_NEXT_LOOK):
            yield from bps.wait("nothing")

    run(engine, plan())
    assert asked == ["wait"]


# -- acquire -------------------------------------------------------------------------------------


def live(turns: int, camera: Any, how: Any = fps.acquire) -> Any:
    yield Msg("open_run")
    for _ in range(turns):
        yield from fps.checkpoint()
        yield from how([camera])
    yield Msg("close_run")


def test_acquire_is_one_message(engine: RunEngine) -> None:
    commands: list[str] = []
    engine.msg_hook = lambda msg: commands.append(msg.command)

    engine(live(2, FrameCamera())).result(WAIT)

    assert commands == ["open_run", *["checkpoint", "acquire"] * 2, "close_run"]


def test_acquire_serves_the_waiting_hook(engine: RunEngine) -> None:
    told: list[Any] = []
    engine.waiting_hook = told.append

    engine(live(2, FrameCamera())).result(WAIT)

    assert [statuses is None for statuses in told] == [False, True] * 2


def test_acquire_needs_a_run(engine: RunEngine) -> None:
    with pytest.raises(IllegalMessageSequence, match="open run"):
        engine(fps.acquire([FrameCamera()])).result(WAIT)


def test_a_pause_tells_the_devices_of_acquire(engine: RunEngine) -> None:
    camera = FrameCamera()

    def plan() -> Any:
        yield Msg("open_run")
        yield from fps.acquire([camera])
        yield Msg("pause")
        yield Msg("close_run")

    with pytest.raises(RunEngineInterrupted):
        engine(plan()).result(WAIT)
    engine.resume().result(WAIT)

    assert camera.paused == 1


def test_a_stop_in_the_middle_of_acquire_leaves_no_open_event(engine: RunEngine) -> None:
    mover, documents = Mover(), []
    mover.trigger = lambda: mover.set(1)
    engine.subscribe(lambda name, doc: documents.append((name, doc)))

    def plan() -> Any:
        yield Msg("open_run")
        try:
            yield from fps.acquire([mover])
        finally:
            yield from fps.checkpoint()
            yield Msg("close_run")

    future = engine(plan())
    assert mover.given.acquire(timeout=WAIT)
    engine.stop().result(WAIT)

    assert future.outcome.result(WAIT).exit_status == "success"
    assert [name for name, _ in documents] == ["start", "stop"]


def test_devices_that_can_not_be_rewound_are_taken_step_by_step(engine: RunEngine) -> None:
    camera = FrameCamera()
    camera.rewindable = type("Signal", (), {"get": staticmethod(lambda: False)})()
    commands: list[str] = []
    engine.msg_hook = lambda msg: commands.append(msg.command)

    engine(live(1, camera)).result(WAIT)

    assert "acquire" not in commands
    assert commands.count("rewindable") == 3


# -- frames and memory ---------------------------------------------------------------------------


@pytest.mark.parametrize("how", [fps.acquire, fps.trigger_and_read])
def test_frames_are_handed_on_and_not_kept(engine: RunEngine, how: Any) -> None:
    camera, same = FrameCamera(), []

    def look(name: str, doc: Any) -> None:
        same.append(doc["data"]["camera"] is camera.frames[-1]())

    engine.subscribe(look, "event")
    engine(live(20, camera, how)).result(WAIT)
    gc.collect()

    assert same == [True] * 20
    # The last one is the camera's own.
    assert sum(frame() is not None for frame in camera.frames) == 1


@pytest.mark.parametrize("how", [fps.acquire, fps.trigger_and_read, bps.trigger_and_read])
def test_memory_stays_flat(engine: RunEngine, how: Any) -> None:
    camera = FrameCamera()
    blocks: list[int] = []

    def plan(turns: int) -> Any:
        yield Msg("open_run")
        for turn in range(4 * turns):
            if turn % turns == 0:
                gc.collect()
                camera.frames.clear()
                blocks.append(sys.getallocatedblocks())
            yield from fps.checkpoint()
            yield from how([camera])
        gc.collect()
        camera.frames.clear()
        blocks.append(sys.getallocatedblocks())
        yield Msg("close_run")

    turns = 200 if how is bps.trigger_and_read else 1000
    run(engine, plan(turns))

    # Less than a block of memory in ten turns. The first part warms caches up, and what others in
    # the process do may fall into one part, not into each.
    assert min(b - a for a, b in pairwise(blocks[1:])) < turns / 10


# -- call sites ----------------------------------------------------------------------------------


def test_call_sites_warn_as_stacks_do() -> None:
    def forgotten() -> str:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            bps.checkpoint()
            gc.collect()
        (warning,) = caught
        assert warning.category is RuntimeWarning
        return str(warning.message)

    whole = forgotten().rstrip().splitlines()
    with remember_call_sites():
        site = forgotten().rstrip().splitlines()

    # The line that made it with its code, and bluesky's own words, are the end of both.
    assert site[-3:] == whole[-3:]
    assert "bps.checkpoint()" in site[-2]
    assert len(site) == 4 < len(whole)


def test_call_sites_are_undone_on_leaving() -> None:
    original = Plan.__init__
    with remember_call_sites():
        with remember_call_sites():
            assert Plan.__init__ is not original
        assert Plan.__init__ is not original
    assert Plan.__init__ is original

    with pytest.raises(KeyError), remember_call_sites():
        raise KeyError
    assert Plan.__init__ is original


def test_call_sites_are_remembered_from_the_call_on() -> None:
    original = Plan.__init__
    remembering = remember_call_sites()
    try:
        assert Plan.__init__ is not original  # the call alone is enough, in a program of one's own
        assert repr(remembering) == "<call sites are remembered>"
        with remembering:
            assert Plan.__init__ is not original
        assert Plan.__init__ is original
    finally:
        remembering.__exit__(None, None, None)  # once more is not one too many
    with remember_call_sites():
        remembering.__exit__(None, None, None)
        assert Plan.__init__ is not original
    assert Plan.__init__ is original


def test_plans_run_with_call_sites(engine: RunEngine) -> None:
    with remember_call_sites():
        engine(bps.mv(camera := Mover(), 1))
        assert camera.given.acquire(timeout=WAIT)
        camera.statuses[0].set_finished()
        assert engine([Msg("null")]).result(WAIT).exit_status == "success"
