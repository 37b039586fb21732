"""The plans on offer, each with its form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QLabel,
    QPlainTextEdit,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from freewheel.qt._look._inputs import wheel_needs_focus
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._look._scrolled import scrolled
from freewheel.qt._plans._form import PlanForm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from freewheel.forms import PlanEntry
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["PlanChooser"]


_REGIONS: Final = ("roi", "region")


class PlanChooser(QWidget):
    """A list of plans, and the form of the one that is chosen.

    Plans that can't be used are in the list as well, with the reason, and the traceback of a
    file that could not be loaded.

    Parameters
    ----------
    entries
        As `freewheel.forms.find_plans` returns them.
    devices
        The devices by name.
    bridge
        The bridge to the engine, for the action buttons.

    Attributes
    ----------
    chosen : Signal(object)
        The form of the plan that is chosen now, or `None` for one that is unavailable.
    """

    chosen = Signal(object)

    def __init__(
        self,
        entries: Sequence[PlanEntry],
        devices: Mapping[str, Any],
        bridge: EngineBridge | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._entries: list[PlanEntry] = []
        self._devices: Mapping[str, Any] = {}
        self._bridge = bridge
        self._pages: dict[int, QWidget] = {}  # made when they are first chosen
        self._list = QComboBox()
        self._list.setObjectName("plans")
        self._list.setMaxVisibleItems(30)
        self._list.setPlaceholderText("no plans")
        self._list.setAccessibleName("Plan")
        wheel_needs_focus(self._list)
        self._stack = QStackedWidget()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._list)
        self._said = ShortLabel()
        self._said.setObjectName("plans:loading")
        self._said.hide()
        layout.addWidget(self._said)
        layout.addWidget(self._stack, 1)
        self._list.currentIndexChanged.connect(self._choose)
        self.set_plans(entries, devices)

    def set_plans(self, entries: Sequence[PlanEntry], devices: Mapping[str, Any]) -> None:
        """Offer other plans and devices; what was filled in is kept for plans of the same name."""
        before, pages = self._entries, self._pages
        chosen = self._list.currentText()
        kept = {before[index].name: (before[index], page) for index, page in pages.items()}
        self._devices, self._entries, self._pages = devices, list(entries), {}
        with QSignalBlocker(self._list):
            self._list.clear()
            for index, entry in enumerate(self._entries):
                self._add_entry(entry)
                if entry.name in kept:
                    self._keep_page(index, *kept.pop(entry.name))
            again = self._list.findText(chosen) if chosen else -1
            self._list.setCurrentIndex(self._first(again) if self._entries else -1)
        for page in pages.values():
            if page not in self._pages.values():
                self._stack.removeWidget(page)
                page.deleteLater()
        if self._entries:
            self._choose(self._list.currentIndex())
        else:
            self.chosen.emit(None)

    def _first(self, index: int) -> int:
        """Return the index given, or that of the first plan that can be run if that one cannot."""
        if index >= 0 and self._entries[index].available:
            return index
        return next((at for at, each in enumerate(self._entries) if each.available), max(index, 0))

    def _keep_page(self, index: int, before: PlanEntry, page: QWidget) -> None:
        """Keep the page of a plan that is as it was, or fill in what was in its form."""
        entry, old = self._entries[index], _form_in(page)
        if entry.spec is None or before.spec is None or old is None:
            return
        if entry.spec == before.spec and entry.spec.plan is before.spec.plan:
            self._pages[index] = page
            return
        new = self._pages[index] = self._make_page(entry)
        self._stack.addWidget(new)
        form = _form_in(new)
        assert form is not None
        for name, value in old.values().items():
            if name in form.fields:
                form.set_values({name: value})

    def set_placeholder(self, text: str) -> None:
        """Say something where the plan's name would be while there are none."""
        self._list.setPlaceholderText(text)

    def say(self, text: str) -> None:
        """Say something below the list, such as that other plans are being loaded; or nothing."""
        self._said.setText(text)
        self._said.setVisible(bool(text))

    def _add_entry(self, entry: PlanEntry) -> None:
        self._list.addItem(entry.name if entry.available else f"{entry.name}  (unavailable)")
        index = self._list.count() - 1
        tip = f"from {entry.source}"
        if entry.reason:
            tip = f"{entry.reason}\n{tip}"
            grey = self.palette().placeholderText()
            self._list.setItemData(index, grey, Qt.ItemDataRole.ForegroundRole)
        self._list.setItemData(index, tip, Qt.ItemDataRole.ToolTipRole)

    @property
    def entries(self) -> Sequence[PlanEntry]:
        """All plans, available or not."""
        return tuple(self._entries)

    @property
    def form(self) -> PlanForm | None:
        """The form that is shown; `None` for a plan that is unavailable."""
        page = self._pages.get(self._list.currentIndex())
        return None if page is None else _form_in(page)

    @property
    def forms(self) -> dict[str, PlanForm]:
        """The forms that were shown already, by the name of their plan."""
        pages = {self._entries[index].name: page for index, page in self._pages.items()}
        return {name: form for name, page in pages.items() if (form := _form_in(page)) is not None}

    def choose(self, name: str) -> PlanForm | None:
        """Choose a plan by its name, and return its form.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        for index, entry in enumerate(self._entries):
            if entry.name == name:
                self._list.setCurrentIndex(index)
                return self.form
        names = ", ".join(entry.name for entry in self._entries) or "none"
        msg = f"there is no plan {name!r}; there are: {names}"
        raise KeyError(msg)

    def fill_region(self, region: Sequence[int]) -> None:
        """Fill a region of a picture into the form that is shown, where that asks for one.

        That is a parameter ``roi`` or ``region``. If there is none, the plan's bridge says so.

        Parameters
        ----------
        region
            Left, top, width and height [pixels].
        """
        fields = {} if self.form is None else self.form.fields
        for name in _REGIONS:
            if name in fields and self.form is not None:
                self.form.set_values({name: tuple(region)})
                return
        if self._bridge is not None:
            msg = f"the plan that is chosen has no parameter {' or '.join(_REGIONS)}"
            self._bridge.requestRefused.emit("use the region", ValueError(msg))

    def _choose(self, index: int) -> None:
        if index not in self._pages:
            self._pages[index] = self._make_page(self._entries[index])
            self._stack.addWidget(self._pages[index])
        self._stack.setCurrentWidget(self._pages[index])
        self.chosen.emit(self.form)

    def _make_page(self, entry: PlanEntry) -> QWidget:
        if entry.spec is None:
            return _unavailable(entry)
        scroll = scrolled(PlanForm(entry.spec, self._devices, self._bridge), frame=False)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        return scroll


def _form_in(page: QWidget) -> PlanForm | None:
    inner = page.widget() if isinstance(page, QScrollArea) else None
    return inner if isinstance(inner, PlanForm) else None


def _unavailable(entry: PlanEntry) -> QWidget:
    page = QWidget()
    layout = QVBoxLayout(page)
    reason = QLabel(f"{entry.name} is unavailable.\n\n{entry.reason}\n\nFrom {entry.source}")
    reason.setObjectName("reason")
    reason.setWordWrap(True)
    reason.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    layout.addWidget(reason)
    if entry.traceback:
        text = QPlainTextEdit(entry.traceback)
        text.setObjectName("traceback")
        text.setReadOnly(True)
        text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        layout.addWidget(text, 1)
    else:
        layout.addStretch(1)
    return page
