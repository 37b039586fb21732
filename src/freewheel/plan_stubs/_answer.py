"""Having something done on the engine's loop, for a plan that needs the answer."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from bluesky.utils import Msg

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluesky.utils import MsgGenerator

__all__ = ["answer_of"]

_NOTHING: Final = object()


def answer_of(make: Callable[[], Any], *, looks_at: Any = _NOTHING) -> MsgGenerator[Any]:
    """Call a function on the engine's loop, and await what it returns if need be.

    A pause meanwhile has it done again.

    Parameters
    ----------
    make : callable
        The function.
    looks_at : device, optional
        Says that nothing is moved or changed by it: it only looks at a device. So a preview calls
        it, too.

    Returns
    -------
    object
        The answer; ``None`` when nobody answers, as in ``list(plan)``.

    Raises
    ------
    Exception
        What it raises.
    """
    # The answer is kept here and not taken from the message's: the engine answers a message that
    # a pause interrupted with None, and asks again what it stands for.
    answers: list[Any] = []
    failures: list[Exception] = []

    async def ask() -> None:
        answers.clear()
        failures.clear()
        try:
            answer = make()
            answers.append(await answer if inspect.isawaitable(answer) else answer)
        except Exception as error:
            # `wait_for` would not raise it; the plan does.
            failures.append(error)

    if looks_at is not _NOTHING:
        ask.looks_at = looks_at  # type: ignore[attr-defined]
    yield Msg("wait_for", None, [ask])
    if failures:
        raise failures[0]
    return answers[0] if answers else None
