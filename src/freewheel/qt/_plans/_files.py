"""Tells of changes in the files that plans come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from qtpy.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from freewheel.forms import PlanEntry

__all__ = ["PlanFiles"]

#: After the last change of a file: whoever saves it may do so in several steps [ms].
_QUIET: Final = 300


class PlanFiles(QObject):
    """Tells of changes in the files that plans come from, and of new ones beside them.

    Attributes
    ----------
    changed : Signal(str)
        The names of the files that have changed, come or gone.
    """

    changed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._known: dict[Path, tuple[int, int]] = {}
        self._folders: set[Path] = set()
        self._watcher = QFileSystemWatcher(self)
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(_QUIET)
        self._quiet.timeout.connect(self._look)
        for told in (self._watcher.fileChanged, self._watcher.directoryChanged):
            told.connect(self._touched)

    def watch(self, entries: Iterable[PlanEntry]) -> None:
        """Watch the files of these plans, and their folders, besides those watched before.

        A file that is gone, or has no plan just now, may have one when it is saved next.
        """
        files = {path for entry in entries if (path := Path(entry.source)).is_file()}
        self._folders |= {file.parent for file in files}
        self._known = self._state()
        # A file that is replaced by another one, as editors do, has to be watched anew.
        watched = {*self._watcher.files(), *self._watcher.directories()}
        wanted = {str(path) for path in (*self._known, *self._folders)}
        if new := wanted - watched:
            self._watcher.addPaths(sorted(new))

    def _touched(self, _: str) -> None:
        self._quiet.start()

    def _state(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for folder in self._folders:
            for file in folder.glob("*.py"):
                try:
                    about = file.stat()
                except OSError:  # gone meanwhile
                    continue
                found[file] = about.st_mtime_ns, about.st_size
        return found

    def _look(self) -> None:
        now = self._state()
        both = {*now, *self._known}
        different = sorted(f.name for f in both if now.get(f) != self._known.get(f))
        self._known = now
        if different:
            self.changed.emit(", ".join(different))
