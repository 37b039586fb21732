"""The verbs of a host on an engine of this process: what needs no host to be seen."""

# ruff: noqa: N802, N803

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bluesky.utils import Msg

from freewheel import BlockingRunEngine, PlanCall

pytest.importorskip("zmq")

from freewheel.hosts import _verbs


@pytest.fixture
def RE(monkeypatch: pytest.MonkeyPatch) -> Iterator[BlockingRunEngine]:
    for name in ("_engine", "_frames"):
        monkeypatch.setattr(_verbs, name, getattr(_verbs, name))  # put back at the end
    monkeypatch.setenv(_verbs.STACKS, "1")
    with BlockingRunEngine({}) as engine:
        yield _verbs.use(engine)


def failing() -> Iterator[Any]:
    yield Msg("open_run")
    raise ValueError("mine")


def endless() -> Iterator[Any]:
    while True:
        yield Msg("checkpoint")
        yield Msg("sleep", None, 0.01)


def test_a_task_that_failed_is_told_with_the_reason(RE: Any) -> None:
    name = _verbs.launch(PlanCall(failing), None, "cancel")
    assert isinstance(RE.background[name].exception(10), ValueError)
    (told,) = _verbs.fw_tasks()
    assert told == {
        "name": "failing",
        "status": "failed",
        "error": "ValueError: mine",
        "runs": list(RE.background[name].run_start_uids),
    }
    assert len(told["runs"]) == 1


def test_a_name_is_taken_while_its_task_runs(RE: Any) -> None:
    assert _verbs.launch(PlanCall(endless), "live", "cancel") == "live"
    with pytest.raises(RuntimeError, match="'live' is running: cancel it first"):
        _verbs.launch(PlanCall(endless), "live", "cancel")
    assert _verbs.fw_cancel("live") is True
    assert RE.background["live"].result(10) is None
    assert _verbs.launch(PlanCall(failing), "live", "cancel") == "live"
    assert RE.background["live"].exception(10) is not None
