"""Each step of the tutorial shows a frame."""

import runpy
from pathlib import Path
from typing import Any

import pytest

STEPS = sorted((Path(__file__).parents[2] / "docs/tutorials/window").glob("step*.py"))


@pytest.mark.parametrize("step", STEPS, ids=lambda path: path.stem)
def test_a_step_shows_a_live_view(
    step: Path, engine: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    from freewheel.plans import live_view
    from freewheel.qt import EngineControls, LiveImage

    window, bridge = runpy.run_path(str(step))["build"](engine, scope)
    qtbot.addWidget(window, before_close_func=lambda _: bridge.close())
    window.show()
    image = window if isinstance(window, LiveImage) else window.findChild(LiveImage)
    controls = window.findChild(EngineControls)
    if step.stem == "step4":
        bridge.run(live_view([scope.camera]))
    elif controls is not None:
        controls.buttons["run"].click()
    soon(lambda: image.frame is not None)
    bridge.stop()
    soon(lambda: bridge.snapshot().plan_name is None)
    assert image.frame.shape == (64, 64)


def test_there_are_steps() -> None:
    assert [path.stem for path in STEPS] == ["step1", "step2", "step3", "step4"]


def test_a_program_of_ones_own_measures(engine: Any, scope: Any, qtbot: Any, soon: Any) -> None:
    window = runpy.run_path(str(STEPS[0].with_name("own.py")))["Program"](engine, [scope.camera])
    qtbot.addWidget(window, before_close_func=lambda _: window.bridge.close())
    window.measure.click()
    soon(lambda: window.points.text() == "1 points")
    window.stop.click()
    soon(lambda: window.state.text() == "idle" and "stopped" in window.statusBar().currentMessage())


def test_the_last_step_offers_blueskys_scans(
    engine: Any, scope: Any, qtbot: Any, soon: Any
) -> None:
    window, bridge = runpy.run_path(str(STEPS[-1]))["build"](engine, scope)
    qtbot.addWidget(window, before_close_func=lambda _: bridge.close())
    window.show()
    form = window.chooser.choose("scan")
    form.set_values({"detectors": ["camera"], "args": [["stage.x", -10, 10]], "num": 3})
    future = window.controls.run()
    soon(future.outcome.done)
    assert future.outcome.result().exit_status == "success"
    assert window.chooser.choose("grid_scan") is not None
    window.preview.end()
