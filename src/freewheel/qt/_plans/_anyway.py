"""The question before a plan is run that may fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freewheel.qt._look._questions import ask

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
    details = f"{doubt}\n\nThe preview had to guess: it may go well, too."
    ask(parent, "anyway", "This plan may fail.", details, "Run anyway", run)
