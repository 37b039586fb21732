"""The line that says what keeps plans from being started, and its button, in a real window."""

from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky.utils import Msg
from qtpy.QtWidgets import QFrame, QLabel, QPushButton

from freewheel.qt import AcquisitionWindow, EngineBridge
from freewheel.qt._link._holders import holder_at_work


@pytest.fixture(name="window")
def _window(engine: Any, scope: Any, qtbot: Any) -> Any:
    window = AcquisitionWindow(engine, dict(scope), [])
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    window.show()
    return window


def line(window: Any) -> QFrame:
    return window.findChild(QFrame, "held")


def text(window: Any) -> str:
    return window.findChild(QLabel, "obstacle").text()


def release(window: Any) -> QPushButton:
    return window.findChild(QPushButton, "release")


def test_a_stop_that_holds_the_queue_is_told_of_and_released(
    window: Any, engine: Any, soon: Any
) -> None:
    assert not line(window).isVisible()
    engine.queue.on_interruption = "hold"
    running = engine(bps.sleep(60))
    waiting = engine([Msg("null")])
    assert not line(window).isVisible()
    engine.stop()
    soon(line(window).isVisible)
    assert text(window) == (
        "The queue is held: a stop was requested. No plan of it starts. 1 plan waits for Release."
    )
    assert running.exception(10) is not None
    assert release(window).isVisible()
    release(window).click()
    soon(waiting.done)
    soon(lambda: not line(window).isVisible())


def test_run_is_called_queue_while_the_queue_is_held(window: Any, engine: Any, soon: Any) -> None:
    run = window.controls.buttons["run"]
    assert run.text() == "Run"
    engine.queue.hold("lunch")
    soon(lambda: run.text() == "Queue")
    engine.queue.release()
    soon(lambda: run.text() == "Run")


def test_who_holds_a_device_is_told_without_a_picture_of_the_engine(
    window: Any, engine: Any, scope: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All rows ask at each change of claims: with a picture for each there is time for nothing else.
    taken: list[Any] = []
    snapshot = EngineBridge.snapshot
    monkeypatch.setattr(EngineBridge, "snapshot", lambda me: (taken.append(me), snapshot(me))[1])
    with engine.claims.hold(scope.focus, holder="somebody"):
        assert holder_at_work(window.bridge, scope.focus) == "somebody"
    assert taken == []


def test_a_queue_that_is_held_beside_a_plan_that_goes_on(
    window: Any, engine: Any, soon: Any
) -> None:
    engine(bps.sleep(60))
    engine.queue.hold("lunch")
    soon(line(window).isVisible)
    assert text(window) == "The queue is held: lunch. No plan of it starts."
    waiting = [engine([Msg("null")]), engine([Msg("null")])]
    soon(lambda: "2 plans wait" in text(window))
    engine.queue.clear()
    soon(lambda: "wait" not in text(window))
    assert all(future.cancelled() for future in waiting)
    release(window).click()
    soon(lambda: not line(window).isVisible())


def test_a_service_that_has_failed_is_told_of_until_it_is_adopted_again(
    window: Any, engine: Any, soon: Any
) -> None:
    async def interlock() -> None:
        raise RuntimeError("the door is open")

    engine.adopt(interlock)
    soon(line(window).isVisible)
    assert "The service 'interlock' raised RuntimeError: the door is open" in text(window)
    assert "RE.adopt(...)" in text(window)
    assert not release(window).isVisible()  # there is nothing to release
    engine.queue.hold("lunch")
    soon(release(window).isVisible)
    assert not release(window).isEnabled()  # nor may it be

    async def mended() -> None:
        await engine.loop.create_future()

    mended.__name__ = "interlock"
    engine.adopt(mended)
    soon(release(window).isEnabled)
    assert "interlock" not in text(window)
    release(window).click()
    soon(lambda: not line(window).isVisible())


def test_an_interlock_that_is_waited_for_is_told_of(
    window: Any, engine: Any, scope: Any, soon: Any
) -> None:
    closed: list[bool] = []
    engine.interlocks.add("door", lambda: not closed, devices=scope.stage.x)
    assert not line(window).isVisible()  # it is tripped, and nobody minds
    moved = engine(bps.mv(scope.stage.x, 0.1))
    soon(line(window).isVisible)
    assert text(window).startswith("Interlock door: tripped, ")
    assert "waited for by 'mv', to set 'stage-x'" in text(window)
    closed.append(True)
    soon(moved.done)
    soon(lambda: not line(window).isVisible())


def test_plans_that_run_again_and_again_are_told_of(window: Any, engine: Any, soon: Any) -> None:
    label = window.findChild(QLabel, "periodic")
    assert not label.isVisible()
    handle = engine.queue.every(3600, bps.sleep, 0)
    soon(label.isVisible)
    assert label.text().startswith("sleep(0) every 1 h 0 min: next in ")
    handle.cancel()
    soon(lambda: not label.isVisible())


def test_stop_gives_up_a_move_that_waits_for_an_interlock(
    window: Any, engine: Any, scope: Any, soon: Any
) -> None:
    closed: list[bool] = []
    engine.interlocks.add("door", lambda: not closed, devices=scope.stage.x)
    row = window.devices.rows["stage.x"]
    row.set_target(3.0)
    row.move()
    soon(line(window).isVisible)
    row.stop()
    soon(lambda: not line(window).isVisible())
    closed.append(True)
    assert engine(bps.rd(scope.stage.x)).result(10).plan_result == 0
