"""Staying with a plan: real signals, real plans, an engine of each kind of end."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import Future
from typing import Any

import pytest
from bluesky.utils import Msg

from doubles import Gate
from freewheel import PlanStatus, RunEngine
from freewheel.core import PlanFutureView
from freewheel.plan_stubs import run_progress
from freewheel.terminal import (
    DetachFirst,
    LiveProgress,
    PauseFirst,
    StopFirst,
    Watcher,
    follow_progress,
    signals,
    wait_for,
)

T = 10


@pytest.fixture
def gate(engine: RunEngine) -> Gate:
    return Gate(engine)


class Told:
    """What was said; presses further signals when the plan is shown."""

    def __init__(self, *numbers: int) -> None:
        self.texts: list[str] = []
        self.shown: list[PlanStatus] = []
        self._numbers = list(numbers)

    def say(self, text: str) -> None:
        self.texts.append(text)

    def show(self, future: PlanFutureView) -> None:
        self.shown.append(future.status)
        if self._numbers:
            signal.raise_signal(self._numbers.pop(0))


def test_a_plan_that_ends_is_stayed_with_to_its_end(engine: RunEngine) -> None:
    told = Told()
    with Watcher(engine, DetachFirst(), told.say) as watcher:
        future = engine([Msg("null")])
        assert watcher.stay(future, told.show)
    assert future.status is PlanStatus.COMPLETED
    assert told.shown
    assert told.texts == []


def test_a_signal_stops_the_plan_with_its_clean_up(engine: RunEngine, gate: Gate) -> None:
    told, rules = Told(signal.SIGTERM), StopFirst()
    with Watcher(engine, rules, told.say) as watcher:
        future = engine(gate.plan())
        gate.wait()
        assert watcher.stay(future, told.show, paused=pytest.fail)
    assert future.status is PlanStatus.STOPPED
    assert gate.cleaned.is_set()
    assert told.texts == ["SIGTERM: stopping the plan ..."]
    assert rules.exit_code == 143


def test_a_signal_before_the_plan_is_kept_for_it(engine: RunEngine, gate: Gate) -> None:
    told = Told()
    with Watcher(engine, StopFirst(), told.say) as watcher:
        signal.raise_signal(signal.SIGINT)
        future = engine(gate.plan())
        assert watcher.stay(future, told.show, paused=pytest.fail)
    assert future.status is PlanStatus.STOPPED


def test_a_second_signal_halts(engine: RunEngine) -> None:
    held, begun = engine.loop.create_future(), threading.Event()

    def stubborn() -> Any:
        begun.set()  # one that has not begun has no clean-up to be halted in
        try:
            yield Msg("wait_for", None, [lambda: held])
        finally:
            yield Msg("wait_for", None, [lambda: held])

    told = Told(signal.SIGINT, signal.SIGINT)
    with Watcher(engine, StopFirst(), told.say) as watcher:
        future = engine(stubborn())
        assert begun.wait(T)
        assert watcher.stay(future, told.show, paused=pytest.fail)
    assert future.status is PlanStatus.HALTED
    assert told.texts[1] == "Again: ending it without its clean-up."
    engine.loop.call_soon_threadsafe(held.cancel)


def test_a_press_pauses_the_plan_which_ends_the_stay(engine: RunEngine, gate: Gate) -> None:
    told = Told(signal.SIGINT)
    future = engine(gate.plan())
    gate.wait()
    with Watcher(engine, PauseFirst(), told.say) as watcher:
        assert watcher.stay(future, told.show)
    assert engine.state == "paused"
    assert told.texts == ["Pausing."]
    resumed = engine.resume()
    gate.open()
    assert resumed.result(T).plan_result == "through"


@pytest.mark.parametrize("rules", [PauseFirst, StopFirst])
def test_a_press_takes_a_waiting_call_out_of_the_queue(
    engine: RunEngine, gate: Gate, rules: Any
) -> None:
    first, told = engine(gate.plan()), Told(signal.SIGINT)
    gate.wait()
    waiting = engine([Msg("null")])
    with Watcher(engine, rules(), told.say) as watcher:
        assert watcher.stay(waiting, told.show)
    assert waiting.status is PlanStatus.CANCELLED
    assert told.texts == []  # nothing was paused
    assert engine.state == "running"
    gate.open()
    first.result(T)


def test_whoever_is_told_of_pauses_stays_over_them(engine: RunEngine, gate: Gate) -> None:
    def pausing() -> Any:
        yield Msg("checkpoint")
        yield Msg("pause", None, False)

    paused: list[PlanFutureView] = []

    def go_on(future: PlanFutureView) -> None:
        paused.append(future)
        engine.resume()

    told = Told()
    with Watcher(engine, StopFirst(), told.say) as watcher:
        future = engine(pausing())
        assert watcher.stay(future, told.show, paused=go_on)
    assert paused == [future]
    assert future.outcome.result(T).exit_status == "success"


def test_a_display_that_is_gone_is_no_reason_to_leave(engine: RunEngine) -> None:
    def gone(_: PlanFutureView) -> None:
        raise OSError("the terminal was closed")

    with Watcher(engine, StopFirst(), print) as watcher:
        assert watcher.stay(engine([Msg("null")]), gone, paused=pytest.fail)


def test_signals_do_what_they_did_before_when_nobody_listens_any_more() -> None:
    before = signal.getsignal(signal.SIGINT)
    told: list[int] = []
    with signals(("SIGINT", "SIGNOWHERE"), told.append):
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
    assert told == [signal.SIGINT]


def test_elsewhere_than_on_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[Any] = []

    def elsewhere() -> None:
        with signals(("SIGINT",), seen.append):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(T)
    assert seen == [before]


def test_waiting_ends_with_the_future_or_with_control_c() -> None:
    done: Future[None] = Future()
    assert not wait_for(done, timeout=0)
    done.set_result(None)
    assert wait_for(done, timeout=T)

    class Never(Future[None]):
        """Ctrl-C is pressed when somebody begins to wait."""

        def add_done_callback(self, fn: Any) -> None:
            signal.raise_signal(signal.SIGINT)

    assert not wait_for(Never(), timeout=T)


def test_progress_is_followed_once_and_only_where_it_can_be(engine: RunEngine) -> None:
    follow_progress(engine)
    follow_progress(engine)
    assert engine.preprocessors.count(run_progress) == 1
    follow_progress(object())  # type: ignore[arg-type] # one that is elsewhere


def test_a_plan_is_shown_with_its_status_in_words(engine: RunEngine) -> None:
    from io import StringIO

    from rich.console import Console

    def failing() -> Any:
        yield Msg("null")
        raise ValueError("mine")

    future = engine(failing())
    future.exception(T)
    written = StringIO()
    with LiveProgress(console=Console(file=written, force_terminal=True)) as display:
        display.show_plan(future, ())
    assert "failed: ValueError" in written.getvalue()
