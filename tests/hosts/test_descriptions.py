"""What queueserver is shown of plans that offer actions."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from inspect import Parameter
from typing import Any

import pytest

from freewheel import Action
from freewheel.hosts._descriptions import _without_actions

SNAP = Action(name="snap")
PLACED, NAMED = Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY
MORE = (Action(name="skip"), Action(name="finish"))


def behind(a: int, snap: Any = SNAP, b: int = 2, *rest: int, c: int = 3) -> Iterator[Any]:
    yield a, snap, b, rest, c


def by_name(a: int, b: int = 2, *rest: int, snap: Any = SNAP, more: Any = MORE) -> Iterator[Any]:
    yield a, b, rest, snap, more


@pytest.mark.parametrize(
    ("plan", "shown"),
    [
        (behind, [("a", PLACED), ("b", NAMED), ("c", NAMED)]),
        (by_name, [("a", PLACED), ("b", PLACED), ("rest", Parameter.VAR_POSITIONAL)]),
    ],
)
def test_actions_are_left_out_and_nothing_takes_their_place(plan: Any, shown: list[Any]) -> None:
    found = _without_actions(plan)
    parameters = inspect.signature(found).parameters
    assert [(each.name, each.kind) for each in parameters.values()] == shown
    assert found.__name__ == plan.__name__
    assert list(found(1)) == list(plan(1))


def test_a_plan_without_actions_is_left_as_it_is() -> None:
    def plain(a: Any = (), b: str = "snap") -> Iterator[Any]:
        yield a, b

    assert _without_actions(plain) is plain
