"""Background tasks, the queue and the red button at a real prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def idle(ipython: Any) -> Iterator[None]:
    """Each test begins and ends with an engine that runs nothing."""
    ipython.run("from prompt_plans import bad, long")
    yield
    ipython.send("\x15")
    ipython.run("_ = RE.stop_all().exception(10); RE.queue.release()")


def test_a_task_that_fails_is_told_of_kept_and_shown(ipython: Any) -> None:
    ipython.run("%freewheel traceback nothing", "No task 'nothing' has failed.")
    ipython.start("t = RE.background.launch(bad(), name='poor')")
    ipython.wait(
        r"The background task 'poor' failed: ValueError: no light \(%freewheel traceback shows"
    )
    ipython.run("%jobs", r"failed      poor: ValueError: no light \(%freewheel traceback poor\)")
    text = ipython.run("%freewheel traceback poor", "ValueError: no light")
    assert "prompt_plans.py" in text
    assert "engine" not in text  # it begins with the plan
    assert "poor" not in ipython.run("%jobs", "foreground  nothing")


def test_a_task_is_followed_paused_and_stopped_by_its_name(ipython: Any) -> None:
    ipython.run("t = RE.background.launch(live_view([scope.camera]), name='view')")
    ipython.run("%pause view", "view is asked to pause")
    ipython.run("%resume view", "view goes on")
    ipython.run("%stop nothing", r"There is no background task 'nothing'\. Running: view\.")
    ipython.start("%fg view")
    ipython.wait("view running")
    ipython.interrupt()
    ipython.wait("Detached: view goes on")
    ipython.prompt()
    ipython.run("%stop view", "view cancelled")


def test_tab_offers_names_and_no_keywords(ipython: Any) -> None:
    ipython.run("f = RE(live_view([scope.camera]))")
    ipython.run("%action", "snap  Record one frame")
    ipython.prompt()
    ipython.send("%action \t")  # of one name alone Tab writes it
    ipython.wait(rf"In \[{ipython.cells + 1}\]: %action snap")


def test_the_queue_is_held_and_released(ipython: Any) -> None:
    ipython.run("%release", "The queue is not held")
    ipython.run("%hold lunch", "nothing new starts")
    ipython.run("f = RE(bp.count([scope.temperature]))")
    ipython.run("%jobs", r"queue held  lunch \(%release frees it\)")
    ipython.run("%release", r"Released: count\.")
    ipython.run("f.outcome.result().exit_status", "success")


def test_the_queue_is_listed_and_reordered(ipython: Any) -> None:
    ipython.run("%queue", "No plan waits")
    ipython.run("from freewheel import PlanCall")
    ipython.run("%hold lunch", "nothing new starts")
    ipython.run("f = [RE(PlanCall(bp.count, ([scope.temperature],), {'num': n})) for n in (1, 2)]")
    ipython.run("%queue", r"queue held  lunch", r"queued 2 +count\(\[temperature\], num=2\)")
    ipython.run("%queue move 2 1", r"queued 1 +count\(\[temperature\], num=2\)")
    ipython.run("%queue move 2 9", "There is no place 9 in the queue; 2 wait")
    ipython.run("%queue move one 2", "'one' is no number of a plan")
    ipython.run("%queue remove 3", "There is no plan number 3")
    ipython.run(
        "%queue remove 1", "count was taken out", r"queued 1 +count\(\[temperature\], num=1"
    )
    ipython.run("%queue sort", "%queue move FROM TO")
    ipython.run("f = RE.preempt(PlanCall(bp.count, ([scope.temperature],)))")
    ipython.run("%queue", r"queued 1 +count\(\[temperature\]\)  \(goes first\)")
    ipython.run("%queue remove 1", "count was taken out")
    ipython.run("h = RE.queue.every(3600, bp.count, [scope.temperature])")
    ipython.run("%queue", r"periodic +count\(\[temperature\]\) every 1 h 0 min: next in ")
    ipython.run("h.cancel()")
    ipython.run("%queue clear", "Taken out of the queue: count", "No plan waits")
    ipython.run("%queue back", r"Put back: count\.", r"queued 1 +count")
    ipython.run("%release", r"Released: count\.")


def test_a_refused_move_by_hand_is_one_line_and_a_task_says_what_it_waits_for(
    ipython: Any,
) -> None:
    ipython.run("f = RE(bp.scan([scope.camera, scope.temperature], scope.stage.x, 0, 1, 9999))")
    ipython.run("import time; until = time.monotonic() + 20")
    ipython.run("while scope.stage.x not in RE.claims and time.monotonic() < until: pass")
    refused = "ResourceConflictError: 'manual move' needs 'stage-x', which 'scan'"
    for move in ("RE.by_hand.set(scope.stage.x, 3)", "with RE.claims.hold(scope.stage.x): pass"):
        text = ipython.run(move, refused)
        assert "Pause the plan" in text
        assert "Traceback" not in text
    ipython.run("t = RE.background.launch(bps.mv(scope.stage.x, 3), name='w', on_conflict='pause')")
    ipython.run("while not t.waits_for and time.monotonic() < until: pass")
    ipython.run("t", r"<BackgroundTask 'w': running, waits for 'stage-x', which 'scan' holds>")
    ipython.run("%jobs", "background  w: running, waits for 'stage-x', which 'scan' holds")


def test_a_service_that_has_failed_is_told_of(ipython: Any) -> None:
    ipython.run("def interlock(): raise RuntimeError('the door is open')")
    ipython.run("s = RE.adopt(interlock); s.exception(10)", "the door is open")
    ipython.wait(rf"^\[service failed\] *\n?In \[{ipython.cells + 1}\]:")
    ipython.run(
        "%jobs", "no plans    the service 'interlock' raised RuntimeError: the door is open"
    )
    ipython.run("import threading; closing = threading.Event()")
    ipython.run("def interlock(): closing.wait()")
    ipython.run("s = RE.adopt(interlock)")
    assert "no plans" not in ipython.run("%jobs", "foreground  nothing")
    ipython.run("closing.set(); RE.close(); RE = RunEngine()")


def test_everything_is_stopped(ipython: Any) -> None:
    ipython.run("f = RE(long()); t = RE.background.launch(live_view([scope.camera]), name='view')")
    ipython.run("%stop_all smoke", "Everything is at rest")
    ipython.run("f.outcome.done(), t.status.value", r"\(True, 'cancelled'\)")
