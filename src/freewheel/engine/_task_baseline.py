"""The baseline of bluesky's ``SupplementalData`` for the runs of background tasks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bluesky.preprocessors import SupplementalData, plan_mutator, set_run_key_wrapper
from bluesky.utils import Msg, separate_devices

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

__all__ = ["for_tasks"]

_STREAM = "baseline"


def for_tasks(preprocessors: Iterable[Callable[[Any], Any]]) -> list[Callable[[Any], Any]]:
    """Return what the plan of a task goes through first.

    That is, what says that it is for the background too, with an attribute ``in_background``; and
    of a ``SupplementalData`` that says nothing, the baseline.
    """
    chosen: list[Callable[[Any], Any]] = []
    for each in preprocessors:
        wanted = getattr(each, "in_background", None)
        if wanted:
            chosen.append(each)
        elif wanted is None and isinstance(each, SupplementalData) and each.baseline:
            chosen.append(partial(_with_baseline, separate_devices(each.baseline)))
    return chosen


def _with_baseline(devices: Sequence[Any], plan: Any) -> Generator[Msg, Any, Any]:
    """Have each run of a plan begin and end with a reading of the devices.

    They are read and not triggered, unlike in bluesky's baseline: a task holds what it has
    triggered, and the baseline is mostly of motors, which the foreground is to move.
    """

    def insert(msg: Msg) -> tuple[Any, Any]:
        if msg.command == "open_run":
            return None, _of_run(_first(devices), msg.run)
        if msg.command == "close_run":
            return _last(devices, msg), None
        return None, None

    return (yield from plan_mutator(plan, insert))


def _of_run(plan: Any, run: Any) -> Any:
    return plan if run is None else set_run_key_wrapper(plan, run)


def _first(devices: Sequence[Any]) -> Generator[Msg, Any, None]:
    yield Msg("declare_stream", None, *devices, name=_STREAM, collect=False)
    yield from _read(devices)


def _last(devices: Sequence[Any], close: Msg) -> Generator[Msg, Any, Any]:
    yield from _of_run(_read(devices), close.run)
    return (yield close)


def _read(devices: Sequence[Any]) -> Generator[Msg, Any, None]:
    yield Msg("create", None, name=_STREAM)
    try:
        for device in devices:
            yield Msg("read", device)
    except Exception:
        yield Msg("drop")
        raise
    yield Msg("save")
