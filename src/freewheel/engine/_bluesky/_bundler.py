"""A run bundler that does for the second event only what can differ from the first.

bluesky's bundler finds out, for each event anew, whether the devices' keys collide, whether their
descriptions are known, which of the keys are external; and has every event document checked
against a JSON schema that says nothing about the two parts which devices fill. This one lets
bluesky's code do all that once for a stream, remembers what it was done for, and as long as the
same devices are read in the same order goes straight to the document. Anything unusual takes
bluesky's own way, hence meets bluesky's own errors.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from bluesky.bundlers import RunBundler
from bluesky.log import doc_logger
from bluesky.protocols import Collectable
from bluesky.utils import Msg, maybe_collect_asset_docs
from event_model import DocumentNames

from ._compose import LeanComposeDescriptor, LeanComposeEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluesky.protocols import Reading

__all__ = ["LeanRunBundler"]


def _bluesky(parent: Any) -> Any:
    """Return what it is given: bluesky does not annotate the methods that are called on it."""
    return parent


class _Routine:
    """What was found out about a stream: for these devices, in this order."""

    __slots__ = ("bundle", "cache", "described", "descriptions", "devices")

    def __init__(self, cache: Any) -> None:
        self.cache = cache  # bluesky's, of the stream that it was found out for
        self.devices: list[Any] = []
        self.descriptions: list[Any] = []  # what each device's `describe` answered
        # Once an event was saved: its descriptor's bundle, and the devices that it was made for.
        self.bundle: Any = None
        self.described: Any = None


class LeanRunBundler(RunBundler):
    """Bundles one run's readings into events, as bluesky's does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By stream, like bluesky's own caches of a run. All of it is used on the loop alone.
        self._routines: dict[str, _Routine] = {}
        # That of the open event, for as long as the event follows it.
        self._routine: _Routine | None = None

    # -- descriptors --------------------------------------------------------------------------

    async def open_run(self, msg: Msg) -> Any:
        uid = await _bluesky(super()).open_run(msg)
        made = self._compose_descriptor
        self._compose_descriptor = LeanComposeDescriptor(
            made.start, made.streams, made.event_counters
        )
        return uid

    async def _prepare_stream(self, desc_key: str, objs_dks: Any) -> Any:
        doc, _, objs = await super()._prepare_stream(desc_key, objs_dks)
        bundle = self._descriptors[desc_key]
        bundle.compose_event = LeanComposeEvent(bundle.compose_event)
        return doc, bundle.compose_event, objs

    # -- flyers -------------------------------------------------------------------------------

    async def backstop_collect(self) -> None:
        # A motion controller flies and has nothing to collect; bluesky logs a traceback of each.
        self._uncollected = {each for each in self._uncollected if isinstance(each, Collectable)}
        # Nor does it know that those of one stream are collected together, or not at all.
        for together, names in self._declared_stream_names.items():
            if len(together) > 1 and not self._uncollected.isdisjoint(together):
                try:
                    await self.collect(Msg("collect", *together, name=names[0]))
                except Exception:
                    self.log.exception("Failed to collect %r.", [*together])
                self._uncollected -= together
        await _bluesky(super()).backstop_collect()

    # -- events -------------------------------------------------------------------------------

    async def create(self, msg: Msg) -> None:
        name = msg.kwargs.get("name")
        cache = self._saved_stream_cache.get(name)
        if cache is None or self.bundling or self._strict_pre_declare:
            await _bluesky(super()).create(msg)
            name, cache = self._bundle_name, self._current_stream_cache
        else:
            self._asset_docs_cache.clear()
            self._objs_read.clear()
            self.bundling = True
            self._bundle_name = name
            cache.read_cache.clear()
            self._current_stream_cache = cache
        routine = self._routines.get(name)
        if routine is None or routine.cache is not cache:
            routine = self._routines[name] = _Routine(cache)
        self._routine = routine

    async def read(self, msg: Msg, reading: Mapping[str, Reading[Any]]) -> Any:
        if not self.bundling or self.take_reading(msg.obj, reading):
            return reading
        obj = msg.obj
        routine = self._routine
        place = len(self._objs_read)
        if (
            routine is not None
            and place < len(routine.devices)
            and routine.devices[place] is obj
            and routine.descriptions[place] is routine.cache.describe_cache.get(obj)
        ):
            # As expected, but for documents of its own that the device has for this event.
            self._objs_read.append(obj)
            routine.cache.read_cache.append(reading)
            docs = maybe_collect_asset_docs(msg, obj, *msg.args, **msg.kwargs)
            self._asset_docs_cache.extend([doc async for doc in docs])
            return reading
        try:
            await _bluesky(super()).read(msg, reading)
        except BaseException:
            # Whether it counts as read is unknown: the event goes bluesky's way from here.
            self._routine = None
            raise
        if routine is None:
            return reading
        if place < len(routine.devices):
            # Another order than last time: what was known of the devices from here on is void.
            del routine.devices[place:], routine.descriptions[place:]
            routine.bundle = None
        routine.devices.append(obj)
        routine.descriptions.append(self._current_stream_cache.describe_cache[obj])
        return reading

    def take_reading(self, obj: Any, reading: Mapping[str, Reading[Any]]) -> bool:
        """Add a reading to the open event, if there is nothing to find out about its device.

        Returns
        -------
        bool
            Whether it was added; if not, `read` does.
        """
        routine = self._routine
        objs_read = self._objs_read
        place = len(objs_read)
        if (
            routine is None
            or place >= len(routine.devices)
            or routine.devices[place] is not obj
            or routine.descriptions[place] is not routine.cache.describe_cache.get(obj)
            or getattr(obj, "collect_asset_docs", None) is not None
        ):
            return False
        objs_read.append(obj)
        routine.cache.read_cache.append(reading)
        return True

    async def save(self, msg: Msg) -> None:
        routine = self._routine
        name: Any = self._bundle_name
        if routine is None or not self.bundling:
            await _bluesky(super()).save(msg)
            return
        self._routine = None
        bundle = routine.bundle
        if (
            bundle is None
            or self._asset_docs_cache
            or len(self._objs_read) != len(routine.devices)
            or self._descriptors.get(name) is not bundle
            or self._descriptor_objs.get(name) is not routine.described
        ):
            complete = len(self._objs_read) == len(routine.devices)
            await _bluesky(super()).save(msg)
            if complete:
                routine.bundle = self._descriptors.get(name)
                routine.described = self._descriptor_objs.get(name)
            return
        self.bundling = False
        self._bundle_name = None
        await self._emit_event(routine)

    async def _emit_event(self, routine: _Routine) -> None:
        compose: LeanComposeEvent = routine.bundle.compose_event
        read_cache = routine.cache.read_cache
        if len(read_cache) == 1:
            readings = read_cache[0]
        else:
            readings = {}
            for reading in read_cache:
                readings.update(reading)
        data: dict[str, Any] = {}
        timestamps: dict[str, Any] = {}
        for key, payload in readings.items():
            data[key] = payload["value"]
            timestamps[key] = payload["timestamp"]
        doc = compose(data, timestamps, filled=dict(compose.unfilled))
        # Hand on, do not keep: frames are large.
        read_cache.clear()
        await self.emit(DocumentNames.event, doc)
        if doc_logger.isEnabledFor(logging.DEBUG):
            run_uid = compose.descriptor["run_start"]
            doc_logger.debug(
                "[event] document emitted with data keys %r (run_uid=%r)",
                data.keys(),
                run_uid,
                extra={
                    "doc_name": "event",
                    "run_uid": run_uid,
                    "data_keys": data.keys(),
                },
            )

    # -- rewinding ----------------------------------------------------------------------------

    def rewind(self) -> None:
        _bluesky(super()).rewind()
        self._routine = None

    def reset_checkpoint_state(self) -> None:
        self._sequence_counters_copy.update(self._sequence_counters)
