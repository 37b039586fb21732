"""Taking the events of a useq sequence, one after the other."""

from __future__ import annotations

import logging
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, final

from bluesky.utils import FailedStatus, Msg

from freewheel.core._groups import fresh_group
from freewheel.plan_stubs import abs_set, rd, trigger, wait_for_actions

from ._mda_devices import SequenceStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bluesky.utils import MsgGenerator
    from useq import MDAEvent

    from freewheel.core import Action

    from ._mda_devices import MDADevices
    from ._mda_events import Events
    from ._mda_view import EventView

__all__ = ["Acquisition"]

_log = logging.getLogger(__name__)


@final
class Acquisition:
    """One sequence under way.

    Parameters
    ----------
    devices : MDADevices
        The microscope.
    view : EventView
        The reading of each event, and the clock.
    skip, finish : Action
        What a user may do meanwhile.
    actions : mapping of str to callable
        What makes a plan for an event with a custom action of that name.
    stream : str
        Name of the stream of frames.
    """

    def __init__(
        self,
        devices: MDADevices,
        view: EventView,
        skip: Action,
        finish: Action,
        actions: Mapping[str, Callable[[MDAEvent], MsgGenerator[Any]]],
        stream: str,
    ) -> None:
        self._devices = devices
        self._view = view
        self._skip, self._finish = skip, finish
        self._latches = {**skip.event_map, **finish.event_map}
        self._actions = actions
        self._stream = stream
        self._beside = (*devices.readables, view)  # what an event reads beside the camera
        self._left_out: Any = None  # the place whose events are skipped
        self._last: Any = None  # the place whose events are the last
        self._corrections: dict[int | None, float] = {}  # of the focus, by position [um]
        self._couples = False  # whether shutter and camera were coupled at the begin
        self._holds_shutter = False
        self._holds_focus = False  # whether continuous focus was on at the begin
        self._refocus = False  # whether it has to be switched on again
        # The group of the exposure for the next event, if that was begun before the documents of
        # the one before it were out.
        self._ahead: str | None = None
        self.taken = self.skipped = self.unfocused = 0

    # -- the whole ----------------------------------------------------------------------------

    def run(self, batches: Sequence[Events], setup: MDAEvent | None) -> MsgGenerator[None]:
        """Take all batches."""
        devices = self._devices
        yield Msg("null", self._view)  # the engine tells what it has seen of a pause
        events = [event for batch in batches for event in batch]
        if devices.auto_shutter is not None and any(e.keep_shutter_open for e in events):
            self._couples = bool((yield from rd(devices.auto_shutter)))
        if devices.autofocus_continuous is not None and any(map(_focuses, events)):
            self._holds_focus = bool((yield from rd(devices.autofocus_continuous)))
        if setup is not None:
            yield from self._move(setup)
        self._view.begin()
        for latch in self._latches.values():
            latch.reset()  # what came too late for a plan before is not meant for this one
        yield from wait_for_actions(self._latches, timeout=0, hold=True)
        for number, batch in enumerate(batches):
            if len(batch) > 1 and len({self._correction(event) for event in batch}) == 1:
                done = yield from self._batch(batch)
            else:
                # What comes after it if that is not one for hardware.
                after = batches[number + 1] if number + 1 < len(batches) else ()
                done = yield from self._one_by_one(batch, after if len(after) == 1 else ())
            if not done:
                break
        yield from wait_for_actions({}, timeout=0)

    def clean_up(self) -> MsgGenerator[None]:
        """Leave shutter and camera as they were; also after a failure."""
        yield from self._release_shutter()

    # -- when -----------------------------------------------------------------------------------

    def _due(self, event: MDAEvent) -> MsgGenerator[bool | None]:
        """Wait until an event may begin.

        Returns whether it is to be taken; `None` when the sequence is to end before it.
        """
        place = _place(event)
        if self._last is not None and place != self._last:
            return None
        if event.reset_event_timer:
            self._view.restart()
        while place != self._left_out:
            yield Msg("checkpoint", None, *self._begun(event))
            left = self._view.until(event)
            if not left:
                return True
            yield from self._listen(place, left)
            if self._last is not None and place != self._last:
                return None
        self.skipped += 1
        return False

    def _listen(self, place: Any, timeout: float = 0.0) -> MsgGenerator[None]:
        """See what the user did, for some time."""
        if not timeout and not any(latch.is_set() for latch in self._latches.values()):
            return  # a message less for each event: they stay on offer
        changed = yield from wait_for_actions(self._latches, timeout=timeout, hold=True)
        while changed is not None:
            name, latch = changed
            latch.reset()
            if name in self._skip.event_map:
                self._left_out = place
            else:
                self._last = place
            # On offer again: there may be more to skip.
            changed = yield from wait_for_actions(self._latches, timeout=0, hold=True)

    def _one_by_one(
        self, events: Sequence[MDAEvent], after: Sequence[MDAEvent] = ()
    ) -> MsgGenerator[bool]:
        """Take events in software; return whether there is more to do.

        Parameters
        ----------
        events : sequence of MDAEvent
            The events.
        after : sequence of MDAEvent
            The one that comes after them, if it is taken in software too.
        """
        for event, following in zip_longest(events, (*events[1:], *after)):
            due = yield from self._due(event)
            if not due and self._ahead is not None:  # a user has left out what is under way
                yield Msg("wait", None, group=self._ahead)
                self._ahead = None
            if due is None:
                return False
            if due:
                yield from self._do(event, following)
                yield from self._listen(_place(event))
        return True

    def _do(self, event: MDAEvent, following: MDAEvent | None) -> MsgGenerator[None]:
        action = event.action
        if action is None or action.type == "acquire_image":
            yield from self._acquire(event, following)
        elif action.type == "hardware_autofocus":
            yield from self._move(event)
            yield from self._focus(event)
        else:
            yield from self._move(event)
            yield from self._actions[action.name](event)

    # -- one event ------------------------------------------------------------------------------

    def _acquire(self, event: MDAEvent, following: MDAEvent | None) -> MsgGenerator[None]:
        if self._ahead is None:
            yield from self._move(event)
            yield from self._hold_shutter(event)
            group = fresh_group("mda")
            yield Msg("trigger", self._devices.camera, group=group)
        else:
            group, self._ahead = self._ahead, None
        yield from self._record(event, group, following)
        if not event.keep_shutter_open:
            yield from self._release_shutter()

    def _record(
        self, event: MDAEvent, exposure: Any = None, following: MDAEvent | None = None
    ) -> MsgGenerator[None]:
        """Read all into one event, the camera last: most of it while it exposes.

        Parameters
        ----------
        event : MDAEvent
            The event.
        exposure : hashable, optional
            The group to wait for before the camera is read.
        following : MDAEvent, optional
            The event that comes next, if the camera may begin with it before this one is out.
        """
        self._view.show(event)
        alike = None if following is None or not self._is_alike(event, following) else following
        yield Msg("create", name=self._stream)
        try:
            for device in self._beside:
                yield Msg("read", device)
            if exposure is not None:
                yield Msg("wait", None, group=exposure)
            yield Msg("read", self._devices.camera)
        except Exception:
            yield Msg("drop")
            raise
        if alike is not None:
            yield from self._begin(alike)
        yield Msg("save")
        self.taken += 1

    def _is_alike(self, event: MDAEvent, following: MDAEvent) -> bool:
        """Tell whether between two events there is nothing to do but to expose."""
        return (
            _takes_frame(following)
            and not following.reset_event_timer
            and following.keep_shutter_open == event.keep_shutter_open
            and [*self._settings(following)] == [*self._settings(event)]
        )

    def _begin(self, event: MDAEvent) -> MsgGenerator[None]:
        """Have the camera expose for an event, with the one before read and not yet saved."""
        place = _place(event)
        if (
            self._view.until(event)
            or place == self._left_out
            or (self._last is not None and place != self._last)
            or any(latch.is_set() for latch in self._latches.values())
        ):
            return
        self._ahead = fresh_group("mda")
        try:
            yield Msg("trigger", self._devices.camera, group=self._ahead)
        except Exception:
            yield Msg("save")  # its frame is there
            raise

    def _begun(self, event: MDAEvent) -> Iterable[Msg]:
        """Return what a pause is to repeat of an event, as far as it was begun already."""
        if self._ahead is None:
            return
        group = self._ahead
        for device, value in self._settings(event):
            yield Msg("set", device, value, group=group)
        yield Msg("wait", None, group=group)
        yield Msg("trigger", self._devices.camera, group=group)

    def _move(self, event: MDAEvent) -> MsgGenerator[None]:
        """Set all that an event says, and wait for it.

        All of it each time: what a hand moved in a pause goes back.
        """
        group = fresh_group("mda")
        moved = False
        for device, value in self._settings(event):
            yield Msg("set", device, value, group=group)
            moved = True
        if moved:
            yield Msg("wait", None, group=group)
        if self._refocus and _takes_frame(event):
            self._refocus = False
            yield from abs_set(self._devices.autofocus_continuous, True, wait=True)

    def _settings(self, event: MDAEvent) -> Iterable[tuple[Any, Any]]:
        """Return devices and what to set them to."""
        devices = self._devices
        x, y = event.x_pos, event.y_pos
        if x is not None and y is not None and devices.xy is not None:
            yield devices.xy, (x, y)
        else:
            if x is not None:
                yield devices.x, x
            if y is not None:
                yield devices.y, y
        if event.z_pos is not None:
            yield devices.z, event.z_pos + self._correction(event)
        if event.channel is not None:
            yield devices.channels[event.channel.group], event.channel.config
        if event.exposure is not None:
            yield devices.exposure, event.exposure * 0.001 / devices.exposure_unit
        for device, name, value in event.properties or ():
            yield devices.properties[device, name], value
        if event.roi is not None:
            roi = event.roi
            yield devices.roi, [roi.offset_x, roi.offset_y, roi.width, roi.height]

    # -- in hardware ------------------------------------------------------------------------------

    def _batch(self, events: Events) -> MsgGenerator[bool]:
        """Take events whose pace the camera sets; return whether there is more to do."""
        due = yield from self._due(events[0])
        if due is None:
            return False
        if not due:
            return (yield from self._one_by_one(events[1:]))
        sequencer = self._devices.sequencer
        assert sequencer is not None
        group = fresh_group("mda")
        events = tuple(events)  # which group it is, is told by its identity
        corrections = [self._correction(event) for event in events]
        yield Msg("prepare", sequencer, (events, corrections), group=group)
        yield Msg("wait", None, group=group)
        for number, event in enumerate(events):
            if (self._last is not None and _place(event) != self._last) or (
                _place(event) == self._left_out
            ):
                yield Msg("stop", sequencer)
                return (yield from self._one_by_one(events[number:]))
            # The first message is enough to begin anew where a pause has stopped the hardware, and
            # where another plan has used it meanwhile.
            yield Msg("checkpoint")
            yield from abs_set(sequencer, SequenceStep(number, events, corrections), wait=True)
            yield from self._record(event)
            yield from self._listen(_place(event))
        return True

    # -- shutter ----------------------------------------------------------------------------------

    def _hold_shutter(self, event: MDAEvent) -> MsgGenerator[None]:
        """Open the shutter for longer than this event, if it is to stay open after it."""
        devices = self._devices
        if not (event.keep_shutter_open and self._couples) or self._holds_shutter:
            return
        if devices.shutter is None:
            return
        self._holds_shutter = True
        yield from abs_set(devices.auto_shutter, False, wait=True)
        yield from abs_set(devices.shutter, "Open", wait=True)

    def _release_shutter(self) -> MsgGenerator[None]:
        if self._holds_shutter:
            yield from abs_set(self._devices.shutter, "Closed", wait=True)
            yield from abs_set(self._devices.auto_shutter, True, wait=True)
            self._holds_shutter = False

    # -- focus ------------------------------------------------------------------------------------

    def _correction(self, event: MDAEvent) -> float:
        return self._corrections.get(event.index.get("p"), 0.0)

    def _focus(self, event: MDAEvent) -> MsgGenerator[None]:
        """Search the focus; what it adds holds for the events of the same position."""
        devices, action = self._devices, event.action
        if devices.autofocus_continuous is not None:
            yield from abs_set(devices.autofocus_continuous, False, wait=True)
        offset = action.autofocus_motor_offset  # type: ignore[union-attr]
        if offset is not None and devices.autofocus_offset is not None:
            yield from abs_set(devices.autofocus_offset, offset, wait=True)
        before = 0.0 if devices.z is None else (yield from rd(devices.z))
        found = yield from self._search(event, action.max_retries)  # type: ignore[union-attr]
        if found:
            after = 0.0 if devices.z is None else (yield from rd(devices.z))
            self._corrections[event.index.get("p")] = self._correction(event) + after - before
            self._refocus = self._holds_focus
        else:
            self.unfocused += 1

    def _search(self, event: MDAEvent, tries: int) -> MsgGenerator[bool]:
        for attempt in range(1, max(tries, 1) + 1):
            try:
                yield from trigger(self._devices.autofocus, wait=True)
            except FailedStatus as error:
                _log.warning(
                    "autofocus of event %s failed, try %d of %d: %s",
                    dict(event.index),
                    attempt,
                    tries,
                    error.__cause__ or error,
                )
            else:
                return True
        return False


def _takes_frame(event: MDAEvent) -> bool:
    return event.action is None or event.action.type == "acquire_image"


def _focuses(event: MDAEvent) -> bool:
    return event.action is not None and event.action.type == "hardware_autofocus"


def _place(event: MDAEvent) -> tuple[int | None, int | None]:
    """Return what "this position" means for an event: its time and position."""
    return event.index.get("t"), event.index.get("p")
