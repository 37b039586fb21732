"""The question before a plan is run that may fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QMessageBox

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

__all__ = ["run_anyway"]


def run_anyway(parent: QWidget, doubt: str, run: Callable[[], Any]) -> None:
    """Run a plan at once; or, if there is a doubt, ask first, with "no" for the answer by default.

    Parameters
    ----------
    parent
        What the question is about.
    doubt
        Why the plan may fail; empty if nothing is known against it.
    run
        Runs the plan.
    """
    if not doubt:
        run()
        return
    box = QMessageBox(parent)
    box.setObjectName("anyway")
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle("Run")
    box.setText("This plan may fail.")
    box.setInformativeText(f"{doubt}\n\nThe preview had to guess: it may go well, too.")
    buttons = QMessageBox.StandardButton
    box.setStandardButtons(buttons.Yes | buttons.Cancel)
    box.button(buttons.Yes).setText("Run anyway")
    box.setDefaultButton(buttons.Cancel)
    box.setEscapeButton(buttons.Cancel)

    def answered(answer: int) -> None:
        box.deleteLater()
        if answer == int(buttons.Yes.value):
            run()

    box.finished.connect(answered)
    box.open()  # never exec(): the window stays alive
