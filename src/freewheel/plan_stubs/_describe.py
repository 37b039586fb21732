"""Asking devices what they would deliver."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from bluesky.utils import Msg

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluesky.protocols import Collectable, Descriptor, Readable
    from bluesky.utils import MsgGenerator

__all__ = ["describe", "describe_collect"]


def describe(obj: Readable[Any]) -> MsgGenerator[dict[str, Descriptor]]:
    """Return what a device says about its readings.

    Parameters
    ----------
    obj : Readable
        The device; its ``describe`` is awaited where it is a coroutine.

    Yields
    ------
    Msg
        ``wait_for``

    Returns
    -------
    dict of str to Descriptor
        What ``describe`` returned. Empty when nobody answers, as in ``list(plan)``.
    """
    answer: dict[str, Descriptor] = yield from _answer_of(obj.describe)
    return answer


def describe_collect(
    obj: Collectable,
) -> MsgGenerator[dict[str, Descriptor] | dict[str, dict[str, Descriptor]]]:
    """Return what a device says about what it collects.

    Parameters
    ----------
    obj : Collectable
        The device; its ``describe_collect`` is awaited where it is a coroutine.

    Yields
    ------
    Msg
        ``wait_for``

    Returns
    -------
    dict
        What ``describe_collect`` returned: descriptors by key, or by stream and key. Empty when
        nobody answers, as in ``list(plan)``.
    """
    answer: dict[str, Any] = yield from _answer_of(obj.describe_collect)
    return answer


def _answer_of(method: Callable[[], Any]) -> MsgGenerator[Any]:
    """Call a method on the engine's loop, and await what it returns if need be."""
    # The answer is kept here and not taken from the message's: the engine answers a message that
    # a pause interrupted with None, and asks again what it stands for.
    answers: list[Any] = []
    failures: list[Exception] = []

    async def ask() -> None:
        answers.clear()
        failures.clear()
        try:
            answer = method()
            answers.append(await answer if inspect.isawaitable(answer) else answer)
        except Exception as error:
            # `wait_for` would not raise it; the plan does.
            failures.append(error)

    yield Msg("wait_for", None, [ask])
    if failures:
        raise failures[0]
    return answers[0] if answers else {}
