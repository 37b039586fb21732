"""The form in which a plan that waits is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QVBoxLayout

from freewheel.forms import create_plan_spec, values_of_call
from freewheel.qt._look._questions import keep_stop_all
from freewheel.qt._look._scrolled import scrolled
from freewheel.qt._look._slots import slot
from freewheel.qt._plans._form import PlanForm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtWidgets import QWidget

    from freewheel.core import PlanFutureView
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["edit_call"]


def edit_call(
    parent: QWidget, bridge: EngineBridge, future: PlanFutureView, devices: Mapping[str, Any]
) -> None:
    """Open a form with the arguments of a plan that waits; OK changes them, if it waits still."""
    call = future.call
    assert call is not None
    try:
        spec = create_plan_spec(call.function, devices)
    except (TypeError, ValueError) as error:
        bridge.requestRefused.emit(f"edit {future.plan_name}", error)
        return
    dialog = QDialog(parent)
    dialog.setObjectName("editCall")
    dialog.setWindowTitle(f"Edit {future.plan_name}")
    form = PlanForm(spec, devices, parent=dialog)
    form.set_values(values_of_call(spec, call, devices))
    scroll = scrolled(form)
    buttons = QDialogButtonBox(
        QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
    )
    ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
    ok.setEnabled(form.is_valid)
    form.validityChanged.connect(ok.setEnabled)
    buttons.accepted.connect(dialog.accept)
    buttons.rejected.connect(dialog.reject)
    layout = QVBoxLayout(dialog)
    layout.addWidget(scroll, 1)
    layout.addWidget(buttons)
    dialog.accepted.connect(slot(lambda: bridge.edit_waiting(future, form.make_call())))
    dialog.finished.connect(dialog.deleteLater)
    keep_stop_all(dialog, parent)
    dialog.resize(420, 480)
    dialog.show()  # not modal: nothing is to be in the way of Stop all
