"""The stubs that have the names of bluesky's yield the same messages."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.utils import separate_devices

import freewheel.plan_stubs as fps
from freewheel.plan_stubs._live import _outermost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What bluesky's stub of `wait` spells out.
DEFAULTS = [("error_on_timeout", True), ("timeout", None), ("watch", ())]


def answers_of(messages: list[Any]) -> list[Any]:
    """Return messages with made-up groups put out of sight."""
    return [
        message._replace(
            kwargs={
                key: "group" if key == "group" and value not in (None, "mine") else value
                for key, value in message.kwargs.items()
                if (key, value) not in DEFAULTS
            }
        )
        for message in messages
    ]


class Axis:
    parent = None

    def __init__(self, name: str, parent: Any = None) -> None:
        self.name = name
        self.parent = parent

    def set(self, value: float) -> Any: ...
    def read(self) -> Any: ...
    def describe(self) -> Any: ...
    def trigger(self) -> Any: ...


X, Y = Axis("x"), Axis("y")


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.checkpoint(),
        lambda m: m.create("live"),
        lambda m: m.save(),
        lambda m: m.drop(),
        lambda m: m.null(),
        lambda m: m.sleep(0.5),
        lambda m: m.read(X),
        lambda m: m.trigger(X, group="mine", wait=True),
        lambda m: m.trigger(X),
        lambda m: m.abs_set(X, 1, group="mine", wait=True),
        lambda m: m.abs_set(X, 1, wait=True),
        lambda m: m.wait("mine", timeout=3, error_on_timeout=False, watch=("other",)),
        lambda m: m.mv(X, 1, Y, 2),
        lambda m: m.mv(X, 1, Y, 2, group="mine", timeout=4),
        lambda m: m.rd(X),
        lambda m: m.trigger_and_read([X, Y], name="live"),
        lambda m: m.trigger_and_read([]),
    ],
)
def test_messages_are_blueskys(call: Callable[[Any], Any]) -> None:
    mine, theirs = list(call(fps)), list(call(bps))

    assert answers_of(mine) == answers_of(theirs)


@pytest.mark.parametrize("arguments", [(X,), (X, 1, X, 2), ()])
def test_moves_that_are_none_get_blueskys_errors(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever bluesky has for it
        list(bps.mv(*arguments))
    with pytest.raises(type(theirs.value), match=re.escape(str(theirs.value))):
        list(fps.mv(*arguments))


def test_a_failed_reading_drops_the_event() -> None:
    plan = fps.trigger_and_read([X])
    seen = [plan.send(None).command]
    while seen[-1] != "read":
        seen.append(plan.send(None).command)
    seen.append(plan.throw(ValueError("no light")).command)

    assert seen == ["trigger", "wait", "create", "read", "drop"]
    with pytest.raises(ValueError, match="no light"):
        plan.send(None)


def test_groups_are_never_used_twice() -> None:
    groups = [
        message.kwargs["group"]
        for _ in range(100)
        for message in fps.trigger_and_read([X])
        if message.command == "trigger"
    ]

    assert len(set(groups)) == 100


PARENT = Axis("parent")
CHILD, OTHER = Axis("child", PARENT), Axis("other", PARENT)
GRANDCHILD = Axis("grandchild", CHILD)


@pytest.mark.parametrize(
    "devices",
    [
        [X, Y],
        [X, X, Y],
        [CHILD, PARENT],
        [PARENT, CHILD, X],
        [CHILD, OTHER, GRANDCHILD],
        [GRANDCHILD, X, PARENT, OTHER],
        [CHILD, GRANDCHILD, CHILD, Y],
    ],
)
def test_children_are_left_out_as_by_bluesky(devices: Sequence[Axis]) -> None:
    assert list(_outermost(tuple(devices))) == separate_devices(devices)


@pytest.mark.parametrize("name", fps.__all__)
def test_every_stub_is_a_plain_generator_function(name: str) -> None:
    stub = getattr(fps, name)

    assert inspect.isclass(stub) or inspect.isgeneratorfunction(stub)
    assert stub.__doc__
