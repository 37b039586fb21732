"""The states of an engine and of a plan: text that answers questions."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from bluesky.run_engine import RunEngineStateMachine, TransitionError

from freewheel.core import EngineState, PlanStatus, status_text

BLUESKYS = RunEngineStateMachine()


def test_there_are_the_states_that_bluesky_has() -> None:
    assert {str(state) for state in EngineState} == set(RunEngineStateMachine.States.states())


@pytest.mark.parametrize("state", EngineState)
def test_a_state_reads_like_its_name(state: EngineState) -> None:
    name = state.value
    assert state == name
    assert hash(state) == hash(name)
    assert repr(state) == repr(name)
    assert f"{state}" == f"{state!s}" == name
    assert type(str(state)) is str
    assert json.loads(json.dumps({"state": state})) == {"state": name}


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_a_copy_is_the_same_state(again: object) -> None:
    assert again(EngineState.PAUSED) is EngineState.PAUSED  # type: ignore[operator]


@pytest.mark.parametrize("state", EngineState)
def test_exactly_one_state_is_the_one_that_is_asked_for(state: EngineState) -> None:
    said = [other for other in EngineState if getattr(state, f"is_{other}")]
    assert said == [state]


@pytest.mark.parametrize("state", EngineState)
def test_what_may_follow_is_what_may_be_asked_for(state: EngineState) -> None:
    for other in EngineState:
        may = getattr(state, f"can_be_{other}")
        assert may == (other in state.after_names())
        if may:
            assert state.after(other) is other
        else:
            with pytest.raises(TransitionError, match=f"from '{state}' to '{other}'"):
                state.after(other)


def test_only_a_plan_on_its_way_can_pause() -> None:
    assert [state for state in EngineState if state.can_pause] == ["running", "suspending"]


def test_an_unknown_question_is_an_attribute_error() -> None:
    for name in ("is_sleeping", "can_be_sleeping", "anything"):
        with pytest.raises(AttributeError, match=name):
            getattr(EngineState.IDLE, name)
    with pytest.raises(ValueError, match="'sleeping' is no state"):
        EngineState.IDLE.after("sleeping")


@pytest.mark.parametrize("state", EngineState)
def test_a_plan_under_way_has_the_engines_state(state: EngineState) -> None:
    status = PlanStatus.under_way(state)
    assert not status.ended
    assert status == ("running" if state in ("idle", "panicked") else state)


def test_what_has_ended() -> None:
    assert {status for status in PlanStatus if status.ended} == {
        *("completed", "stopped", "aborted", "halted", "failed", "cancelled")
    }


def test_a_status_in_words() -> None:
    assert status_text(PlanStatus.RUNNING) == "running"
    assert status_text(PlanStatus.FAILED, ValueError("x")) == "failed: ValueError"
    assert status_text(PlanStatus.FAILED) == "failed"
    assert status_text(PlanStatus.RESUMED) == "was paused, and goes on"
