"""Asking for a file or a folder, while the window can be used; writing pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QBuffer
from qtpy.QtGui import QImageWriter
from qtpy.QtWidgets import QFileDialog

from freewheel.core._whole_file import whole_file
from freewheel.qt._look._questions import keep_stop_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QImage
    from qtpy.QtWidgets import QWidget

__all__ = ["ask_file", "ask_folder", "ask_where_to_save", "write_image"]


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
    return _shown(parent, dialog, act)


def ask_file(parent: QWidget, title: str, kinds: str, act: Callable[[Path], object]) -> QFileDialog:
    """Ask for a file that is to be read."""
    dialog = QFileDialog(parent, title, "", kinds)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    return _shown(parent, dialog, act)


def ask_folder(
    parent: QWidget, title: str, begin: Path, act: Callable[[Path], object]
) -> QFileDialog:
    """Ask for a folder."""
    dialog = QFileDialog(parent, title, str(begin))
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    return _shown(parent, dialog, act)


def write_image(image: QImage, path: Path) -> None:
    """Write an image into a file, in the format of its name; from any thread.

    Raises
    ------
    OSError
        When it cannot be written there.
    """
    encoded = QBuffer()  # Qt's own error of a full disk is "Unknown error"
    with whole_file(path) as part:
        writer = QImageWriter(encoded, path.suffix[1:].encode() or b"png")
        if not writer.write(image):
            raise OSError(writer.errorString())
        part.write_bytes(encoded.data().data())


def _shown(parent: QWidget, dialog: QFileDialog, act: Callable[[Path], object]) -> QFileDialog:
    dialog.fileSelected.connect(lambda path: act(Path(path)))
    dialog.finished.connect(dialog.deleteLater)
    keep_stop_all(dialog, parent)
    dialog.setModal(False)  # not even a question is to be in the way of Stop all
    dialog.show()
    return dialog
