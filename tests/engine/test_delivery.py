"""Documents off the loop: ``inline``, ``queued`` and ``latest``."""

# ruff: noqa: N803

from __future__ import annotations

import threading
from typing import Any

import pytest
from bluesky.utils import Msg
from ophyd.sim import SynSignal

T = 10


def events(count: int, *, stream: str = "primary", close: bool = True) -> Any:
    detector = SynSignal(name="det", func=lambda: 1)
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
