"""The stack of a plan: the generators that a plan is made of at a moment, and their answers."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, final

from bluesky.utils import Plan, ensure_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["PlanStack", "close_plan", "forget_plan", "start_of"]


@final
class PlanStack:
    """What a plan's next message comes from. All of it on the engine's loop.

    Each generator has the answer to its latest message beside it. The topmost one runs; what it
    does not handle is thrown into the one below it.

    Attributes
    ----------
    plans, answers : list
        Of the same length, but while a message is under way: then the topmost has no answer yet.
    value : object
        What the plan as a whole has returned.
    last_value : object
        What the generator that ended last has returned.
    """

    __slots__ = ("answers", "last_value", "plans", "value")

    def __init__(self, nothing: Any) -> None:
        # Lists, for most plans have one generator and an empty deque has 0.7 kB.
        self.plans: list[Any] = []
        self.answers: list[Any] = []
        self.value = nothing
        self.last_value: Any = None

    def push(self, plan: Any) -> None:
        """Have ``plan`` run before what is there."""
        self.plans.append(plan)
        self.answers.append(None)

    def put_below(self, tail: Generator[Any, Any, Any]) -> None:
        """Have ``tail`` run when the plan has completed; during a message.

        It costs a plan nothing until then, unlike a generator around it. If the plan raises, the
        exception is thrown into the tail where it first yields.
        """
        next(tail)
        self.plans.insert(0, tail)
        self.answers.insert(0, None)

    def ended(self, value: Any) -> bool:
        """Take off the topmost plan, which has returned; tell whether that was the last."""
        self.plans.pop()
        self.last_value = value
        if self.plans:
            return False
        self.value = value
        return True

    def close(self, log: Any) -> None:
        """Close what is left, the first one first."""
        for plan in self.plans:
            close_plan(plan, log)


def close_plan(plan: Any, log: Any) -> None:
    """Close a plan that is not to go on; what it raises is logged."""
    try:
        plan.close()
    except RuntimeError:
        # On the standard output and in these words: bluesky's tests ask for both.
        sys.stdout.write(
            f"The plan {plan!r} tried to yield a value on close.  Please fix your plan.\n"
        )
    except BaseException as error:
        log.warning("The plan %r raised %r when it was closed.", plan, error)


def forget_plan(plan: Any) -> None:
    """Have bluesky not say that a plan was "never iterated": it was ended before it could be.

    What is around it was closed, which leaves alone what is inside of it and has not begun.
    """
    if isinstance(plan, Plan):
        with suppress(Exception):  # what it raises as it is closed was told of
            plan.close()


def start_of(plan: Any, preprocessors: Sequence[Callable[[Any], Any]]) -> Any:
    """Return ``plan`` as a generator, with the preprocessors applied in their order."""
    generator = ensure_generator(plan)
    for preprocessor in preprocessors:
        generator = preprocessor(generator)
    return generator


def no_message(thing: Any, plan_name: str) -> TypeError:
    """Return the error for a plan that yields what is no message."""
    return TypeError(
        f"The plan {plan_name!r} yielded {thing!r}, which is no Msg. Write `yield from` before a "
        "plan or a plan stub."
    )
