"""The plans that run beside each other, and the scripts that show them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bluesky.utils import Msg

from freewheel import RunEngine
from freewheel.forms import find_plans
from freewheel.plan_stubs import background, sleep
from freewheel.plans import align, log_readings, snapshot, together
from freewheel.sim import microscope

SCRIPTS = Path(__file__).parents[2] / "plans"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_snapshots_during_a_live_view(capsys: pytest.CaptureFixture[str]) -> None:
    counts = script("snapshot_during_live").main(snapshots=2, rate=200.0)
    assert counts["snapshots"] == 2
    assert counts["live"] >= 30
    said = capsys.readouterr().out.splitlines()
    assert said.count("live view: paused") == 2
    assert said.count("live view: running") == 3


def test_a_temperature_log_beside_a_scan() -> None:
    counts = script("temperature_log").main(points=4, period=0.02)
    assert counts["focus_stack"] == 4
    assert counts["log_readings"] >= 1


def test_two_motors_are_aligned_at_once() -> None:
    results = script("align_two_motors").main(x=3.5, y=-6.0)
    assert results["x"].position == pytest.approx(3.5, abs=0.2)
    assert results["y"].position == pytest.approx(-6.0, abs=0.2)


def test_every_plan_of_our_own_folder_can_be_chosen_in_a_window() -> None:
    scope = microscope(shape=(16, 16), instant=True)
    entries = {entry.name: entry for entry in find_plans([SCRIPTS], scope)}
    assert {"align_stage", "focus_stack", "logged_stack"} <= set(entries)
    assert {name: entry.reason for name, entry in entries.items() if not entry.available} == {}
    stack = entries["logged_stack"].spec
    assert stack is not None
    assert "camera" in (stack["detectors"].choices or ())
    assert "focus" in (stack["focus"].choices or ())


def test_a_snapshot_holds_its_detectors_and_lets_them_go() -> None:
    scope = microscope(shape=(16, 16), instant=True)
    documents: list[tuple[str, Any]] = []
    with RunEngine() as engine:
        holders: list[str | None] = []

        def collect(name: str, doc: Any) -> None:
            documents.append((name, doc))
            holders.append(engine.claims.get(scope.camera))

        engine(snapshot([scope.camera], frames=2, md={"sample": "a"}), collect).result(20)
        assert set(holders) == {"snapshot"}
        assert not engine.claims
    assert [name for name, _ in documents] == ["start", "descriptor", "event", "event", "stop"]
    assert documents[0][1]["sample"] == "a"
    with pytest.raises(ValueError, match="1 frame or more"):
        list(snapshot([scope.camera], frames=0))


def test_a_log_that_has_its_readings_ends() -> None:
    scope = microscope(shape=(16, 16), instant=True)
    with RunEngine() as engine:
        plan = log_readings([scope.temperature], period=0.001, readings=3)
        assert engine(plan).result(20).plan_result == 3
    with pytest.raises(ValueError, match="positive number of seconds"):
        list(log_readings([scope.temperature], period=0))


def test_an_alignment_needs_three_points_and_knows_its_key() -> None:
    scope = microscope(shape=(16, 16), instant=True)
    with pytest.raises(ValueError, match="3 points or more"):
        list(align(scope.focus, scope.temperature, 0, 1, points=2))
    with RunEngine() as engine:
        result = engine(align(scope.focus, scope.focus, 0, 2, points=3)).result(20).plan_result
        assert result.position == 2.0  # the largest was at the edge
        assert result.signal == 2.0


def test_if_one_of_several_plans_fails_the_others_are_cancelled() -> None:
    ended: list[str] = []

    def endless() -> Any:
        try:
            while True:
                yield Msg("checkpoint")
                yield from sleep(0.001)
        finally:
            ended.append("endless")

    def failing() -> Any:
        yield from sleep(0.01)
        raise KeyError("lost")

    with RunEngine() as engine:
        with pytest.raises(KeyError, match="lost"):
            engine(together({"endless": endless(), "failing": failing()})).result(20)
        assert engine.background.running == ()
    assert ended == ["endless"]


def test_several_plans_give_their_results_in_the_order_in_which_they_were_named() -> None:
    def value(result: int, turns: int) -> Any:
        for _ in range(turns):
            yield Msg("null")
        return result

    def nested() -> Any:
        yield from background(value(0, 1))
        return (yield from together({"a": value(1, 9), "b": value(2, 1)}))

    with RunEngine() as engine:
        results = engine(nested()).result(20).plan_result
    assert list(results.items()) == [("a", 1), ("b", 2)]
