"""Actions, the mark of continuous plans, and the cache protocol."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading

import pytest

from freewheel.core import (
    Action,
    ContinousPlan,
    ContinuousPlan,
    HasCache,
    SRLatch,
    continous,
    continuous,
)


@dataclasses.dataclass(kw_only=True)
class Snap(Action):
    frames: int = 1


@dataclasses.dataclass(kw_only=True)
class Careless(Action):
    """One that does not call the base's __post_init__."""

    def __post_init__(self):
        pass


@pytest.mark.parametrize("kind", [Action, Snap, Careless])
@pytest.mark.parametrize("togglable", [False, True])
def test_event_map_has_one_latch_under_the_name(kind, togglable):
    action = kind(name="snap", togglable=togglable)
    assert list(action.event_map) == ["snap"]
    assert isinstance(action.event_map["snap"], SRLatch)
    assert action.event_map["snap"] is action.event_map["snap"] is action.latch
    assert action.latch.action is action
    assert repr(action.latch) == "<SRLatch of 'snap': reset>"


def test_defaults():
    action = Action(name="snap")
    assert (action.description, action.togglable, action.toggle_states) == (
        "",
        False,
        ("On", "Off"),
    )


def test_keyword_only():
    with pytest.raises(TypeError):
        Action("snap")


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, dataclasses.replace, lambda a: pickle.loads(pickle.dumps(a))],
)
def test_a_copy_has_a_latch_of_its_own(copied):
    action = Snap(name="snap", frames=3)
    action.latch.set()
    other = copied(action)
    assert other == action
    assert other.latch is not action.latch
    assert not other.latch.is_set()
    assert other.latch.action is other


def test_equal_by_value_and_hashable_subclasses_too():
    assert Action(name="a") == Action(name="a") != Action(name="b")
    assert Snap(name="a") != Action(name="a")
    assert len({Snap(name="a"), Snap(name="a"), Snap(name="a", frames=2), Action(name="a")}) == 3


def test_a_subclass_keeps_its_own_hash():
    @dataclasses.dataclass(kw_only=True)
    class Mine(Action):
        def __hash__(self):
            return 7

    assert hash(Mine(name="a")) == 7


def test_threads_that_ask_first_get_the_same_latch():
    for _ in range(100):
        action, start, got = Action(name="a"), threading.Barrier(4), []

        def ask(action=action, start=start, got=got):
            start.wait(30)
            got.append(action.latch)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(latch) for latch in got}) == 1


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"name": ""}, ValueError, "must not be empty"),
        ({"name": "  "}, ValueError, "must not be empty"),
        ({"name": 3}, TypeError, "must be a string, not 3"),
        ({"description": None}, TypeError, "description of Action 'x'"),
        ({"toggle_states": "ab"}, TypeError, "two strings"),
        ({"toggle_states": None}, TypeError, "two strings"),
        ({"toggle_states": ("On",)}, ValueError, "got 1"),
        ({"toggle_states": ("On", "Off", "?")}, ValueError, "got 3"),
        ({"toggle_states": ("On", 0)}, TypeError, "two strings"),
    ],
)
def test_bad_input_is_refused_by_name(wrong, error, says):
    with pytest.raises(error, match=says):
        Action(**{"name": "x", **wrong})


def test_toggle_states_may_come_as_a_list():
    assert Action(name="x", toggle_states=["Live", "Dark"]).toggle_states == ("Live", "Dark")


def test_continuous_without_arguments_marks_and_leaves_the_function():
    def plan():
        """Do it."""

    marked = continuous(plan)
    assert marked is plan
    assert (plan.__togglable__, plan.__pausable__) == (True, False)
    assert isinstance(plan, ContinuousPlan)


def test_continuous_with_arguments():
    @continuous(togglable=False, pausable=True)
    def plan():
        pass

    assert (plan.__togglable__, plan.__pausable__) == (False, True)


def test_continuous_refuses_what_is_no_function():
    def plan():
        yield

    with pytest.raises(TypeError, match="without calling it"):
        continuous(plan())


def test_an_unmarked_function_is_no_continuous_plan():
    assert not isinstance(print, ContinuousPlan)


def test_older_spellings():
    assert continous is continuous
    assert ContinousPlan is ContinuousPlan


def test_has_cache_is_checked_at_run_time():
    class Cache:
        def stash(self, values):
            return values

        def clear(self):
            return None

    assert isinstance(Cache(), HasCache)
    assert not isinstance({}, HasCache)
