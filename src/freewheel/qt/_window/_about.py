"""What a report of a problem needs to say: versions."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

import qtpy
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

__all__ = ["show_about", "versions"]

_PACKAGES: Final = ("freewheel", "bluesky", "ophyd-async", "ophyd", "pymmcore-plus", "pyqtgraph")


def versions() -> list[str]:
    """Return what is installed of what the window is made of, each with its version."""
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    binding = f"{qtpy.API_NAME} {qtpy.PYSIDE_VERSION or qtpy.PYQT_VERSION}"
    return [*found, binding, f"Python {platform.python_version()}", platform.platform()]


def show_about(window: QWidget) -> None:
    """Show them, to be copied; the window can be used meanwhile."""
    page = QMessageBox(window)
    page.setObjectName("about")
    page.setWindowTitle("About freewheel")
    page.setText("\n".join(versions()))
    page.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse
        | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    page.finished.connect(page.deleteLater)
    page.setModal(False)
    page.show()
