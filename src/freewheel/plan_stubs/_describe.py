"""Asking devices what they would deliver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._answer import answer_of

if TYPE_CHECKING:
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
    answer: dict[str, Descriptor] = (yield from answer_of(obj.describe, looks_at=obj)) or {}
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
    answer: dict[str, Any] = (yield from answer_of(obj.describe_collect, looks_at=obj)) or {}
    return answer
