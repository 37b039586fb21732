"""The events of a useq sequence: read, and held against what a microscope has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from freewheel.core import MissingExtraError
from freewheel.plan_stubs import describe
from freewheel.plan_stubs._answer import answer_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluesky.utils import MsgGenerator
    from useq import MDAEvent, MDASequence

    from ._mda_devices import MDADevices

__all__ = ["Events", "as_json", "checked_events", "read_sequence", "with_field"]

T = TypeVar("T")
Events = tuple["MDAEvent", ...]


def read_sequence(source: Any) -> MDASequence | Events:
    """Make a sequence of what a user gives.

    Parameters
    ----------
    source : MDASequence, mapping, path, or iterable of MDAEvent
        The sequence; its fields; a file of JSON or YAML; or single events.

    Raises
    ------
    FileNotFoundError
        For a file that is not there.
    ValueError
        For what is no sequence; with useq's reasons.
    """
    try:
        from useq import MDAEvent, MDASequence
    except ModuleNotFoundError as error:
        raise MissingExtraError("freewheel.plans.mda", "micromanager") from error
    if isinstance(source, MDASequence):
        return source
    if isinstance(source, (str, Path)):
        path = Path(source).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"there is no sequence file {str(path)!r}")
        try:
            return MDASequence.from_file(path)
        except ValueError as error:
            raise ValueError(f"{str(path)!r} is no sequence of useq: {error}") from error
    if isinstance(source, Mapping):
        return MDASequence.model_validate(source)
    events = tuple(source) if isinstance(source, Iterable) else ()
    if not events or not all(isinstance(event, MDAEvent) for event in events):
        raise ValueError(
            f"mda runs a useq.MDASequence, its fields, a file of them, or several useq.MDAEvent, "
            f"not {source!r}"
        )
    return events


def as_json(source: MDASequence | Events) -> dict[str, Any]:
    """Return a sequence, or events, as a run's metadata: useq reads it back."""
    if isinstance(source, tuple):
        events = [json.loads(event.model_dump_json(exclude={"sequence"})) for event in source]
        return {"useq_events": events}
    # Without what nobody has set useq could not read the action of a setup back.
    text = source.model_dump_json(exclude_unset=source.setup is None)
    return {"useq_sequence": json.loads(text)}


def with_field(
    source: MDASequence | Events, field: tuple[float, float] | None
) -> MDASequence | Events:
    """Return a sequence whose grids know the field of view [um], if they were not told it."""
    if field is None or isinstance(source, tuple):
        return source
    sequence = source
    if sequence.grid_plan is not None:
        sequence = sequence.replace(grid_plan=_widened(sequence.grid_plan, field))
    positions = sequence.stage_positions
    if isinstance(positions, tuple) and any(
        position.sequence is not None and position.sequence.grid_plan is not None
        for position in positions
    ):
        told = [
            position
            if position.sequence is None
            else position.model_copy(update={"sequence": with_field(position.sequence, field)})
            for position in positions
        ]
        sequence = sequence.replace(stage_positions=told)
    return sequence


def _widened(plan: Any, field: tuple[float, float]) -> Any:
    update = {
        name: size
        for name, size in zip(("fov_width", "fov_height"), field, strict=True)
        if hasattr(plan, name) and getattr(plan, name) is None
    }
    return plan.model_copy(update=update) if update else plan


def checked_events(
    source: MDASequence | Events, devices: MDADevices, actions: Iterable[str]
) -> MsgGenerator[Events]:
    """Return all events, if the devices can do them.

    Raises
    ------
    ValueError
        If they can't; with what there is. Nothing has moved then.
    """
    # In a thread: there may be very many.
    check = partial(_list_checked, source, devices, tuple(actions))
    answer: tuple[Events, set[tuple[str, str]]] = yield from answer_of(
        partial(asyncio.to_thread, check), looks_at=devices.camera
    )
    events, channels = answer
    for group in dict(channels):
        keys = yield from describe(devices.channels[group])
        choices = next(iter(keys.values())).get("choices", ()) if keys else ()
        for config in [config for other, config in channels if other == group]:
            _check_config(group, config, choices)
    return events


def _list_checked(
    source: MDASequence | Events, devices: MDADevices, actions: Sequence[str]
) -> tuple[Events, set[tuple[str, str]]]:
    """Return all events, and the channels that they use, of groups that the devices have."""
    if not isinstance(source, tuple):
        _begin_anew(source)
    events = tuple(source)
    if not events:
        raise ValueError("the sequence has no events: give it positions, channels, times or z")
    setup = getattr(source, "setup", None)
    channels: set[tuple[str, str]] = set()
    for event in events if setup is None else (setup, *events):
        _check_places(event, devices)
        if event is not setup:  # whose action is none
            _check_action(event, devices, actions)
        if event.channel is not None:
            _check_group(event.channel.group, devices)
            channels.add((event.channel.group, event.channel.config))
        for device, name, _ in event.properties or ():
            _check_property(device, name, devices)
    return events, channels


def _begin_anew(sequence: MDASequence) -> None:
    """Have useq's autofocus plans forget the event before.

    They compare each event with the last one that they were asked about: a sequence that somebody
    has gone through already would lack the autofocus of its first event.
    """
    from useq import MDAEvent

    if sequence.autofocus_plan is not None:
        sequence.autofocus_plan.should_autofocus(MDAEvent())
    for position in sequence.iter_axis("p"):
        nested = getattr(position, "sequence", None)
        if nested is not None:
            _begin_anew(nested)


def _check_places(event: MDAEvent, devices: MDADevices) -> None:
    x, y = event.x_pos is not None, event.y_pos is not None
    needed = {
        "a stage for x": x and devices.x is None and not (y and devices.xy is not None),
        "a stage for y": y and devices.y is None and not (x and devices.xy is not None),
        "a focus drive for z": event.z_pos is not None and devices.z is None,
        "an exposure that can be set": event.exposure is not None and devices.exposure is None,
        "a region of interest that can be set": event.roi is not None and devices.roi is None,
    }
    for what, is_missing in needed.items():
        if is_missing:
            there = ", ".join(device.name for device in devices.moved())
            raise ValueError(f"event {_place(event)} needs {what}; the devices are: {there}")


def _check_action(event: MDAEvent, devices: MDADevices, actions: Sequence[str]) -> None:
    action = event.action
    kind = "acquire_image" if action is None else action.type
    if kind == "hardware_autofocus" and devices.autofocus is None:
        there = ", ".join(device.name for device in devices.moved())
        raise ValueError(f"event {_place(event)} needs an autofocus; the devices are: {there}")
    if kind == "custom" and (name := getattr(action, "name", "")) not in actions:
        known = ", ".join(actions) or "none"
        raise ValueError(
            f"event {_place(event)} has the action {name!r}, and mda was given: {known}. "
            "Give a plan for it in `actions`."
        )
    if event.slm_image is not None:
        raise ValueError(f"event {_place(event)} has an image for an SLM, which mda does not show")


def _check_group(group: str, devices: MDADevices) -> None:
    if group not in devices.channels:
        known = ", ".join(devices.channels) or "none"
        raise ValueError(f"there is no group of channels {group!r}; there are: {known}")


def _check_config(group: str, config: str, choices: Sequence[str]) -> None:
    if choices and config not in choices:
        known = ", ".join(choices)
        raise ValueError(f"the group {group!r} has no channel {config!r}; it has: {known}")


def _check_property(device: str, name: str, devices: MDADevices) -> None:
    if (device, name) in devices.properties:
        return
    names = [known for label, known in devices.properties if label == device]
    if names:
        raise ValueError(f"{device!r} has no property {name!r}; it has: {', '.join(names)}")
    labels = ", ".join(dict.fromkeys(label for label, _ in devices.properties)) or "none"
    raise ValueError(f"there is no device {device!r} with properties; there are: {labels}")


def _place(event: MDAEvent) -> str:
    index = ", ".join(f"{axis} = {number}" for axis, number in event.index.items())
    return f"({index})" if index else "(without index)"
