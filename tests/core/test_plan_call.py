"""Plans that have not been made yet."""

from __future__ import annotations

import copy
import dataclasses
import functools
import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bluesky.plans import count
from bluesky.utils import Msg

from freewheel import PlanCall


def wiggle(motor: Any, *, times: int = 1) -> Any:
    for _ in range(times):
        yield Msg("set", motor, 1)
    return "done"


async def not_a_plan() -> None:
    pass


async def not_a_plan_either() -> Any:
    yield 1


def returns_nothing() -> None:
    pass


def returns_a_coroutine() -> Any:
    return not_a_plan()


class PlanOfAClass:
    def __iter__(self) -> Any:
        yield Msg("null")


MOTOR = SimpleNamespace(name="motor", parent=None)


def commands(plan: Any) -> list[str]:
    return [msg.command for msg in plan]


def test_each_plan_that_it_makes_is_a_new_one() -> None:
    call = PlanCall(wiggle, (MOTOR,), {"times": 2})
    assert commands(call.make()) == commands(call.make()) == ["set", "set"]


def test_a_plan_need_not_be_a_generator() -> None:
    assert commands(PlanCall(lambda: [Msg("null"), Msg("checkpoint")]).make()) == [
        *("null", "checkpoint")
    ]
    assert commands(PlanCall(lambda: Msg("null")).make()) == ["null"]
    assert commands(PlanCall(PlanOfAClass).make()) == ["null"]
    assert commands(PlanCall(functools.partial(wiggle, MOTOR)).make()) == ["set"]


def test_what_is_shown_reads_as_a_call() -> None:
    assert repr(PlanCall(count, ([MOTOR],), {"num": 3})) == "count([motor], num=3)"
    assert repr(PlanCall(functools.partial(wiggle, MOTOR))) == "wiggle()"
    call = PlanCall(lambda *a, **k: (), ((1,), (MOTOR, 2.5), {"a": MOTOR}, "text", wiggle, int))
    assert repr(call) == "<lambda>((1,), (motor, 2.5), {'a': motor}, 'text', wiggle, int)"


def test_its_name_is_the_functions() -> None:
    assert PlanCall(wiggle, (MOTOR,)).name == "wiggle"
    assert PlanCall(count, ([],)).name == "count"
    assert PlanCall(functools.partial(wiggle, MOTOR)).name == "wiggle"


def test_nobody_changes_it_behind_its_back() -> None:
    kwargs = {"times": 2}
    call = PlanCall(wiggle, [MOTOR], kwargs)  # type: ignore[arg-type]
    kwargs["times"] = 5
    assert call.args == (MOTOR,)
    assert call.kwargs == {"times": 2}
    with pytest.raises(TypeError):
        call.kwargs["times"] = 3  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        call.args = ()  # type: ignore[misc]
    more = dataclasses.replace(call, kwargs={**call.kwargs, "times": 3})
    assert len(commands(more.make())) == 3


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))]
)
def test_it_can_be_copied_and_sent(again: Any) -> None:
    call = PlanCall(wiggle, ("motor",), {"times": 2})
    other = again(call)
    assert other == call
    assert other is not call
    assert other != dataclasses.replace(call, args=("other",))


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (None, "no plan function"),
        (7, "no plan function"),
        ("count", "made already"),
        (Msg("null"), "made already"),
        ([Msg("null")], "made already"),
        (not_a_plan, "coroutine function"),
        (not_a_plan_either, "coroutine function"),
        (int, "class whose instances are no plans"),
    ],
)
def test_what_is_no_plan_function_is_refused(function: Any, why: str) -> None:
    with pytest.raises(TypeError, match=why):
        PlanCall(function)


def test_a_plan_that_was_made_is_refused() -> None:
    plan = wiggle(MOTOR)
    with pytest.raises(TypeError, match=r"PlanCall\(count, \(\[detector\],\)\)"):
        PlanCall(plan)
    plan.close()


def test_arguments_that_do_not_fit_are_refused_at_once() -> None:
    with pytest.raises(TypeError, match=r"wiggle\(motor.*missing a required argument: 'motor'"):
        PlanCall(wiggle)
    with pytest.raises(TypeError, match="unexpected keyword argument 'number'"):
        PlanCall(wiggle, (MOTOR,), {"number": 3})


def test_a_function_that_makes_no_plan_is_told_of() -> None:
    with pytest.raises(TypeError, match=r"returns_nothing\(\) is no plan.*returned None"):
        PlanCall(returns_nothing).make()
    with pytest.raises(TypeError, match="returned <coroutine"):
        PlanCall(returns_a_coroutine).make()
    with pytest.raises(TypeError, match="returned 'text'"):
        PlanCall(lambda: "text").make()


def test_its_arguments_fit_a_line() -> None:
    assert PlanCall(wiggle, (MOTOR,)).arguments == "motor"
    points = PlanCall(takes_anything, ([*range(1000)], (1.5,) * 9), {"text": "x" * 999})
    assert points.arguments == (
        "[0, 1, 2, 3, 4, 5, …], (1.5, 1.5, 1.5, 1.5, 1.5, 1.5, …), text=" + "'" + "x" * 58 + "…"
    )
    many = PlanCall(takes_anything, tuple(range(100_000, 100_100))).arguments
    assert len(many) == 200
    assert many.startswith("100000, 100001, ")
    assert "\n" not in PlanCall(takes_anything, (np.zeros((30, 30)),)).arguments


def takes_anything(*args: Any, **kwargs: Any) -> Any:
    yield from ()


def test_what_does_not_fit_is_told_without_the_types() -> None:
    def mosaic(camera: Any, tiles: int = 4) -> Any: ...

    with pytest.raises(TypeError) as refused:
        PlanCall(mosaic, (1,), {"tile": 3})
    assert str(refused.value).startswith("mosaic(camera, tiles=4) cannot be called like this: ")
