"""The way to the core: lanes, time-outs and errors that name the device."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, final
from weakref import WeakKeyDictionary, WeakSet

from ._changes import Changes
from ._errors import CoreError, CoreTimeoutError
from ._exit import leave_at_exit
from ._lanes import THREAD_NAME, Gate, Lane

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymmcore_plus import CMMCorePlus

__all__ = ["Port", "close_ports"]

T = TypeVar("T")

# The ports of each core. Changed and copied in single steps, from any thread.
_open: WeakKeyDictionary[CMMCorePlus, WeakSet[Port]] = WeakKeyDictionary()

# How much longer than its own time-out the core may take to answer before it counts as stuck.
_PATIENCE: Final = 5.0  # s
_FIRST_LOOK, _LAST_LOOK = 0.0005, 0.01  # s between two looks at a busy device


class _Sequence(Protocol):
    """What `close` stops."""

    @property
    def ended(self) -> bool: ...

    def stop(self) -> None: ...


@final
class Port:
    """Calls to one core, from any event loop, without holding it up.

    Calls for one device are made one after the other. What uses the core's *current* camera
    shares one lane. What stops a device has a lane beside its device's. All of them go through
    one gate, which `close` shuts.

    Parameters
    ----------
    core : CMMCorePlus
        The core, with its configuration loaded.
    """

    def __init__(self, core: CMMCorePlus) -> None:
        self.core = core
        self.gate = Gate()
        self.changes = Changes(core)
        self.camera_lane = Lane("current camera", self.gate)
        self._lanes: dict[str, Lane] = {}  # only added to, and by one step: from any thread
        # Those that run, or have run; added and copied by single steps, from any thread.
        self.sequences: WeakSet[_Sequence] = WeakSet()
        _open.setdefault(core, WeakSet()).add(self)
        leave_at_exit(core)

    def lane(self, label: str) -> Lane:
        """Return the lane of a device."""
        lane = self._lanes.get(label)
        return self._lanes.setdefault(label, Lane(label, self.gate)) if lane is None else lane

    def close(self) -> None:
        """Stop cameras, have calls that are under way end, and make none any more.

        From any thread but those that call the core. More than once is well.

        Raises
        ------
        TimeoutError
            When a call does not return.
        """
        if threading.current_thread().name.startswith(THREAD_NAME):
            raise RuntimeError("a call to the core can't wait for its own end: close it elsewhere")
        if self.gate.close():
            # By this call alone, and none begins any more: one that is about to sees to itself.
            for sequence in list(self.sequences):
                if not sequence.ended:
                    sequence.stop()
        self.changes.disconnect()
        patience = self._patience()
        if not self.gate.wait_empty(patience):
            raise TimeoutError(
                f"Micro-Manager's core has not answered a call for {patience:g} s: its devices "
                "can't be unloaded meanwhile"
            )

    def make_current(self, label: str) -> None:
        """Make a camera the core's current one, which the core then snaps and clears with.

        Raises
        ------
        RuntimeError
            When another camera runs a sequence: the core has one at a time.
        """
        current = self.core.getCameraDevice()
        if current == label:
            return
        if current and self.core.isSequenceRunning(current):
            raise RuntimeError(
                f"the camera {current!r} runs a sequence, and the core uses one camera at a time; "
                f"end that first, or snap both as one with the adapter 'Multi Camera' (Utilities)"
            )
        self.core.setCameraDevice(label)

    @property
    def timeout(self) -> float:
        """How long a device may be busy, as the core is set [s]."""
        return float(self.core.getTimeoutMs()) / 1000

    def _patience(self) -> float:
        return self.timeout + _PATIENCE

    async def call(
        self,
        label: str,
        what: str,
        work: Callable[[], T],
        *,
        lane: Lane | None = None,
        limit: Callable[[], float] | None = None,
    ) -> T:
        """Call the core for a device, in turn.

        Parameters
        ----------
        label : str
            The device's label.
        what : str
            What is done, for the error: an infinitive.
        work : callable
            The call, on the lane's thread.
        lane : Lane, optional
            Another lane than the device's own.
        limit : callable, optional
            Returns how long it may take from when it is its turn [s]; by default some seconds
            more than the core's time-out.

        Raises
        ------
        CoreError
            When the core raises.
        CoreTimeoutError
            When there is no answer in time.
        """
        limit = limit or self._patience
        try:
            return await (lane or self.lane(label)).begin(work, limit)
        except Exception as error:
            explained = self.explained(label, what, error, limit)
            if explained is error:
                raise
            raise explained from error

    @staticmethod
    def explained(label: str, what: str, error: Exception, limit: Callable[[], float]) -> Exception:
        """Return the error that names the device, of which a call has raised ``error``."""
        if isinstance(error, TimeoutError):
            reason = f"the core has not answered for {limit():g} s"
            return CoreTimeoutError(label, what, reason)
        if isinstance(error, (RuntimeError, ValueError, IndexError)):
            return error if isinstance(error, CoreError) else CoreError(label, what, str(error))
        return error

    async def settle(self, label: str, what: str) -> None:
        """Wait until a device is not busy.

        Other calls for the device get their turn meanwhile, as they do not when the core waits.

        Raises
        ------
        CoreTimeoutError
            When it is busy for longer than the core's time-out.
        """
        began = time.monotonic()
        pause = _FIRST_LOOK
        while await self.call(label, what, lambda: self.core.deviceBusy(label)):
            if time.monotonic() - began > self.timeout:
                reason = (
                    f"it was still busy after {self.timeout:g} s, the core's time-out "
                    "(core.setTimeoutMs)"
                )
                raise CoreTimeoutError(label, what, reason)
            # The core does not tell when a device is ready; it looks too, every 10 ms.
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_LOOK)

    async def change(
        self, label: str, what: str, work: Callable[[], object], *, lane: Lane | None = None
    ) -> None:
        """Call the core to change something at a device, and wait until it is not busy."""

        def change() -> bool:
            work()
            return bool(self.core.deviceBusy(label))

        if await self.call(label, what, change, lane=lane):
            await self.settle(label, what)

    async def stop(self, label: str) -> None:
        """Stop a stage, whatever its lane is doing."""
        await self.call(
            label, "stop", lambda: self.core.stop(label), lane=self.lane(f"{label} (stop)")
        )


def close_ports(core: CMMCorePlus) -> None:
    """Close all ways to a core, before it unloads its devices."""
    for port in list(_open.get(core, ())):
        port.close()
