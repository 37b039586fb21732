"""The parts of a useq sequence that a person fills in: each has fields, or is kept as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QGroupBox,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from freewheel.forms import FieldType, ParamDescription, ParamKind
from freewheel.qt._look._inputs import NumberField, wheel_needs_focus
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._plans._fields import input_for
from freewheel.qt._plans._rows_table import RowsTable
from freewheel.qt._stage._positions import place_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Channels", "Numbers", "Part", "Places"]

_PLACE: Final = Qt.ItemDataRole.UserRole


class Part(QGroupBox):
    """One part of a sequence, to be ticked; what has no fields here is kept as it came.

    Attributes
    ----------
    changed : Signal()
        There is another value.
    """

    changed = Signal()

    def __init__(self, title: str, inside: QWidget) -> None:
        super().__init__(title)
        self._kept: Any = None
        self._inside = inside
        self.setCheckable(True)
        self.setChecked(False)
        self._as_it_came = ShortLabel()
        self._edit = QPushButton("Fill in here instead")
        self._edit.clicked.connect(self._give_up_kept)
        layout = QVBoxLayout(self)
        for part in (inside, self._as_it_came, self._edit):
            layout.addWidget(part)
        self.toggled.connect(self.changed)
        self._show_which()

    def read(self) -> Any:
        """Return the value, as useq takes it; `None` if the part is not ticked."""
        if not self.isChecked():
            return None
        return self._filled_in() if self._kept is None else self._kept

    def show_value(self, value: Any) -> None:
        """Show a value of useq's; `None` for nothing."""
        with QSignalBlocker(self):
            self._kept = None if not value or self._fill_in(value) else value
            self.setChecked(bool(value))
        self._show_which()
        self.changed.emit()

    def _give_up_kept(self, *_: Any) -> None:
        self._kept = None
        self._show_which()
        self.changed.emit()

    def _show_which(self) -> None:
        kept = self._kept is not None
        self._inside.setVisible(not kept)
        for part in (self._as_it_came, self._edit):
            part.setVisible(kept)
        self._as_it_came.setText(f"as in the file: {self._kept!r}" if kept else "")

    def _filled_in(self) -> Any:
        raise NotImplementedError

    def _fill_in(self, value: Any) -> bool:
        """Fill a value in; `False` if there are no fields for all of it."""
        raise NotImplementedError


class Numbers(Part):
    """Some numbers, which are the fields of one of useq's plans.

    Parameters
    ----------
    title
        What the part is.
    fields
        Label, unit and first value of each, by its name in useq; one that is 0 there is left out.
    kind
        The name of the class in useq that has these fields and no others.
    whole
        The names of those that are whole numbers.
    """

    def __init__(
        self,
        title: str,
        fields: Mapping[str, tuple[str, str, float]],
        kind: str,
        whole: Sequence[str] = (),
    ) -> None:
        self._kind, self._whole = kind, whole
        self.fields: dict[str, NumberField] = {}
        inside = QWidget()
        form = QFormLayout(inside)
        form.setContentsMargins(0, 0, 0, 0)
        for name, (label, unit, first) in fields.items():
            field = self.fields[name] = NumberField(integer=name in whole, minimum=0)
            field.set_value(int(first) if name in whole else first)
            field.setAccessibleName(f"{title}: {label}")
            field.setObjectName(f"mda:{name}")
            wheel_needs_focus(field)
            form.addRow(f"{label} [{unit}]" if unit else label, field)
        super().__init__(title, inside)
        for field in self.fields.values():
            field.valueChanged.connect(self.changed)

    def _filled_in(self) -> dict[str, Any]:
        values = {name: field.value() for name, field in self.fields.items()}
        if "overlap" in values:
            values["overlap"] = (values["overlap"] or 0,) * 2
        return {name: value for name, value in values.items() if value not in (None, "")}

    def _fill_in(self, value: Any) -> bool:
        if type(value).__name__ != self._kind:
            return False
        given = value.model_dump(exclude_defaults=True)
        overlap = given.get("overlap")
        if isinstance(overlap, tuple):
            if overlap[0] != overlap[1]:
                return False
            given["overlap"] = overlap[0]
        if set(given) - set(self.fields):
            return False
        for name, field in self.fields.items():
            number = given.get(name, getattr(value, name))
            number = number[0] if isinstance(number, tuple) else number
            seconds = getattr(number, "total_seconds", None)
            field.set_value(number if seconds is None else seconds())
        return True


class Channels(Part):
    """A table of channels: which one, exposure time, and how far from the focus.

    Parameters
    ----------
    choices
        The channels by group. Without any, group and channel are written.
    """

    def __init__(self, choices: Mapping[str, Sequence[str]]) -> None:
        named = [f"{group}: {config}" for group, configs in choices.items() for config in configs]
        columns = (
            _column("channel", FieldType.CHOICE if named else FieldType.TEXT, named or None),
            _column("exposure_ms", FieldType.NUMBER),
            _column("z_offset_um", FieldType.NUMBER),
        )
        self.table = RowsTable(columns, input_for)
        super().__init__("Channels", self.table)
        self.table.valueChanged.connect(self.changed)

    def _filled_in(self) -> list[dict[str, Any]]:
        found = []
        for named, exposure, offset in self.table.value():
            if not named:
                continue
            group, _, config = str(named).rpartition(": ")
            channel: dict[str, Any] = {"config": config, "group": group or "Channel"}
            if exposure is not None:
                channel["exposure"] = exposure
            if offset is not None:
                channel["z_offset"] = offset
            found.append(channel)
        return found

    def _fill_in(self, value: Any) -> bool:
        known = {"config", "group", "exposure", "z_offset"}
        if any(set(each.model_dump(exclude_defaults=True)) - known for each in value):
            return False
        rows = [[f"{each.group}: {each.config}", each.exposure, each.z_offset] for each in value]
        self.table.set_value(rows)
        # A channel that this microscope does not have is not on offer.
        return [row[0] for row in self.table.value()] == [row[0] for row in rows]


class Places(Part):
    """The saved positions, each to be ticked."""

    def __init__(self) -> None:
        self._list = QListWidget()
        self._list.setObjectName("mda:positions")
        self._list.setAccessibleName("Positions to go to")
        super().__init__("Positions", self._list)
        self._list.itemChanged.connect(self.changed)

    def offer(self, positions: Mapping[str, Mapping[str, float]]) -> None:
        """Offer the positions that are saved: numbers of x, y and z by name."""
        before = self._items()
        ticked = {name: place for name, (place, on) in before.items() if on}
        with QSignalBlocker(self._list):
            self._list.clear()
            for name, place in {**ticked, **positions}.items():
                self._add(name, place, name in ticked)
        self.changed.emit()

    def _items(self) -> dict[str, tuple[dict[str, float], bool]]:
        items = [self._list.item(row) for row in range(self._list.count())]
        return {
            item.text(): (dict(item.data(_PLACE)), item.checkState() == Qt.CheckState.Checked)
            for item in items
        }

    def _add(self, name: str, place: Mapping[str, float], on: bool) -> None:
        item = QListWidgetItem(name)
        item.setData(_PLACE, dict(place))
        item.setToolTip(place_text(place))
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self._list.addItem(item)

    def _filled_in(self) -> list[dict[str, Any]]:
        return [{"name": name, **place} for name, (place, on) in self._items().items() if on]

    def _fill_in(self, value: Any) -> bool:
        places = {}
        for number, each in enumerate(value):
            given = each.model_dump(exclude_defaults=True)
            name = str(given.pop("name", None) or f"{number + 1} of the file")
            if set(given) - {"x", "y", "z"} or name in places:
                return False
            places[name] = given
        others = {name: place for name, (place, _) in self._items().items() if name not in places}
        with QSignalBlocker(self._list):
            self._list.clear()
            for name, place in {**places, **others}.items():
                self._add(name, place, name in places)
        return True


def _column(name: str, field: FieldType, choices: list[str] | None = None) -> ParamDescription:
    return ParamDescription(
        name, ParamKind.POSITIONAL_ONLY, Any, field=field, choices=choices, optional=False
    )
