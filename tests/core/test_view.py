"""What prompt, window and commands ask an engine for."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import bluesky.run_engine
import pytest

from freewheel import BlockingRunEngine, RunEngine
from freewheel.core import EngineView, PlanFutureView, is_engine

MEMBERS = {name: member for name, member in vars(EngineView).items() if name[0] != "_"}


@pytest.mark.parametrize("kind", [RunEngine, BlockingRunEngine])
def test_our_engines_have_what_the_view_promises(kind: Any) -> None:
    with kind() as engine:
        assert is_engine(engine)
        for name, member in MEMBERS.items():
            assert hasattr(engine, name), name
            if inspect.isfunction(member):
                promised = list(inspect.signature(member).parameters)[1:]
                assert list(inspect.signature(getattr(engine, name)).parameters) == promised


def test_a_plan_future_has_what_the_view_promises() -> None:
    with RunEngine() as engine:
        future = engine([])
        future.result(10)
        members = {name for kind in PlanFutureView.__mro__ for name in vars(kind)}
        for name in members - set(dir(object)):
            if not name.startswith("_"):
                assert hasattr(future, name), name


def test_what_is_no_engine_of_ours() -> None:
    others = [
        *(None, 3, "RE", RunEngine, MagicMock(), SimpleNamespace(snapshot=print)),
        bluesky.run_engine.RunEngine.__new__(bluesky.run_engine.RunEngine),
    ]
    assert [thing for thing in others if is_engine(thing)] == []


def test_another_class_with_all_of_it_is_one() -> None:
    class Elsewhere:
        def __call__(self, plan: Any) -> None: ...

    for name in MEMBERS:
        setattr(Elsewhere, name, property(lambda self: pytest.fail("was evaluated")))
    assert is_engine(Elsewhere())


def test_every_promise_is_written_down() -> None:
    assert [name for name, member in MEMBERS.items() if not inspect.getdoc(member)] == []
