"""Actions that are triggered by an option."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from doubles import Blocked
from freewheel import Action, RunEngine
from freewheel.cli._offers import Offers
from freewheel.plan_stubs import wait_for_action

T = 20


def test_one_that_was_not_taken_up_yet_is_not_triggered_again(
    engine: RunEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    go = Action(name="go")

    def asking() -> Any:
        for _ in range(2):
            yield from wait_for_action(go)
            go.event_map["go"].reset()

    offered = threading.Event()
    engine.events.actions_changed.connect(tell := lambda names: names and offered.set())
    future = engine(asking())
    assert offered.wait(T)
    engine.events.actions_changed.disconnect(tell)
    offers = Offers(engine, [("go", 0.0), ("go", 0.0)])
    with Blocked(engine):  # as on a busy machine
        offers.look(future)
        offers.look(future)
        assert offers.left == ("go",)
    while offers.left:
        offers.look(future)
    assert future.result(T).exit_status == "success"
    assert capsys.readouterr().err.count("go triggered.") == 2
