"""Themes, icons, short cuts, names for screen readers, and what does not jump or widen."""

import itertools
import platform
from importlib import metadata
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction, QColor, QKeySequence, QPalette, QShortcut
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QDockWidget,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPlainTextEdit,
    QTableWidget,
    QWidget,
)

import freewheel.plans
from freewheel.core import Action
from freewheel.forms import find_plans
from freewheel.plan_stubs import wait_for_actions
from freewheel.qt import (
    AcquisitionWindow,
    ActionBar,
    EngineControls,
    StateLabel,
    Theme,
    demo_plans,
    use_theme,
)
from freewheel.qt._look._icons import icon
from freewheel.qt._look._theme import theme_in_use
from freewheel.qt._look._tones import Tone, is_dark, tint

pytestmark = pytest.mark.usefixtures("looks")


@pytest.fixture(name="window")
def _window(engine: Any, scope: Any, qtbot: Any) -> Any:
    window = AcquisitionWindow(
        engine, dict(scope), find_plans([freewheel.plans, demo_plans], scope)
    )
    qtbot.addWidget(window, before_close_func=lambda w: w.bridge.close())
    window.show()
    yield window
    window.preview.end()


# -- themes ----------------------------------------------------------------------------------


def contrast(one: QColor, other: QColor) -> float:
    """Return the contrast of two colours, as WCAG counts it: 4.5 is for text."""

    def luminance(colour: QColor) -> float:
        parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4
                 for c in (colour.redF(), colour.greenF(), colour.blueF())]  # fmt: skip
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_theme_can_be_read(qapp: Any, theme: str) -> None:
    use_theme(theme)
    palette = qapp.palette()
    assert is_dark() == (theme == "dark")
    for text, ground in (
        ("WindowText", "Window"),
        ("Text", "Base"),
        ("Text", "AlternateBase"),
        ("ButtonText", "Button"),
        ("ToolTipText", "ToolTipBase"),
    ):
        role = QPalette.ColorRole
        pair = palette.color(getattr(role, text)), palette.color(getattr(role, ground))
        assert contrast(*pair) > 7, (text, ground)
    for tone in Tone:
        assert contrast(QColor(tone.now), palette.window().color()) > 4.5, tone


def test_the_theme_of_the_system_is_followed(qapp: Any) -> None:
    use_theme(Theme.SYSTEM)
    hints = qapp.styleHints()
    assert is_dark() == (hints.colorScheme() == Qt.ColorScheme.Dark)
    qapp.setPalette(QPalette(QColor("#101010")))  # as if it had another one
    hints.colorSchemeChanged.emit(hints.colorScheme())
    assert is_dark() == (hints.colorScheme() == Qt.ColorScheme.Dark)
    use_theme("dark")
    hints.colorSchemeChanged.emit(Qt.ColorScheme.Light)
    assert is_dark()  # which was asked for


def test_a_theme_that_there_is_not_is_refused(qapp: Any) -> None:
    with pytest.raises(ValueError, match="'pink' is not a valid Theme"):
        use_theme("pink")


def test_a_program_that_asks_for_no_theme_keeps_its_own(window: Any, qapp: Any) -> None:
    assert theme_in_use() is None


def test_headings_follow_the_theme_while_they_are_shown(window: Any, qapp: Any) -> None:
    headings = [each for each in window.findChildren(QLabel) if each.text() in ("Plan", "Actions")]
    assert len(headings) == 2
    window.show()
    for theme in ("light", "dark"):
        use_theme(theme)
        qapp.processEvents()
        text = qapp.palette().color(QPalette.ColorRole.WindowText)
        for each in headings:
            assert each.palette().color(QPalette.ColorRole.WindowText) == text


def test_what_is_coloured_follows_the_theme(qapp: Any, qtbot: Any) -> None:
    label = QLabel("wrong")
    qtbot.addWidget(label)
    use_theme("light")
    tint(label, Tone.ERROR)
    label.show()
    assert Tone.ERROR.value[0] in label.styleSheet()
    use_theme("dark")
    assert Tone.ERROR.value[1] in label.styleSheet()
    tint(label, None)
    assert label.styleSheet() == ""
    use_theme("light")
    assert label.styleSheet() == ""


def test_a_person_chooses_the_theme_in_the_menu(window: Any, qapp: Any) -> None:
    window.findChild(QAction, "theme:dark").trigger()
    assert theme_in_use() is Theme.DARK
    assert is_dark()


# -- icons -----------------------------------------------------------------------------------


def test_icons_are_in_the_colour_of_the_theme(qapp: Any) -> None:
    pytest.importorskip("fonticon_mdi7")
    shades = []
    one = icon("run")
    for theme in ("light", "dark"):
        use_theme(theme)
        picture = one.pixmap(32, 32).toImage()
        places = itertools.product(range(picture.width()), range(picture.height()))
        solid = [c for x, y in places if (c := picture.pixelColor(x, y)).alpha() == 255]
        assert len(solid) > 50, "nothing was drawn"
        assert {c.name() for c in solid} == {qapp.palette().buttonText().color().name()}
        shades.append(solid[0].name())
    assert shades[0] != shades[1]


def test_every_icon_is_in_the_font(qapp: Any) -> None:
    font = pytest.importorskip("fonticon_mdi7").MDI7
    from freewheel.qt._look._icons import _GLYPHS

    assert [name for name in _GLYPHS.values() if not hasattr(font, name)] == []


# -- shapes ----------------------------------------------------------------------------------


def test_states_differ_in_shape(engine: Any, bridge: Any, qtbot: Any, soon: Any) -> None:
    label = StateLabel(bridge)
    qtbot.addWidget(label)
    assert label.shape == "ring"
    future = engine(bps.sleep(60))
    soon(lambda: label.text() == "running")
    assert label.shape == "triangle"
    engine.request_pause()
    soon(lambda: label.text() == "paused")
    assert label.shape == "bars"
    engine.stop()
    soon(lambda: label.text() == "idle")
    assert label.shape == "ring"
    assert future.done()


# -- what does not jump, and does not widen ---------------------------------------------------


def test_an_action_that_appears_moves_nothing(
    engine: Any, bridge: Any, qtbot: Any, soon: Any
) -> None:
    bar = ActionBar(bridge)
    qtbot.addWidget(bar)
    bar.show()
    before = bar.sizeHint(), bar.minimumSizeHint()

    def plan() -> Any:
        actions = [Action(name=f"an_action_with_a_long_name_{n}") for n in range(12)]
        yield from wait_for_actions({a.name: a.latch for a in actions}, timeout=None)

    future = engine(plan())
    soon(lambda: len(bar.buttons) == 12)
    assert (bar.sizeHint(), bar.minimumSizeHint()) == before
    engine.stop()
    soon(future.outcome.done)


@pytest.mark.parametrize("count", [12, pytest.param(40, marks=pytest.mark.servers)])
def test_many_tasks_with_long_names_leave_the_window_as_it_is(
    window: Any, engine: Any, soon: Any, count: int
) -> None:
    QApplication.processEvents()
    hint, chooser = window.minimumSizeHint(), window.chooser.geometry()
    tasks = [
        engine.background.launch(bps.sleep(60), name=f"watch_{number}_{'over_' * 30}")
        for number in range(count)
    ]
    soon(lambda: len(window.progress.task_names) == count)
    QApplication.processEvents()
    assert window.minimumSizeHint() == hint
    assert window.chooser.geometry() == chooser  # nothing has jumped
    row = window.progress.findChild(QWidget, f"task:{tasks[-1].name}")
    assert any(label.toolTip() == tasks[-1].name for label in row.findChildren(QLabel))
    for task in tasks:
        task.cancel()
    soon(lambda: not window.progress.task_names)


def test_a_plan_that_waits_moves_nothing(window: Any, engine: Any, soon: Any) -> None:
    QApplication.processEvents()
    places = [w.geometry() for w in (window.chooser, window.actions, window.preview)]
    first, second = engine(bps.sleep(60)), engine(bps.sleep(60))
    listed = window.findChild(QAbstractItemView, "queue")
    soon(lambda: listed.isVisible())
    QApplication.processEvents()
    assert [w.geometry() for w in (window.chooser, window.actions, window.preview)] == places
    second.cancel()
    engine.stop()
    soon(first.outcome.done)


# -- keyboard ---------------------------------------------------------------------------------


def keys_of(window: Any) -> list[str]:
    keys = [key.toString() for a in window.findChildren(QAction) for key in a.shortcuts()]
    own = [s for s in window.findChildren(QShortcut)
           if s.context() != Qt.ShortcutContext.WidgetShortcut]  # fmt: skip
    return [*keys, *(s.key().toString() for s in own)]


def test_no_short_cut_stands_for_two_things(window: Any) -> None:
    keys = keys_of(window)
    assert sorted(keys) == sorted(set(keys))


def test_a_page_lists_the_short_cuts(window: Any) -> None:
    help_keys = QKeySequence(QKeySequence.StandardKey.HelpContents)
    (action,) = [a for a in window.findChildren(QAction) if a.shortcut() == help_keys]
    action.trigger()
    table = window.findChild(QDialog, "shortCuts").findChild(QTableWidget)
    rows = {table.item(row, 0).text(): table.item(row, 1).text() for row in range(table.rowCount())}
    native = QKeySequence.SequenceFormat.NativeText
    assert rows["Stop all"] == QKeySequence("Ctrl+.").toString(native)
    assert rows["Run, or queue"] == "F5"
    listed = set(", ".join(rows.values()).split(", "))
    assert {QKeySequence(keys).toString(native) for keys in keys_of(window)} <= listed


def test_versions_are_told_to_be_copied(window: Any) -> None:
    (about,) = [a for a in window.findChildren(QAction) if a.text() == "&About"]
    about.trigger()
    page = window.findChild(QMessageBox, "about")
    assert f"freewheel {metadata.version('freewheel')}" in page.text().splitlines()
    assert f"Python {platform.python_version()}" in page.text().splitlines()
    assert not page.isModal()
    assert page.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse
    page.close()


def rest(seconds: float = 60.0) -> Any:
    """Rest for a while."""
    yield from bps.checkpoint()
    yield from bps.sleep(seconds)


def test_a_plan_is_run_paused_and_stopped_with_keys_alone(
    window: Any, qtbot: Any, soon: Any
) -> None:
    window.chooser.set_plans(find_plans([rest], {}), {})
    window.activateWindow()
    soon(window.isActiveWindow)
    state = window.controls.findChild(StateLabel)
    for key, name, then in (
        (Qt.Key.Key_F5, "run", "running"),
        (Qt.Key.Key_F6, "pause", "paused"),
        (Qt.Key.Key_F7, "resume", "running"),
        (Qt.Key.Key_F8, "stop", "idle"),
    ):
        soon(window.controls.buttons[name].isEnabled)
        qtbot.keyClick(window, key)
        soon(lambda then=then: state.text() == then)


def test_keys_go_to_a_dock_and_to_what_takes_them_there(window: Any, qtbot: Any, soon: Any) -> None:
    window.activateWindow()
    soon(window.isActiveWindow)
    docks = window.findChildren(QDockWidget)[:9]
    assert {"Plan", "Devices", "Stage", "Queue"} <= {dock.objectName() for dock in docks}
    for number, dock in enumerate(docks, 1):
        key = getattr(Qt.Key, f"Key_{number}")
        qtbot.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)
        soon(lambda dock=dock: not dock.visibleRegion().isEmpty())
        assert dock.isAncestorOf(QApplication.focusWidget()), dock.objectName()


def test_tab_passes_by_docks_that_stand_behind_others(window: Any, qtbot: Any, soon: Any) -> None:
    window.activateWindow()
    soon(window.isActiveWindow)
    window.findChild(QComboBox, "plans").setFocus()
    began, within = window.focusWidget(), set()
    while True:
        qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Tab)
        part = window.focusWidget()
        if part is began:
            break
        while part is not None and not isinstance(part, QDockWidget):
            part = part.parentWidget()
        within.add(None if part is None else part.objectName())
    assert within == {None, "Plan", "Devices", "Claims", "Log"}


def test_a_plan_that_waits_is_removed_with_a_key(
    engine: Any, bridge: Any, qtbot: Any, soon: Any
) -> None:
    controls = EngineControls(bridge)
    qtbot.addWidget(controls)
    controls.show()
    first, second = engine(bps.sleep(60)), engine(bps.sleep(60))
    listed = controls.findChild(QAbstractItemView, "queue")
    soon(lambda: listed.isVisible())
    listed.setCurrentRow(0)
    listed.setFocus()
    qtbot.keyClick(listed, Qt.Key.Key_Delete)
    soon(second.cancelled)
    engine.stop()
    soon(first.outcome.done)


# -- names for screen readers -----------------------------------------------------------------


def name_of(widget: QWidget) -> str:
    if widget.accessibleName():
        return str(widget.accessibleName())
    if isinstance(widget, QAbstractButton):
        return str(widget.text() or widget.toolTip())
    return ""


def test_everything_that_takes_the_keyboard_has_a_name(window: Any) -> None:
    for name in ("live_view", "scan"):
        window.chooser.choose(name)
    kinds = (QAbstractButton, QAbstractItemView, QAbstractSpinBox, QComboBox, QLineEdit,
             QPlainTextEdit)  # fmt: skip
    nameless = [
        f"{type(widget).__name__} {widget.objectName()} in {type(widget.parent()).__name__}"
        for widget in window.findChildren(QWidget)
        if isinstance(widget, kinds)
        and not widget.objectName().startswith("qt_")  # parts of Qt's own
        and not isinstance(widget.parent(), (QAbstractSpinBox, QComboBox))
        and not (widget.parent().parent() and isinstance(widget.parent().parent(), QComboBox))
        and not isinstance(widget, QHeaderView)  # read with its table
        and not name_of(widget)
    ]
    assert nameless == []
