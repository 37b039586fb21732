"""Writes what is plotted into files for other programs."""

from __future__ import annotations

import csv
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from freewheel.core._whole_file import whole_file
from freewheel.qt._link._worker import Worker
from freewheel.qt._look._files import ask_where_to_save, write_image
from freewheel.qt._plot._tables import with_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt
    from qtpy.QtWidgets import QWidget

    from freewheel.qt._plot._tables import Run

__all__ = ["PlotExport"]


class PlotExport(QObject):
    """Writes what is plotted into a table or a picture, and asks a person for its name.

    Parameters
    ----------
    plot
        The plot.
    drawn
        Returns the runs that are plotted, with their uids.

    Attributes
    ----------
    said : Signal(str)
        Why nothing was written; empty if it was.
    """

    said = Signal(str)

    def __init__(self, plot: QWidget, drawn: Callable[[], Iterable[tuple[str, Run]]]) -> None:
        super().__init__(plot)
        self._plot = plot
        # Weakly: it would keep its own parent alive in a circle.
        self._drawn = weakref.WeakMethod(drawn)
        self.worker = Worker(self, every=True)

    def save_csv(self, path: str | Path) -> None:
        """Write the runs that are plotted into a table, at once."""
        _write_table(path, *self._table())

    def save_picture(self, path: str | Path) -> None:
        """Write what is plotted into a picture, as it looks on the screen.

        Raises
        ------
        OSError
            When it cannot be written there.
        """
        write_image(self._plot.grab().toImage(), Path(path))

    def ask(self, kind: str) -> None:
        """Ask where to write a ``"csv"`` or a ``"png"``, and write it."""
        title, kinds, save = {
            "csv": ("Save as a table", "CSV (*.csv)", self._save_table),
            "png": ("Save as a picture", "PNG (*.png)", self._save_picture),
        }[kind]
        ask_where_to_save(self._plot, title, f"plot.{kind}", kinds, save)

    def _table(self) -> tuple[list[str], list[tuple[Any, npt.NDArray[Any]]]]:
        """Return what the columns are called, and of each run its name and rows."""
        names: list[str] = []
        parts = []
        drawn = self._drawn()
        for number, (uid, run) in enumerate(drawn() if drawn else (), start=1):
            ys, x = run.keys
            units = run.units()
            slower = [key for key in run.slower if key not in ys]
            first = "time [s]" if x is None else with_unit(x, units)
            names = ["run", first, *(with_unit(key, units) for key in (*slower, *ys))]
            name = run.scan_id if run.scan_id is not None else f"{number} {uid[:8]}"
            columns = [run.points(key) for key in (*slower, *ys)]
            rows = np.stack([columns[0][0], *(each[1] for each in columns)], axis=1)
            parts.append((name, rows))
        return names, parts

    def _save_table(self, path: Path) -> None:
        self.worker.ask(partial(_write_table, path, *self._table()), self._saved)

    def _save_picture(self, path: Path) -> None:
        self.worker.ask(partial(write_image, self._plot.grab().toImage(), path), self._saved)

    def _saved(self, _: None, error: BaseException | None) -> None:
        self.said.emit("" if error is None else f"not saved: {error}")


def _write_table(
    path: str | Path, names: list[str], parts: list[tuple[Any, npt.NDArray[Any]]]
) -> None:
    with (
        whole_file(Path(path)) as part,
        part.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file)
        table.writerow(names)
        for name, rows in parts:
            table.writerows([name, *row] for row in rows.tolist())
