"""What signals mean while somebody stays with a plan. The time is made by hand."""

from __future__ import annotations

import signal

from doubles import Clock
from freewheel.terminal import DetachFirst, PauseFirst, StopFirst, Wish

INT, TERM = signal.SIGINT, signal.SIGTERM


def test_one_press_detaches_after_a_second() -> None:
    clock = Clock()
    rules = DetachFirst(clock)
    assert rules.time_left() is None
    assert rules.pressed(INT, rules.now())[0] is Wish.WAIT
    clock.now += 0.25
    assert rules.time_left() == 0.75
    clock.now += 2
    assert rules.time_left() == 0
    assert rules.pressed(INT, rules.now()) == (Wish.LEAVE, "")


def test_presses_in_a_row_pause_later_then_now_then_leave() -> None:
    rules = DetachFirst(Clock())
    assert [rules.pressed(INT, rules.now())[0] for _ in range(4)] == [
        *(Wish.WAIT, Wish.PAUSE_LATER, Wish.PAUSE, Wish.LEAVE)
    ]


def test_what_counts_is_when_it_was_pressed() -> None:
    clock = Clock()
    rules = DetachFirst(clock)
    pressed = [rules.now(), rules.now() + 0.5]
    clock.now += 30  # a slow terminal
    assert [rules.pressed(INT, when)[0] for when in pressed] == [Wish.WAIT, Wish.PAUSE_LATER]
    assert rules.time_left() is None


def test_magics_that_wait_pause_and_then_leave() -> None:
    rules = PauseFirst()
    assert [rules.pressed(INT, rules.now())[0] for _ in range(2)] == [Wish.PAUSE, Wish.LEAVE]
    assert rules.time_left() is None


def test_commands_stop_and_then_halt_and_exit_as_the_first_signal_says() -> None:
    rules = StopFirst(before="\n")
    assert rules.exit_code is None
    assert rules.pressed(TERM, rules.now()) == (Wish.STOP, "\nSIGTERM: stopping the plan ...")
    assert rules.pressed(INT, rules.now())[0] is Wish.HALT
    assert rules.exit_code == 128 + TERM
    assert rules.time_left() is None
