"""The stop of one device, ahead of all that its engine does."""

from __future__ import annotations

import inspect
import sys
import threading
from typing import TYPE_CHECKING, Any, final

from freewheel.core._crossings import completion, run_soon
from freewheel.core._devices import safe_name
from freewheel.core._errors import text_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["DeviceStop"]


@final
class DeviceStop:
    """One call of a device's ``stop()``, which may hang or raise without harm to others.

    Parameters
    ----------
    device
        What to stop.
    loop
        The engine's loop.
    told : callable, optional
        Called with the error, or ``None``, when the device was stopped; on any thread.
    how
        What its ``stop()`` is given.
    """

    def __init__(
        self,
        device: Any,
        loop: asyncio.AbstractEventLoop,
        told: Callable[[BaseException | None], object] | None = None,
        **how: Any,
    ) -> None:
        self.device = device
        self.name = safe_name(device)
        self.error: BaseException | None = None
        self.begun = False
        self.over = threading.Event()
        self._loop = loop
        self._told = told
        self._how = how
        self.on_loop = _belongs_to_loop(device)

    def begin(self) -> None:
        """Stop a device that need not be called on the loop; on a thread of its own, at once."""
        name = f"stop {self.name}"
        threading.Thread(target=self._call, name=name, daemon=True).start()

    def _call(self) -> None:
        self.begun = True
        try:
            answer = self.device.stop(**self._how)
            if inspect.isawaitable(answer):
                run_soon(self._loop, self._wait_for(answer))
                return
        except BaseException as error:
            if isinstance(error, RuntimeError) and "event loop" in text_of(error):
                # A plain function that makes a task, or a status of a coroutine, all the same.
                run_soon(self._loop, self._wait_for(None))
                return
            self.error = error
        self._end()

    def begin_on_loop(self) -> asyncio.Task[None]:
        """Stop a device whose ``stop()`` is to be called on the loop's thread, where this is."""
        return self._loop.create_task(self._wait_for(None), name=f"stop {self.name}")

    async def _wait_for(self, answer: Any) -> None:
        self.begun = True
        try:
            await completion(self.device.stop(**self._how) if answer is None else answer)
        except BaseException as error:
            self.error = error
        self._end()

    def _end(self) -> None:
        self.over.set()
        if self._told is not None:
            self._told(self.error)


def _belongs_to_loop(device: Any) -> bool:
    """Tell whether ``stop()`` must be called on the loop: a coroutine, or of ophyd-async."""
    library = sys.modules.get("ophyd_async.core")
    if library is not None and isinstance(device, library.Device):
        return True
    try:
        return inspect.iscoroutinefunction(inspect.unwrap(device.stop))
    except Exception:
        return False  # its thread meets the error again, and tells of it
