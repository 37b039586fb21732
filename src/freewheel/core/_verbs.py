"""What each message does to a device: said once, for the engine and for whoever looks ahead."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bluesky.utils import Msg

__all__ = ["NEEDED", "VERBS", "Verb", "devices_of", "needed_by"]


def _object(msg: Msg) -> tuple[Any, ...]:
    return () if msg.obj is None else (msg.obj,)


def _arguments(msg: Msg) -> tuple[Any, ...]:
    return tuple(msg.args)


def _both(msg: Msg) -> tuple[Any, ...]:
    return (*_object(msg), *msg.args)


def _triggered(msg: Msg) -> tuple[Any, ...]:
    # The others of an event are read, and reading needs nothing.
    return tuple(device for device in msg.args if hasattr(device, "trigger"))


class Verb(NamedTuple):
    """What a command does to the devices that its message is about.

    Attributes
    ----------
    name : str
        The command.
    needs : bool
        Whether it takes the right to the device: one plan at a time may have it. What only looks
        at a device does not.
    moves : bool
        Whether the device is somewhere else afterwards, or on its way there.
    measures : bool
        Whether the device takes data because of it.
    devices : callable
        Function of the message: the devices that it is about.
    needed : callable
        Function of the message: those among them that ``needs`` is about.
    """

    name: str
    needs: bool = False
    moves: bool = False
    measures: bool = False
    devices: Callable[[Msg], tuple[Any, ...]] = _object
    needed: Callable[[Msg], tuple[Any, ...]] = _object


_ALL: Final = (
    Verb("set", needs=True, moves=True),
    Verb("trigger", needs=True, measures=True),
    # A flyer goes to its start, and then moves while it measures.
    Verb("prepare", needs=True, moves=True),
    Verb("kickoff", needs=True, moves=True, measures=True),
    Verb("complete", needs=True, moves=True, measures=True),
    Verb("collect", needs=True),
    Verb("stage", needs=True),
    Verb("unstage", needs=True),
    Verb("configure", needs=True),
    Verb("stop", needs=True),
    Verb(
        "acquire", needs=True, measures=True, devices=_arguments, needed=_triggered
    ),  # trigger, wait, read and save of several in one message
    Verb("read"),
    Verb("locate", devices=_both),
    Verb("monitor"),
    Verb("unmonitor"),
    Verb("describe"),
    Verb("describe_collect"),
    Verb("declare_stream", devices=_both),
    Verb("stash"),
    Verb("clear_cache"),
)

#: The commands that are about devices, by name.
VERBS: Final[Mapping[str, Verb]] = MappingProxyType({verb.name: verb for verb in _ALL})

#: The names of those that need their device.
NEEDED: Final = tuple(verb.name for verb in _ALL if verb.needs)


def devices_of(msg: Msg) -> tuple[Any, ...]:
    """Return the devices that a message is about; none for a command that is about no device."""
    verb = VERBS.get(msg.command)
    return () if verb is None else verb.devices(msg)


def needed_by(msg: Msg) -> tuple[Any, ...]:
    """Return the devices that a message needs, in the sense of `Verb.needs`."""
    verb = VERBS.get(msg.command)
    return verb.needed(msg) if verb is not None and verb.needs else ()
