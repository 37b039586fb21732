"""Groups of settings that are set together, by name."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from freewheel.qt._devices._edited_row import EditedRow
from freewheel.qt._devices._preset_dialog import choose_settings
from freewheel.qt._look._button_row import add_keys, allow, button_row
from freewheel.qt._look._inputs import choice_text
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._look._slots import slot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qtpy.QtCore import QSettings

    from freewheel.qt._devices._panel import DevicePanel

__all__ = ["PresetPanel"]


class PresetPanel(QWidget):
    """Groups of settings and positions by name: saved as they are now, and set again together.

    Each is set through its row in the panel of devices, as by hand: a dangerous device asks. If one
    is held by a plan, or its value is not possible, none of them is set.

    Parameters
    ----------
    panel
        The devices.
    settings
        Where the presets are kept.
    parent
        The widget's parent.
    """

    def __init__(
        self,
        panel: DevicePanel,
        parent: QWidget | None = None,
        *,
        settings: QSettings | None = None,
    ) -> None:
        super().__init__(parent)
        self._panel, self._settings = panel, settings
        self._presets: dict[str, dict[str, Any]] = _kept(settings)
        self._list = QListWidget()
        self._list.setObjectName("presets")
        self._list.setAccessibleName("Presets")
        self._list.setToolTip("Double click, or Return, to set all that is in it")
        self._list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._list.itemDoubleClicked.connect(slot(self._apply_chosen))
        add_keys(
            self._list,
            (
                ("Return", "Apply the preset that is chosen", self._apply_chosen),
                ("Delete", "Delete the preset that is chosen", self._delete_chosen),
            ),
        )
        self._says = ShortLabel()
        self._says.setObjectName("says")
        row, self._buttons = button_row(
            "preset",
            (
                ("apply", "Apply", "Set all that is in the preset", self._apply_chosen),
                ("save", "Save …", "Save settings as they are now", self._ask_what_to_save),
                ("delete", "Delete", "Forget the preset", self._delete_chosen),
            ),
        )
        layout = QVBoxLayout(self)
        layout.addWidget(self._list, 1)
        layout.addWidget(self._says)
        layout.addLayout(row)
        self._list.currentItemChanged.connect(self._look)
        self._show()

    @property
    def presets(self) -> dict[str, dict[str, Any]]:
        """What each sets: values by the names of rows, such as ``"camera.exposure"``."""
        return {name: dict(values) for name, values in self._presets.items()}

    @property
    def message(self) -> str:
        """What could not be done last; empty if all was."""
        return str(self._says.text())

    @property
    def readings(self) -> dict[str, Any]:
        """What can be saved, as it is now."""
        return {
            name: _plain(row.reading)
            for name, row in self._panel.rows.items()
            if isinstance(row, EditedRow) and row.reading is not None
        }

    def save(self, name: str, rows: Iterable[str]) -> None:
        """Save what some rows read now; a preset of the same name is replaced.

        Raises
        ------
        KeyError
            For a row that there is not, or that has not said what it reads.
        """
        now = self.readings
        self._presets[name] = {row: now[row] for row in rows}
        self._keep()
        self._show(name)

    def apply(self, name: str) -> None:
        """Set all that is in a preset, or, if a part of it cannot be set, nothing.

        That is said. What there is not here is said, too, and is in the way of nothing.

        Raises
        ------
        KeyError
            If there is no preset of that name.
        """
        wanted = self._presets[name]
        found = {each: self._panel.rows.get(each) for each in wanted}
        rows = {each: row for each, row in found.items() if isinstance(row, EditedRow)}
        problems = (
            f"{each}: {problem}"
            for each, row in rows.items()
            if (problem := row.problem_with(wanted[each]))
        )
        if said := "; ".join(problems):
            self._says.setText(f"nothing was set. {said}")
            return
        for each, row in rows.items():
            row.set_to(wanted[each])
        missing = [each for each in wanted if each not in rows]
        self._says.setText(f"not here: {', '.join(missing)}" if missing else "")

    def delete(self, name: str) -> None:
        """Forget a preset.

        Raises
        ------
        KeyError
            If there is no preset of that name.
        """
        del self._presets[name]
        self._keep()
        self._show()

    def _chosen(self) -> str:
        item = self._list.currentItem()
        return "" if item is None else str(item.text())

    def _apply_chosen(self) -> None:
        if name := self._chosen():
            self.apply(name)

    def _delete_chosen(self) -> None:
        if name := self._chosen():
            self.delete(name)

    def _ask_what_to_save(self) -> None:
        name = self._chosen()
        choose_settings(self, name, self.readings, self._presets.get(name, {}), self._save_asked)

    def _save_asked(self, name: str, rows: Iterable[str]) -> None:
        try:
            self.save(name, rows)
        except KeyError as error:  # its device went while it was asked
            self._says.setText(f"not saved: {error.args[0]} tells no value any more")

    def _show(self, chosen: str = "") -> None:
        self._list.clear()
        for name, values in self._presets.items():
            item = QListWidgetItem(name)
            item.setToolTip("\n".join(f"{row} = {value}" for row, value in values.items()))
            self._list.addItem(item)
            if name == chosen:
                self._list.setCurrentItem(item)
        self._look()

    def _look(self, *_: Any) -> None:
        """Let nothing be pressed that does nothing."""
        why = "" if self._chosen() else "no preset is chosen" if self._presets else "none is saved"
        allow((self._buttons["apply"], self._buttons["delete"]), why)

    def _keep(self) -> None:
        if self._settings is not None:
            self._settings.setValue("presets", json.dumps(self._presets))


def _kept(settings: QSettings | None) -> dict[str, dict[str, Any]]:
    found: Any = None
    if settings is not None:
        with suppress(TypeError, ValueError):
            found = json.loads(str(settings.value("presets", "") or ""))
    every = found.items() if isinstance(found, dict) else ()
    # One that is damaged takes no other with it.
    return {name: values for name, values in every if isinstance(values, dict)}


def _plain(value: Any) -> Any:
    """Return a reading as JSON holds it: a choice by its text."""
    if isinstance(value, (bool, int, float, str)) and type(value).__module__ == "builtins":
        return value
    number = getattr(value, "item", None)  # numpy's
    return number() if callable(number) else choice_text(value)
