"""Documents off the loop: ``inline``, ``queued`` and ``latest``."""

# ruff: noqa: N803

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from bluesky.utils import Msg, RunEngineInterrupted
from event_model import DocumentNames
from ophyd import Signal
from ophyd.sim import SynSignal

from doubles import at_log
from freewheel.engine import _delivery

T = 10


def events(count: int, *, stream: str = "primary", close: bool = True, device: Any = None) -> Any:
    detector = device or SynSignal(name="det", func=lambda: 1)
    yield Msg("open_run")
    for _ in range(count):
        yield Msg("create", name=stream)
        yield Msg("read", detector)
        yield Msg("save")
    if close:
        yield Msg("close_run")


def test_inline_runs_on_the_engines_thread(RE: Any) -> None:
    threads: set[str] = set()
    RE.subscribe(lambda name, doc: threads.add(threading.current_thread().name))
    RE(events(1)).result(T)
    assert threads == {"bluesky-run-engine"}


def test_queued_is_in_order_without_loss_and_drained_when_the_future_is_done(RE: Any) -> None:
    seen: list[Any] = []
    threads: set[Any] = set()
    hold = threading.Event()

    def slow(name: str, doc: Any) -> None:
        hold.wait(T)
        threads.add(threading.current_thread())
        seen.append((name, doc.get("seq_num")))

    RE.subscribe(slow, delivery="queued")
    stopped = threading.Event()
    RE.subscribe(lambda name, doc: stopped.set(), "stop")
    future = RE(events(50))
    assert stopped.wait(T)  # the plan goes on while the callback hangs
    assert not future.done()
    hold.set()
    future.result(T)
    names = [name for name, _ in seen]
    assert names == ["start", "descriptor", *["event"] * 50, "stop"]
    assert [number for name, number in seen if name == "event"] == list(range(1, 51))
    assert len(threads) == 1
    assert next(iter(threads)) is not RE._th


def test_queued_keeps_what_a_document_said_when_it_was_sent(RE: Any) -> None:
    seen: list[Any] = []
    RE.subscribe(lambda name, doc: seen.append(doc), "event", delivery="queued")
    RE(events(5)).result(T)
    assert [doc["seq_num"] for doc in seen] == [1, 2, 3, 4, 5]


def test_the_first_exception_of_a_queued_callback_reaches_the_future(RE: Any) -> None:
    seen: list[str] = []

    def raising(name: str, doc: Any) -> None:
        if name == "event":
            raise ValueError(f"event {doc['seq_num']}")

    RE.subscribe(raising, delivery="queued")
    RE.subscribe(lambda name, doc: seen.append(name))
    future = RE(events(3))
    with pytest.raises(ValueError, match="event 1"):
        future.result(T)
    assert seen[0] == "start"
    assert seen[-1] == "stop"
    RE.md["next"] = 1
    assert isinstance(future.outcome.exception(T), ValueError)


def test_a_failure_of_a_queued_callback_is_of_that_plan_alone(RE: Any) -> None:
    fail = [True]

    def raising(name: str, doc: Any) -> None:
        if fail[0]:
            raise ValueError(name)

    RE.subscribe(raising, delivery="queued")
    with pytest.raises(ValueError, match="start"):
        RE(events(1)).result(T)
    fail[0] = False
    assert RE(events(1)).result(T).exit_status == "success"


def test_a_failure_over_a_task_between_plans_is_not_the_next_plans(RE: Any) -> None:
    stopped = threading.Event()

    def refuses_the_first(name: str, doc: Any) -> None:
        if name == "start" and not stopped.is_set():
            raise OSError("the disk of the live view is full")
        if name == "stop":
            stopped.set()

    RE.subscribe(refuses_the_first, delivery="queued")
    RE.background.launch(events(1), name="live").result(T)
    assert stopped.wait(T)
    RE(events(1)).result(T)


def test_latest_drops_events_but_never_start_descriptor_or_stop(RE: Any) -> None:
    seen: list[Any] = []
    entered, hold = threading.Event(), threading.Event()

    def slow(name: str, doc: Any) -> None:
        seen.append((name, doc.get("seq_num")))
        entered.set()
        hold.wait(T)
        if name == "stop":
            arrived.set()

    arrived = threading.Event()  # the plan does not wait for a display
    RE.subscribe(slow, delivery="latest")
    stopped = threading.Event()
    RE.subscribe(lambda name, doc: stopped.set(), "stop")
    future = RE(events(100))
    assert entered.wait(T)
    assert stopped.wait(T)
    hold.set()
    future.result(T)
    assert arrived.wait(T)
    names = [name for name, _ in seen]
    assert names[0] == "start"
    assert names.count("descriptor") == names.count("stop") == 1
    assert names[-1] == "stop"
    numbers = [number for name, number in seen if name == "event"]
    assert numbers[-1] == 100
    assert len(numbers) <= 3
    assert numbers == sorted(numbers)


def test_latest_keeps_the_newest_of_each_stream(RE: Any) -> None:
    seen: list[Any] = []
    descriptors: dict[str, str] = {}
    hold = threading.Event()

    def slow(name: str, doc: Any) -> None:
        hold.wait(T)
        if name == "descriptor":
            descriptors[doc["uid"]] = doc["name"]
        if name == "event":
            seen.append((descriptors[doc["descriptor"]], doc["seq_num"]))
        if name == "stop":
            arrived.set()

    arrived = threading.Event()

    def two_streams() -> Any:
        detector = SynSignal(name="det", func=lambda: 1)
        yield Msg("open_run")
        for _ in range(20):
            for stream in ("live", "snap"):
                yield Msg("create", name=stream)
                yield Msg("read", detector)
                yield Msg("save")
        yield Msg("close_run")

    RE.subscribe(slow, delivery="latest")
    stopped = threading.Event()
    RE.subscribe(lambda name, doc: stopped.set(), "stop")
    future = RE(two_streams())
    assert stopped.wait(T)
    hold.set()
    future.result(T)
    assert arrived.wait(T)
    assert {("live", 20), ("snap", 20)} <= set(seen)


def test_an_unknown_delivery_is_refused_with_the_three_names(RE: Any) -> None:
    with pytest.raises(ValueError, match=r"(?s)inline.*queued.*latest"):
        RE.subscribe(print, delivery="sometimes")


@pytest.mark.parametrize("delivery", ["inline", "queued", "latest"])
def test_unsubscribe_ends_it_and_its_thread(RE: Any, delivery: str) -> None:
    seen: list[str] = []
    before = set(threading.enumerate())
    token = RE.subscribe(lambda name, doc: seen.append(name), delivery=delivery)
    RE(events(1)).result(T)
    RE.unsubscribe(token)
    for thread in set(threading.enumerate()) - before:
        thread.join(T)  # it delivers what waits first
        assert not thread.is_alive()
    RE(events(1)).result(T)
    assert seen == ["start", "descriptor", "event", "stop"]


@pytest.mark.parametrize("delivery", ["queued", "latest"])
def test_control_from_a_callback_off_the_loop(RE: Any, delivery: str) -> None:
    answers: list[Any] = []

    def stop(name: str, doc: Any) -> None:
        answers.append(RE.stop())

    RE.subscribe(stop, "event", delivery=delivery)
    future = RE(events(1_000_000))
    assert future.outcome.result(T).interrupted
    assert RE.state == "idle"
    assert answers


def test_a_queued_callback_may_not_wait_for_its_own_plan_for_ever(RE: Any) -> None:
    """The plan waits for the callback: waiting for the plan in it could never end."""
    seen: list[BaseException | None] = []
    box: list[Any] = []
    ready = threading.Event()

    def waiting(name: str, doc: Any) -> None:
        ready.wait(T)
        try:
            box[0].result(1)
        except BaseException as error:
            seen.append(error)

    RE.subscribe(waiting, "stop", delivery="queued")
    box.append(RE(events(1)))
    ready.set()
    assert box[0].result(T).exit_status == "success"
    assert isinstance(seen[0], (RuntimeError, TimeoutError))


class Batches:
    """A subscriber that takes batches."""

    def __init__(self) -> None:
        self.taken: list[list[tuple[str, Any]]] = []

    def __call__(self, name: str, doc: Any) -> None:
        raise AssertionError("it takes batches")

    def take_batch(self, documents: list[tuple[str, Any]]) -> None:
        self.taken.append(documents)


def test_documents_are_handed_over_in_batches_in_order(RE: Any) -> None:
    batches = Batches()
    RE.subscribe(batches, delivery="queued")
    began = time.monotonic()
    RE(events(3000)).result(60)
    took = time.monotonic() - began
    documents = [pair for batch in batches.taken for pair in batch]
    assert [name for name, _ in documents] == ["start", "descriptor", *["event"] * 3000, "stop"]
    assert [doc["seq_num"] for name, doc in documents if name == "event"] == list(range(1, 3001))
    # A rest before each, but for those that are full and those that somebody waits for.
    assert len(batches.taken) <= took / _delivery.REST + 3000 / _delivery.BATCH_DOCUMENTS + 4


def test_a_subscriber_is_woken_less_often_while_documents_come_by_the_thousand() -> None:
    rest = _delivery.REST
    rests = []
    for _ in range(5):
        rests.append(rest)
        rest, many = _delivery._next_rest(rest, pace=5_000.0)
        assert 0 < many < 5_000 * rest  # it comes before it would wake by itself
    assert rests[0] < rests[1] < rests[2]
    assert rest == rests[-1] == _delivery.LONG_REST
    # Fewer of them can be followed one by one, and cost nobody anything.
    assert _delivery._next_rest(rest, pace=1_000.0) == (_delivery.REST, _delivery.MAX_DOCUMENTS)


def test_no_more_documents_pile_up_than_a_batch_takes() -> None:
    _, many = _delivery._next_rest(_delivery.LONG_REST, pace=1e6)
    assert many < _delivery.BATCH_DOCUMENTS


def test_who_waits_for_what_takes_several_batches_waits_for_no_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_delivery, "REST", 100 * T)
    monkeypatch.setattr(_delivery, "BATCH_DOCUMENTS", 7)
    batches = Batches()
    delivery = _delivery.QueuedDelivery(
        batches, weakref.WeakMethod(Fails().failed), _delivery.Piled()
    )
    try:
        for number in range(30):
            delivery.put("event", {"seq_num": number})
        asyncio.run(asyncio.wait_for(delivery.drained(), T))
        assert [len(batch) for batch in batches.taken] == [7, 7, 7, 7, 2]
    finally:
        delivery.close()
        delivery.join(T)


class Phases:
    """A subscriber that begins batches, and finishes them when it may."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.finished: list[int] = []
        self._free = False
        self._may_finish = threading.Semaphore(0)
        self.at_work = threading.Event()

    def take_batch(self, documents: list[tuple[str, Any]]) -> None:
        raise AssertionError("it is asked to begin")

    def begin_batch(self, documents: list[tuple[str, Any]]) -> Any:
        self.begun.extend(doc.get("seq_num", 0) for _, doc in documents)

        def finish() -> None:
            self.at_work.set()
            if not self._free:
                self._may_finish.acquire(timeout=T)
            self.finished.extend(doc.get("seq_num", 0) for _, doc in documents)

        return finish

    def finish_one(self) -> None:
        self._may_finish.release()

    def finish_all(self) -> None:
        self._free = True
        self._may_finish.release()

    def __call__(self, name: str, doc: Any) -> None:
        raise AssertionError("it takes batches")


def test_the_plan_goes_on_while_a_batch_is_finished(
    RE: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_delivery, "_next_rest", lambda rest, pace: (rest, 7))
    phases = Phases()
    RE.subscribe(phases, delivery="queued")
    stopped = threading.Event()
    RE.subscribe(lambda name, doc: stopped.set(), "stop")
    future = RE(events(500))
    assert phases.at_work.wait(T)
    assert stopped.wait(T)
    assert not future.done()
    assert not phases.finished
    phases.finish_all()
    future.result(T)
    assert phases.finished == phases.begun == [0, 0, *range(1, 501), 0]


@pytest.mark.parametrize("when", ["begin", "finish", "settle"])
def test_a_batch_that_fails_in_any_of_its_parts_fails_the_plan(RE: Any, when: str) -> None:
    phases = Phases()
    phases.finish_all()
    begin = phases.begin_batch

    def failing(documents: list[tuple[str, Any]]) -> Any:
        finish = begin(documents)

        def fail() -> None:
            raise ValueError("the first batch")

        if documents[0][0] != "start":
            return finish
        if when == "begin":
            finish()
            fail()
        return lambda: (finish(), fail() if when == "finish" else fail)[1]

    phases.begin_batch = failing  # type: ignore[method-assign]
    RE.subscribe(phases, delivery="queued")
    with pytest.raises(ValueError, match="the first batch"):
        RE(events(10_000)).result(T)
    assert phases.finished == phases.begun


def test_the_plan_stands_by_for_what_a_batch_still_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_delivery, "PATIENCE", 3600.0)
    monkeypatch.setattr(_delivery, "QUICK", 3600.0)
    waits, settles, go_on = threading.Event(), threading.Event(), threading.Semaphore(0)
    phases = Phases()

    def begin(documents: list[tuple[str, Any]]) -> Any:
        def settle() -> None:
            settles.set()
            go_on.acquire(timeout=T)

        def wait() -> Any:
            waits.set()
            go_on.acquire(timeout=T)
            return settle

        return wait

    phases.begin_batch = begin  # type: ignore[method-assign]
    delivery = _delivery.QueuedDelivery(
        phases, weakref.WeakMethod(Fails().failed), _delivery.Piled()
    )
    try:
        delivery.put("start", {})
        assert waits.wait(T)
        assert not delivery.is_behind()
        go_on.release()
        assert settles.wait(T)
        assert delivery.is_behind()  # though nothing waits
        go_on.release()
        asyncio.run(asyncio.wait_for(delivery.drained(), T))
        assert not delivery.is_behind()
    finally:
        delivery.close()
        delivery.join(T)


def test_the_plan_lets_a_subscriber_come_when_many_documents_wait(
    RE: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = 7
    monkeypatch.setattr(_delivery, "_next_rest", lambda rest, pace: (3600.0, many))
    monkeypatch.setattr(_delivery, "PATIENCE", T)
    phases = Phases()
    phases.finish_all()
    lags = []
    RE.subscribe(
        lambda name, doc: lags.append(doc["seq_num"] - max(phases.begun, default=0)), "event"
    )
    RE.subscribe(phases, delivery="queued")
    RE(events(1)).result(T)  # its thread has rested for the first time
    RE(events(500)).result(T)
    assert max(lags[-100:]) == many + 1  # it would not have woken by itself
    one = [0, 0, 1, 0]
    assert phases.finished == [*one, 0, 0, *range(1, 501), 0]


def test_the_plan_does_not_stand_by_for_a_subscriber_that_was_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_delivery, "PATIENCE", 3600.0)
    monkeypatch.setattr(_delivery, "BATCH_DOCUMENTS", 10)
    phases = Phases()
    delivery = _delivery.QueuedDelivery(
        phases, weakref.WeakMethod(Fails().failed), _delivery.Piled()
    )
    try:
        delivery.put("start", {})
        assert phases.at_work.wait(T)
        delivery._many = 7
        for number in range(20):
            delivery.put("event", {"seq_num": number})
        assert delivery.is_behind()
        monkeypatch.setattr(_delivery, "QUICK", 0.0)
        phases.at_work.clear()
        phases.finish_one()
        assert phases.at_work.wait(T)  # with ten of the twenty
        assert not delivery.is_behind()
    finally:
        phases.finish_all()
        delivery.close()
        delivery.join(T)


def test_a_batch_is_bounded_in_documents_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_delivery, "BATCH_DOCUMENTS", 7)
    monkeypatch.setattr(_delivery, "BATCH_BYTES", 3000)
    batches = Batches()
    entered, hold = threading.Event(), threading.Event()
    take = batches.take_batch

    def waiting(documents: list[tuple[str, Any]]) -> None:
        entered.set()
        hold.wait(T)
        take(documents)

    batches.take_batch = waiting  # type: ignore[method-assign]
    delivery = _delivery.QueuedDelivery(
        batches, weakref.WeakMethod(Fails().failed), _delivery.Piled()
    )
    delivery.put("start", {})
    assert entered.wait(T)
    for number in range(20):
        delivery.put("event", {"data": {"n": number}})
    for _ in range(5):
        delivery.put("event", {"data": {"n": np.zeros(2000, "u1")}})
    hold.set()
    delivery.close()
    delivery.join(T)
    assert [len(batch) for batch in batches.taken] == [1, 7, 7, 7, 2, 2]
    assert not delivery.is_behind()


@contextmanager
def held_up() -> Iterator[tuple[_delivery.QueuedDelivery, _delivery.Piled]]:
    """Return a delivery whose subscriber is stuck."""
    hold, piled = threading.Event(), _delivery.Piled()
    delivery = _delivery.QueuedDelivery(
        lambda name, doc: hold.wait(T), weakref.WeakMethod(Fails().failed), piled
    )
    try:
        yield delivery, piled
    finally:
        hold.set()
        delivery.close()
        delivery.join(T)


FRAME = np.zeros(_delivery.MAX_BYTES // 8, "u1")  # one, however many wait


def test_frames_in_a_stream_that_was_to_be_of_numbers_are_bounded_all_the_same() -> None:
    with held_up() as (delivery, piled):
        delivery.put("descriptor", {"uid": "d", "data_keys": {"n": {"dtype": "number"}}})
        for _ in range(_delivery.LOOKED_AT + 10):
            delivery.put("event", {"descriptor": "d", "data": {"n": FRAME}})
        assert piled.up
        assert delivery.is_behind()


def test_frames_beside_a_stream_of_numbers_are_measured_each() -> None:
    with held_up() as (delivery, piled):
        delivery.put("descriptor", {"uid": "d", "data_keys": {"n": {"dtype": "number"}}})
        delivery.put("descriptor", {"uid": "e", "data_keys": {"f": {"dtype": "array"}}})
        for _ in range(10):
            delivery.put("event", {"descriptor": "d", "data": {"n": 1.0}})
            delivery.put("event", {"descriptor": "e", "data": {"f": FRAME}})
        assert piled.up
        assert delivery.is_behind()


class Fails:
    def failed(self, error: BaseException) -> None:
        """Take note of nothing."""


def test_a_subscriber_that_raises_in_a_batch_gets_all_the_others(RE: Any, caplog: Any) -> None:
    seen: list[Any] = []
    hold = threading.Event()

    def raising(name: str, doc: Any) -> None:
        hold.wait(T)
        seen.append(doc.get("seq_num"))
        if doc.get("seq_num") in (3, 5):
            raise ValueError(f"event {doc['seq_num']}")

    RE.subscribe(raising, delivery="queued")
    stopped = threading.Event()
    RE.subscribe(lambda name, doc: stopped.set(), "stop")
    future = RE(events(8))
    assert stopped.wait(T)
    hold.set()
    with pytest.raises(ValueError, match="event 3"):
        future.result(T)
    assert seen == [None, None, *range(1, 9), None]
    assert "event 5" in caplog.text


def test_a_batch_that_raises_fails_the_plan_and_no_further_batch(RE: Any) -> None:
    batches = Batches()
    take = batches.take_batch

    def raising(documents: list[tuple[str, Any]]) -> None:
        take(documents)
        if documents[0][0] == "start":
            raise ValueError("the first batch")

    batches.take_batch = raising  # type: ignore[method-assign]
    RE.subscribe(batches, delivery="queued")
    with pytest.raises(ValueError, match="the first batch"):
        RE(events(10_000)).result(T)
    assert batches.taken[-1][-1][0] == "stop"


def test_no_document_is_ever_left_lying(RE: Any) -> None:
    """Each comes when the thread has just dozed off, or is just about to."""
    arrived = threading.Semaphore(0)
    delivery = _delivery.QueuedDelivery(
        lambda name, doc: arrived.release(),
        weakref.WeakMethod(Fails().failed),
        _delivery.Piled(),
    )
    try:
        for number in range(300):
            delivery.put("event", {"seq_num": number})
            if number % 3:
                asyncio.run(asyncio.wait_for(delivery.drained(), T))
            assert arrived.acquire(timeout=T)
    finally:
        delivery.close()
        delivery.join(T)


def test_nobody_waits_for_a_subscriber_that_was_unsubscribed_a_moment_ago() -> None:
    hold = threading.Event()
    delivery = _delivery.QueuedDelivery(
        lambda name, doc: hold.wait(T), weakref.WeakMethod(Fails().failed), _delivery.Piled()
    )
    delivery.put("start", {})

    class ClosedJustBefore:
        """The delivery's lock, which somebody who closes it gets first."""

        def __init__(self, condition: threading.Condition) -> None:
            self._condition = condition

        def __enter__(self) -> Any:
            delivery._condition = self._condition
            delivery.close()
            hold.set()
            delivery.join(T)
            return self._condition.__enter__()

        def __exit__(self, *error: Any) -> None:
            self._condition.__exit__(*error)

    delivery._condition = ClosedJustBefore(delivery._condition)  # type: ignore[assignment]
    asyncio.run(asyncio.wait_for(delivery.drained(), T))


def test_the_plan_waits_for_a_subscriber_that_is_far_behind_and_says_so_once(
    RE: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_delivery, "MAX_DOCUMENTS", 10)
    most = 0
    lag: list[int] = [0]

    def slow(name: str, doc: Any) -> None:
        nonlocal most
        most = max(most, lag[0])
        lag[0] -= 1

    def count(name: str, doc: Any) -> None:
        lag[0] += 1

    RE.subscribe(count)
    RE.subscribe(slow, delivery="queued")
    RE(events(500)).result(T)
    assert lag == [0]
    assert most <= 12  # one more than may wait, and the one that was being delivered
    assert caplog.text.count("is behind by 11 documents") == 1
    caplog.clear()
    RE(events(500)).result(T)
    assert caplog.text.count("is behind by 11 documents") == 1


def let_turn(loop: Any) -> None:
    """Wait until a loop has done what it is at, and all that was to be done before."""
    turned = threading.Event()
    loop.call_soon_threadsafe(turned.set)
    assert turned.wait(T)


def test_the_plan_goes_on_while_most_still_waits_for_a_slow_subscriber(
    RE: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_delivery, "MAX_DOCUMENTS", 16)
    may_take, told, goes_on = threading.Semaphore(0), threading.Event(), threading.Event()
    emitted: list[str] = []
    taken: list[str] = []

    def emit(name: str, doc: Any) -> None:
        emitted.append(name)
        if len(emitted) == 20:  # two more than may wait, with one in hand
            goes_on.set()

    def slow(name: str, doc: Any) -> None:
        may_take.acquire(timeout=T)
        taken.append(name)

    RE.subscribe(emit)
    RE.subscribe(slow, delivery="queued")
    with at_log("is behind by", told.set):
        future = RE(events(40))
        assert told.wait(T)
    let_turn(RE.loop)  # it waits by now
    may_take.release(5)  # an eighth, and what it has in hand
    try:
        assert goes_on.wait(T)
        assert len(taken) <= 5
    finally:
        may_take.release(100)
    future.result(T)
    assert taken == emitted


class Gate:
    """A subscriber that lets documents through one kind after the other."""

    def __init__(self, RE: Any) -> None:
        self.closed_for: str = ""  # the kind that it does not take
        self.go_on = threading.Event()
        self.taken: list[str] = []
        self._emitted = {kind: threading.Event() for kind in DocumentNames.__members__}
        RE.subscribe(self._emit)
        RE.subscribe(self, delivery="queued")
        self._loop = RE.loop

    def _emit(self, name: str, doc: Any) -> None:
        self._emitted[name].set()

    def __call__(self, name: str, doc: Any) -> None:
        if name == self.closed_for:
            self.go_on.wait(T)
        self.taken.append(name)

    def wait_until_waited_for(self, kind: str) -> None:
        """Wait until the plan has emitted such a document, and waits for it to be taken."""
        assert self._emitted[kind].wait(T)
        let_turn(self._loop)


@pytest.fixture
def gate_for(RE: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A subscriber that a plan waits for at each document, and that takes all but one kind."""
    # Less than none: with none the plan goes on where the subscriber has come before it looks.
    monkeypatch.setattr(_delivery, "MAX_DOCUMENTS", -1)
    gate = Gate(RE)
    yield gate
    gate.go_on.set()


@pytest.mark.parametrize("kind", ["start", "descriptor", "event", "stop"])
def test_a_pause_while_the_plan_waits_for_a_subscriber_fails_nothing(
    RE: Any, gate_for: Gate, kind: str
) -> None:
    gate_for.closed_for = kind
    future = RE(events(1))
    gate_for.wait_until_waited_for(kind)
    assert "document subscriber" in RE.explain()
    RE.request_pause()
    with pytest.raises(RunEngineInterrupted):
        future.result(T)
    gate_for.go_on.set()
    RE.resume().result(T)
    assert [gate_for.taken.count(once) for once in ("start", "descriptor", "stop")] == [1, 1, 1]


@pytest.mark.parametrize("how", ["stop", "abort", "halt"])
@pytest.mark.parametrize("kind", ["event", "stop"])
def test_who_ends_a_plan_that_waits_for_a_subscriber_gets_one_stop_document(
    RE: Any, gate_for: Gate, how: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate_for.closed_for = kind
    future = RE(events(1))
    gate_for.wait_until_waited_for(kind)
    ended = getattr(RE, how)()
    gate_for.go_on.set()
    with pytest.raises(RunEngineInterrupted):
        future.result(T)
    ended.result(T)
    assert gate_for.taken == ["start", "descriptor", "event", "stop"]
    assert "Failed" not in caplog.text


@pytest.mark.parametrize("kind", ["event", "stop"])
def test_a_subscriber_that_is_stuck_for_ever_is_left_by_a_second_halt(
    RE: Any, gate_for: Gate, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate_for.closed_for = kind
    future = RE(events(1))
    gate_for.wait_until_waited_for(kind)
    RE.halt()
    gate_for.wait_until_waited_for("stop")
    RE.halt()
    with pytest.raises(RunEngineInterrupted):
        future.result(T)
    assert "Failed" not in caplog.text


@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist], ids=["array", "list"])
def test_the_plan_waits_for_a_slow_disk_before_the_memory_is_full(
    RE: Any, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    monkeypatch.setattr(_delivery, "MAX_BYTES", 100_000)
    monkeypatch.setattr(_delivery, "BATCH_BYTES", 10_000)
    told, disk = threading.Event(), threading.Event()

    class Disk(Batches):
        def take_batch(self, documents: list[tuple[str, Any]]) -> None:
            disk.wait(T)
            super().take_batch(documents)

    emitted, slow = [], Disk()
    RE.subscribe(lambda name, doc: emitted.append(doc["seq_num"]), "event")
    RE.subscribe(slow, delivery="queued")
    size = 40_000 if kind is np.asarray else 1_250  # items: those of a list are larger
    camera = SynSignal(name="camera", func=lambda: kind(np.zeros(size, "u1")))
    try:
        with at_log("is behind by", told.set):
            future = RE(events(20, device=camera))
            assert told.wait(T)
            assert emitted == [1, 2, 3]  # 120 kB wait, and the plan
            assert not future.done()
            disk.set()
            future.result(T)
    finally:
        disk.set()
    written = [doc["seq_num"] for batch in slow.taken for name, doc in batch if name == "event"]
    assert written == list(range(1, 21))


def test_monitors_fail_a_plan_that_sleeps_before_the_memory_is_full(
    RE: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_delivery, "MAX_BYTES", 10_000)
    monkeypatch.setattr(_delivery, "BATCH_BYTES", 1_000)
    monkeypatch.setattr(_delivery, "FULL_BYTES", 100_000)
    emitted: list[int] = []
    seen: list[int] = []
    hold, monitored = threading.Event(), threading.Event()

    def slow(name: str, doc: Any) -> None:
        assert hold.wait(T)
        seen.append(doc["seq_num"])

    RE.subscribe(lambda name, doc: emitted.append(doc["seq_num"]), "event")
    RE.subscribe(lambda name, doc: hold.set(), "stop")  # the plan has ended while it is slow
    RE.subscribe(lambda name, doc: name == "event" and slow(name, doc), delivery="queued")
    frames = Signal(name="frames", value=np.zeros(40_000, "u1"))

    def plan() -> Any:
        yield Msg("open_run")
        yield Msg("monitor", frames, name="frames")
        monitored.set()
        yield Msg("sleep", None, 600)

    try:
        future = RE(plan())
        assert monitored.wait(T)
        for number in range(10):
            frames.put(np.full(40_000, number, "u1"))
        with pytest.raises(RuntimeError, match="monitors bring"):
            future.result(T)
    finally:
        hold.set()
    assert seen == emitted
    assert len(seen) >= 3
    assert RE(events(3)).result(T)
