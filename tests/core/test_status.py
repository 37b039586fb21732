"""Status: what ophyd's is, without threads of its own."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import weakref

import pytest
from bluesky.protocols import Status as StatusProtocol

from doubles import finished
from freewheel.core import (
    AndStatus,
    InvalidState,
    Status,
    StatusTimeoutError,
    UnknownStatusFailure,
    WaitTimeoutError,
)
from freewheel.core._status import _kept
from freewheel.core._timers import timers

LONG = 10.0  # seconds: what never takes that long unless something is broken


def failed(reason=None) -> Status:
    status = Status()
    status.set_exception(reason or ValueError("broken"))
    return status


def called(status: Status) -> threading.Event:
    """Return an event that is set when the callbacks of a status that came before were called."""
    event = threading.Event()
    status.add_callback(lambda _: event.set())
    return event


def test_satisfies_blueskys_protocol():
    assert isinstance(Status(), StatusProtocol)


def test_new_one_is_neither_done_nor_successful():
    status = Status()
    assert (status.done, status.success, status.timeout, status.settle_time) == (
        False,
        False,
        None,
        0.0,
    )
    assert list(status.callbacks) == []


def test_keyword_only():
    with pytest.raises(TypeError):
        Status(1)


def test_finished():
    status = finished(timeout=LONG)
    assert (status.done, status.success) == (True, True)
    assert status.wait() is None
    assert status.wait(0) is None
    assert status.exception() is None
    assert repr(status) == "<Status: done>"


@pytest.mark.parametrize("reason", [ValueError("broken"), ValueError])
def test_failed(reason):
    status = failed(reason)
    assert (status.done, status.success) == (True, False)
    assert status.exception() is reason
    with pytest.raises(ValueError):  # noqa: PT011
        status.wait()
    assert "failed with" in repr(status)


@pytest.mark.parametrize("first", ["set_finished", "set_exception"])
@pytest.mark.parametrize("second", ["set_finished", "set_exception"])
def test_one_setter_once(first, second):
    status = Status()
    args = {"set_finished": (), "set_exception": (ValueError(),)}
    getattr(status, first)(*args[first])
    with pytest.raises(InvalidState, match="call one of them, once"):
        getattr(status, second)(*args[second])
    assert status.success is (first == "set_finished")


@pytest.mark.parametrize("second", ["set_finished", "set_exception"])
def test_one_late_call_is_ignored(second):
    status = Status(timeout=0)
    args = () if second == "set_finished" else (ValueError(),)
    assert isinstance(status.exception(LONG), StatusTimeoutError)
    getattr(status, second)(*args)
    assert isinstance(status.exception(), StatusTimeoutError)
    with pytest.raises(InvalidState):
        getattr(status, second)(*args)


@pytest.mark.parametrize(
    "wrong",
    [
        "broken",
        None,
        object(),
        int,
        KeyboardInterrupt(),
        StatusTimeoutError,
        StatusTimeoutError(),
        WaitTimeoutError,
        WaitTimeoutError(),
    ],
)
def test_set_exception_refuses_what_is_no_reason(wrong):
    status = Status()
    with pytest.raises(ValueError, match="Status: pending"):
        status.set_exception(wrong)
    status.set_finished()
    assert status.success


@pytest.mark.parametrize("reason", [SystemExit(3), SystemExit])
def test_system_exit_is_a_reason(reason):
    status = failed(reason)
    assert status.exception() is reason
    with pytest.raises(SystemExit):
        status.wait()


def test_plain_timeout_error_is_a_reason():
    assert isinstance(failed(TimeoutError("slow")).exception(), TimeoutError)


@pytest.mark.parametrize("name", ["timeout", "settle_time"])
@pytest.mark.parametrize("value", [-1, -0.001, math.nan, -math.inf])
def test_negative_and_nan_times_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        Status(**{name: value})


@pytest.mark.parametrize("name", ["timeout", "settle_time"])
def test_times_that_are_no_numbers_are_refused(name):
    with pytest.raises(TypeError, match=f"{name} must be a number"):
        Status(**{name: "soon"})


@pytest.mark.parametrize("value", [-1, math.nan])
@pytest.mark.parametrize("method", ["wait", "exception"])
def test_negative_and_nan_waits_are_refused(method, value):
    with pytest.raises(ValueError, match="time to wait"):
        getattr(Status(), method)(value)


@pytest.mark.parametrize("timeout", [math.inf, 1e12, 1e308])
def test_endless_times_work(timeout):
    status = Status(timeout=timeout, settle_time=None)
    threading.Timer(0.01, status.set_finished).start()
    status.wait(timeout)
    assert status.success


def test_infinite_settle_time_never_settles_but_the_timeout_still_counts():
    status = Status(settle_time=math.inf, timeout=1)
    status.set_finished()
    with pytest.raises(WaitTimeoutError):
        status.wait(0)


def test_wait_that_is_too_short_names_the_status_and_the_time():
    status = Status(timeout=60)
    with pytest.raises(WaitTimeoutError, match=r"Status: pending.*60 s.*after a wait of 0.001 s"):
        status.wait(0.001)
    with pytest.raises(WaitTimeoutError):
        status.exception(0)
    assert status._wakeups == []
    status.set_finished()
    status.wait()


def test_times_out_with_the_limit_in_the_message():
    status = Status(timeout=0.01, settle_time=0.01)
    with pytest.raises(StatusTimeoutError, match=r"within 0.01 s \+ 0.01 s to settle"):
        status.wait(LONG)
    assert (status.done, status.success) == (True, False)


def test_settles_before_it_is_done():
    settling, status = Status(settle_time=60), Status(settle_time=0.05)
    settling.set_finished()
    assert not settling.done
    assert "settling" in repr(settling)
    status.set_finished()
    status.wait(LONG)
    assert status.success


def test_settling_beyond_the_timeout_is_no_failure():
    status = Status(timeout=0.5, settle_time=0.6)
    status.set_finished()
    assert status.exception(LONG) is None


def test_settling_too_late_fails():
    status = Status(timeout=0, settle_time=0.2)
    threading.Timer(0.1, status.set_finished).start()
    assert isinstance(status.exception(LONG), StatusTimeoutError)


def test_failure_does_not_settle():
    status = Status(settle_time=LONG)
    status.set_exception(ValueError("now"))
    assert status.done


def test_callbacks_are_called_once_in_order_with_the_status():
    status, seen = Status(), []
    status.add_callback(lambda it: seen.append((1, it)))
    status.add_callback(lambda it: seen.append((2, it)))
    end = called(status)
    assert len(status.callbacks) == 3
    status.set_finished()
    assert end.wait(LONG)
    assert seen == [(1, status), (2, status)]
    assert len(status.callbacks) == 0


def test_callback_after_the_end_is_called_at_once_in_the_calling_thread():
    seen = []
    finished().add_callback(lambda _: seen.append(threading.current_thread()))
    assert seen == [threading.current_thread()]


def test_callbacks_run_on_a_shared_thread():
    status, seen = Status(), []
    status.add_callback(lambda _: seen.append(threading.current_thread().name))
    end = called(status)
    status.set_finished()
    assert end.wait(LONG)
    assert seen == ["freewheel-callbacks"]


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_callback_that_raises_is_logged_and_the_others_run(error, caplog):
    def broken(_):
        raise error("in the callback")

    status = Status()
    status.add_callback(broken)
    end = called(status)
    status.set_finished()
    assert end.wait(LONG)
    assert "broken" in caplog.text
    assert "in the callback" in caplog.text


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_late_callback_that_raises_is_logged(error, caplog):
    def broken(_):
        raise error("in the callback")

    finished().add_callback(broken)
    assert "in the callback" in caplog.text


def test_callback_must_be_callable():
    with pytest.raises(TypeError, match="must be a function, not 3"):
        Status().add_callback(3)


def test_each_callback_once_however_many_threads_add_and_finish():
    for _ in range(200):
        status, seen, start = Status(), [], threading.Barrier(3)
        heard = threading.Semaphore(0)

        def hear(it, seen=seen, heard=heard):
            seen.append(it)
            heard.release()

        def add(status=status, start=start, hear=hear):
            start.wait(LONG)
            status.add_callback(hear)

        def finish(status=status, start=start):
            start.wait(LONG)
            status.set_finished()

        threads = [threading.Thread(target=target) for target in (add, add, finish)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert heard.acquire(timeout=LONG)
        assert heard.acquire(timeout=LONG)
        assert seen == [status, status]
        assert not status.callbacks


class Hooked(Status):
    """One that says what happens to it, in order."""

    def __init__(self, error: type[BaseException] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.error = error
        self.steps: list[tuple[str, bool]] = []

    def _settled(self):
        self.steps.append(("settled", self.done))
        if self.error:
            raise self.error("in _settled")

    def _handle_failure(self):
        self.steps.append(("failure", self.done))
        if self.error:
            raise self.error("in _handle_failure")


@pytest.mark.parametrize("error", [None, ValueError, SystemExit])
def test_hooks_run_in_order_and_their_errors_are_logged(error, caplog):
    status = Hooked(error)
    status.add_callback(lambda it: it.steps.append(("callback", it.done)))
    end = called(status)
    status.set_exception(RuntimeError("why"))
    assert end.wait(LONG)
    assert status.steps == [("settled", False), ("failure", True), ("callback", True)]
    assert isinstance(status.exception(), RuntimeError)
    assert ("in _settled" in caplog.text) is (error is not None)
    assert ("in _handle_failure" in caplog.text) is (error is not None)


def test_hooks_of_a_success():
    status = Hooked()
    end = called(status)
    status.set_finished()
    assert end.wait(LONG)
    assert status.steps == [("settled", False)]


def test_hooks_run_at_the_timeout_though_nobody_holds_it():
    end = threading.Event()

    class Stopping(Status):
        def _handle_failure(self):
            end.set()

    Stopping(timeout=0.02)
    gc.collect()
    assert end.wait(LONG)


def test_subclasses_may_have_attributes_and_so_may_plain_ones():
    class Mine(Status):
        def __init__(self, device):
            super().__init__(timeout=LONG)
            self.device = device

    mine, plain = Mine("motor"), Status()
    plain.note = "x"
    assert (mine.device, plain.note) == ("motor", "x")


def test_finishing_the_way_of_ophyds_drivers():
    status = Status()
    status._finished(success=True, pvname="x")
    assert status.success
    status = Status()
    status._finished(success=False)
    assert isinstance(status.exception(), UnknownStatusFailure)


def test_awaited_on_any_loop_at_once():
    status, ready, got = Status(timeout=LONG), threading.Barrier(4), []

    async def wait():
        task = asyncio.create_task(awaiting(status))
        await asyncio.sleep(0)
        ready.wait(LONG)
        await task
        got.append(True)

    threads = [threading.Thread(target=lambda: asyncio.run(wait())) for _ in range(3)]
    for thread in threads:
        thread.start()
    ready.wait(LONG)
    status.set_finished()
    for thread in threads:
        thread.join()
    assert got == [True] * 3


async def awaiting(status: Status) -> None:
    await status


async def test_await_of_a_finished_and_of_a_failed_one():
    await finished()
    with pytest.raises(ValueError, match="broken"):
        await failed()


async def test_await_raises_what_it_failed_with():
    status = Status(timeout=0.01)
    with pytest.raises(StatusTimeoutError):
        await status


async def test_cancelled_await_leaves_the_status_alone():
    status = Status(timeout=LONG)
    task = asyncio.create_task(awaiting(status))
    await asyncio.sleep(0)
    assert id(status) in _kept
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert status._wakeups == []
    assert id(status) not in _kept
    status.set_finished()
    assert status.success


async def test_a_task_that_awaits_a_timeout_keeps_the_status():
    task = asyncio.create_task(awaiting(Status(timeout=0.02)))
    await asyncio.sleep(0)
    gc.collect()
    with pytest.raises(StatusTimeoutError):
        await task


def test_both_are_done_when_both_are():
    one, two = Status(), Status()
    both = one & two
    assert isinstance(both, AndStatus)
    assert one in both
    assert one in (both & Status())
    assert Status() not in both
    one.set_finished()
    two.set_finished()
    both.wait(LONG)
    assert (both.left, both.right) == (one, two)


def test_both_fail_with_the_first_failure():
    one, two = Status(), Status(timeout=0)
    both = one & two
    exc = both.exception(LONG)
    assert isinstance(exc, TimeoutError)
    assert isinstance(exc.__cause__, StatusTimeoutError)
    one.set_finished()
    other = failed(ValueError("first")) & Status()
    with pytest.raises(ValueError, match="first"):
        other.wait(LONG)


def test_repr_says_what_is_going_on():
    status = Status(timeout=60, settle_time=1)
    status.add_callback(print)
    text = repr(status)
    assert text.startswith("<Status: pending, ")
    assert "s left of 60 s + 1 s to settle" in text
    assert "1 callbacks" in text
    status.callbacks.clear()
    status.set_finished()


def test_ten_thousand_need_few_threads_and_expire_with_none_lost():
    before = threading.active_count()
    end, lock, left = threading.Event(), threading.Lock(), [10_000]

    def counted(_):
        with lock:
            left[0] -= 1
            if not left[0]:
                end.set()

    outstanding = [Status(timeout=60) for _ in range(10_000)]
    assert threading.active_count() <= before + 4
    expiring = [Status(timeout=0.3) for _ in range(10_000)]
    for status in expiring:
        status.add_callback(counted)
    assert end.wait(LONG)
    assert all(isinstance(status.exception(0), StatusTimeoutError) for status in expiring)
    assert not any(status.done for status in outstanding)
    for status in outstanding:
        status.set_finished()


def test_dropped_ones_go_at_once_and_cancelled_timers_are_bounded():
    status = Status(timeout=1e9)
    gone = weakref.ref(status)
    del status
    assert gone() is None
    before = len(timers)
    for _ in range(20_000):
        Status(timeout=1e9)
        finished(timeout=1e9)
    assert len(timers) < before + 5_000


def test_finished_ones_with_callbacks_are_not_kept():
    statuses = [Status(timeout=1e9) for _ in range(100)]
    ends = [called(status) for status in statuses]
    assert all(id(status) in _kept for status in statuses)
    for status, end in zip(statuses, ends, strict=True):
        status.set_finished()
        assert end.wait(LONG)
    # Those of other tests may come and go.
    assert not any(id(status) in _kept for status in statuses)


def test_statuses_made_in_finalizers_work():
    done = []

    class Finalizer:
        def __init__(self):
            self.me = self

        def __del__(self):
            status = Status(timeout=LONG)
            status.add_callback(lambda _: None)
            status.set_finished()
            done.append(status.success)

    for _ in range(100):
        Finalizer()
        Status(timeout=LONG)
    gc.collect()
    assert done == [True] * 100


def test_ways_to_finish_race_and_one_wins():
    for _ in range(300):
        status, wins, start = Status(timeout=0.001), [], threading.Barrier(2)

        def finish(status=status, wins=wins, start=start):
            start.wait(LONG)
            try:
                status.set_finished()
            except InvalidState:
                return
            wins.append(1)

        threads = [threading.Thread(target=finish) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wins == [1]
        exc = status.exception(LONG)
        assert exc is None or isinstance(exc, StatusTimeoutError)
        assert status.exception(0) is exc
