"""The devices of a window as they connect, and the plans that can be offered with them."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from qtpy.QtCore import QObject, QTimer

from freewheel.forms import PlanEntry, connect_again
from freewheel.qt._link._feed import Feed
from freewheel.qt._plans._files import PlanFiles
from freewheel.qt._plans._loading import PlanLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from freewheel.qt._devices._panel import DevicePanel
    from freewheel.qt._plans._list import PlanChooser
    from freewheel.qt._window._errors import ErrorList
    from freewheel.qt._window._log import PlanLog

__all__ = ["Offers"]

#: How long plans wait for the next device that is connected, before they are offered [ms].
_OFFER_MS: Final = 100


class _HasDevices(Protocol):
    def set_devices(self, devices: Mapping[str, Any], /) -> object: ...


class Offers(QObject):
    """Waits for devices that are being connected, and offers each plan when it has its own.

    Parameters
    ----------
    parent
        The QObject that owns this one.
    devices
        The devices by name, or an exception, or a future of them.
    plans
        The plans, or a function that returns them, called with the devices that are connected, on
        a thread of its own.
    panel, chooser, log, errors
        Where devices and plans are shown, and what is said of them.
    users
        The other parts that are told of the devices that are connected.
    """

    def __init__(
        self,
        parent: QObject,
        devices: Mapping[str, Any],
        plans: Sequence[PlanEntry] | Callable[[Mapping[str, Any]], Sequence[PlanEntry]],
        *,
        panel: DevicePanel,
        chooser: PlanChooser,
        log: PlanLog,
        errors: ErrorList,
        users: Sequence[_HasDevices],
    ) -> None:
        super().__init__(parent)
        self._panel, self._chooser, self._log, self._errors = panel, chooser, log, errors
        self._users = users
        self._known = dict(devices)
        self._plans: Sequence[PlanEntry] = () if callable(plans) else plans
        self._loader = PlanLoader(plans, self) if callable(plans) else None
        if self._loader is not None:
            self._loader.loaded.connect(self._loaded)
            self._loader.said.connect(chooser.say)
            self._loader.took_long.connect(self._take_long)
        self._connections: dict[str, Future[Any]] = {}  # of each, the last one
        self._files = PlanFiles(self)
        self._files.changed.connect(self._files_changed)
        self._soon = QTimer(self)  # devices come one after the other
        self._soon.setSingleShot(True)
        self._soon.setInterval(_OFFER_MS)
        self._soon.timeout.connect(self._offer)

    def begin(self) -> None:
        """Wait for the devices, and offer the plans that need not wait."""
        self._feed = Feed(self._device_ended)
        for name, device in self._known.items():
            if isinstance(device, Future):
                self._await(name, device)
        self._offer()

    def end(self) -> None:
        """Wait for no device any more; for a window that is closed."""
        self._feed.close()
        if self._loader is not None:
            self._loader.end()

    def _await(self, name: str, future: Future[Any]) -> None:
        self._connections[name] = future
        future.add_done_callback(partial(self._feed.put, name))  # in the thread that ends it

    def connect_again(self, name: str) -> None:
        """Connect a device once more that has failed to connect."""
        future = connect_again(self._connections[name])
        if future is not None:
            self._log.note(f"{name} is connected once more")
            self._known[name] = future
            self._panel.set_device(name, future)
            self._await(name, future)

    def _device_ended(self, name: str, arguments: tuple[Future[Any]]) -> None:
        """Show a device that has been connected, or why it has not."""
        (future,) = arguments
        if self._known[name] is not future:  # one that was given up for another try
            return
        device: Any = CancelledError("the connection was cancelled")
        if not future.cancelled():
            device = future.exception() or future.result()
        self._known[name] = device
        self._panel.set_device(name, device)
        if isinstance(device, BaseException):
            self._log.note_failure(f"{name} is not connected", device)
            self._errors.add(f"{name} is not connected", device)
        if self.is_connecting:
            self._soon.start()
        else:
            self._offer()

    @property
    def is_connecting(self) -> bool:
        """Whether a device is being connected: more plans may be offered then."""
        return any(isinstance(device, Future) for device in self._known.values())

    @property
    def is_loading(self) -> bool:
        """Whether plans are being loaded."""
        return self._loader is not None and self._loader.is_loading

    def _offer(self) -> None:
        """Offer the plans for whose devices nobody has to wait."""
        self._soon.stop()
        waiting = self.is_connecting
        usable = {
            n: d for n, d in self._known.items() if not isinstance(d, (BaseException, Future))
        }
        words = "the devices are being connected …" if waiting else "no plans"
        self._chooser.set_placeholder(words)
        for user in self._users:
            user.set_devices(usable)
        if self._loader is not None:
            self._loader.load(usable)
        else:
            self._show(self._plans, usable)

    def _loaded(self, plans: Any, usable: Mapping[str, Any]) -> None:
        """Offer what was loaded; if that failed, those that are there go on."""
        if isinstance(plans, BaseException):  # a file that is gone, say
            self._errors.add("the plans could not be loaded", plans)
            return
        self._show(plans, usable)
        self._files.watch(plans)

    def _show(self, plans: Sequence[PlanEntry], usable: Mapping[str, Any]) -> None:
        if self.is_connecting:
            plans = [plan for plan in plans if _has_its_devices(plan)]
        self._chooser.set_plans(plans, usable)

    def _take_long(self, source: str) -> None:
        """Say of what takes long, and look whether somebody mends it."""
        text = f"{source} is still being imported; the plans on offer are those of before"
        self._log.note(text)
        self._files.watch([PlanEntry(Path(source).stem, source)])

    def _files_changed(self, names: str) -> None:
        self._log.note(f"the plans are loaded again: {names}")
        self._offer()


def _has_its_devices(plan: PlanEntry) -> bool:
    """Tell whether there is a device for each parameter of a plan that asks for one."""
    if plan.spec is None:
        return True  # and says why
    asked = [p for p in plan.spec.parameters if p.device_proto is not None and p.required]
    return all(parameter.choices for parameter in asked)
