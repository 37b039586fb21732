"""A form for a plan's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QWidget

from freewheel.core import PlanCall
from freewheel.forms import (
    InvalidArgumentsError,
    check_value,
    collect_arguments,
    repeated_devices,
    resolve_arguments,
    suggest_devices,
)
from freewheel.qt._plans._action_bar import ActionButton
from freewheel.qt._plans._fields import Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from freewheel.forms import ParamDescription, PlanSpec
    from freewheel.qt._link._bridge import EngineBridge

__all__ = ["PlanForm"]


class PlanForm(QWidget):
    """A form made from a plan's description.

    A value that does not fit is marked where it was typed, with the reason below it; one that is
    missing when the keyboard has left its field, or the plan was to be made. A device is
    filled in only where it can be no other; a motor that is chosen for two parameters is marked.

    Parameters
    ----------
    spec
        The plan's description.
    devices
        The devices by name, which `arguments` gives the plan. Without, it gives their names.
    bridge
        If given, the plan's action buttons trigger its actions while it waits for them.
    parent
        The widget's parent.

    Attributes
    ----------
    valuesChanged : Signal()
        A value was changed.
    validityChanged : Signal(bool)
        All values fit now, or no longer do.
    """

    valuesChanged = Signal()  # noqa: N815 - Qt's spelling
    validityChanged = Signal(bool)  # noqa: N815

    def __init__(
        self,
        spec: PlanSpec,
        devices: Mapping[str, Any] | None = None,
        bridge: EngineBridge | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._spec = spec
        self._devices = devices
        self._fields: dict[str, Field] = {}
        self._valid = True
        layout = QFormLayout(self)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        if spec.summary:
            about = QLabel(spec.summary)
            about.setWordWrap(True)
            layout.addRow(about)
        for parameter in spec.parameters:
            if not parameter.hidden and parameter.actions is None:
                self._add_field(layout, parameter)
        self.set_values(suggest_devices(spec, devices))
        if spec.actions:
            row = QHBoxLayout()
            for action in spec.actions:
                row.addWidget(ActionButton(action, bridge))
            row.addStretch(1)
            layout.addRow("Actions", row)
        self._check()

    def _add_field(self, layout: QFormLayout, parameter: ParamDescription) -> None:
        field = Field(parameter)
        label = QLabel(parameter.label)
        label.setToolTip(parameter.docs)
        layout.addRow(label, field)
        self._fields[parameter.name] = field
        field.changed.connect(self._changed)
        field.left.connect(self._check)

    @property
    def spec(self) -> PlanSpec:
        """The plan's description."""
        return self._spec

    @property
    def fields(self) -> Mapping[str, Field]:
        """The inputs, by parameter name."""
        return self._fields

    def values(self) -> dict[str, Any]:
        """Return what is in the fields, by parameter name, right or wrong."""
        return {
            name: value
            for name, field in self._fields.items()
            if (value := field.value()) is not None or field.parameter.optional
        }

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Fill in some of the fields.

        Raises
        ------
        KeyError
            For a name that has no field.
        """
        for name, value in values.items():
            if name not in self._fields:
                msg = f"the form of {self._spec.name!r} has no field {name!r}"
                raise KeyError(msg)
            self._fields[name].set_value(value)

    def problems(self) -> dict[str, str]:
        """Return what is wrong, by parameter name; empty if all values fit."""
        problems = {}
        for name, field in self._fields.items():
            value = field.value()
            if value is None and not field.parameter.optional:
                problem = "is required" if field.parameter.required else "needs a value"
            else:
                problem = check_value(field.parameter, value, self._devices)
            if problem:
                problems[name] = problem
        return {**repeated_devices(self._spec, self.values(), self._devices), **problems}

    @property
    def obstacles(self) -> str:
        """What keeps the plan from being made, a line for each field; empty if nothing does."""
        fields = self._fields
        return "\n".join(
            f"{fields[name].parameter.label} {problem}"
            if problem.startswith(("is ", "needs ", "must "))
            else f"{fields[name].parameter.label}: {problem}"
            for name, problem in self.problems().items()
        )

    @property
    def is_valid(self) -> bool:
        """Whether the plan can be made of what is in the fields."""
        return self._valid

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments for the plan.

        Raises
        ------
        InvalidArgumentsError
            If a value does not fit; the field is marked too.
        """
        problems = self.problems()
        if problems:
            for field in self._fields.values():
                field.was_left = True
            self._check()
            raise InvalidArgumentsError(self._spec.name, problems)
        values = self.values()
        if self._devices is None:
            return collect_arguments(self._spec, values)
        return collect_arguments(self._spec, resolve_arguments(self._spec, values, self._devices))

    def make_call(self) -> PlanCall:
        """Return the plan function with the arguments, to be run.

        In the queue it shows its arguments, and can be edited and put back.

        Raises
        ------
        InvalidArgumentsError
            If a value does not fit.
        TypeError
            If the description has no plan function.
        """
        if self._spec.plan is None:
            msg = f"the description of {self._spec.name!r} came without its plan function"
            raise TypeError(msg)
        args, kwargs = self.arguments()
        return PlanCall(self._spec.plan, args, kwargs)

    def make_plan(self) -> Any:
        """Call the plan function with the arguments; otherwise as `make_call`.

        Returns
        -------
        generator
            The plan, to be run.
        """
        return self.make_call().make()

    def _changed(self) -> None:
        self._check()
        self.valuesChanged.emit()

    def _check(self) -> None:
        problems = self.problems()
        for name, field in self._fields.items():
            due = field.was_left or not field.is_empty
            field.mark(problems.get(name, "") if due else "")
        valid = not problems
        if valid != self._valid:
            self._valid = valid
            self.validityChanged.emit(valid)
