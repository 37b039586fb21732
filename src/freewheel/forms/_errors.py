"""What goes wrong between a plan's signature and a form."""

from __future__ import annotations

from inspect import Parameter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["InvalidArgumentsError", "UnresolvableAnnotationError"]


class UnresolvableAnnotationError(TypeError):
    """No form can offer a required parameter of a plan.

    Parameters
    ----------
    plan_name
        The plan.
    param_name
        The parameter.
    annotation
        Its annotation, as far as it could be evaluated.
    reason
        What is wrong with it, and what would help.

    Attributes
    ----------
    plan_name, param_name, annotation, reason
        As given.
    """

    def __init__(self, plan_name: str, param_name: str, annotation: Any, reason: str = "") -> None:
        self.plan_name = plan_name
        self.param_name = param_name
        self.annotation = annotation
        self.reason = reason or (
            "give it a default, or one of the types that a form can show: a device type or "
            "protocol, Literal, Enum, int, float, str, bool, Path, a date, a quantity, or a "
            "sequence of one of these; of a plan that is not yours, write one around it that has "
            "such parameters"
        )
        super().__init__(
            f"plan {plan_name!r}: the parameter {param_name!r} {_shortcoming(annotation)}; "
            f"{self.reason}"
        )


class InvalidArgumentsError(ValueError):
    """Some values do not fit the parameters that they were given for.

    Parameters
    ----------
    plan_name
        The plan.
    problems
        By parameter name, what is wrong with its value.

    Attributes
    ----------
    plan_name, problems
        As given; a form marks its fields by ``problems``.
    """

    def __init__(self, plan_name: str, problems: Mapping[str, str]) -> None:
        self.plan_name = plan_name
        self.problems = dict(problems)
        listed = "; ".join(f"{name}: {problem}" for name, problem in self.problems.items())
        super().__init__(f"plan {plan_name!r} cannot take these arguments: {listed}")


def _shortcoming(annotation: Any) -> str:
    if annotation is Parameter.empty:
        return "has no annotation, so that no form can show it"
    return f"is annotated with {describe_annotation(annotation)}, which no form can show"


def describe_annotation(annotation: Any) -> str:
    """Return an annotation as its author would write it, for messages."""
    if isinstance(annotation, str):
        return repr(annotation)
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation.__qualname__
    return repr(annotation).replace("typing.", "").replace("collections.abc.", "")
