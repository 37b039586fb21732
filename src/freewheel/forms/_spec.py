"""The description of a plan from which any toolkit can build a form."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any

from freewheel.core import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Bounds", "FieldType", "ParamDescription", "ParamKind", "PlanSpec"]


class ParamKind(IntEnum):
    """How a parameter is passed; the values are those of `inspect.Parameter.kind`."""

    POSITIONAL_ONLY = 0
    POSITIONAL_OR_KEYWORD = 1
    VAR_POSITIONAL = 2
    KEYWORD_ONLY = 3
    VAR_KEYWORD = 4


class FieldType(StrEnum):
    """What kind of input a parameter needs."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    PATH = "path"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    DURATION = "duration"
    QUANTITY = "quantity"
    CHOICE = "choice"
    DEVICE = "device"
    LIST = "list"
    ROWS = "rows"
    ACTIONS = "actions"
    HIDDEN = "hidden"


@dataclass(frozen=True)
class Bounds:
    """The limits of a number, in the parameter's unit; `None` where there is none.

    Attributes
    ----------
    minimum, maximum
        The limits.
    exclusive_minimum, exclusive_maximum
        Whether the limit itself is outside.
    step
        What the number must be a multiple of, and what one click on an arrow adds.
    """

    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    step: float | None = None


@dataclass(frozen=True)
class ParamDescription:
    """One parameter of a plan.

    Attributes
    ----------
    name
        Its name in the signature.
    kind
        How it is passed.
    annotation
        Its annotation, evaluated, without ``Annotated`` and without ``None``.
    default
        Its default, or `inspect.Parameter.empty`.
    field
        What kind of input it needs; of the items if ``multiselect`` or a list.
    choices
        What may be chosen: the values of a `typing.Literal`, the members of an enum, or the names
        of the devices that match; `None` where anything goes.
    multiselect
        Whether several of the ``choices`` may be chosen.
    hidden
        Whether no form can show it: the plan keeps its default.
    actions
        The `freewheel.Action`, or sequence of them, that is its default.
    device_proto
        The device type or protocol that it asks for.
    optional
        Whether it may be `None`.
    container
        For a list or a multiple choice, what the plan gets: `list`, `tuple`, `set` or `frozenset`.
    item
        For a plain list, the description of one item.
    length
        For a tuple of fixed length, how many items it has.
    columns
        For ``*args`` that come in groups, the description of each argument of a group.
    bounds
        Limits of a number.
    unit
        Its unit, as a string; empty where none was given.
    docs
        Its text from the plan's docstring: the tooltip.
    annotated
        The annotation with its metadata, for validation.
    """

    name: str
    kind: ParamKind
    annotation: Any
    default: Any = inspect.Parameter.empty
    field: FieldType = FieldType.HIDDEN
    choices: list[Any] | None = None
    multiselect: bool = False
    hidden: bool = False
    actions: Sequence[Action] | Action | None = None
    device_proto: Any = None
    optional: bool = False
    container: type | None = None
    item: ParamDescription | None = None
    length: int | None = None
    columns: tuple[ParamDescription, ...] = ()
    bounds: Bounds = dataclasses.field(default_factory=Bounds)
    unit: str = ""
    docs: str = ""
    annotated: Any = None

    @property
    def has_default(self) -> bool:
        """Whether the plan can be called without it."""
        return self.default is not inspect.Parameter.empty

    @property
    def required(self) -> bool:
        """Whether a value must be given; ``*args`` and ``**kwargs`` may stay empty."""
        return not self.has_default and self.kind not in (
            ParamKind.VAR_POSITIONAL,
            ParamKind.VAR_KEYWORD,
        )

    @property
    def action_list(self) -> tuple[Action, ...]:
        """Its actions as a tuple, empty where it is no parameter for actions."""
        if self.actions is None:
            return ()
        return (self.actions,) if isinstance(self.actions, Action) else tuple(self.actions)

    @property
    def label(self) -> str:
        """Its name as a person would write it."""
        return self.name.replace("_", " ").strip().capitalize()


@dataclass(frozen=True)
class PlanSpec:
    """A plan's signature and docstring, independent of any toolkit.

    Attributes
    ----------
    name
        The plan's name.
    docs
        Its docstring, dedented.
    parameters
        Its parameters, in the order of the signature.
    togglable, pausable
        As `freewheel.continuous` marked it; `False` for a plan that ends by itself.
    plan
        The plan function itself; `None` in a description that came from elsewhere.
    continuous
        Whether `freewheel.continuous` marked it: it runs until somebody stops it.
    """

    name: str
    docs: str
    parameters: list[ParamDescription]
    togglable: bool = False
    pausable: bool = False
    plan: Callable[..., Any] | None = dataclasses.field(default=None, repr=False, compare=False)
    continuous: bool = False

    def __getitem__(self, name: str) -> ParamDescription:
        """Return the parameter of that name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        names = ", ".join(parameter.name for parameter in self.parameters) or "none"
        msg = f"plan {self.name!r} has no parameter {name!r}; it has: {names}"
        raise KeyError(msg)

    @property
    def summary(self) -> str:
        """The first paragraph of the docs, on one line."""
        return " ".join(self.docs.split("\n\n", 1)[0].split())

    @property
    def actions(self) -> tuple[Action, ...]:
        """Every action that the plan declares, in the order of its parameters."""
        return tuple(a for parameter in self.parameters for a in parameter.action_list)
