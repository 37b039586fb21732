"""What queueserver tells clients of plans that offer actions."""

from __future__ import annotations

import functools
import inspect
import sys
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final

from freewheel.core._actions import are_actions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["describe_without_actions"]

_MODULE: Final = "bluesky_queueserver.manager.profile_ops"
_NAME: Final = "_process_plan"


def describe_without_actions() -> None:
    """Have the queueserver of this process leave actions out where it describes plans.

    It writes defaults down as literals, and opens no environment with a plan that has a default
    which is none, such as the ``snap`` of `freewheel.plans.live_view`. Clients give no actions:
    they trigger them. Without a queueserver in this process there is nothing to do.
    """
    module = sys.modules.get(_MODULE)
    describe = getattr(module, _NAME, None)
    if describe is not None and not hasattr(describe, "__wrapped__"):
        setattr(module, _NAME, _leaving_out(describe))


def _leaving_out(describe: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(describe)
    def described(plan: Any, *args: Any, **kwargs: Any) -> Any:
        return describe(_without_actions(plan), *args, **kwargs)

    return described


def _without_actions(plan: Any) -> Any:
    """Return a plan function to describe in the place of one that has actions for defaults."""
    signature = inspect.signature(plan)
    parameters = signature.parameters.values()
    if not any(are_actions(each.default) for each in parameters):
        return plan

    @functools.wraps(plan)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        return (yield from plan(*args, **kwargs))

    shown = signature.replace(parameters=list(_shown(parameters)))
    stand_in.__signature__ = shown  # type: ignore[attr-defined]
    return stand_in


def _shown(parameters: Iterable[Parameter]) -> Iterator[Parameter]:
    """Yield all but the actions; what comes behind one that has a place is given by name."""
    has_place = True
    for each in parameters:
        if are_actions(each.default):
            has_place = has_place and each.kind is Parameter.KEYWORD_ONLY
        elif has_place or each.kind in (Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD):
            yield each
        elif each.kind is Parameter.POSITIONAL_OR_KEYWORD:
            yield each.replace(kind=Parameter.KEYWORD_ONLY)
