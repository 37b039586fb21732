"""What a device reads that has nothing to subscribe to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bluesky.utils import maybe_await

from freewheel.qt._devices._editor import small_button
from freewheel.qt._devices._row import DeviceRow
from freewheel.qt._look._readback import reading_text
from freewheel.qt._look._slots import slot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qtpy.QtWidgets import QWidget

    from freewheel.qt._link._bridge import EngineBridge
    from freewheel.qt._link._feed import Feed

__all__ = ["PlainRow"]


class PlainRow(DeviceRow):
    """What a device read last that has bluesky's ``read`` and ``describe`` alone.

    It tells of no change by itself. So the row has what plans read, and what is read on a click;
    and at first, if nothing runs then, what the device reads without being triggered. It is read
    on the engine's loop, as plans do: two threads would be too many for a serial line.

    Parameters
    ----------
    bridge
        The bridge to the engine.
    device
        Something that can be read.
    name
        What to call it; by default its own name.
    """

    def __init__(
        self,
        bridge: EngineBridge,
        device: Any,
        name: str | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(bridge, device, name or device.name, parent)
        button = small_button("Read", "read", slot(self.read), "Read it now")
        button.setAccessibleName(f"Read {self._title}")
        self._line.addWidget(button)
        self._units: dict[str, str] = {}  # by data key
        # By descriptor, of runs that go on: the run, and the device's keys in it.
        self._streams: dict[str, tuple[str, tuple[str, ...]]] = {}
        bridge.documentReceived.connect(self._note)
        if _is_at_rest(bridge) and not hasattr(device, "trigger"):
            self._ask(requested=False)

    def read(self) -> None:
        """Read the device now."""
        self._ask(requested=True)

    def _ask(self, *, requested: bool) -> None:
        device, feed = self._device, self._feed  # a device that hangs is not to keep the row
        self._on_loop(lambda: _read(device, feed), requested=requested)

    def receive(self, kind: str, arguments: tuple[Any, ...]) -> None:
        """Show what came back from the engine's loop."""
        if kind != "values":
            super().receive(kind, arguments)
            return
        keys, values = arguments
        self._take_units(keys)
        self._show_values(values)

    def _note(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take what plans read."""
        if name == "descriptor":
            keys = tuple(doc.get("object_keys", {}).get(self._device.name, ()))
            if keys:
                self._streams[doc["uid"]] = doc["run_start"], keys
                self._take_units({key: doc["data_keys"][key] for key in keys})
        elif name == "event" and doc["descriptor"] in self._streams:
            _, keys = self._streams[doc["descriptor"]]
            self._show_values({key: doc["data"][key] for key in keys if key in doc["data"]})
        elif name == "stop":
            over = [uid for uid, (run, _) in self._streams.items() if run == doc["run_start"]]
            for uid in over:
                del self._streams[uid]

    def _take_units(self, keys: Mapping[str, Any]) -> None:
        self._units |= {key: str(about.get("units") or "") for key, about in keys.items()}

    def _show_values(self, values: Mapping[str, Any]) -> None:
        if len(values) == 1:
            ((key, value),) = values.items()
            self._unit = self._units.get(key, "")
            self._show_name()
            self.show_reading(value if np.ndim(value) == 0 else _text(value))
        elif values:
            self.show_reading(", ".join(self._said(key, each) for key, each in values.items()))

    def _said(self, key: str, value: Any) -> str:
        name = key.removeprefix(self._device.name).lstrip("-_.") or key
        unit = "" if np.ndim(value) else self._units.get(key, "")
        return f"{name} {_text(value)} {unit}".rstrip()


def _is_at_rest(bridge: EngineBridge) -> bool:
    return bridge.engine.state == "idle" and not bridge.engine.background.running


def _text(value: Any) -> str:
    if np.ndim(value):
        return " \N{MULTIPLICATION SIGN} ".join(map(str, np.shape(value)))
    return reading_text(value)


async def _read(device: Any, feed: Feed) -> None:
    keys = await maybe_await(device.describe())
    readings = await maybe_await(device.read())
    values = {key: reading["value"] for key, reading in readings.items()}
    feed.put("values", keys, values)
