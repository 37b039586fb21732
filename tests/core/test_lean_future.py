"""A future that makes its lock late is one of the standard library's in all else."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future, as_completed, wait

import pytest

from freewheel.core._lean_future import LEAN, LeanFuture

T = 10


def test_it_is_lean_on_this_python() -> None:
    # If not, a new Python has another future: the plain one is used then, and RE(plan) is slower.
    assert LEAN
    assert not vars(LeanFuture())
    lean, plain = LeanFuture[None](), Future[None]()
    for part, value in vars(plain).items():  # the first who asks has it made
        assert type(getattr(lean, part)) is type(value)
        assert getattr(lean, part) is getattr(lean, part)


def test_all_threads_that_come_at_once_get_the_same_lock() -> None:
    for _ in range(50):
        future, together = LeanFuture[None](), threading.Barrier(4)
        seen: list[object] = []

        def look(future: LeanFuture[None] = future, together: threading.Barrier = together) -> None:
            together.wait(T)
            seen.append(future._condition)  # noqa: B023 - joined below

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(T)
        assert set(seen) == {future._condition}


def test_who_waits_and_who_ends_it_meet() -> None:
    future = LeanFuture[int]()
    called: list[int] = []
    future.add_done_callback(lambda done: called.append(done.result()))
    thread = threading.Thread(target=future.set_result, args=(3,))
    thread.start()
    assert future.result(T) == 3
    thread.join(T)
    assert called == [3]
    assert wait([future], T).done == {future} == set(as_completed([future], T))


def test_one_that_is_cancelled_says_so() -> None:
    future = LeanFuture[int]()
    assert future.cancel()
    assert future.cancelled()
    with pytest.raises(CancelledError):
        future.result(T)
