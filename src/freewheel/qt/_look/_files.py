"""Asking for a file or a folder, while the window can be used; writing files whole."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qtpy.QtWidgets import QWidget

__all__ = ["ask_file", "ask_folder", "ask_where_to_save", "written_whole"]


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Write a file beside another, which it replaces when it is whole.

    What stood there before is not lost to a disk that is full, and no half of a file is left.

    Parameters
    ----------
    path
        The file.

    Yields
    ------
    Path
        What is to be written, of the same suffix.
    """
    beside = path.with_name(f".part-{path.name}")
    try:
        yield beside
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def ask_where_to_save(
    parent: QWidget, title: str, name: str, kinds: str, act: Callable[[Path], object]
) -> QFileDialog:
    """Ask for a file that is to be written.

    Parameters
    ----------
    parent
        What it is about.
    title
        What is asked.
    name
        The file's name, if nobody changes it.
    kinds
        Such as ``"CSV (*.csv)"``.
    act
        Called with the path.
    """
    dialog = QFileDialog(parent, title, name, kinds)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix(Path(name).suffix)
    dialog.selectFile(name)
    return _shown(dialog, act)


def ask_file(parent: QWidget, title: str, kinds: str, act: Callable[[Path], object]) -> QFileDialog:
    """Ask for a file that is to be read."""
    dialog = QFileDialog(parent, title, "", kinds)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    return _shown(dialog, act)


def ask_folder(
    parent: QWidget, title: str, begin: Path, act: Callable[[Path], object]
) -> QFileDialog:
    """Ask for a folder."""
    dialog = QFileDialog(parent, title, str(begin))
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    return _shown(dialog, act)


def _shown(dialog: QFileDialog, act: Callable[[Path], object]) -> QFileDialog:
    dialog.fileSelected.connect(lambda path: act(Path(path)))
    dialog.finished.connect(lambda _: dialog.deleteLater())
    dialog.setModal(False)  # not even a question is to be in the way of Stop all
    dialog.show()
    return dialog
