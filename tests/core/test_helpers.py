"""The shared threads behind statuses: none that blocks holds up another, and all go again."""

from __future__ import annotations

import itertools
import queue
import sys
import threading
import time

import pytest

from doubles import run_script
from freewheel.core import Status, _callbacks, _timers
from freewheel.core._callbacks import MAX_WORKERS, Helpers
from freewheel.core._timers import Timers

LONG = 10.0


@pytest.fixture
def idle_soon(monkeypatch):
    """Let helper threads go soon after their work."""
    monkeypatch.setattr(_callbacks, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(_timers, "IDLE_SECONDS", 0.05)


@pytest.fixture
def pool(idle_soon):
    """Helpers of their own, whose threads are waited for at the end."""
    before = set(threading.enumerate())
    pool = Helpers()
    yield pool
    for thread in set(threading.enumerate()) - before:
        if thread.name == "freewheel-callbacks":
            thread.join(LONG)
    assert (pool._workers, pool._idle, pool._coming, len(pool._items)) == (0, [], 0, 0)


def block(pool: Helpers, count: int) -> threading.Event:
    """Have callbacks block until the returned event is set; return when all of them do."""
    release, blocked = threading.Event(), threading.Semaphore(0)

    def callback(_):
        blocked.release()
        release.wait(LONG)

    for _ in range(count):
        pool.submit(callback, None)
    for _ in range(count):
        assert blocked.acquire(timeout=LONG)
    return release


@pytest.mark.parametrize("blocked", [1, 2, 50])
def test_callbacks_that_block_hold_up_no_other(pool, blocked):
    release = block(pool, blocked)
    for _ in range(20):
        done = threading.Event()
        pool.submit(lambda _, done=done: done.set(), None)
        assert done.wait(LONG)
    release.set()


def test_status_ends_though_a_callback_blocks():
    release, ended = threading.Event(), threading.Event()
    first, second = Status(), Status(timeout=0.01)
    first.add_callback(lambda _: release.wait(LONG))
    second.add_callback(lambda _: ended.set())
    first.set_finished()
    assert ended.wait(LONG)
    release.set()


def test_quick_callbacks_need_few_threads(pool):
    done, left = threading.Event(), itertools.count(1)

    def callback(_):
        if next(left) == 5_000:
            done.set()

    for _ in range(5_000):
        pool.submit(callback, None)
    assert done.wait(LONG)
    assert pool._workers < 16


def test_at_the_bound_the_rest_waits_and_goes_on_when_one_returns(pool):
    release = block(pool, MAX_WORKERS)
    assert pool.full
    done = threading.Event()
    pool.submit(lambda _: done.set(), "the next")
    pool._look()
    assert not done.is_set()
    release.set()
    assert done.wait(LONG)
    assert pool._workers <= MAX_WORKERS


def test_complains_once_at_the_bound(pool, caplog, monkeypatch):
    monkeypatch.setattr(_callbacks, "MAX_WORKERS", 1)
    monkeypatch.setattr(_callbacks, "PATIENCE", 0.0)
    release = block(pool, 1)
    done = threading.Event()
    pool.submit(lambda _: None, "the next")
    pool.submit(lambda _: done.set(), "the last")
    pool._look()
    pool._look()
    assert caplog.text.count("callbacks block at the same time") == 1
    assert "'the next'" in caplog.text
    release.set()
    assert done.wait(LONG)


def test_storm_loses_no_item(pool):
    """Eight threads submit, some of the callbacks block for a while, all are called."""
    done, called = threading.Event(), itertools.count(1)

    def callback(pause):
        pause.wait(0.003)
        if next(called) == 8_000:
            done.set()

    over, never = threading.Event(), threading.Event()
    over.set()

    def submit():
        for turn in range(1_000):
            pool.submit(callback, over if turn % 100 else never)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done.wait(2 * LONG)


def test_without_any_thread_the_caller_does_it(monkeypatch, caplog):
    def start(self):
        raise RuntimeError("can't start new thread")

    pool, seen = Helpers(), []
    monkeypatch.setattr(threading.Thread, "start", start)
    pool.submit(seen.append, 1)
    assert seen == [1]
    assert "No further thread for callbacks" in caplog.text


def test_timers_without_a_thread_warn_and_try_again(monkeypatch, caplog, idle_soon):
    class Owner:
        done = False

    def start(self):
        raise RuntimeError("can't start new thread")

    timers, owner, fired = Timers(), Owner(), threading.Semaphore(0)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        timers.call_at(time.monotonic(), lambda _: fired.release(), lambda: owner)
    assert "Time-outs are not watched" in caplog.text
    timers.call_at(time.monotonic(), lambda _: fired.release(), lambda: owner)
    assert fired.acquire(timeout=LONG)
    assert fired.acquire(timeout=LONG)
    join_timers()


def join_timers() -> None:
    for thread in threading.enumerate():
        if thread.name == "freewheel-timer":
            thread.join(LONG)


def test_timers_go_off_in_order_and_survive_what_raises(idle_soon, caplog):
    class Owner:
        done = False

    timers, owner, seen, end = Timers(), Owner(), [], threading.Event()
    now = time.monotonic() + 0.5  # when all of them are there

    def broken(_):
        raise SystemExit("in a timer")

    timers.call_at(now + 0.03, lambda _: end.set(), lambda: owner)
    timers.call_at(now + 0.02, lambda _: seen.append("c"), lambda: owner)
    timers.call_at(now, lambda _: seen.append("a"), lambda: owner)
    timers.call_at(now, lambda _: seen.append("b"), lambda: owner)
    timers.call_at(now, broken, lambda: owner)
    timers.call_at(now, lambda _: seen.append("gone"), lambda: None)
    assert end.wait(LONG)
    assert seen == ["a", "b", "c"]
    assert "in a timer" in caplog.text


def test_timer_thread_goes_when_idle_and_comes_again(idle_soon):
    class Owner:
        done = False

    timers, owner = Timers(), Owner()
    for _ in range(3):
        fired: queue.Queue[threading.Thread] = queue.Queue()
        timers.call_at(
            time.monotonic(),
            lambda _, fired=fired: fired.put(threading.current_thread()),
            lambda: owner,
        )
        thread = fired.get(timeout=LONG)
        assert thread.name == "freewheel-timer"
        thread.join(LONG)
        assert not thread.is_alive()
        assert not timers._running


def run(script: str) -> str:
    """Run a script in a process of its own; return what it printed."""
    done = run_script(script, warnings="ignore::DeprecationWarning")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_after_a_fork_the_helpers_start_anew():
    out = run(
        """
        import os, sys, threading
        from freewheel.core import ForkedProcessError, SRLatch, Status, StatusTimeoutError

        def end_to_end():
            called = threading.Event()
            status = Status(timeout=0.02)
            status.add_callback(lambda _: called.set())
            assert isinstance(status.exception(10), StatusTimeoutError)
            assert called.wait(10)

        end_to_end()
        inherited = Status(timeout=0.3)
        child = os.fork()
        if child == 0:
            end_to_end()
            SRLatch().set()
            try:
                inherited.wait(10)
            except ForkedProcessError as error:
                assert "only the parent process can finish it" in str(error)
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert isinstance(inherited.exception(10), StatusTimeoutError)
        print("fine")
        """
    )
    assert out == "fine\n"


def test_the_interpreter_exits_with_statuses_outstanding_and_callbacks_blocked():
    out = run(
        """
        import atexit, threading
        from freewheel.core import Status

        blocked, entered = Status(), threading.Event()
        def callback(_):
            entered.set()
            threading.Event().wait()
        blocked.add_callback(callback)
        blocked.set_finished()
        entered.wait()
        outstanding = [Status(timeout=1e6) for _ in range(100)]

        @atexit.register
        def late():
            called = threading.Event()
            status = Status(timeout=1)
            status.add_callback(lambda _: called.set())
            status.set_finished()
            status.wait(1)
            print("done late", called.wait(5))
        """
    )
    assert out == "done late True\n"


def test_core_loads_nothing_optional():
    out = run(
        """
        import sys
        import freewheel.core
        optional = {"ophyd", "ophyd_async", "qtpy", "PySide6", "IPython", "h5py", "tiled", "trio"}
        print(sorted(optional & set(sys.modules)))
        """
    )
    assert out == "[]\n"
