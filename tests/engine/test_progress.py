"""Progress of plans, of nested scopes, of moves and of background tasks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest
from bluesky.utils import IllegalMessageSequence, Msg, RunEngineInterrupted

from freewheel.core import Progress, ProgressScope
from freewheel.plan_stubs import (
    background,
    declare_progress,
    monitor_progress,
    run_progress,
    update_progress,
)
from freewheel.sim import microscope

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel import RunEngine

Seen = list[tuple[Progress, ...]]


@pytest.fixture(scope="module")
def scope() -> Any:
    return microscope(shape=(16, 16), instant=True)


@pytest.fixture
def seen(RE: RunEngine) -> Seen:  # noqa: N803
    """Everything that `progress_changed` has told."""
    told: Seen = []
    RE.preprocessors.append(run_progress)
    RE.events.progress_changed.connect(told.append)
    return told


def shows_nothing(RE: RunEngine, seen: Seen) -> bool:  # noqa: N803
    """Wait until the last that is told is that there is nothing: that may come after the end."""
    over = threading.Event()
    RE.events.progress_changed.connect(lambda told: None if told else over.set())
    return seen[-1] == () or over.wait(10)


def fractions(seen: Seen, owner: str, name: str) -> list[float]:
    return [
        progress.fraction
        for picture in seen
        for progress in picture
        if (progress.owner, progress.name) == (owner, name) and progress.fraction is not None
    ]


PLANS: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "count": (5, lambda s: bp.count([s.temperature], 5)),
    "scan": (4, lambda s: bp.scan([s.temperature], s.stage.x, 0, 1, 4)),
    "rel_scan": (4, lambda s: bp.rel_scan([s.temperature], s.stage.x, 0, 1, 4)),
    "list_scan": (3, lambda s: bp.list_scan([s.temperature], s.stage.x, [0, 2, 1])),
    "grid_scan": (
        6,
        lambda s: bp.grid_scan([s.temperature], s.stage.x, 0, 1, 3, s.stage.y, 0, 1, 2),
    ),
    "spiral": (
        0,
        lambda s: bp.spiral([s.temperature], s.stage.x, s.stage.y, 0, 0, 1, 1, 0.5, 3),
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_blueskys_plans_come_to_100_percent_in_foreground_and_background(
    RE: RunEngine,  # noqa: N803
    seen: Seen,
    scope: Any,
    name: str,
) -> None:
    points, make = PLANS[name]

    def both() -> Any:
        yield from background(bp.count([scope.camera], 7), name="beside")
        yield from make(scope)

    RE(both()).result(20)
    last = [p for picture in seen for p in picture if (p.owner, p.name) == ("both", name)][-1]
    assert (last.fraction, last.done, last.unit) == (1.0, True, "points")
    assert last.current == last.target
    assert points in (0, last.target)
    rising = fractions(seen, "both", name)
    assert rising == sorted(rising)
    assert fractions(seen, "beside", "count")[-1] == 1.0
    assert all(p.background for picture in seen for p in picture if p.owner == "beside")
    assert shows_nothing(RE, seen)
    assert RE.snapshot().progress == ()


def test_nested_loops_count_right(RE: RunEngine, seen: Seen) -> None:  # noqa: N803
    pictures: list[tuple[Progress, ...]] = []

    def nested() -> Any:
        yield from declare_progress("outer")
        for outer in range(2):
            yield from declare_progress("inner", parent="outer")
            for inner in range(3):
                yield from update_progress("inner", current=inner + 1, target=3, unit="lines")
                pictures.append(RE.snapshot().progress)
            yield from update_progress("inner", done=True)
            yield from update_progress("outer", current=outer + 1, initial=0, target=2)
        yield from update_progress("outer", done=True)

    RE(nested()).result(10)
    shown = [[(p.name, p.depth, p.fraction) for p in picture] for picture in pictures]
    assert [row[1][2] for row in shown] == [pytest.approx(k / 3) for k in (1, 2, 3, 1, 2, 3)]
    assert [row[0] for row in shown] == [("outer", 0, None)] * 3 + [("outer", 0, 0.5)] * 3
    assert shows_nothing(RE, seen)


def test_a_run_is_nested_in_the_scopes_of_its_plan(
    RE: RunEngine,  # noqa: N803
    seen: Seen,
    scope: Any,
) -> None:
    pictures: list[tuple[Progress, ...]] = []
    RE.subscribe(lambda name, doc: pictures.append(RE.snapshot().progress), "event")

    def tiles() -> Any:
        yield from declare_progress("tiles")
        for _ in range(2):
            yield from bp.count([scope.temperature], 2)

    RE(tiles()).result(10)
    assert [(p.name, p.depth) for p in pictures[-1]] == [("tiles", 0), ("count", 1)]


@pytest.mark.parametrize("ending", ["stop", "abort", "halt", "failure"])
def test_scopes_are_closed_however_a_plan_ends(
    RE: RunEngine,  # noqa: N803
    seen: Seen,
    gate: Any,
    ending: str,
) -> None:
    scopes: list[ProgressScope] = []

    def plan() -> Any:
        scopes.append((yield from declare_progress("outer")))
        scopes.append((yield from declare_progress("inner", parent="outer")))
        yield from update_progress("inner", fraction=0.5)
        yield from gate.plan()
        raise ValueError("no light")

    future = RE(plan())
    gate.wait()
    if ending == "failure":
        gate.open()
    else:
        getattr(RE, ending)().exception(10)
    assert isinstance(future.exception(10), RunEngineInterrupted | ValueError)
    assert all(scope.done for scope in scopes)
    assert scopes[1].fraction == 0.5
    assert shows_nothing(RE, seen)
    assert RE.snapshot().progress == ()
    assert future.progress == ()


def test_a_plan_that_forgets_to_end_its_scope_has_completed_it(
    RE: RunEngine,  # noqa: N803
) -> None:
    told: list[dict[str, Any]] = []

    def plan() -> Any:
        scope = yield from declare_progress("part")
        scope.watch(lambda **update: told.append(update))
        yield from update_progress("part", current=1, initial=0, target=4, unit="mm")

    RE(plan()).result(10)
    assert [(u["current"], u["target"], u["unit"]) for u in told] == [(1, 4, "mm"), (4, 4, "mm")]
    assert told[-1]["fraction"] == 1.0


def test_misuse_is_refused_with_the_names(RE: RunEngine) -> None:  # noqa: N803
    def twice() -> Any:
        yield from declare_progress("part")
        yield from declare_progress("part")

    def unknown() -> Any:
        yield from update_progress("other", fraction=1)

    def orphan() -> Any:
        yield from declare_progress("part", parent="other")

    def wrong() -> Any:
        yield from declare_progress("part")
        yield Msg("update_progress", None, name="part", percent=3)

    with pytest.raises(IllegalMessageSequence, match="'part' of plan 'twice' is already open"):
        RE(twice()).result(10)
    with pytest.raises(IllegalMessageSequence, match=r"No progress status named 'other'.*none"):
        RE(unknown()).result(10)
    with pytest.raises(IllegalMessageSequence, match=r"'other'.*does not exist"):
        RE(orphan()).result(10)
    with pytest.raises(TypeError, match="no percent"):
        RE(wrong()).result(10)


def test_a_move_is_followed_while_the_plan_waits_and_the_hook_is_served(
    RE: RunEngine,  # noqa: N803
    seen: Seen,
) -> None:
    slow = microscope(shape=(16, 16))
    hooked: list[Any] = []
    RE.waiting_hook = hooked.append
    RE(bps.mv(slow.stage.x, 2)).result(20)
    moves = [p for picture in seen for p in picture if p.kind == "device"]
    assert {p.name for p in moves} == {"stage-x"}
    assert moves[-1].fraction == 1.0
    assert moves[-1].done
    assert len(hooked[0]) == 1
    assert hooked[-1] is None
    assert shows_nothing(RE, seen)


def test_a_status_is_followed_without_waiting(RE: RunEngine) -> None:  # noqa: N803
    slow = microscope(shape=(16, 16))

    def plan() -> Any:
        status = yield from bps.abs_set(slow.stage.x, 1, group="move")
        scope = yield from monitor_progress(status, name="approach")
        yield from bps.wait("move")
        yield from bps.null()
        return scope

    result = RE(plan()).result(20)
    scope = result.plan_result
    assert scope.done
    assert scope.fraction == 1.0


def test_a_pause_keeps_the_count(RE: RunEngine, seen: Seen, scope: Any) -> None:  # noqa: N803
    events: list[Any] = []

    def pause(name: str, doc: Any) -> None:
        events.append(doc)
        if len(events) == 2:
            RE.request_pause()

    RE.subscribe(pause, "event")
    future = RE(bp.count([scope.temperature], 4))
    with pytest.raises(RunEngineInterrupted):
        future.result(10)
    assert RE.snapshot().progress[0].target == 4
    RE.resume().result(10)
    assert fractions(seen, "count", "count")[-1] == 1.0
    assert max(fractions(seen, "count", "count")) <= 1.0


def test_a_future_shows_its_progress(RE: RunEngine, seen: Seen, scope: Any) -> None:  # noqa: N803
    shown: list[tuple[str, str]] = []
    future = None

    def look(name: str, doc: Any) -> None:
        current = RE.current
        assert current is not None
        shown.append((repr(current), current._repr_html_()))

    RE.subscribe(look, "event")
    future = RE(bp.count([scope.temperature], 4))
    future.result(10)
    assert "count: running" in shown[2][0]
    assert "50%" in shown[2][0]
    assert "<progress" in shown[2][1]
    assert "2/4 points" in shown[2][1]
    assert "completed" in future._repr_html_()
    assert "<progress" not in future._repr_html_()


def test_progress_of_several_axes() -> None:
    scope = ProgressScope("move")
    scope.update(initial=(0, 0), current=(3, 4), target=(6, 8))
    assert scope.fraction == pytest.approx(0.5)
    scope.update(fraction=float("nan"))
    assert scope.fraction is None
    scope.update(initial=2, current=2, target=2)
    assert scope.fraction == 1.0
    scope.update(current="here", target="there")
    assert scope.fraction is None
