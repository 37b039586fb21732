"""What is exported, and what the errors say."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest

import freewheel.core
from freewheel.core import (
    EngineClosedError,
    ForkedProcessError,
    InvalidState,
    MissingExtraError,
    ResourceConflictError,
    ServiceFailedError,
    StatusTimeoutError,
    WaitTimeoutError,
)


def test_all_that_is_listed_is_there():
    assert len(set(freewheel.core.__all__)) == len(freewheel.core.__all__)
    assert [name for name in freewheel.core.__all__ if not hasattr(freewheel.core, name)] == []


@pytest.mark.parametrize(
    ("error", "base"),
    [
        (InvalidState, RuntimeError),
        (StatusTimeoutError, TimeoutError),
        (WaitTimeoutError, TimeoutError),
        (ResourceConflictError, RuntimeError),
        (ServiceFailedError, RuntimeError),
        (EngineClosedError, RuntimeError),
        (ForkedProcessError, RuntimeError),
        (MissingExtraError, ImportError),
    ],
)
def test_bases(error, base):
    assert issubclass(error, base)


def test_conflict_names_all_three_and_keeps_them():
    motor = SimpleNamespace(name="motor")
    error = ResourceConflictError(motor, "live view", "scan")
    assert (error.device, error.holder, error.requester) == (motor, "live view", "scan")
    assert "'scan' needs 'motor', which 'live view' holds" in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_conflict_says_what_a_device_is_held_with():
    error = ResourceConflictError("shutter", "live view", "scan", SimpleNamespace(name="camera"))
    assert "'scan' needs 'shutter', which 'live view' holds with 'camera'. " in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_missing_extra_gives_the_command():
    error = MissingExtraError("freewheel.qt", "qt")
    assert 'pip install "freewheel[qt]"' in str(error)
    assert str(error).startswith("freewheel.qt needs")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
