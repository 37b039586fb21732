"""Plans as jobs in a real IPython on a pseudo-terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def idle(ipython: Any) -> Iterator[None]:
    """Each test begins and ends with an engine that runs nothing."""
    yield
    ipython.send("\x15")
    ipython.run("RE.state == 'idle' or RE.halt().exception(10)")


def test_magics_without_a_plan_say_what_to_write(ipython: Any) -> None:
    for magic in ("fg", "pause", "resume", "stop", "abort", "halt"):
        text = ipython.run(f"%{magic}", "UsageError: No plan is running. Start one: RE")
        assert "Traceback" not in text
    ipython.run("%jobs", "foreground  nothing")
    ipython.run("%action", "No action is on offer")
    ipython.run("%action snap", "UsageError: No plan waits for the action 'snap'")


def test_the_prompt_shows_what_runs_and_leaves_what_is_typed_alone(ipython: Any) -> None:
    ipython.run("f = RE(live_view([scope.camera]))")
    ipython.send("1 + 4")
    ipython.wait(rf"\[live_view (?:[2-9]|\d\d+) s\] In \[{ipython.cells + 1}\]: 1 \+ 4")
    ipython.cells += 1
    ipython.send("1\r")
    ipython.prompt()
    assert re.search(r"Out\[\d+\]: 42|42", ipython.output(ipython.cells)) or "15" in ipython.text()
    ipython.run("f", r"<PlanFuture live_view: running, \d+\.\d s")
    ipython.run("%stop", r"live_view stopped after \d+ s")


def test_control_of_a_live_view(ipython: Any) -> None:
    ipython.run("f = RE(live_view([scope.camera]))")
    ipython.run("%action", "snap  Record one frame")
    ipython.prompt()
    ipython.send("%action sn\t")
    ipython.wait(rf"In \[{ipython.cells + 1}\]: %action snap")
    ipython.cells += 1
    ipython.send("\r")
    ipython.run("%action nope", r"On offer: 'snap'")
    ipython.run("%jobs", r"foreground  live_view: running")
    ipython.run("%pause", "live_view is paused")
    ipython.wait(rf"\[live_view paused \d+ s\] In \[{ipython.cells + 1}\]")
    ipython.run("%resume", "live_view goes on")
    ipython.run("%abort for a test", "live_view aborted")
    ipython.run("f.outcome.result().reason", "for a test")
    ipython.run("f = RE(live_view([scope.camera]))")
    ipython.run("%halt", "live_view halted")


def test_ctrl_c_once_detaches(ipython: Any) -> None:
    ipython.run("f = RE(live_view([scope.camera]))")
    ipython.start("%fg")
    ipython.wait("Ctrl-C detaches")
    ipython.wait(r"live_view running \d+ s")
    ipython.interrupt()
    ipython.wait("Detached: live_view goes on")
    ipython.prompt()
    text = ipython.output(ipython.cells)
    assert "live_view running" not in text  # no line of the progress stays
    assert "^C" not in text
    ipython.run("RE.state", "running")


@pytest.fixture
def long_window(ipython: Any) -> Iterator[None]:
    """Let a busy machine take longer than a second from one Ctrl-C to the next."""
    ipython.run("import freewheel.terminal._rules as rules; rules.WINDOW = 60.0")
    yield
    ipython.run("rules.WINDOW = 1.0")


@pytest.mark.usefixtures("long_window")
def test_ctrl_c_twice_pauses_at_a_checkpoint(ipython: Any) -> None:
    ipython.run("f = RE(live_view([scope.camera]))")
    ipython.start("%fg")
    ipython.wait("live_view running")
    ipython.interrupt()
    ipython.wait("Detaching. Again within 1 s")
    ipython.interrupt()
    ipython.wait("Deferred pause requested")
    ipython.prompt()
    assert "live_view is paused" in ipython.output(ipython.cells)
    ipython.run("RE.state", "paused")


@pytest.mark.usefixtures("long_window")
def test_ctrl_c_three_times_pauses_at_once(ipython: Any) -> None:
    # It reaches no checkpoint: a deferred pause alone would not pause it.
    ipython.run("f = RE(long())")
    ipython.start("%fg")
    ipython.wait("long running")
    ipython.interrupt()
    ipython.wait("Detaching. Again")
    ipython.interrupt()
    ipython.wait("Deferred pause requested. Again: pause now")
    ipython.interrupt()
    ipython.wait("Pausing now")
    ipython.prompt()
    assert "long is paused" in ipython.output(ipython.cells)
    ipython.run("%abort", "long aborted")


def test_progress_is_shown_and_leaves_no_bar(ipython: Any) -> None:
    ipython.run("f = RE(bp.count([scope.temperature], 50, delay=0.1))")
    ipython.start("%fg")
    ipython.wait(r"count\s+━+.*\d+% \d+/50 points")
    ipython.prompt()
    text = ipython.output(ipython.cells)
    assert "count completed after" in text
    assert "━" not in text


def test_nested_loops_in_the_background_and_the_foreground(ipython: Any) -> None:
    ipython.run("from prompt_plans import beside; f = RE(beside())")
    ipython.start("%fg")
    for name in ("tiles", "behind: tiles"):
        ipython.wait(rf"^ +{name} +━.* 33% 1/3 tiles")
    for name in ("lines", "behind: lines"):
        ipython.wait(rf"^ +{name} +━.* 50% 2/4 lines")
    ipython.interrupt()
    ipython.wait("Detached: beside goes on")
    text = ipython.run("%jobs", "background  behind: running")
    assert len(re.findall(r"tiles.*: .*1/3 tiles", text)) == 2
    # The background first: its bars go, and those of the foreground stay.
    ipython.run("task = RE.background.running[0]; RE.trigger_action('back')")
    ipython.run("task.future.result(10)")
    text = ipython.run("%jobs", "foreground  beside: running")
    assert len(re.findall(r"tiles.*: .*1/3 tiles", text)) == 1
    assert "behind" not in text
    ipython.run("RE.trigger_action('front'); f.outcome.result(10).exit_status", "success")
    assert "tiles" not in ipython.run("%jobs")


def test_ctrl_c_while_the_extension_is_loaded(ipython: Any) -> None:
    ipython.run("%unload_ext freewheel")
    ipython.run("from freewheel.ipython._signals import EndSignals; install = EndSignals.install")
    ipython.run("def interrupted(self): raise KeyboardInterrupt")
    ipython.run("EndSignals.install = interrupted")
    ipython.run("%load_ext freewheel", "KeyboardInterrupt")
    ipython.run("%jobs", "Line magic function `%jobs` not found")
    ipython.run("EndSignals.install = install")
    ipython.run("%load_ext freewheel")
    text = ipython.run("%jobs", "foreground  nothing")
    assert text.count("foreground") == 1


def test_output_of_plans_does_not_garble_the_line(ipython: Any) -> None:
    ipython.run("from bluesky.callbacks import LiveTable")
    cell = "f = RE(bp.count([scope.temperature], 5, delay=0.1), LiveTable(['temperature']))"
    ipython.run(cell)
    ipython.send("half a li")
    ipython.wait(r"\[count\] completed after \d+ s\.")
    ipython.send("ne")
    ipython.wait(rf"In \[{ipython.cells + 1}\]: half a line$")
    text = ipython.output(ipython.cells)
    assert len(re.findall(r"^\|\s+[1-5] \|", ipython.text(), re.MULTILINE)) >= 5, text
    assert not re.search(r"half a li\S*\|", ipython.text())


def test_a_plan_that_fails_unseen_is_told_of(ipython: Any) -> None:
    ipython.run("f = RE(bad())")
    ipython.wait(r"\[bad\] failed after \d+ s: ValueError: no light \(%freewheel traceback")
    ipython.run("%freewheel traceback", "ValueError.*no light", "raise ValueError")
    assert "Run aborted" not in ipython.text()


def test_a_plan_that_is_awaited_is_not_told_of(ipython: Any) -> None:
    ipython.run("x = await RE(bp.count([scope.temperature]))")
    ipython.run("x.exit_status", "success")
    text = ipython.run("RE(bp.count([scope.temperature])).result().exit_status", "success")
    assert "[count]" not in text


def test_ctrl_c_in_an_await_leaves_the_plan_alone(ipython: Any) -> None:
    ipython.run("f = RE(live_view([scope.camera]))")
    ipython.start("print('begun'); await f")
    ipython.wait("^begun")
    ipython.interrupt()
    ipython.prompt()
    ipython.run("RE.state", "running")


def test_bluesky_magics_wait_and_ctrl_c_pauses(ipython: Any) -> None:
    ipython.run("slow = microscope()")
    ipython.run("%mov scope.stage.x 3")
    ipython.run("await scope.stage.x.user_readback.get_value()", "3.0")
    ipython.run("%movr scope.stage.x -1")
    ipython.run("await scope.stage.x.user_readback.get_value()", "2.0")
    ipython.run("_ = await slow.stage.x.velocity.set(0.5)")
    ipython.start("%mov slow.stage.x 100")
    ipython.wait("mv running")
    ipython.interrupt()
    ipython.prompt()
    ipython.run("RE.state", "paused")
    ipython.run("%abort", "mv aborted")
    ipython.run("%wa", "stage-x")
    ipython.run("%ct", "UsageError: No device is labelled")
    ipython.run(
        "%ct scope.temperature scope.camera", r"temperature\s+\d", r"camera-image\s+array \("
    )


def test_a_device_that_is_not_connected_hides_no_other_place(ipython: Any) -> None:
    ipython.run("from ophyd_async.epics.core import epics_signal_rw")
    ipython.run("away = epics_signal_rw(float, 'ca://NO:BODY', name='away')")
    ipython.run("scope = microscope()")
    ipython.run("from ophyd.sim import SynAxis")
    ipython.run("classic = SynAxis(name='classic', labels=(), value=3)")
    ipython.run("%wa", r"away\s+ConnectionError: 'away' was never connected \(ca://NO:BODY\)")
    ipython.run("%wa", r"classic\s+3\s+-", r"stage-x\s+0")


def test_a_magic_that_waits_behind_a_plan_says_so_once(ipython: Any) -> None:
    ipython.run("f = RE(live_view([scope.camera]))")
    ipython.start("%mov scope.stage.x 3")
    ipython.wait(r"Queued: behind live_view, which is running\. Ctrl-C takes mv out of the queue\.")
    ipython.interrupt()
    ipython.prompt()
    text = ipython.output(ipython.cells)
    assert "mv was taken out of the queue" in text
    assert "Pausing" not in text
    assert b"mv queued" not in ipython.raw
    ipython.run("%stop", "live_view stopped")


def test_tracebacks_begin_with_the_plan(ipython: Any) -> None:
    cells = (
        "f = RE(bad())\n%fg",
        "t = RE.background.launch(bad(), name='poor')\n%fg poor",
        "await RE(bad())",
        "RE(bad()).result()",
        "RE.background.launch(bad(), name='poor').result()",
    )
    for cell in cells:
        text = ipython.run(cell, r"prompt_plans\.py:\d+, in bad\(\)", "ValueError: no light")
        assert "freewheel/" not in text.replace("plans_at_the_prompt", ""), text
        assert "The background task 'poor' failed" not in text  # told of once


def test_what_was_cancelled_or_paused_says_what_is_true(ipython: Any) -> None:
    ipython.run("f = RE(long()); g = RE(bad())")
    ipython.run("_ = RE.stop()")
    ipython.run("g.result()", r"CancelledError: Plan 'bad' was cancelled: a stop was requested\.")
    ipython.run("await g", "CancelledError: Plan 'bad' was cancelled")
    ipython.run("f = RE(live_view([scope.camera]))")
    ipython.run("RE", r"<RunEngine running: live_view, \d+\.\d s>")
    ipython.run("%pause", "live_view is paused")
    ipython.run("RE", r"<RunEngine paused: live_view, .* RE\.resume\(\) has it go on")
    ipython.run("%stop", "live_view stopped")
    ipython.run("RE", r"<RunEngine idle\. The last plan: live_view stopped, after \d+\.\d s")
    ipython.run("f.exception()", "was paused. If it still is, RE.resume")
    ipython.run("a = f.elapsed; a == f.elapsed", "True")


def test_plans_are_listed(ipython: Any) -> None:
    ipython.run("%plans live", r"live_view\(detectors, \*, rate=30\.0")
    ipython.run("%plans bp.count", r"bp\.count\(detectors, num=1")
    assert ipython.run("%plans grid_scan").count("bp.grid_scan(") == 1
    ipython.run("%plans no_such", "No plan in the namespace")


def test_two_engines(ipython: Any) -> None:
    ipython.run("other = RunEngine()")
    ipython.run("%freewheel", "RE: idle .used.", "other: idle")
    ipython.run("%freewheel use other")
    ipython.run("f = other(live_view([scope.camera]))")
    ipython.run("%stop", "live_view stopped")
    ipython.run("%freewheel use nothing", "UsageError: 'nothing' is no run engine")
    ipython.run("%freewheel use RE")
    ipython.run("other.close()")
    ipython.run("%freewheel", "RE: idle .used.")


def test_a_preview_says_what_a_plan_would_do_and_runs_nothing(ipython: Any) -> None:
    text = ipython.run("%preview bp.scan([scope.camera], scope.focus, -3, 3, num=7)", "7 events")
    assert "moves focus -3 … 3 um" in text
    assert "needs camera, focus" in text
    ipython.run("RE.state, scope.focus.position", r"\('idle', 0.0\)")
    ipython.run("%preview bps.mv(scope.lamp, 300)", "fails: lamp takes a power from 0 to 100")
    ipython.run("%preview bp.scan([scope.camera])", "fails: scan raises ValueError")
    ipython.run("%preview", "UsageError: Give a plan, as in %preview bp.scan")
    ipython.run("%preview bp.scan(", "UsageError: 'bp.scan\\(' is no plan")
    ipython.run("%preview scam(3)", "UsageError: NameError: name 'scam' is not defined")
    ipython.run("%preview scope.lamp", "UsageError: .* is no plan")
    ipython.run("%preview bp.scan", "UsageError: scan.* cannot be called like this")
    ipython.run("%preview RE(bp.count([scope.camera]))", "UsageError: Give the plan alone")
    ipython.run("%preview RE.preempt(bp.count([]))", "fails: .* that would run the plan")
    ipython.run("from freewheel import PlanCall; call = PlanCall(bp.count, ([scope.camera],))")
    ipython.run("%preview call", "count: about .* 1 event")
