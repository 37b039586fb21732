"""Which thread runs an engine's loop, however late that thread is."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from bluesky.utils import Msg

from freewheel import RunEngine
from freewheel.engine import _lifetime, _loop_thread

WAIT = 10


class Late:
    """Has the threads of loops wait before they run them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_run = threading.Event()
        self.waited_for = threading.Event()
        run_for_ever = _loop_thread._run_for_ever
        wait = _lifetime.LoopHold.wait_until_it_runs

        def late(loop: Any) -> None:
            assert self.may_run.wait(WAIT)
            run_for_ever(loop)

        def tell(hold: Any) -> None:
            self.waited_for.set()
            wait(hold)

        monkeypatch.setattr(_loop_thread, "_run_for_ever", late)
        monkeypatch.setattr(_lifetime.LoopHold, "wait_until_it_runs", tell)


@pytest.fixture
def late_thread(monkeypatch: pytest.MonkeyPatch) -> Late:
    return Late(monkeypatch)


def test_an_engine_whose_thread_is_late_has_one_thread_and_runs_when_it_is_there(
    late_thread: Late, caplog: pytest.LogCaptureFixture
) -> None:
    before = set(threading.enumerate())
    with ThreadPoolExecutor() as pool:
        making = pool.submit(RunEngine)
        assert late_thread.waited_for.wait(WAIT)
        started = {t for t in threading.enumerate() if t not in before and "run-engine" in t.name}
        late_thread.may_run.set()
        engine = making.result(WAIT)
    assert len(started) == 1
    with engine:
        # These refuse a loop that does not run, as `init_devices` does.
        assert call_in_bluesky_event_loop(asyncio.sleep(0, "it runs")) == "it runs"
        engine([Msg("null")]).result(WAIT)
    assert "raised" not in caplog.text


def test_a_second_engine_on_a_loop_that_is_yet_to_run_shares_its_thread(late_thread: Late) -> None:
    loop = asyncio.new_event_loop()
    with ThreadPoolExecutor() as pool:
        makings = []
        for _ in range(2):
            makings.append(pool.submit(RunEngine, loop=loop))
            assert late_thread.waited_for.wait(WAIT)
            late_thread.waited_for.clear()
        late_thread.may_run.set()
        first, second = [making.result(WAIT) for making in makings]
    with first, second:
        assert first._th is second._th
        second([Msg("null")]).result(WAIT)
        first([Msg("null")]).result(WAIT)
    loop.close()
