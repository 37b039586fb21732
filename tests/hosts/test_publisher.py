"""The state of an engine over 0MQ: the last value kept, every change told, nothing waited for."""

# ruff: noqa: N802, N803

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bluesky.utils import Msg

from doubles import quick
from freewheel import Action, RunEngine
from freewheel.plan_stubs import wait_for_action

pytest.importorskip("zmq")

from freewheel.hosts._publisher import StatePublisher

T = 10


@pytest.fixture
def RE() -> Iterator[RunEngine]:
    with RunEngine() as engine:
        yield engine


@pytest.fixture
def publisher(RE: RunEngine) -> Iterator[StatePublisher]:
    made = StatePublisher(RE, "tcp://127.0.0.1:*")
    yield made
    made.close()


def test_who_comes_late_gets_the_last_value(RE: Any, publisher: Any, listen: Any) -> None:
    RE.queue.hold("lunch")
    listen(publisher.address).hear(lambda found: found["queue_held"] == "lunch")
    assert listen(publisher.address).hear(lambda _: True)["queue_held"] == "lunch"


def test_who_comes_late_gets_no_value_that_is_old(RE: Any, listen: Any) -> None:
    publisher = StatePublisher(RE, "tcp://127.0.0.1:*", rate=0.01)
    try:
        listen(publisher.address).hear(lambda found: found["queue_held"] is None)
        RE.queue.hold("lunch")
        assert listen(publisher.address).hear(lambda _: True)["queue_held"] == "lunch"
    finally:
        publisher.close()


def test_changes_are_told(RE: Any, publisher: Any, listen: Any) -> None:
    listener = listen(publisher.address)
    action = Action(name="go", togglable=True)

    def plan() -> Any:
        yield Msg("checkpoint")
        yield from wait_for_action(action)

    RE(plan())
    (offered,) = listener.hear(lambda found: found["actions"])["actions"]
    assert (offered["name"], offered["togglable"]) == ("go", True)
    RE.trigger_action("go")
    assert listener.hear(lambda found: not found["actions"])


def test_a_burst_of_changes_ends_with_the_last(RE: Any, publisher: Any, listen: Any) -> None:
    listener = listen(publisher.address)
    for number in range(200):
        RE.queue.hold(f"reason {number}")
    assert listener.hear(lambda found: found["queue_held"] == "reason 199")
    RE.queue.release()
    assert listener.hear(lambda found: found["queue_held"] is None)


def test_an_address_that_is_taken_is_refused(RE: Any, publisher: Any) -> None:
    with pytest.raises(OSError, match=r"already in use.*another worker.*--redis-name-prefix"):
        StatePublisher(RE, publisher.address)


@pytest.mark.parametrize("address", ["nonsense", "tcp://nowhere.invalid:1", "tcp://127.0.0.1", ""])
def test_an_address_that_is_none_is_refused(RE: Any, address: str) -> None:
    with pytest.raises(OSError, match=r"cannot be published.*publish_state"):
        StatePublisher(RE, address)


def test_after_the_close_nothing_is_left(RE: Any) -> None:
    publisher = StatePublisher(RE, "tcp://127.0.0.1:*")
    publisher.close()
    publisher.close()
    again = StatePublisher(RE, publisher.address)
    RE(quick()).result(T)
    again.close()
