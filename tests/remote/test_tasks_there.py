"""Plans of engines elsewhere as background tasks of an engine here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from bluesky.utils import MsgGenerator

from afar import Cable, T, heard, some_plans, until
from freewheel import RunEngine
from freewheel import plan_stubs as fps
from freewheel.background import TaskStatus
from freewheel.core import ResourceConflictError
from freewheel.remote import EngineServer, RemoteEngine, TokenFile, connect
from freewheel.sim import microscope


@pytest.fixture
def here() -> Iterator[RunEngine]:
    with RunEngine() as made:
        yield made


def beside(*calls: Any) -> MsgGenerator[Any]:
    """Run plans elsewhere, and return what they return."""
    names = []
    for call in calls:
        task = yield from fps.background(call)
        names.append(task.name)
    results = yield from fps.wait_for_background()
    return [results[name] for name in names]


def test_a_plan_of_another_engine_runs_beside_one_of_this(
    here: RunEngine, engine: RunEngine, remote: RemoteEngine
) -> None:
    documents: list[str] = []
    engine.subscribe(lambda name, doc: documents.append(name))
    call = remote.plans.measure([remote.devices.camera], num=3)
    assert here(beside(call)).result(T).plan_result == ["measured"]
    assert documents.count("event") == 3


def test_several_engines_are_used_at_once(
    here: RunEngine, remote: RemoteEngine, tokens: TokenFile
) -> None:
    with (
        RunEngine() as third,
        EngineServer(
            third,
            plans=some_plans().values(),
            devices=dict(microscope(shape=(32, 32), instant=True)),
            tokens=tokens,
            port=0,
        ) as server,
        connect(server.url, tokens.add("ben")) as other,
    ):
        first, second = remote.plans.waits("first"), other.plans.waits("second")
        future = here(beside(first, second))
        for each in (remote, other):
            until(each, "actions_changed", lambda each=each: "go" in each.pending_actions)  # type: ignore[misc]
            each.trigger_action("go")
        assert future.result(T).plan_result == ["first", "second"]


def test_its_devices_are_granted_by_its_own_engine(
    here: RunEngine, join: Any, remote: RemoteEngine
) -> None:
    ben = join("ben")
    call = remote.plans.holds(remote.devices.stage.x)
    with (
        ben.claims.hold(ben.devices.stage),
        pytest.raises(ResourceConflictError, match="which 'ben' holds"),
    ):
        here(beside(call)).result(T)
    task = here.background.launch(call)
    until(remote, "claims_changed", lambda: "stage-x" in remote.claims.by_name())
    assert not here.claims
    with pytest.raises(ResourceConflictError), ben.claims.hold(ben.devices.stage):
        pass
    until(remote, "actions_changed", lambda: "go" in remote.pending_actions)
    remote.trigger_action("go")
    task.result(T)


def test_what_is_asked_of_the_task_is_asked_there(
    here: RunEngine, engine: RunEngine, remote: RemoteEngine
) -> None:
    task = here.background.launch(remote.plans.waits())
    until(remote, "actions_changed", lambda: "go" in remote.pending_actions)
    (there,) = engine.background.running
    task.pause()
    until(engine, "background_changed", lambda: there.status == TaskStatus.PAUSED)
    task.resume()
    until(engine, "background_changed", lambda: there.status == TaskStatus.RUNNING)
    assert task.cancel("enough")
    task.wait(T)
    assert there.done
    assert task.status == TaskStatus.CANCELLED


def test_the_end_of_a_plan_here_ends_its_task_there(
    here: RunEngine, engine: RunEngine, remote: RemoteEngine
) -> None:
    future = here(beside(remote.plans.waits()))
    until(remote, "actions_changed", lambda: "go" in remote.pending_actions)
    here.stop().result(T)
    assert future.done()
    assert not engine.background.running


def test_one_that_fails_there_has_failed_here(here: RunEngine, remote: RemoteEngine) -> None:
    with pytest.raises(ValueError, match="no beam"):
        here(beside(remote.plans.fails("no beam"))).result(T)


def test_it_is_cancelled_over_a_line_that_was_lost(
    here: RunEngine, engine: RunEngine, join: Any, cable: Cable
) -> None:
    remote = join(url=cable.url)
    task = here.background.launch(remote.plans.waits())
    until(remote, "actions_changed", lambda: "go" in remote.pending_actions)
    lost = heard(remote.events.connection_changed, lambda up, why: not up)
    cable.cut()
    assert lost.wait(T)
    assert task.cancel()
    assert not task.done
    cable.mend()
    task.wait(T)
    assert not engine.background.running


def test_a_preview_leaves_it_out(here: RunEngine, remote: RemoteEngine) -> None:
    assert not here.preview(beside, remote.plans.measure()).problems
