"""bluesky's stub that takes an event, as a preview iterates it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import bluesky.plan_stubs
from bluesky.utils import Msg, all_safe_rewind, separate_devices

from freewheel.core._triggerable import is_triggerable

from ._fleeting import numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bluesky.protocols import Readable
    from bluesky.utils import MsgGenerator

__all__ = ["QUICK_STUBS"]

_theirs: Final[Callable[..., Any]] = bluesky.plan_stubs.trigger_and_read.__wrapped__


def _trigger_and_read(devices: Sequence[Readable[Any]], name: str = "primary") -> MsgGenerator[Any]:
    """Yield bluesky's messages from one generator, where that has seven, one within the other.

    Most points of most scans are taken with this one; and it takes most of their time.
    """
    several = separate_devices(devices)
    if not devices or not all_safe_rewind(several):
        return (yield from _theirs(devices, name))
    group = None
    for device in several:
        if is_triggerable(device):
            group = group or numbered("trigger")
            yield Msg("trigger", device, group=group)
    if group is not None:
        yield Msg("wait", None, group=group, error_on_timeout=True, timeout=None, watch=())
    yield Msg("create", name=name)
    readings: dict[str, Any] = {}
    try:
        for device in several:
            reading = yield Msg("read", device)
            if reading is not None:
                readings.update(reading)
    except Exception:
        yield Msg("drop")
        raise
    yield Msg("save")
    return readings


#: By the function that bluesky has wrapped: what is iterated in its place.
QUICK_STUBS: Final[Mapping[Callable[..., Any], Callable[..., Any]]] = {_theirs: _trigger_and_read}
