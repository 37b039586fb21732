"""Microscopy's own sequences, as a plan."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bluesky.preprocessors import finalize_wrapper

from freewheel.core import Action
from freewheel.plan_stubs import claim_wrapper
from freewheel.plan_stubs._answer import answer_of
from freewheel.plan_stubs._around import run_wrapper, stage_wrapper

from ._mda_acquisition import Acquisition
from ._mda_devices import MDADevices
from ._mda_events import as_json, checked_events, read_sequence, with_field
from ._mda_view import EventView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bluesky.utils import MsgGenerator
    from useq import MDAEvent, MDASequence

    from ._mda_devices import HasMDADevices
    from ._mda_events import Events

__all__ = ["FINISH", "SKIP", "MDAResult", "mda"]

SKIP = Action(name="skip", description="Leave out what is left of this position.")
"""The action that goes on to the next position or time."""

FINISH = Action(name="finish", description="Stop after this position.")
"""The action that ends the sequence when this position is done."""


@dataclass(frozen=True)
class MDAResult:
    """What a sequence that came to its end says of itself.

    Attributes
    ----------
    events : int
        How many events were recorded.
    skipped : int
        How many a user left out.
    unfocused : int
        How often autofocus did not find the focus.
    """

    events: int
    skipped: int
    unfocused: int


def mda(
    sequence: Any,
    devices: MDADevices | HasMDADevices,
    *,
    hardware: bool = True,
    skip: Action = SKIP,
    finish: Action = FINISH,
    actions: Mapping[str, Callable[[MDAEvent], MsgGenerator[Any]]] | None = None,
    stream: str = "primary",
    name: str = "mda",
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[MDAResult]:
    """Run a `useq.MDASequence`: times, positions, grids, channels, z, and what is nested in them.

    One run, with an event for each frame, in the order in which useq gives them. Each event has
    the camera's frame, where the stages are, and under ``<name>-<axis>`` the index of each axis
    (-1 for one that the event does not have), ``<name>-channel``, ``<name>-exposure`` [ms],
    ``<name>-position``, ``<name>-elapsed`` [s, pauses left out] and ``<name>-metadata`` (JSON, if
    there is any). The axes are the dimensions in the run's hints, and the sequence is in the start
    document as ``useq_sequence``, from which useq makes it again.

    It may be paused at each event, also in a sequence that hardware runs: that one is stopped, and
    goes on from the event that was not recorded yet. The devices are claimed for the whole of it,
    so that a live view in the background gives way.

    Parameters
    ----------
    sequence : MDASequence, mapping, path, or iterable of MDAEvent
        The sequence; its fields; a file of JSON or YAML; or single events.
    devices : MDADevices, or something that has them
        The microscope, such as `freewheel.micromanager.devices` makes it.
    hardware : bool
        Whether events that can be run by hardware are: the camera sets the pace then, and stages
        follow.
    skip, finish : Action
        Triggered while the plan runs, they leave out what is left of the position, or end the
        plan when it is done. A position is what has the same index of time and position.
    actions : mapping of str to callable, optional
        By the names of custom actions: what makes a plan for an event that has one.
    stream : str
        Name of the stream.
    name : str
        How the data keys of the events begin.
    md : mapping, optional
        Metadata of the run.

    Yields
    ------
    Msg
        Messages of one run.

    Returns
    -------
    MDAResult
        How many events there were.

    Raises
    ------
    ValueError
        Before anything moves: if the sequence has no events, or something that the devices do
        not have; with what they have.
    freewheel.MissingExtraError
        Without useq.
    """
    scope = devices if isinstance(devices, MDADevices) else devices.mda_devices()
    source = read_sequence(sequence)
    if scope.field_of_view is not None:
        field = yield from answer_of(
            partial(scope.field_of_view, _region(source)), looks_at=scope.camera
        )
        source = with_field(source, field)
    known = dict(actions or {})
    events = yield from checked_events(source, scope, known)
    batches: list[Events] = [(event,) for event in events]
    sequencer = scope.sequencer
    if hardware and sequencer is not None:
        batches = yield from answer_of(lambda: sequencer.batches(events), looks_at=scope.camera)
    view = EventView(events, name)
    acquisition = Acquisition(scope, view, skip, finish, known, stream)
    frames = sum(event.action is None or event.action.type == "acquire_image" for event in events)
    metadata = {
        "plan_name": "mda",
        "detectors": [scope.camera.name],
        "motors": [device.name for device in (scope.xy, scope.z) if device is not None],
        "num_points": frames,
        "hints": {"dimensions": [([view.key(axis)], stream) for axis in view.axes]},
        **as_json(source),
        **(md or {}),
    }
    taking = finalize_wrapper(
        acquisition.run(batches, getattr(source, "setup", None)), acquisition.clean_up
    )
    staged = [scope.camera, *scope.readables]
    moved = scope.moved(*_used(events, getattr(source, "setup", None)))
    if all(len(batch) == 1 for batch in batches):
        moved = [device for device in moved if device is not sequencer]
    yield from claim_wrapper(stage_wrapper(run_wrapper(taking, md=metadata), staged), *moved)
    return MDAResult(acquisition.taken, acquisition.skipped, acquisition.unfocused)


def _used(events: Events, setup: MDAEvent | None) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the groups of channels that events use, and the properties that they set."""
    groups: set[str] = set()
    properties: set[tuple[str, str]] = set()
    for event in events if setup is None else (setup, *events):
        if event.channel is not None:
            groups.add(event.channel.group)
        properties.update((device, name) for device, name, _ in event.properties or ())
    return groups, properties


def _region(source: MDASequence | Events) -> tuple[int, int] | None:
    """Return width and height of the region that a sequence sets at its begin [pixels]."""
    setup = getattr(source, "setup", None)
    if setup is None or setup.roi is None:
        return None
    return setup.roi.width, setup.roi.height
