"""Which thread runs an engine's loop, however late that thread is."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from bluesky.utils import Msg

from freewheel import RunEngine
from freewheel.engine import _loop_thread


@pytest.fixture
def late_thread(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Have the threads of loops wait for an event before they run them."""
    may_run = threading.Event()
    run_for_ever = _loop_thread._run_for_ever

    def late(loop: Any) -> None:
        assert may_run.wait(10)
        run_for_ever(loop)

    monkeypatch.setattr(_loop_thread, "_run_for_ever", late)
    return may_run


def test_an_engine_whose_thread_is_late_has_one_thread(
    late_thread: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    before = set(threading.enumerate())
    engine = RunEngine()
    started = {t for t in threading.enumerate() if t not in before and "run-engine" in t.name}
    late_thread.set()
    assert len(started) == 1
    with engine:
        engine([Msg("null")]).result(10)
    assert "raised" not in caplog.text


def test_a_second_engine_on_a_loop_that_is_yet_to_run_shares_its_thread(
    late_thread: threading.Event,
) -> None:
    first = RunEngine()
    second = RunEngine(loop=first.loop)
    late_thread.set()
    with first, second:
        assert first._th is second._th
        second([Msg("null")]).result(10)
        first([Msg("null")]).result(10)
