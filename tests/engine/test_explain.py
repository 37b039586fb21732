# ruff: noqa: N803
"""``RE.explain()`` and ``repr(RE)``: what the engine waits for, and what frees it."""

from __future__ import annotations

from typing import Any

import pytest

from doubles import Blocked, quick
from freewheel import ServiceFailedError

T = 10


def test_idle_running_paused_and_closed(make_engine: Any, gate: Any) -> None:
    engine = make_engine()
    assert "No plan is in the foreground" in engine.explain()
    engine(gate.plan())
    gate.wait()
    waiting = engine(quick())
    text = engine.explain()
    assert "'plan' is running" in text
    assert "Behind it wait: quick" in text
    assert "RE.request_pause()" in text
    assert "engine's thread answers" in text
    engine.request_pause().result(T)
    assert "RE.resume()" in engine.explain()
    engine.stop().result(T)
    assert waiting.cancelled()
    engine.close()
    assert "closed" in engine.explain()


def test_a_callback_that_blocks_the_loop_is_shown(RE: Any) -> None:
    with Blocked(RE):
        text = RE.explain()
    assert "has not answered" in text
    assert "threading.py" in text


def test_a_held_queue_says_what_frees_it(RE: Any) -> None:
    assert repr(RE) == "<RunEngine idle>"
    RE.queue.hold("lunch")
    RE(quick())
    for text in (repr(RE), RE.explain()):
        assert "lunch" in text
        assert "quick" in text
        assert "RE.queue.release()" in text


def test_a_service_that_has_ended_says_what_frees_the_engine(RE: Any) -> None:
    async def watchdog() -> str:
        return "over"

    task = RE.adopt(watchdog)
    task.future.exception(T)
    for text in (repr(RE), RE.explain()):
        assert "'watchdog' returned 'over'" in text
        assert "RE.adopt(...)" in text
    with pytest.raises(ServiceFailedError):
        RE(quick())


def test_the_prompt_says_that_the_queue_is_held(RE: Any) -> None:
    from freewheel.ipython._magics import _jobs

    assert not any("queue held" in line for line in _jobs(RE))
    RE.queue.hold("lunch")
    (line,) = [line for line in _jobs(RE) if line.startswith("queue held")]
    assert "lunch" in line
    assert "%release" in line
