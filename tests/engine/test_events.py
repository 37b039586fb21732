"""The engine's signals, and its snapshot."""

# ruff: noqa: N803

from __future__ import annotations

import dataclasses
import itertools
import logging
import subprocess
import sys
import textwrap
import threading
from typing import Any

import bluesky.plans as bp
import pytest
from ophyd.sim import SynAxis

from doubles import quick

T = 10


def test_states_come_in_order_without_gaps(RE: Any, gate: Any) -> None:
    changes: list[tuple[str, str]] = []
    RE.events.state_changed.connect(lambda new, old: changes.append((old, new)))
    RE(gate.plan())
    gate.wait()
    RE.request_pause().result(T)
    resumed = RE.resume()
    gate.open()
    resumed.result(T)
    RE(quick()).result(T)
    assert changes[0] == ("idle", "running")
    for (_, new), (old, _) in itertools.pairwise(changes):
        assert new == old
    assert [new for _, new in changes] == [
        *("running", "pausing", "paused", "running", "idle"),
        *("running", "idle"),
    ]


def test_plan_started_and_plan_ended(RE: Any, gate: Any) -> None:
    started: list[Any] = []
    ended: list[Any] = []
    RE.events.plan_started.connect(started.append)
    RE.events.plan_ended.connect(lambda future: ended.append((future, future.outcome.done())))
    first = RE(gate.plan())
    gate.wait()
    assert started == [first]
    second = RE(quick())
    assert started == [first]  # the second only waits
    gate.open()
    second.result(T)
    RE.close()
    assert [future for future, _ in ended] == [first, second]
    assert all(done for _, done in ended)
    assert started == [first, second]


def test_a_slot_that_raises_is_logged_and_harms_nothing(
    RE: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def raising(*_: Any) -> None:
        raise ValueError("slot")

    RE.events.state_changed.connect(raising)
    RE.events.plan_started.connect(raising)
    RE.events.plan_ended.connect(raising)
    RE.events.actions_changed.connect(raising)
    with caplog.at_level(logging.ERROR):
        assert RE(quick(1)).result(T).plan_result == 1
        assert RE(quick(2)).result(T).plan_result == 2
    assert "slot" in caplog.text


def test_the_snapshot_is_frozen_and_whole(RE: Any, gate: Any) -> None:
    idle = RE.snapshot()
    assert idle.state == "idle"
    assert idle.plan_name is None
    assert idle.elapsed is None
    assert idle.queue == ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        idle.state = "running"
    RE(gate.plan())
    gate.wait()
    second = RE(quick())
    running = RE.snapshot()
    assert running.state == "running"
    assert running.plan_name == "plan"
    assert running.elapsed >= 0
    assert len(running.queue) == 1
    assert "quick" in str(running.queue[0])
    assert running.actions == ()
    assert running.background == ()
    assert dict(running.claims) == {}
    assert running.progress == ()
    assert idle.state == "idle"
    gate.open()
    second.result(T)


def test_emitting_with_pyside_loaded_loses_no_reference_to_none() -> None:
    """On Python 3.11 None is mortal: each emit that loses a reference brings the end nearer."""
    pytest.importorskip("shiboken6")
    script = """
        import gc, sys
        import shiboken6
        from bluesky.utils import Msg
        from freewheel import RunEngine

        with RunEngine() as RE:
            for _ in range(300):
                RE([Msg("null")]).result(10)
            gc.collect()
            before = sys.getrefcount(None)
            for _ in range(300):
                RE([Msg("null")]).result(10)
            gc.collect()
            print(sys.getrefcount(None) - before)
    """
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert int(answer.stdout) > -100


def test_claims_are_told_when_they_are_different(RE: Any) -> None:
    motor, told = SynAxis(name="motor"), []
    RE.events.claims_changed.connect(lambda claims: told.append(dict(claims)))
    RE(bp.scan([], motor, 0, 1, 50)).result(T)  # a status for each move
    assert {} in told
    assert len(told) < 10
    assert all(one != next_one for one, next_one in itertools.pairwise(told))


def test_who_listens_later_is_told_of_claims_as_they_were_before(RE: Any) -> None:
    motor, first, later = SynAxis(name="motor"), threading.Event(), threading.Event()

    def listen(heard: threading.Event) -> Any:
        return RE.events.claims_changed.connect(lambda claims: heard.set() if claims else None)

    hold = RE.claims.hold(motor, holder="somebody")
    slot = listen(first)
    with hold:
        assert first.wait(T)
        RE.events.claims_changed.disconnect(slot)
    listen(later)  # of nothing being held nobody was told
    with RE.claims.hold(motor, holder="somebody"):
        assert later.wait(T)
