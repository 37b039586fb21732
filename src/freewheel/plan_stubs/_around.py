"""What plans are enclosed in: bluesky's wrappers, at the price of their messages.

The stubs that bluesky's own are made of format the whole call stack, four times a plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bluesky.preprocessors import contingency_wrapper, finalize_wrapper
from bluesky.utils import Msg, RunEngineControlException, root_ancestor, separate_devices

from freewheel.core._groups import fresh_group

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bluesky.utils import MsgGenerator

__all__ = ["run_wrapper", "stage_wrapper"]


def run_wrapper(plan: MsgGenerator[Any], *, md: Mapping[str, Any]) -> MsgGenerator[Any]:
    """Enclose a plan in a run; return the run's uid. See bluesky's wrapper of that name."""
    uid = yield Msg("open_run", None, **md)

    def fail(error: Exception) -> MsgGenerator[None]:
        if isinstance(error, RunEngineControlException):
            yield from _close(error.exit_status, None)  # type: ignore[attr-defined]
        else:
            yield from _close("fail", str(error))

    yield from contingency_wrapper(plan, except_plan=fail, else_plan=_close)
    return uid


def _close(exit_status: str | None = None, reason: str | None = None) -> MsgGenerator[None]:
    yield Msg("close_run", None, exit_status=exit_status, reason=reason)


def stage_wrapper(plan: MsgGenerator[Any], devices: Iterable[Any]) -> MsgGenerator[Any]:
    """Stage devices before a plan, and unstage them after it. See bluesky's of that name."""
    whole = separate_devices(root_ancestor(device) for device in devices)

    def staged() -> MsgGenerator[Any]:
        yield from _each("stage", whole)
        return (yield from plan)

    return (yield from finalize_wrapper(staged(), _each("unstage", whole[::-1])))


def _each(command: str, devices: Iterable[Any]) -> MsgGenerator[None]:
    group = fresh_group(command)
    waits = False
    for device in devices:
        # What is a status by bluesky's protocol, which takes long to ask itself.
        waits |= hasattr((yield Msg(command, device, group=group)), "add_callback")
    if waits:
        yield Msg("wait", None, group=group)
