"""Plans of an engine elsewhere, by name, with their signatures."""

from __future__ import annotations

import datetime
import inspect
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from freewheel.core import Action, PlanCall
from freewheel.forms import (
    Bounds,
    FieldType,
    ParamDescription,
    ParamKind,
    PlanEntry,
    PlanSpec,
    resolve_arguments,
)

from ._devices import RemoteDevice
from ._named import Named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    TaskMaker: TypeAlias = Callable[[PlanCall, Mapping[str, Any]], Any]

__all__ = ["RemotePlan", "RemotePlans"]

#: What a form checks a value with, by the kind of the field.
_ANNOTATIONS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        FieldType.INTEGER: int,
        FieldType.NUMBER: float,
        FieldType.TEXT: str,
        FieldType.BOOLEAN: bool,
        FieldType.PATH: Path,
        FieldType.DATE: datetime.date,
        FieldType.TIME: datetime.time,
        FieldType.DATETIME: datetime.datetime,
        FieldType.DURATION: datetime.timedelta,
    }
)
_CONTAINERS: Final[Mapping[str, type]] = MappingProxyType(
    {kind.__name__: kind for kind in (list, tuple, set, frozenset)}
)


class RemotePlan:
    """A plan of an engine elsewhere. Calling it makes a `PlanCall`, which that engine takes.

    Parameters
    ----------
    record : mapping
        What the server says of it.
    source : str
        Where it is from, for lists.
    task : callable
        ``task(call, metadata)``: what runs a call as a background task of an engine here.
    """

    def __init__(self, record: Mapping[str, Any], source: str, task: TaskMaker) -> None:
        self.__name__: str = record["name"]
        self.__doc__ = record["docs"]
        self.__signature__ = _signature(record)
        self.remote_source = source
        self.reason: str = record["reason"]
        self.spec = None if self.reason else _spec(record, self)
        self._task = task

    def __call__(self, *args: Any, **kwargs: Any) -> PlanCall:
        """Return the call of the plan with these arguments, to be given to the engine there."""
        return PlanCall(self, args, kwargs)

    def runner_elsewhere(self, call: PlanCall) -> Callable[[Mapping[str, Any]], Any]:
        """Return what makes the runner of a call as a task of an engine here."""
        return partial(self._task, call)

    def check(self, call: PlanCall, devices: Mapping[str, Any]) -> None:
        """Refuse arguments that the plan does not take; the server looks again.

        Raises
        ------
        freewheel.forms.InvalidArgumentsError
            With every argument that does not fit.
        """
        if self.spec is None:
            return
        bound = self.__signature__.bind(*call.args, **call.kwargs).arguments
        unseen = {p.name for p in self.spec.parameters if p.hidden or p.actions is not None}
        shown = {name: value for name, value in bound.items() if name not in unseen}
        resolve_arguments(self.spec, shown, devices)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.__name__}{self.__signature__} of {self.remote_source}>"
        )


def _signature(record: Mapping[str, Any]) -> inspect.Signature:
    kinds = list(inspect._ParameterKind)  # noqa: SLF001 - the public names are its members
    defaults = {each["name"]: each["default"] for each in record["parameters"]}
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                kinds[kind],
                default=defaults.get(name, ...) if has_default else inspect.Parameter.empty,
            )
            for name, kind, has_default in record["signature"]
        ]
    )


def _spec(record: Mapping[str, Any], plan: RemotePlan) -> PlanSpec:
    continuous, togglable, pausable = record["marks"]
    return PlanSpec(
        record["name"],
        record["docs"],
        [_parameter(each) for each in record["parameters"]],
        togglable,
        pausable,
        plan,
        continuous,
    )


def _parameter(record: Mapping[str, Any]) -> ParamDescription:
    field = FieldType(record["field"])
    annotation = _annotation(record, field)
    actions = tuple(
        Action(name=name, description=docs, togglable=togglable, toggle_states=tuple(states))
        for name, docs, togglable, states in record["actions"]
    )
    item = record["item"]
    return ParamDescription(
        name=record["name"],
        kind=ParamKind(record["kind"]),
        annotation=annotation,
        default=record["default"] if record["has_default"] else inspect.Parameter.empty,
        field=field,
        choices=record["choices"],
        multiselect=record["multiselect"],
        hidden=record["hidden"],
        actions=actions or None,
        device_proto=RemoteDevice if record["device"] else None,
        optional=record["optional"],
        container=_CONTAINERS.get(record["container"]),
        item=None if item is None else _parameter(item),
        length=record["length"],
        columns=tuple(_parameter(each) for each in record.get("columns", ())),
        bounds=Bounds(*record["bounds"]),
        unit=record["unit"],
        docs=record["docs"],
        annotated=annotation,
    )


def _annotation(record: Mapping[str, Any], field: FieldType) -> Any:
    kind = RemoteDevice if record["device"] else _ANNOTATIONS.get(field, Any)
    if record["item"] is not None and not record["device"]:
        kind = list[_ANNOTATIONS.get(FieldType(record["item"]["field"]), Any)]  # type: ignore[misc]
    return kind | None if record["optional"] and kind is not Any else kind


class RemotePlans(Named[RemotePlan]):
    """The plans of an engine elsewhere: ``remote.plans.count([remote.devices.camera], num=3)``."""

    kind = "plan"

    def __init__(self, task: TaskMaker) -> None:
        super().__init__()
        self._task = task

    def learn(self, records: list[Mapping[str, Any]], source: str) -> None:
        """Take what the server offers."""
        self._known = {record["name"]: RemotePlan(record, source, self._task) for record in records}

    def entries(self) -> list[PlanEntry]:
        """Return them as forms and windows take plans."""
        return [
            PlanEntry(name, plan.remote_source, plan.spec, plan.reason)
            for name, plan in self._known.items()
        ]
