"""One suite for an engine that is here and one that is elsewhere: what `EngineView` promises."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from typing import Any

import pytest
from bluesky.run_engine import TransitionError
from bluesky.utils import RunEngineInterrupted

from afar import T, heard, until
from freewheel import RunEngine
from freewheel.core import EngineSnapshot, PlanStatus, ResourceConflictError, is_engine


def on_offer(engine: Any, name: str) -> None:
    until(engine, "actions_changed", lambda: name in engine.pending_actions)


def is_idle(engine: Any) -> None:
    until(engine, "state_changed", lambda: engine.state == "idle")


def test_it_is_an_engine(view: Any) -> None:
    assert is_engine(view.engine)
    assert not view.engine.closed
    assert view.engine.state == "idle"
    assert isinstance(view.engine.snapshot(), EngineSnapshot)


def test_a_plan_runs_and_its_future_has_the_result(view: Any) -> None:
    future = view.engine(view.call("measure", [view.devices["camera"]], num=2))
    result = future.result(T)
    assert (result.plan_result, result.exit_status) == ("measured", "success")
    assert len(result.run_start_uids) == 1
    assert future.outcome.result(T).run_start_uids == result.run_start_uids
    assert (future.plan_name, future.status) == ("measure", PlanStatus.COMPLETED)
    assert future.failure is None
    assert "num=2" in future.call.arguments


def test_the_future_can_be_awaited(view: Any) -> None:
    async def run() -> Any:
        return await view.engine(view.call("measure", []))

    assert asyncio.run(run()).plan_result == "measured"


def test_a_plan_that_fails_raises_its_own_error(view: Any) -> None:
    future = view.engine(view.call("fails", "no beam at all"))
    with pytest.raises(ValueError, match="no beam at all"):
        future.result(T)
    with pytest.raises(ValueError, match="no beam at all"):
        future.outcome.result(T)
    assert future.status == PlanStatus.FAILED
    assert isinstance(future.failure, ValueError)


@pytest.mark.parametrize("nonsense", [None, 3, "measure"])
def test_what_is_no_plan_is_refused_at_once(view: Any, nonsense: Any) -> None:
    with pytest.raises(TypeError):
        view.engine(nonsense)
    assert view.engine.state == "idle"


def test_a_call_that_does_not_fit_is_refused_at_once(view: Any) -> None:
    with pytest.raises(TypeError, match="nothing_like_it"):
        view.engine(view.call("measure", [], nothing_like_it=1))


def test_actions_are_offered_and_triggered(view: Any) -> None:
    future = view.engine(view.call("waits", "done"))
    on_offer(view.engine, "go")
    (offered,) = view.engine.snapshot().actions
    assert (offered.plan, offered.name, offered.description) == ("waits", "go", "Go on.")
    assert view.engine.pending_actions["go"].action.description == "Go on."
    with pytest.raises(KeyError, match="'go'"):
        view.engine.trigger_action("come")
    with pytest.raises(KeyError, match="'go' of 'waits'"):
        view.engine.trigger_action("go", plan="another")
    view.engine.trigger_action("go", plan="waits")
    assert future.result(T).plan_result == "done"


def test_a_latch_of_an_action_acts_as_the_plans_own(view: Any) -> None:
    future = view.engine(view.call("waits", "done"))
    on_offer(view.engine, "go")
    view.engine.pending_actions["go"].set()
    assert future.result(T).plan_result == "done"


def test_a_toggle_is_switched_on_and_off(view: Any) -> None:
    future = view.engine(view.call("lit"))
    on_offer(view.engine, "light")
    view.engine.trigger_action("light")
    until(
        view.engine,
        "actions_changed",
        lambda: any(offered.is_on for offered in view.engine.snapshot().actions),
    )
    view.engine.release_action("light")
    assert future.result(T).exit_status == "success"


def test_a_pause_ends_the_future_and_resume_gives_a_new_one(view: Any) -> None:
    engine = view.engine
    future = engine(view.call("waits", "done"))
    on_offer(engine, "go")
    engine.request_pause().result(T)
    with pytest.raises(RunEngineInterrupted):
        future.result(T)
    until(engine, "state_changed", lambda: engine.state == "paused")
    assert future.status == PlanStatus.PAUSED
    again = engine.resume()
    assert again is not future
    assert again.outcome is future.outcome
    on_offer(engine, "go")
    engine.trigger_action("go")
    assert again.result(T).plan_result == "done"
    assert future.outcome.result(T).plan_result == "done"


@pytest.mark.parametrize(
    ("way", "status"), [("stop", "stopped"), ("abort", "aborted"), ("halt", "halted")]
)
def test_the_ways_to_end_a_plan(view: Any, way: str, status: str) -> None:
    engine = view.engine
    future = engine(view.call("waits"))
    on_offer(engine, "go")
    getattr(engine, way)().result(T)
    assert future.outcome.result(T).interrupted
    until(engine, "plan_ended", lambda: future.status == status)
    is_idle(engine)


@pytest.mark.parametrize("verb", ["request_pause", "resume", "stop", "abort", "halt"])
def test_what_the_state_does_not_allow_is_refused_at_once(view: Any, verb: str) -> None:
    with pytest.raises(TransitionError):
        getattr(view.engine, verb)()


def test_stop_all_is_never_refused(view: Any) -> None:
    assert view.engine.stop_all().result(T) is None
    future = view.engine(view.call("waits"))
    on_offer(view.engine, "go")
    told = heard(view.engine.events.all_stopped, lambda why: why.endswith("fire"))
    view.engine.stop_all("fire").result(T)
    assert future.outcome.result(T).exit_status == "abort"
    assert told.wait(T)


def test_the_queue_is_ordered_held_and_cleared(view: Any) -> None:
    engine = view.engine
    queue = engine.queue
    queue.hold("lunch")
    until(engine, "queue_changed", lambda: queue.held == "lunch")
    first, second = engine(view.call("waits", "1")), engine(view.call("waits", "2"))
    urgent = queue.submit(view.call("waits", "3"), priority=1)
    until(engine, "queue_changed", lambda: len(queue) == 3)
    assert list(queue) == [urgent, first, second]
    assert engine.queued == (urgent, first, second)
    assert [each.arguments for each in engine.snapshot().waiting] == ["'3'", "'1'", "'2'"]
    queue.move(second, 1)
    until(engine, "queue_changed", lambda: queue[1] is second)
    with pytest.raises((IndexError, ValueError)):
        queue.move(second, 99)
    queue.edit(first, view.call("measure", []))
    assert second.cancel()
    until(engine, "queue_changed", lambda: len(queue) == 2)
    assert second.cancelled()
    assert queue.clear() == (urgent, first)
    until(engine, "queue_changed", lambda: len(queue) == 0)
    with pytest.raises(CancelledError):
        urgent.result(T)
    queue.release()
    until(engine, "queue_changed", lambda: queue.held is None)


def test_who_asks_sees_what_he_has_done(view: Any) -> None:
    queue = view.engine.queue
    for number in range(20):  # faster than pictures are taken
        queue.hold(f"reason {number}")
        assert queue.held == f"reason {number}"
    future = view.engine(view.call("waits"))
    assert queue.clear() == (future,)
    assert future.cancelled()
    assert future.outcome.cancelled()


def test_what_becomes_of_the_queue_is_chosen(view: Any) -> None:
    queue = view.engine.queue
    assert queue.on_interruption == "cancel"
    queue.on_interruption = "hold"
    until(view.engine, "queue_changed", lambda: queue.on_interruption == "hold")
    with pytest.raises(ValueError, match="hold"):
        queue.on_interruption = "explode"


def test_one_plan_preempts_another(view: Any) -> None:
    engine = view.engine
    first = engine(view.call("waits", "first"))
    on_offer(engine, "go")
    other = engine.preempt(view.call("measure", [view.devices["camera"]]))
    assert other.result(T).plan_result == "measured"
    until(engine, "plan_ended", lambda: first.status == "running")
    on_offer(engine, "go")
    engine.trigger_action("go")
    assert first.result(T).plan_result == "first"


def test_a_task_runs_in_the_background(view: Any) -> None:
    engine = view.engine
    task = engine.background.launch(view.call("waits", "beside"), name="watch")
    on_offer(engine, "go")
    assert [each.name for each in engine.background.running] == ["watch"]
    assert engine.background["watch"] is task
    assert [each.name for each in engine.snapshot().background] == ["watch"]
    engine.trigger_action("go")
    assert task.result(T) == "beside"
    assert task.done


def test_a_task_is_cancelled(view: Any) -> None:
    engine = view.engine
    task = engine.background.launch(view.call("waits"), name="watch")
    on_offer(engine, "go")
    assert engine.background.cancel("watch", "enough")
    assert task.result(T) is None
    with pytest.raises(KeyError):
        engine.background["nobody"]


def test_claims_are_seen_and_keep_hands_off(view: Any) -> None:
    engine, x = view.engine, view.devices["stage"].x
    engine(view.call("holds", x))
    on_offer(engine, "go")
    until(engine, "claims_changed", lambda: engine.claims.get(x) == "holds")
    assert engine.claims[view.devices["stage"]] == "holds"
    assert dict(engine.claims.by_name()) == {"stage-x": "holds"}
    assert view.devices["camera"] not in engine.claims
    with pytest.raises(ResourceConflictError, match="'stage-x', which 'holds' holds"):
        engine.by_hand.set(x, 1.0)
    engine.stop().result(T)


def test_a_hand_holds_a_device_and_lends_it_to_its_own_plans(view: Any) -> None:
    engine, x = view.engine, view.devices["stage"].x
    with engine.claims.hold(x):
        until(engine, "claims_changed", lambda: engine.claims.get(x) is not None)
        assert engine(view.call("moves", x, 2.0)).result(T).exit_status == "success"
        engine.by_hand.set(x, 1.0).result(T)
    until(engine, "claims_changed", lambda: engine.claims.get(x) is None)


def test_a_device_is_set_and_stopped_by_hand(view: Any) -> None:
    x = view.devices["stage"].x
    view.engine.by_hand.set(x, 1.5).result(T)
    reading = asyncio.run_coroutine_threadsafe(x.read(), view.engine.loop).result(T)
    assert reading["stage-x"]["value"] == pytest.approx(1.5)
    view.engine.by_hand.stop(x).result(T)


def test_documents_come_in_order_and_before_the_end(view: Any) -> None:
    names: list[str] = []
    seen_at_end: list[int] = []
    token = view.engine.subscribe(lambda name, doc: names.append(name), delivery="queued")
    ended = heard(
        view.engine.events.plan_ended, lambda _: bool(seen_at_end.append(len(names))) or True
    )
    view.engine(view.call("measure", [view.devices["camera"]], num=3)).result(T)
    assert ended.wait(T)
    assert names == ["start", "descriptor", "event", "event", "event", "stop"]
    view.engine.unsubscribe(token)
    view.engine(view.call("measure", [])).result(T)
    assert len(names) == 6


def test_a_subscriber_may_ask_for_one_kind(view: Any) -> None:
    stops: list[Any] = []
    view.engine.subscribe(
        lambda name, doc: stops.append((name, doc["exit_status"])), "stop", "queued"
    )
    view.engine(view.call("measure", [view.devices["camera"]])).result(T)
    until(view.engine, "state_changed", lambda: stops == [("stop", "success")])


def test_events_tell_of_plans_and_states(view: Any) -> None:
    events, told = view.engine.events, []
    events.state_changed.connect(slot := lambda new, old: told.append((str(new), str(old))))
    started = heard(events.plan_started, lambda future: future.plan_name == "measure")
    ended = heard(events.plan_ended, lambda future: future.done())
    view.engine(view.call("measure", [])).result(T)
    assert started.wait(T)
    assert ended.wait(T)
    until(view.engine, "state_changed", lambda: ("idle", "running") in told)
    assert told == [("running", "idle"), ("idle", "running")]
    events.state_changed.disconnect(slot)


def test_a_preview_says_what_a_plan_will_do(view: Any) -> None:
    foreseen = view.engine.preview(view.call("moves", view.devices["stage"].x, 3.0))
    assert foreseen.moves["stage-x"].highest == 3.0
    assert set(foreseen.claims) == {"stage-x"}
    assert not foreseen.is_wrong


def test_it_explains_what_it_waits_for(view: Any) -> None:
    view.engine(view.call("waits"))
    on_offer(view.engine, "go")
    assert "'waits' waits for an action" in view.engine.explain()


def test_metadata_goes_into_the_run(view: Any, engine: RunEngine) -> None:
    starts: list[Any] = []
    engine.subscribe(lambda _, doc: starts.append(doc), "start")
    view.engine(view.call("measure", []), sample="gold").result(T)
    assert starts[0]["sample"] == "gold"


def test_a_plan_runs_again_and_again(view: Any) -> None:
    ran = heard(view.engine.events.plan_ended, lambda future: future.plan_name == "measure")
    handle = view.engine.queue.every(0.01, view.plan("measure"), [])
    assert ran.wait(T)
    assert handle.cancel()
    until(view.engine, "queue_changed", lambda: not view.engine.snapshot().periodic)


def test_what_runs_again_and_again_has_metadata(view: Any, engine: RunEngine) -> None:
    starts: list[Any] = []
    engine.subscribe(lambda _, doc: starts.append(doc), "start")
    ran = heard(view.engine.events.plan_ended)
    handle = view.engine.queue.every(0.01, view.call("measure", []), sample="gold")
    assert ran.wait(T)
    handle.cancel()
    assert starts[0]["sample"] == "gold"
    assert starts[0].get("submitted_by") == getattr(view.engine, "name", None)
    with pytest.raises(TypeError, match="has its arguments already"):
        view.engine.queue.every(1, view.call("measure", []), [])


def test_plans_that_were_taken_out_are_put_back(view: Any) -> None:
    engine = view.engine
    engine.queue.hold("lunch")
    engine(view.call("measure", []))
    until(engine, "queue_changed", lambda: len(engine.queue) == 1)
    engine.queue.clear()
    until(engine, "queue_changed", lambda: len(engine.queue) == 0)
    (again,) = engine.queue.put_back()
    engine.queue.release()
    assert again.result(T).plan_result == "measured"


def test_a_task_that_ends_at_once_has_ended(view: Any) -> None:
    for number in range(20):
        task = view.engine.background.launch(view.call("measure", []), name=f"task {number}")
        assert task.result(T) == "measured"


def test_whoever_is_told_of_an_end_finds_the_future_done(view: Any, engine: RunEngine) -> None:
    pending: list[Any] = []
    seen = threading.Semaphore(0)

    def ended(future: Any) -> None:
        if not (future.done() and future.outcome.done()):
            pending.append(future)
        seen.release()

    view.engine.events.plan_ended.connect(ended)
    for _ in range(20):
        engine([])  # of the engine's own program
    for _ in range(20):
        assert seen.acquire(timeout=T)
    view.engine.events.plan_ended.disconnect(ended)
    assert pending == []
