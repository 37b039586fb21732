"""Actions that a user may trigger while a plan waits, and the mark of continuous plans."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, overload, runtime_checkable

from ._latch import SRLatch

__all__ = ["Action", "ContinousPlan", "ContinuousPlan", "are_actions", "continous", "continuous"]

PlanFunction = TypeVar("PlanFunction", bound=Callable[..., Any])

# Held while an action gets its latch, so that two threads that ask first get the same one.
_making = threading.RLock()


@dataclass(kw_only=True)
class Action:
    """Something that a user may do to a plan while it runs: a named, described latch.

    A plan names its actions as defaults of its parameters, and waits for them with
    `freewheel.plan_stubs.wait_for_actions`. Made to be subclassed, as a dataclass with further
    fields. A copy (`dataclasses.replace`, `copy.copy`, pickling) has a latch of its own.

    Two actions are equal if they are of one class and their fields are.

    Parameters
    ----------
    name : str
        What the action is called, by plans and on its button. Not empty.
    description : str
        A sentence for a tooltip.
    togglable : bool
        Whether the action stays on until it is switched off: setting the latch switches it on,
        resetting it switches it off. Otherwise it is over in a moment, like a snapshot.
    toggle_states : tuple of two str
        How the two states of a togglable action are called, on first.

    Raises
    ------
    TypeError
        For a name, a description or a label that is no string.
    ValueError
        For an empty name, or other than two labels.
    """

    name: str
    description: str = ""
    togglable: bool = False
    toggle_states: tuple[str, str] = ("On", "Off")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # The dataclass decorator makes classes that compare by value unhashable, unless they
        # bring their own: windows keep actions as keys, those of subclasses too.
        if "__hash__" not in vars(cls):
            cls.__hash__ = Action.__hash__  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        """Refuse what no button could be made of."""
        kind = type(self).__name__
        if not isinstance(self.name, str):
            raise TypeError(f"the name of an {kind} must be a string, not {self.name!r}")
        if not self.name.strip():
            raise ValueError(f"the name of an {kind} must not be empty")
        if not isinstance(self.description, str):
            raise TypeError(
                f"the description of {kind} {self.name!r} must be a string, "
                f"not {self.description!r}"
            )
        self.toggle_states = self._checked_states(self.toggle_states)

    def _checked_states(self, states: object) -> tuple[str, str]:
        where = f"toggle_states of {type(self).__name__} {self.name!r}"
        if not isinstance(states, (tuple, list)):
            raise TypeError(f'{where} must be two strings such as ("On", "Off"), not {states!r}')
        if len(states) != 2:
            raise ValueError(
                f"{where} must be two strings, on first; got {len(states)}: {states!r}"
            )
        on, off = states
        if not (isinstance(on, str) and isinstance(off, str)):
            raise TypeError(f"{where} must be two strings, on first; got {states!r}")
        return on, off

    @property
    def latch(self) -> SRLatch:
        """The latch of this action, the same one each time. From any thread."""
        with _making:
            # Made when first asked for, and not in __post_init__, which subclasses replace.
            latch: SRLatch | None = vars(self).get("_latch")
            if latch is None:
                latch = SRLatch()
                latch._action = self  # noqa: SLF001 - this is the one place that says so
                vars(self)["_latch"] = latch
            return latch

    @property
    def event_map(self) -> dict[str, SRLatch]:
        """The latch of this action under its name, as ``wait_for_actions`` takes it.

        A new mapping with the same latch each time. A togglable action has one latch as well:
        set means on, reset means off.
        """
        return {self.name: self.latch}

    def __hash__(self) -> int:
        """Hash by class and name, which equal actions share."""
        return hash((type(self), self.name))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the latch out of copies."""
        return {key: value for key, value in vars(self).items() if key != "_latch"}


def are_actions(default: Any) -> bool:
    """Tell whether the default of a plan's parameter is an action, or several."""
    if isinstance(default, Action):
        return True
    return (
        isinstance(default, Sequence)
        and bool(default)
        and all(isinstance(item, Action) for item in default)
    )


@runtime_checkable
class ContinuousPlan(Protocol):
    """A plan function that `continuous` has marked."""

    __togglable__: bool
    __pausable__: bool

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make the plan."""
        ...


@overload
def continuous(func: PlanFunction, /) -> PlanFunction: ...


@overload
def continuous(
    *, togglable: bool = True, pausable: bool = False
) -> Callable[[PlanFunction], PlanFunction]: ...


def continuous(
    func: PlanFunction | None = None, /, *, togglable: bool = True, pausable: bool = False
) -> PlanFunction | Callable[[PlanFunction], PlanFunction]:
    """Mark a plan function as one that runs until it is stopped.

    The function stays as it is and gains ``__togglable__`` and ``__pausable__``, which forms and
    windows read. With or without arguments: ``@continuous``, ``@continuous(pausable=True)``.

    Parameters
    ----------
    func : callable, optional
        The plan function.
    togglable : bool
        Whether one button starts and stops it.
    pausable : bool
        Whether it may be paused and resumed.

    Returns
    -------
    callable
        The same function; or, without one, the decorator.

    Raises
    ------
    TypeError
        For something that can't be called, such as a plan that was made already.
    """

    def mark(plan: PlanFunction) -> PlanFunction:
        if not callable(plan):
            raise TypeError(
                f"@continuous marks a plan function, not {plan!r}; pass the function itself, "
                "without calling it"
            )
        plan.__togglable__ = togglable  # type: ignore[attr-defined]
        plan.__pausable__ = pausable  # type: ignore[attr-defined]
        return plan

    return mark if func is None else mark(func)


# The spellings of the design's predecessor.
continous = continuous
ContinousPlan = ContinuousPlan
