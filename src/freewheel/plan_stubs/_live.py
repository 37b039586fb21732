"""Taking one event: message by message, or in one message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bluesky.preprocessors import rewindable_wrapper
from bluesky.utils import Msg, all_safe_rewind

from freewheel.core._devices import device_chain
from freewheel.core._groups import fresh_group
from freewheel.core._triggerable import is_triggerable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluesky.protocols import Readable, Reading
    from bluesky.utils import MsgGenerator

__all__ = ["Shot", "acquire", "trigger_and_read"]


def trigger_and_read(
    devices: Sequence[Readable[Any]], name: str = "primary"
) -> MsgGenerator[dict[str, Reading[Any]]]:
    """Trigger devices, wait, and read them into one event.

    The same messages as bluesky's stub of that name, at half the price.

    Parameters
    ----------
    devices : sequence of Readable
        The devices; those that can be triggered are. A device whose parent is given as well is
        left out: the parent's reading has it.
    name : str
        Name of the stream.

    Yields
    ------
    Msg
        ``trigger`` for each, ``wait``, ``create``, ``read`` for each, ``save``; ``drop`` instead
        of ``save`` if a reading fails.

    Returns
    -------
    dict of str to Reading
        The readings of all.
    """
    if not devices:
        yield Msg("null")
    return (yield from Shot(devices, name).take())


def acquire(
    devices: Sequence[Readable[Any]], name: str = "primary"
) -> MsgGenerator[dict[str, Reading[Any]]]:
    """Trigger, wait, read and save one event in **one** message.

    For the fastest of live loops. The documents are those of `trigger_and_read`, and so are the
    errors. What is given up is that others see the steps:

    - ``msg_hook`` gets one ``acquire`` message, and no ``trigger``, ``wait``, ``create``,
      ``read`` and ``save``;
    - preprocessors that look for these, or change them (such as ``set_run_key_wrapper`` does for
      ``msg.run``: that one works; ``monitor_during_wrapper`` and those that act on ``read`` do
      not), see one message that they do not know;
    - an engine without this command refuses the plan with ``InvalidCommand``.

    Devices that say of themselves that they must not be rewound are taken step by step. If the
    whole plan is not rewindable, a pause in the middle costs the event, and this returns no
    readings.

    ``waiting_hook`` and tracing are served as by the single steps: with either in use the engine
    takes them one by one.

    Parameters
    ----------
    devices : sequence of Readable
        As for `trigger_and_read`.
    name : str
        Name of the stream.

    Yields
    ------
    Msg
        ``acquire``

    Returns
    -------
    dict of str to Reading
        The readings of all.
    """
    return (yield from Shot(devices, name).take_at_once())


class Shot:
    """One kind of event, taken again and again: what can be prepared is prepared once.

    Parameters
    ----------
    devices : sequence of Readable
        As for `trigger_and_read`.
    name : str
        Name of the stream.

    Attributes
    ----------
    devices, triggerables : tuple of Readable
        The devices that are read, and those of them that are triggered.
    name : str
        Name of the stream.
    """

    __slots__ = ("devices", "name", "triggerables")

    def __init__(self, devices: Sequence[Readable[Any]], name: str = "primary") -> None:
        self.devices: tuple[Readable[Any], ...] = tuple(devices)
        if len(self.devices) > 1:
            self.devices = _outermost(self.devices)
        self.name = name
        self.triggerables = tuple(filter(is_triggerable, self.devices))

    def take(self) -> MsgGenerator[dict[str, Reading[Any]]]:
        """Take one event, message by message."""
        # Asked each time, for a device may change its mind.
        if all_safe_rewind(self.devices):
            return self._steps()
        guarded: MsgGenerator[dict[str, Reading[Any]]] = rewindable_wrapper(self._steps(), False)
        return guarded

    def take_at_once(self) -> MsgGenerator[dict[str, Reading[Any]]]:
        """Take one event in one message; of devices that must not be rewound in steps."""
        if all_safe_rewind(self.devices):
            return self._one_step()
        return self.take()

    def _steps(self) -> MsgGenerator[dict[str, Reading[Any]]]:
        group = None
        if self.triggerables:
            group = fresh_group("trigger")
            for device in self.triggerables:
                yield Msg("trigger", device, group=group)
        return (yield from self.read_when_done(group))

    def read_when_done(self, group: str | None) -> MsgGenerator[dict[str, Reading[Any]]]:
        """Read all into one event, when a group of triggers is done."""
        if group is not None:
            yield Msg("wait", None, group=group)
        yield Msg("create", name=self.name)
        readings: dict[str, Reading[Any]] = {}
        try:
            for device in self.devices:
                reading = yield Msg("read", device)
                if reading is not None:
                    readings.update(reading)
        except Exception:
            yield Msg("drop")
            raise
        yield Msg("save")
        return readings

    def _one_step(self) -> MsgGenerator[dict[str, Reading[Any]]]:
        readings: Mapping[str, Reading[Any]] | None = yield Msg(
            "acquire", None, *self.devices, name=self.name
        )
        return dict(readings or {})


def _outermost(devices: tuple[Readable[Any], ...]) -> tuple[Readable[Any], ...]:
    """Leave out what comes twice, and what has a parent among the others: it reads its children.

    What bluesky's ``separate_devices`` gives, but in a time that grows with the number of
    devices, not with its square.
    """
    given = {id(device): device for device in devices}
    return tuple(
        device
        for device in given.values()
        if not any(part in given for part in device_chain(device)[1:])
    )
