"""Windows and parts are freed when Qt deletes them; what else is garbage, on their thread."""

import gc
import os
import subprocess
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QEvent, QObject, Qt
from superqt import QSearchableComboBox

import freewheel.plans
from freewheel.forms import find_plans
from freewheel.qt import (
    AcquisitionBar,
    AcquisitionWindow,
    ActionBar,
    ClaimsView,
    DevicePanel,
    EngineBridge,
    EngineControls,
    ImageArea,
    LiveImage,
    LivePlot,
    MDAEditor,
    PlanLog,
    PresetPanel,
    ProgressPanel,
    QueueTable,
    RunsPanel,
    StagePad,
    demo_plans,
    responsive,
)
from freewheel.qt._link._collector import _put_off, _PutOff
from freewheel.qt._window._errors import ErrorList

Maker = Callable[[Any, dict[str, Any]], list[Any]]


def stage(bridge: Any, devices: dict[str, Any]) -> list[Any]:
    image = LiveImage(bridge)
    pad = StagePad(bridge, devices, image)
    return [image, pad, MDAEditor(bridge, None, pad)]


def presets(bridge: Any, devices: dict[str, Any]) -> list[Any]:
    panel = DevicePanel(bridge, devices)
    return [panel, PresetPanel(panel)]


def runs(bridge: Any, _: dict[str, Any]) -> list[Any]:
    plot, image = LivePlot(bridge), LiveImage(bridge)
    return [plot, image, RunsPanel(bridge, plot, image, lambda _: "")]


def small(bridge: Any, devices: dict[str, Any]) -> list[Any]:
    kinds = (ClaimsView, ErrorList, PlanLog, ProgressPanel, ActionBar, QueueTable, EngineControls)
    return [kind(bridge) for kind in kinds] + [AcquisitionBar(bridge, devices), ImageArea(bridge)]


@pytest.mark.parametrize("make", [stage, presets, runs, small])
def test_parts_are_freed_when_they_are_deleted_and_not_before(
    make: Maker, engine: Any, scope: Any, qapp: Any
) -> None:
    bridge = EngineBridge(engine)
    parts = make(bridge, dict(scope))
    for part in parts:
        part.show()
    QCoreApplication.processEvents()
    for part in parts:
        part.close()
        getattr(part, "end", lambda: None)()
    bridge.close()
    refs = [weakref.ref(part) for part in parts]
    QCoreApplication.processEvents()
    gc.collect()
    assert all(map(isalive, parts))
    for part in parts:
        part.deleteLater()
    del part, parts
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    gc.collect()
    # PyQt keeps what is left of them in Python a while longer.
    assert not [part for ref in refs if (part := ref()) is not None and isalive(part)]


@pytest.mark.parametrize("at_closing", [True, False])
def test_a_whole_window_is_freed_when_it_is_deleted(
    at_closing: bool, engine: Any, scope: Any, qapp: Any
) -> None:
    plans = find_plans([freewheel.plans, demo_plans], scope)
    window = AcquisitionWindow(engine, dict(scope), plans)
    window.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, at_closing)
    window.show()
    window.close()
    ref = weakref.ref(window)
    if not at_closing:
        gc.collect()
        assert isalive(window)
        window.deleteLater()
    del window
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    gc.collect()
    left = ref()
    assert left is None or not isalive(left)


def test_what_completes_names_goes_with_its_box(bridge: Any, qapp: Any) -> None:
    plot = LivePlot(bridge)
    boxes = plot.findChildren(QSearchableComboBox)
    gone: list[str] = []
    for box in boxes:
        name = box.objectName()
        box.completer_object.destroyed.connect(lambda *_, name=name: gone.append(name))
        box.completer_object.popup()  # which is a window of its own
    del box, boxes
    plot.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert sorted(gone) == ["x", "y"]


def objects_of_qt() -> Counter[str]:
    """Return how many objects of Qt's there are that Python knows of, by their types."""
    known = (each for each in gc.get_objects() if issubclass(type(each), QObject))
    return Counter(type(each).__name__ for each in known if isalive(each))


def test_windows_that_are_gone_leave_no_object(
    engine: Any, scope: Any, qapp: Any, soon: Any
) -> None:
    plans = find_plans([freewheel.plans, demo_plans], scope)

    def open_and_close() -> None:
        window = AcquisitionWindow(engine, dict(scope), plans)
        window.show()
        window.close()
        window.deleteLater()
        del window
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)

    open_and_close()  # what is made once stays
    soon(lambda: gc.collect() == 0)
    before = objects_of_qt()
    for _ in range(2):
        open_and_close()
    soon(lambda: gc.collect() >= 0 and objects_of_qt() - before == Counter())


@pytest.mark.servers
def test_windows_are_not_deleted_on_the_thread_of_the_engine() -> None:
    program = Path(__file__).with_name("forgotten_windows.py")
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    run = subprocess.run(
        [sys.executable, str(program)], env=environment, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["left", "0", "ended"]


class _Circle:
    """Something that only the collector frees."""

    def __init__(self, freed: list[int]) -> None:
        self.me = self
        weakref.finalize(self, lambda: freed.append(threading.get_ident()))


@pytest.fixture(name="elsewhere")
def _elsewhere() -> Callable[[], None]:
    """Collect on another thread."""

    def elsewhere() -> None:
        thread = threading.Thread(target=gc.collect)
        thread.start()
        thread.join()

    return elsewhere


def test_what_others_collect_is_left_to_the_window(bridge: Any, elsewhere: Any, soon: Any) -> None:
    freed: list[int] = []
    gc.collect()
    _put_off.take()  # those of tests before may be as many as there may be
    _Circle(freed)
    elsewhere()
    assert freed == []
    soon(lambda: freed == [threading.get_ident()])  # at the window's next look


def test_a_window_that_does_not_come_round_costs_no_memory_for_ever(
    bridge: Any, elsewhere: Any
) -> None:
    freed: list[int] = []
    _Circle(freed)
    for _ in range(100):
        elsewhere()
    assert freed


def test_what_a_program_has_frozen_stays_frozen(bridge: Any, elsewhere: Any) -> None:
    with responsive():
        frozen = gc.get_freeze_count()
        elsewhere()
        assert gc.get_freeze_count() == frozen > 0


def test_thresholds_are_those_of_the_program() -> None:
    before = gc.get_threshold()
    put_off = _PutOff()
    try:
        gc.set_threshold(500, 5, 5)
        put_off.begin()
        assert put_off.raise_thresholds() == (500, 5, 5)
        assert gc.get_threshold()[0] > 10_000
        gc.set_threshold(900, 9, 9)  # the program's wish, meanwhile
        assert put_off.raise_thresholds() == (900, 9, 9)
        put_off.end()
        assert gc.get_threshold() == (900, 9, 9)
        assert not [call for call in gc.callbacks if getattr(call, "__self__", None) is put_off]
    finally:
        gc.set_threshold(*before)
