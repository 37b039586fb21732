"""Writes the run that is chosen into files for other programs: tables, pictures."""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QMenu

from freewheel.core._wording import count_text
from freewheel.qt._look._files import ask_where_to_save, write_image
from freewheel.qt._look._questions import ask
from freewheel.qt._runs._files import (
    Columns,
    TakenError,
    columns_of,
    why_no_tiff,
    write_tables,
    write_tiff,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from qtpy.QtGui import QImage
    from qtpy.QtWidgets import QWidget

    from freewheel.qt._image._live_image import LiveImage
    from freewheel.qt._link._worker import Worker
    from freewheel.qt._runs._book import KnownRun

__all__ = ["RunExport"]

_Write: TypeAlias = "Callable[..., list[Path]]"


class RunExport(QObject):
    """Writes the run that is chosen into files, and asks a person for their names.

    Parameters
    ----------
    parent
        The widget that it is about.
    chosen
        Returns the run that is chosen, if one is.
    image
        Where pictures are shown: it knows the size of their pixels.
    worker
        What reads and writes, on another thread.

    Attributes
    ----------
    said : Signal(str)
        What was written, or why nothing was.
    """

    said = Signal(str)

    def __init__(
        self,
        parent: QWidget,
        chosen: Callable[[], KnownRun | None],
        image: LiveImage,
        worker: Worker,
    ) -> None:
        super().__init__(parent)
        # Weakly: it would keep its own parent alive in a circle.
        self._run = weakref.WeakMethod(chosen)
        self._image, self._worker = image, worker
        self._replacing: _Write | None = None  # what is written if somebody says that it may be

    def _chosen(self) -> KnownRun | None:
        chosen = self._run()
        return None if chosen is None else chosen()

    def make_menu(self) -> QMenu:
        """Return a menu with all that can be written."""
        menu = QMenu(self.parent())
        menu.addAction("Tables (CSV) …", self._ask_csv)
        self.tiff = menu.addAction("Pictures (OME-TIFF) …", self._ask_tiff)
        if why := why_no_tiff():
            self.tiff.setEnabled(False)
            self.tiff.setText(f"Pictures (OME-TIFF) … ({why})")
        menu.addAction("Picture that is shown (PNG) …", self._ask_png)
        return menu

    def save_csv(self, path: Path) -> None:
        """Write its scalars, each further stream beside the first."""
        if (run := self._chosen()) is not None:
            # A run that goes on grows on this thread while it is written on another one.
            now = None if run.scalars is None else columns_of(run.scalars)
            write = partial(_write_tables, path, run, now)
            self._worker.ask(partial(_try_to, write), self._tables_tried)

    def _tables_tried(
        self, found: tuple[_Write, list[Path] | TakenError] | None, error: Any
    ) -> None:
        write, files = found or (None, None)
        if not isinstance(files, TakenError):
            self._written(files, error)
            return
        # Nobody has named these: the question of the file's dialog was about the first alone.
        self._replacing = write
        text = f"Replace {count_text(len(files.files), 'more file')}?"
        details = "\n".join(f"{file} is there already." for file in files.files)
        ask(self.parent(), "replace", text, details, "Replace", self._replace, otherwise=self._keep)

    def _replace(self) -> None:
        write, self._replacing = self._replacing, None
        if write is not None:
            self._worker.ask(partial(write, replace=True), self._written)

    def _keep(self) -> None:
        self.said.emit("not saved: the files that are there are as they were")

    def save_tiff(self, path: Path, key: str | None = None) -> None:
        """Write its pictures into an OME-TIFF, with the pixels' size."""
        if (run := self._chosen()) is not None:
            work = partial(_write_tiff, path, run, key, self._image.pixel_size)
            self._worker.ask(work, self._written)

    def save_png(self, path: Path) -> None:
        """Write the picture that is shown, as it looks on the screen."""
        try:
            picture = self._image.whole_picture()
        except ValueError as error:
            self._written(None, error)
        else:
            self._worker.ask(partial(_write_png, path, picture), self._written)

    def _written(self, found: Sequence[Path] | None, error: Any) -> None:
        if found is None:
            self.said.emit(f"not saved: {error}")
        else:
            self.said.emit(f"saved: {', '.join(map(str, found))}")

    def _ask(self, kinds: str, suffix: str, save: Callable[[Path], object]) -> None:
        run = self._chosen()
        if run is not None:
            name = f"{run.start.get('plan_name', 'run')}-{run.uid[:8]}.{suffix}"
            ask_where_to_save(self.parent(), "Save", name, kinds, save)

    def _ask_csv(self) -> None:
        self._ask("CSV (*.csv)", "csv", self.save_csv)

    def _ask_tiff(self) -> None:
        self._ask("OME-TIFF (*.ome.tif)", "ome.tif", self.save_tiff)

    def _ask_png(self) -> None:
        self._ask("PNG (*.png)", "png", self.save_png)


def _try_to(write: _Write) -> tuple[_Write, list[Path] | TakenError]:
    """Write, and return what wrote, too: it may have to once more, when somebody was asked."""
    try:
        return write, write(replace=False)
    except TakenError as taken:
        return write, taken


def _write_tables(
    path: Path, run: KnownRun, now: list[Columns] | None, *, replace: bool
) -> list[Path]:
    """Write what the window has of a run, or its recording, whichever has more events.

    A window that is behind knows less of a run than its recording, whose last events may be on
    their way in turn.
    """
    if not run.place and now is not None:
        return write_tables(path, now, replace=replace)
    try:
        recorded = columns_of(run.read_recorded_scalars())
    except Exception:  # the disk or the server is away
        if not now:
            raise
        recorded = []
    return write_tables(path, max((recorded, now or []), key=_count), replace=replace)


def _count(tables: Sequence[Columns]) -> int:
    return sum(len(table.rows) for table in tables)


def _write_png(path: Path, picture: Callable[[], QImage]) -> list[Path]:
    write_image(picture(), path)
    return [path]


def _write_tiff(
    path: Path, run: KnownRun, key: str | None, pixel_size: tuple[float, str] | None
) -> list[Path]:
    write_tiff(path, run.read_frames_of(key), pixel_size)
    return [path]
