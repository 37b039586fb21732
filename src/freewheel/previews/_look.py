"""Asking devices that answer on an event loop, from whatever thread previews a plan."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from types import coroutine
from typing import TYPE_CHECKING, Any, Final, final

from bluesky.run_engine import get_bluesky_event_loop

from freewheel.core._crossings import run_soon
from freewheel.core._devices import described_with, device_children

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

__all__ = ["Looker", "carried_on", "data_keys", "is_local", "place", "uncached_value", "value"]

#: For how long a device is waited for that does not answer [s].
_PATIENCE: Final = 1.0
#: What lives in this process and belongs to no loop: sources of ophyd-async's signals.
_LOCAL: Final = ("soft://", "sim://", "mock+", "derived://")


@final
class Looker:
    """Asks devices for values. Nothing is set, triggered or moved.

    Signals that live in this process are asked on a loop of the preview's own, so that no engine
    is held up; others on the loop that they are connected on.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop, optional
        The loop of devices that have one; by default bluesky's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._theirs = loop or get_bluesky_event_loop()
        self._own: asyncio.AbstractEventLoop | None = None

    def ask(self, device: Any, question: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Return the answer of a coroutine function, or raise what it raises.

        Raises
        ------
        TimeoutError
            If there was none within a second.
        """

        async def bounded() -> Any:
            async with asyncio.timeout(_PATIENCE):
                return await question()

        theirs = self._theirs
        # On the thread of their loop its answer could not be waited for.
        waited = theirs is not None and theirs.is_running() and _running() is not theirs
        if theirs is not None and waited and not is_local(device):
            future = run_soon(theirs, bounded())
            try:
                return future.result(2 * _PATIENCE)
            finally:
                future.cancel()
        return self._on_own(bounded)

    def _on_own(self, question: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        if self._own is None:
            self._own = asyncio.new_event_loop()
        own = self._own
        if _running() is None:
            return own.run_until_complete(question())
        with ThreadPoolExecutor(1, "freewheel-preview") as other:
            return other.submit(own.run_until_complete, question()).result()

    def close(self) -> None:
        """Give the loop back."""
        if self._own is not None:
            self._own.close()
            self._own = None


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def is_local(device: Any) -> bool:
    """Tell whether all signals of a device live in this process."""
    source = getattr(device, "source", None)
    if isinstance(source, str):
        return source.startswith(_LOCAL)
    return all(is_local(child) for child in device_children(device).values())


async def value(signal: Any) -> Any:
    """Return the value of a signal that lives in this process."""
    return await _bare(signal.get_value, "SignalR", "get_value")()


async def uncached_value(signal: Any) -> Any:
    """Return the value of a signal from where it is.

    ophyd-async has a signal with subscribers answer with what these were told last. Where the
    server tells nothing by itself, as that of a Tango attribute without events, it waits for that.
    """
    base = getattr(sys.modules.get("ophyd_async.core"), "SignalR", None)
    if base is not None and _is_stock(signal.get_value, base, "get_value"):
        return await signal.get_value(cached=False)
    return await signal.get_value()


async def place(device: Any) -> Any:
    """Return where a device stands that lives in this process; it has ``locate``."""
    base = getattr(sys.modules.get("ophyd_async.core"), "StandardMovable", None)
    if base is not None and _is_stock(device.locate, base, "locate"):
        return await value(device.movable_logic.readback)
    return (await device.locate())["readback"]


async def data_keys(describe: Callable[[], Any]) -> dict[str, Any]:
    """Return what a device that lives in this process describes."""
    base = getattr(sys.modules.get("ophyd_async.core"), "StandardReadable", None)
    if base is None or not _is_stock(describe, base, "describe"):
        told: dict[str, Any] = await _bare(describe, "SignalR", "describe")()
        return told
    keys: dict[str, Any] = {}
    for part in described_with(describe.__self__):  # type: ignore[attr-defined]
        keys |= await data_keys(part)
    return keys


def _is_stock(method: Any, base: Any, name: str) -> bool:
    return getattr(method, "__func__", None) is vars(base)[name]


def _bare(method: Callable[[], Any], kind: str, name: str) -> Callable[[], Any]:
    """Return a method of ophyd-async's signals without its own time-out.

    That is a task, a timer and a turn of the loop, ten times as long as the answer takes; what is
    asked here has a time-out around it in any case.
    """
    base = getattr(sys.modules.get("ophyd_async.core"), kind, None)
    if base is None or not _is_stock(method, base, name):
        return method
    bare = getattr(method, "__wrapped__", None)
    if bare is None:
        return method
    return lambda: bare(method.__self__)  # type: ignore[attr-defined]


async def carried_on(started: Coroutine[Any, Any, Any]) -> tuple[bool, Any]:
    """Run a coroutine to its end; return whether it never waited, and its answer."""
    try:
        wanted = started.send(None)
    except StopIteration as end:
        return True, end.value
    return False, await _rest_of(started, wanted)


@coroutine
def _rest_of(started: Coroutine[Any, Any, Any], wanted: Any) -> Generator[Any, Any, Any]:
    while True:
        failure: BaseException | None = None
        answer: Any = None
        try:
            answer = yield wanted
        except BaseException as error:
            failure = error
        try:
            wanted = started.send(answer) if failure is None else started.throw(failure)
        except StopIteration as end:
            return end.value
