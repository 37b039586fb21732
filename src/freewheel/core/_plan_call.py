"""A plan that has not been made yet: its function, and what to call it with."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from bluesky.utils import Msg, single_gen

from ._devices import device_name, is_device

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PlanCall"]

#: So many items of a collection are shown in a line, and so many characters of a value, of a line.
_ITEMS: Final = 6
_VALUE: Final = 60
_LINE: Final = 200


@dataclass(frozen=True, repr=False)
class PlanCall:
    """A plan that has not been made yet.

    A generator runs once; this can be made into a plan as often as it is asked for. It can be
    looked at, shown and changed (with `dataclasses.replace`) before it runs, and copied and
    pickled where its function and arguments can be. ``RE()`` and the background take it like a
    plan, and make a new one each time.

    Parameters
    ----------
    function : callable
        A plan function: a generator function, or a function that returns a plan.
    args : sequence
        Its positional arguments.
    kwargs : mapping
        Its keyword arguments.

    Raises
    ------
    TypeError
        If ``function`` is no plan function, or cannot be called with these arguments.

    Examples
    --------
    >>> from bluesky.plans import count
    >>> call = PlanCall(count, ([],), {"num": 3})
    >>> call
    count([], num=3)
    >>> call.make() is call.make()
    False
    """

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_function(self.function)
        # Copies that nobody else can change: what is shown is what will run.
        object.__setattr__(self, "args", tuple(self.args))
        object.__setattr__(self, "kwargs", MappingProxyType(dict(self.kwargs)))
        _check_arguments(self.function, self.args, self.kwargs)

    @property
    def name(self) -> str:
        """The plan's name."""
        return _name_of(self.function)

    @property
    def arguments(self) -> str:
        """What it is called with, as a person would write it, shortened to fit a line."""
        shown = [_short(each) for each in self.args]
        shown += [f"{name}={_short(each)}" for name, each in self.kwargs.items()]
        return _cut(", ".join(shown), _LINE)

    def make(self) -> Iterable[Msg]:
        """Make the plan: call the function.

        Returns
        -------
        iterable of Msg
            The generator that the function returned, or another plan; a new one each time.

        Raises
        ------
        TypeError
            If the function returns no plan. What the function itself raises comes through.
        """
        made = self.function(*self.args, **self.kwargs)
        if inspect.iscoroutine(made):
            made.close()  # or else Python warns, later and elsewhere, that nobody awaited it
        elif isinstance(made, Msg):
            return cast("Iterable[Msg]", single_gen(made))
        elif isinstance(made, Iterable) and not isinstance(made, (str, bytes, Mapping)):
            return made
        raise TypeError(
            f"{self!r} is no plan: {self.name!r} returned {made!r} instead of a generator or a "
            "list of messages."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.function, self.args, dict(self.kwargs))

    def __repr__(self) -> str:
        shown = [_shown(each) for each in self.args]
        shown += [f"{name}={_shown(each)}" for name, each in self.kwargs.items()]
        return f"{self.name}({', '.join(shown)})"


def _check_function(function: Any) -> None:
    if isinstance(function, Msg) or (
        isinstance(function, Iterable) and not isinstance(function, type)
    ):
        raise TypeError(
            f"{function!r} is a plan, or a collection, that was made already. Give the plan "
            "function and its arguments apart: PlanCall(count, ([detector],))."
        )
    if not callable(function):
        raise TypeError(
            f"{function!r} is no plan function. Give a function that returns a plan, and its "
            "arguments: PlanCall(count, ([detector],))."
        )
    call = getattr(function, "__call__", None)  # noqa: B004 - of an instance whose class has one
    if any(
        asked(each)
        for each in (function, call)
        for asked in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    ):
        raise TypeError(
            f"{_name_of(function)!r} is a coroutine function, and no plan function: plans are "
            "plain generators, which `yield from` others."
        )
    if isinstance(function, type) and not hasattr(function, "__iter__"):
        raise TypeError(
            f"{function.__name__} is a class whose instances are no plans. Give a plan function."
        )


def _check_arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # a builtin that does not tell
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(
            f"{_name_of(function)}{_bare(signature)} cannot be called like this: {error}"
        ) from None


def _bare(signature: inspect.Signature) -> inspect.Signature:
    """Return a signature without its types, which may be longer than all the rest."""
    nothing = inspect.Signature.empty
    parameters = [each.replace(annotation=nothing) for each in signature.parameters.values()]
    return signature.replace(parameters=parameters, return_annotation=nothing)


def _name_of(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", None) or type(function).__name__)


def _short(value: Any) -> str:
    """Return what `_shown` does, in one line, and no more than a few items of a long collection."""
    if type(value) in (list, tuple) and len(value) > _ITEMS:
        inside = ", ".join(_short(each) for each in value[:_ITEMS])
        return f"[{inside}, …]" if isinstance(value, list) else f"({inside}, …)"
    return _cut(" ".join(_shown(value).split()), _VALUE)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _shown(value: Any) -> str:
    """Return what a person would write: a device by its name, a function by its own."""
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        inside = ", ".join(map(_shown, value))
        if isinstance(value, list):
            return f"[{inside}]"
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if type(value) is dict:
        return f"{{{', '.join(f'{_shown(key)}: {_shown(each)}' for key, each in value.items())}}}"
    if isinstance(value, type) or inspect.isroutine(value):
        return str(value.__name__)
    return device_name(value) if is_device(value) else repr(value)
