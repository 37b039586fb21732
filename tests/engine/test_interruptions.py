# ruff: noqa: N803
"""What an interruption says, where its reason goes, and a resume that comes before the pause."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.plans import count
from bluesky.run_engine import TransitionError
from bluesky.utils import Msg, RunEngineInterrupted

from doubles import Detector, quick
from freewheel import BlockingRunEngine

T = 10


# -- texts ------------------------------------------------------------------------------------


def test_a_pause_says_how_to_go_on(RE: Any, gate: Any) -> None:
    future = RE(gate.plan())
    gate.wait()
    RE.request_pause().result(T)
    text = str(future.exception(T))
    assert "'plan' was paused" in text
    assert "RE.resume()" in text


def test_a_pause_says_what_the_user_wants_to_be_said_too(RE: Any, gate: Any) -> None:
    RE.pause_msg = "Call Anna."
    future = RE(gate.plan())
    gate.wait()
    RE.request_pause().result(T)
    assert str(future.exception(T)).endswith("Call Anna.")


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (lambda RE: RE.stop(), "was stopped"),
        (lambda RE: RE.abort(), "was aborted"),
        (lambda RE: RE.abort("the beam is gone"), "because: the beam is gone"),
        (lambda RE: RE.halt(), "was halted"),
    ],
)
def test_an_end_says_what_it_was_and_why(RE: Any, gate: Any, end: Any, says: str) -> None:
    future = RE(gate.plan())
    gate.wait()
    end(RE).result(T)
    text = str(future.exception(T))
    assert "'plan'" in text
    assert says in text


def test_a_pause_that_is_not_possible_says_so(RE: Any) -> None:
    begun = threading.Event()

    def plan() -> Any:
        yield Msg("clear_checkpoint")
        RE.loop.call_soon(begun.set)
        yield Msg("sleep", None, 60)

    future = RE(plan())
    assert begun.wait(T)
    RE.request_pause().result(T)
    assert "has cleared its checkpoint" in str(future.exception(T))


def test_a_blocking_host_gets_the_text_too() -> None:
    with BlockingRunEngine() as engine:

        def plan() -> Any:
            yield Msg("checkpoint")
            engine.loop.call_soon(engine.abort, "no light")
            yield Msg("sleep", None, 60)

        with pytest.raises(RunEngineInterrupted, match="because: no light"):
            engine(plan())


# -- the reason of an abort --------------------------------------------------------------------


@pytest.mark.parametrize("paused", [False, True])
def test_the_reason_of_an_abort_reaches_the_stop_document_of_count(RE: Any, paused: bool) -> None:
    detector, begun = Detector("det"), threading.Event()
    documents: list[tuple[str, Any]] = []
    RE.subscribe(lambda name, doc: documents.append((name, doc)))
    RE.subscribe(lambda name, doc: begun.set(), "event")
    future = RE(count([detector], num=None, delay=0.01))
    assert begun.wait(T)
    if paused:
        RE.request_pause().result(T)
    RE.abort("the beam is gone").result(T)
    assert isinstance(future.exception(T), RunEngineInterrupted)
    (stop,) = [doc for name, doc in documents if name == "stop"]
    assert stop["exit_status"] == "abort"
    assert stop["reason"] == "the beam is gone"


def test_a_reason_of_the_plan_itself_stays(RE: Any, gate: Any) -> None:
    stops: list[Any] = []
    RE.subscribe(lambda name, doc: stops.append(doc), "stop")

    def plan() -> Any:
        yield Msg("open_run")
        try:
            yield from gate.plan()
        finally:
            yield Msg("close_run", None, exit_status="abort", reason="its own")

    RE(plan())
    gate.wait()
    RE.abort("another").result(T)
    assert [stop["reason"] for stop in stops] == ["its own"]


# -- what is no plan --------------------------------------------------------------------------


@pytest.mark.parametrize("make", [list, tuple, iter])
def test_what_gives_no_messages_is_refused_on_the_spot(RE: Any, gate: Any, make: Any) -> None:
    RE(gate.plan())
    gate.wait()
    innocent = RE(quick(1))
    plan = count([Detector("det")])
    with pytest.raises(TypeError, match=r"(?s)no Msg.*RE\(a\(\)\); RE\(b\(\)\)"):
        RE(make([plan]))
    plan.close()
    with pytest.raises(TypeError, match="is 1, which is no Msg"):
        RE(make([1, 2]))
    gate.open()
    assert innocent.result(T).plan_result == 1


@pytest.mark.parametrize("make", [list, tuple, iter, deque])
def test_the_first_message_is_not_lost_by_the_look_at_it(RE: Any, make: Any) -> None:
    seen: list[str] = []
    RE.msg_hook = lambda msg: seen.append(msg.command)
    RE(make([Msg("checkpoint"), Msg("null"), Msg("sleep", None, 0)])).result(T)
    assert seen == ["checkpoint", "null", "sleep"]
    RE(make([])).result(T)


def test_the_look_begins_no_plan(RE: Any) -> None:
    begun: list[int] = []

    def plan() -> Any:
        begun.append(threading.get_ident())
        yield Msg("null")

    class Plan:
        def __iter__(self) -> Any:
            return plan()

    RE(Plan()).result(T)
    assert begun == [RE._th.ident]


# -- a resume before the pause -----------------------------------------------------------------


class SlowToPause(Detector):
    """A device whose pause takes until it is let go."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.asked = threading.Event()
        self.pauses = self.resumes = 0
        self.release: Any = None

    async def pause(self) -> None:
        self.pauses += 1
        self.release = asyncio.Event()
        self.asked.set()
        await self.release.wait()

    def resume(self) -> None:
        self.resumes += 1

    def let_go(self, RE: Any) -> None:
        RE.loop.call_soon_threadsafe(lambda: self.release.set())


def slow_plan(device: Any, gate: Any) -> Any:
    yield Msg("checkpoint")
    yield from bps.trigger(device, wait=True)
    return (yield from gate.plan())


def test_a_resume_takes_effect_after_the_pause_that_is_on_its_way(RE: Any, gate: Any) -> None:
    device, states = SlowToPause(), []
    RE.events.state_changed.connect(lambda new, old: states.append(new))
    first = RE(slow_plan(device, gate))
    gate.wait()
    pause = RE.request_pause()
    assert device.asked.wait(T)
    assert RE.state == "pausing"
    resumed = RE.resume()
    assert resumed is not first
    assert resumed.outcome is first.outcome
    assert RE.resume() is resumed
    assert not first.done()
    device.let_go(RE)
    pause.result(T)
    assert "was paused" in str(first.exception(T))
    gate.open()
    assert resumed.result(T).plan_result == "through"
    assert (device.pauses, device.resumes) == (1, 1)
    assert states == ["running", "pausing", "paused", "running", "idle"]
    assert first.outcome.result(T).interrupted is False


def test_a_pause_after_that_resume_is_the_last_word(RE: Any, gate: Any) -> None:
    device = SlowToPause()
    first = RE(slow_plan(device, gate))
    gate.wait()
    pauses = [RE.request_pause()]
    assert device.asked.wait(T)
    resumed = RE.resume()
    pauses.append(RE.request_pause())
    device.let_go(RE)
    for pause in pauses:
        pause.result(T)
    assert RE.state == "paused"
    assert isinstance(first.exception(T), RunEngineInterrupted)
    assert isinstance(resumed.exception(T), RunEngineInterrupted)
    last = RE.resume()
    gate.open()
    assert last.result(T).plan_result == "through"


def test_a_stop_after_that_resume_ends_both_futures(RE: Any, gate: Any) -> None:
    device = SlowToPause()
    first = RE(slow_plan(device, gate))
    gate.wait()
    pause = RE.request_pause()
    assert device.asked.wait(T)
    resumed = RE.resume()
    stop = RE.stop()
    device.let_go(RE)
    stop.result(T)
    pause.result(T)
    for future in (first, resumed):
        assert "was stopped" in str(future.exception(T))


def test_a_resume_withdraws_a_deferred_pause(RE: Any, gate: Any) -> None:
    def plan() -> Any:
        yield from gate.plan()
        yield Msg("checkpoint")
        return "on"

    future = RE(plan())
    gate.wait()
    RE.request_pause(defer=True).result(T)
    assert RE.deferred_pause_requested
    assert RE.resume() is future
    assert not RE.deferred_pause_requested
    with pytest.raises(TransitionError):
        RE.resume()
    gate.open()
    assert future.result(T).plan_result == "on"


def test_the_first_page_of_the_docs_works_however_quick_it_is_typed(RE: Any) -> None:
    def plan(typed: threading.Event) -> Any:
        yield Msg("checkpoint")
        while not typed.is_set():
            yield Msg("sleep", None, 0.002)
        return "done"

    for _ in range(50):
        typed = threading.Event()
        RE(plan(typed))
        RE.request_pause()
        resumed = RE.resume()
        typed.set()
        assert resumed.result(T).plan_result == "done"


# -- a suspension beside a pause ---------------------------------------------------------------


class Beam:
    """What a suspender waits for, and whether the plan has come to wait for it."""

    def __init__(self, RE: Any) -> None:
        self._RE = RE
        self._back = asyncio.Event()
        self.waited_for = threading.Event()

    async def until_back(self) -> None:
        self.waited_for.set()
        await self._back.wait()

    def come_back(self) -> None:
        self._RE.loop.call_soon_threadsafe(self._back.set)


def test_a_suspension_does_not_cut_short_a_pause(RE: Any, gate: Any) -> None:
    device, beam = SlowToPause(), Beam(RE)
    RE(slow_plan(device, gate))
    gate.wait()
    pause = RE.request_pause()
    assert device.asked.wait(T)
    RE.request_suspend(beam.until_back)
    device.let_go(RE)
    pause.result(T)
    assert RE.state == "paused"
    assert device.pauses == 1
    assert not beam.waited_for.is_set()
    device.asked.clear()
    resumed = RE.resume()
    # Suspended before anything is repeated: the gate's message would wait.
    assert device.asked.wait(T)
    device.let_go(RE)
    assert beam.waited_for.wait(T)
    beam.come_back()
    gate.open()
    assert resumed.result(T).plan_result == "through"


def test_a_suspension_on_the_way_back_from_a_pause_begins_after_it(RE: Any, gate: Any) -> None:
    device, beam = Detector("d"), Beam(RE)
    going_on, may_go_on = threading.Event(), asyncio.Event()

    async def resume() -> None:
        going_on.set()
        await may_go_on.wait()

    device.pause, device.resume = lambda: None, resume
    RE(slow_plan(device, gate))
    gate.wait()
    RE.request_pause().result(T)
    resumed = RE.resume()
    assert going_on.wait(T)
    RE.request_suspend(beam.until_back)
    RE.loop.call_soon_threadsafe(may_go_on.set)
    assert beam.waited_for.wait(T)
    assert RE.state == "running"
    beam.come_back()
    gate.open()
    assert resumed.result(T).plan_result == "through"
