"""A useq sequence, filled in, read, written and run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QVBoxLayout,
    QWidget,
)

from freewheel.core import MissingExtraError, PlanCall
from freewheel.core._crossings import run_soon
from freewheel.core._whole_file import whole_file
from freewheel.core._wording import count_text
from freewheel.plans import mda
from freewheel.qt._devices._kinds import datatype_of
from freewheel.qt._link._feed import Feed
from freewheel.qt._link._worker import Worker
from freewheel.qt._look._button_row import button_row
from freewheel.qt._look._files import ask_file, ask_where_to_save
from freewheel.qt._look._inputs import ChoiceBox, wheel_needs_focus
from freewheel.qt._look._readback import ShortLabel
from freewheel.qt._look._scrolled import scrolled
from freewheel.qt._mda._count import count, frames_of, problem_of, with_field
from freewheel.qt._mda._parts import Channels, Numbers, Part, Places

if TYPE_CHECKING:
    from useq import MDASequence

    from freewheel.core import PlanFutureView
    from freewheel.qt._link._bridge import EngineBridge
    from freewheel.qt._stage._pad import StagePad

__all__ = ["MDAEditor"]

_ORDERS: Final = ("tpgcz", "tpgzc", "ptgcz", "ptgzc", "tpcgz", "tcpgz", "ctpgz")
_FILES: Final = "Sequences (*.yaml *.yml *.json)"
_NOT_HERE: Final = (
    "There are no devices here for sequences, as freewheel.micromanager.devices makes them: save "
    "it, and run it where they are"
)
_NOTHING: Final = "nothing is ticked yet"
#: So many fields are drawn on the map.
_FIELDS: Final = 2000


class MDAEditor(QWidget):
    """A useq sequence: channels, z, times, a grid and positions, for `freewheel.plans.mda`.

    It reads and writes useq's files, JSON and YAML. What a file has that there are no fields for is
    kept as it is. Positions are those that are saved in the pad of the stage, on whose map the
    fields to be imaged are drawn.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    microscope
        The devices, as `freewheel.micromanager.devices` makes them; without, the sequence can be
        filled in, read and written, and not run.
    pad
        The pad of the stage.
    parent
        The widget's parent.

    Attributes
    ----------
    sequenceChanged : Signal()
        Something was filled in.

    Raises
    ------
    freewheel.MissingExtraError
        Without useq (extra ``micromanager``).
    """

    sequenceChanged = Signal()  # noqa: N815 - Qt's spelling

    def __init__(
        self,
        bridge: EngineBridge,
        microscope: Any = None,
        pad: StagePad | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        try:
            import useq
        except ModuleNotFoundError as error:
            raise MissingExtraError("freewheel.qt.MDAEditor", "micromanager") from error
        self._bridge, self._microscope, self._pad = bridge, microscope, pad
        self._base: MDASequence = useq.MDASequence()  # what has no fields here is from it
        self._field: tuple[float, float] | None = None  # what the camera sees
        self._is_shown = True  # else one is being filled in, part by part
        self._is_recorded = True
        self._feed = Feed(self._field_known)
        self._worker = Worker(self, every=True)
        self.parts: dict[str, Part] = {
            "channels": Channels(_channels_of(microscope)),
            "z_plan": Numbers(
                "Z", {"range": ("Range", "um", 4.0), "step": ("Step", "um", 1.0)}, "ZRangeAround"
            ),
            "time_plan": Numbers(
                "Time",
                {"interval": ("Every", "s", 1.0), "loops": ("Times", "", 3)},
                "TIntervalLoops",
                ["loops"],
            ),
            "grid_plan": Numbers(
                "Grid",
                {
                    "rows": ("Rows", "", 2),
                    "columns": ("Columns", "", 2),
                    "overlap": ("Overlap", "%", 10.0),
                },
                "GridRowsColumns",
                ["rows", "columns"],
            ),
            "stage_positions": Places(),
        }
        self._build()
        if pad is not None:
            pad.positionsChanged.connect(self._offer_positions)
            self._offer_positions()
        if (looks := getattr(_devices_of(microscope), "field_of_view", None)) is not None:
            self._ask_field(looks)
        self._changed()

    # -- parts --------------------------------------------------------------------------------

    def _build(self) -> None:
        inside = QWidget()
        column = QVBoxLayout(inside)
        for part in self.parts.values():
            part.changed.connect(self._changed)
            column.addWidget(part)
        self._order = ChoiceBox(_ORDERS)
        self._order.setAccessibleName("Order of the axes")
        self._order.setToolTip("The first changes least: t time, p position, g grid, c channel, z")
        self._order.currentIndexChanged.connect(self._changed)
        wheel_needs_focus(self._order)
        form = QFormLayout()
        form.addRow("Order", self._order)
        column.addLayout(form)
        column.addStretch(1)
        scroll = scrolled(inside)
        self._says = ShortLabel()
        self._says.setObjectName("mda:says")
        row, buttons = button_row(
            "mda",
            (
                ("open", "Open …", "Read a sequence of useq, JSON or YAML", self._ask_open),
                ("save", "Save …", "Write the sequence, as JSON or YAML", self._ask_save),
                ("run", "Run", "Run the sequence, or queue it", self.run),
            ),
        )
        self._run = buttons["run"]
        layout = QVBoxLayout(self)
        layout.addWidget(scroll, 1)
        layout.addWidget(self._says)
        layout.addLayout(row)

    # -- the sequence -------------------------------------------------------------------------

    @property
    def message(self) -> str:
        """How many frames there will be, or what is wrong."""
        return str(self._says.text())

    def show_recorded(self, recorded: bool) -> None:
        """Say beside the number of frames if they will not be recorded."""
        if recorded != self._is_recorded:
            self._is_recorded = recorded
            self._changed()

    def sequence(self) -> MDASequence:
        """Return the sequence that is filled in.

        Raises
        ------
        ValueError
            If useq takes it for none; with its reason.
        """
        from useq import MDASequence

        given = self._base.model_dump(exclude_unset=True)
        given.pop("uid", None)
        for name, part in self.parts.items():
            value = part.read()
            given.pop(name, None)
            if value is not None:
                given[name] = value
        given["axis_order"] = self._order.value()
        return MDASequence.model_validate(given)

    def set_sequence(self, sequence: MDASequence) -> None:
        """Show a sequence; what there are no fields for is kept as it is."""
        self._base = sequence
        self._is_shown = False
        for name, part in self.parts.items():
            part.show_value(getattr(sequence, name))
        order = "".join(sequence.axis_order)
        if self._order.choice_of(order) is None:
            self._order.add_choice(order)
        self._order.set_value(order)
        self._is_shown = True
        self._changed()

    def load(self, path: str | Path) -> None:
        """Read a file of useq's, JSON or YAML.

        Raises
        ------
        OSError
            If it cannot be read.
        ValueError
            If it is no sequence.
        """
        self.set_sequence(_sequence_in(Path(path)))

    def save(self, path: str | Path) -> None:
        """Write a file for useq: JSON where its name ends so, else YAML.

        Raises
        ------
        OSError
            If it cannot be written.
        ValueError
            If there is no sequence to write.
        """
        path, sequence = Path(path), self.sequence()
        if path.suffix.lower() == ".json":
            text = sequence.model_dump_json(exclude_unset=True, indent=2)
        else:
            text = str(sequence.yaml(exclude_unset=True))
        with whole_file(path) as part:
            part.write_text(text, encoding="utf-8")

    def run(self) -> PlanFutureView | None:
        """Run the sequence, or queue it; `None` if it cannot be."""
        if self._microscope is None:
            self._says.setText(_NOT_HERE)
            return None
        try:
            call = PlanCall(mda, (self.sequence(), self._microscope), {})
        except ValueError as error:
            self._says.setText(_first_line(error))
            return None
        return self._bridge.run(call)

    # -- files --------------------------------------------------------------------------------

    def _ask_open(self) -> None:
        ask_file(self, "Open a sequence", _FILES, self._open)

    def _open(self, path: Path) -> None:
        """Read a file, which takes seconds where there are thousands of positions."""
        self._says.setText(f"{path.name} is being read …")
        self._worker.ask(partial(_sequence_in, path), self._opened)

    def _opened(self, found: MDASequence | None, error: BaseException | None) -> None:
        if found is None:
            self._says.setText("" if error is None else _first_line(error))
        else:
            self.set_sequence(found)

    def _ask_save(self) -> None:
        ask_where_to_save(self, "Save the sequence", "sequence.yaml", _FILES, self._save)

    def _save(self, path: Path) -> None:
        try:
            self.save(path)
        except (OSError, ValueError) as error:
            self._says.setText(_first_line(error))

    # -- showing ------------------------------------------------------------------------------

    def _offer_positions(self) -> None:
        places = self.parts["stage_positions"]
        if self._pad is not None and isinstance(places, Places):
            places.offer(self._pad.xyz_positions)

    def _changed(self, *_: Any) -> None:
        if not self._is_shown:
            return
        try:
            sequence = self.sequence()
            problem = problem_of(sequence, self._field)
        except ValueError as error:
            problem = _first_line(error)
        if problem:
            self._says.setText(problem)
            self._allow_run(problem)
            self._draw([])
        else:
            sizes = count(sequence, self._field)
            text = ", ".join(f"{axis} {size}" for axis, size in sizes.items() if size)
            lost = "" if self._is_recorded else ", not recorded"
            frames = count_text(frames_of(sizes), "frame")
            self._says.setText(f"{frames}: {text}{lost}" if text else _NOTHING)
            self._allow_run(_NOT_HERE if self._microscope is None else "" if text else _NOTHING)
            self._draw(self._fields_of(sequence))
        self.sequenceChanged.emit()

    def _allow_run(self, reason: str) -> None:
        self._run.setEnabled(not reason)
        self._run.setToolTip(reason or "Run the sequence, or queue it")

    def _fields_of(self, sequence: MDASequence) -> list[tuple[float, float, float, float]]:
        """Return what the camera will see: left, bottom, width and height of each field."""
        from useq import MDASequence

        places: Any = sequence.stage_positions
        grid = sequence.grid_plan
        if grid is not None:
            grid = with_field(grid, self._field)
            if count(sequence, self._field).get("g", 0) > _FIELDS:
                return []
            if not places and grid.is_relative and self._pad is not None:
                here = self._pad.xyz  # where it stands, without positions
                places = ({axis: here.get(axis, 0.0) for axis in ("x", "y")},)
        width = (grid.fov_width if grid is not None else None) or (self._field or (0, 0))[0]
        height = (grid.fov_height if grid is not None else None) or (self._field or (0, 0))[1]
        moves = MDASequence(stage_positions=places, grid_plan=grid)
        found: dict[tuple[float, float], None] = {}
        for number, event in enumerate(moves):
            if number >= _FIELDS:
                break
            if event.x_pos is not None and event.y_pos is not None:
                found[event.x_pos, event.y_pos] = None
        return [(x - width / 2, y - height / 2, width, height) for x, y in found]

    def _draw(self, fields: list[tuple[float, float, float, float]]) -> None:
        if self._pad is not None:
            self._pad.map.show_fields(fields)

    def _ask_field(self, looks: Any) -> None:
        """Ask the devices what the camera sees, on the engine's loop."""
        feed = self._feed

        async def ask() -> None:
            try:
                feed.put("field", await looks(None))
            except Exception as error:  # whatever a device raises: it is only not drawn then
                feed.put("unknown", error)

        run_soon(self._bridge.engine.loop, ask())

    def _field_known(self, kind: str, arguments: tuple[Any, ...]) -> None:
        if kind == "field" and arguments[0] is not None:
            self._field = arguments[0]
            self._changed()


def _sequence_in(path: Path) -> MDASequence:
    """Read a file of useq's; from any thread."""
    from useq import MDASequence

    try:
        return MDASequence.from_file(path)
    except (OSError, ValueError):
        raise
    except Exception as error:  # of YAML's reader, say
        msg = f"{path.name} is no sequence of useq: {error}"
        raise ValueError(msg) from error


def _devices_of(microscope: Any) -> Any:
    made = getattr(microscope, "mda_devices", None)
    return made() if callable(made) else microscope


def _channels_of(microscope: Any) -> dict[str, list[str]]:
    """Return the channels of a microscope by their group."""
    groups = getattr(_devices_of(microscope), "channels", {})
    # Any group can be one of channels for useq; that of this name is meant by default.
    first = sorted(groups, key=lambda group: group != "Channel")
    return {
        group: [str(getattr(choice, "value", choice)) for choice in _choices_of(groups[group])]
        for group in first
    }


def _choices_of(device: Any) -> list[Any]:
    kind = datatype_of(device)
    return list(kind) if hasattr(kind, "__members__") else list(getattr(device, "presets", ()))


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:3])
