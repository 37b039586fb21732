"""Which picture of the documents is shown, and what they tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freewheel.qt._image._facts import affine_in, picture_keys, pixel_size_in, saturation_in
from freewheel.qt._image._frames import find_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from freewheel.qt._image._tools import Channel

__all__ = ["ImageSource"]


class ImageSource:
    """What was told of the runs under way, and the last; the window's thread alone.

    Parameters
    ----------
    key
        The data key of the frames; `None` for the first one that looks like a picture.

    Attributes
    ----------
    channel
        What is shown: a data key and a stream, or `None` for whichever comes.
    given_size, given_limit
        The size of a pixel, and the value from which on one is saturated, that somebody gave:
        they go before what documents tell.
    learned_size
        The size of a pixel that was measured: it goes behind what documents tell.
    """

    def __init__(self, key: str | None) -> None:
        self.channel: Channel = (key, None)
        self.given_size: tuple[float, str] | None = None
        self.given_limit: float | None = None
        self.learned_size: tuple[float, str] | None = None
        self._starts: dict[str, dict[str, Any]] = {}
        self._descriptors: dict[str, dict[str, Any]] = {}
        self._ended: set[str] = set()  # of these runs

    # -- runs ---------------------------------------------------------------------------------

    @property
    def is_one_run(self) -> bool:
        """Whether no other run goes on beside the one that is known."""
        return len(self._starts) == 1

    def take(self, name: str, doc: dict[str, Any]) -> None:
        """Take a document of a run; of one that has ended all is kept until the next begins.

        Its frames can still be looked at.
        """
        if name == "start":
            self._forget_ended()
            self._starts[doc["uid"]] = doc
        elif name == "descriptor":
            self._descriptors[doc["uid"]] = doc
        elif name == "stop":
            self._ended.add(doc["run_start"])

    def _forget_ended(self) -> None:
        for uid in self._ended:
            self._starts.pop(uid, None)
        kept = self._starts
        self._descriptors = {
            uid: each for uid, each in self._descriptors.items() if each["run_start"] in kept
        }
        self._ended.clear()

    def learn_from(self, other: ImageSource) -> None:
        """Know the runs and channels that another one knows."""
        self._starts, self._descriptors = dict(other._starts), dict(other._descriptors)
        self._ended = set(other._ended)

    # -- pictures -----------------------------------------------------------------------------

    @property
    def channels(self) -> tuple[tuple[str, str | None], ...]:
        """What can be chosen: each picture's key, and its stream where a key is in several."""
        streams: dict[str, list[str]] = {}
        for descriptor in self._descriptors.values():
            for key in picture_keys(descriptor):
                names = streams.setdefault(key, [])
                if (name := descriptor.get("name", "")) not in names:
                    names.append(name)
        found: list[tuple[str, str | None]] = []
        for key, names in streams.items():
            found.append((key, None))
            found += [(key, name) for name in names if len(names) > 1]
        return tuple(found)

    def key_of(self, doc: dict[str, Any]) -> str | None:
        """Return the key of the frame that is shown of an event; `None` if it has none."""
        key, stream = self.channel
        if stream is not None and self._descriptor_of(doc).get("name") != stream:
            return None
        return find_frame(doc["data"], key)

    def _descriptor_of(self, doc: dict[str, Any]) -> dict[str, Any]:
        return self._descriptors.get(doc["descriptor"], {})

    def pixel_size_of(self, doc: dict[str, Any] | None) -> tuple[float, str] | None:
        """Return the size of a pixel and its unit: given, told of an event, or measured."""
        if self.given_size is not None or doc is None:
            return self.given_size
        size: tuple[float, str] | None = self._told_of(doc, pixel_size_in)
        return size or self.learned_size

    def affine_of(self, doc: dict[str, Any] | None) -> tuple[float, float, float, float] | None:
        """Return how far the stage goes for a pixel [um], if that was told; see `affine_in`."""
        return None if doc is None else self._told_of(doc, affine_in)

    def _told_of(self, doc: dict[str, Any], read: Callable[..., Any]) -> Any:
        descriptor, key = self._descriptor_of(doc), self.key_of(doc)
        start = self._starts.get(descriptor.get("run_start", ""), {})
        return read(start, descriptor, key) if descriptor and key else None

    def saturation_of(
        self, doc: dict[str, Any] | None, dtype: np.dtype[Any] | None
    ) -> float | None:
        """Return the value from which on a pixel is saturated: given, or told; else `None`."""
        if self.given_limit is not None or doc is None or dtype is None:
            return self.given_limit
        return saturation_in(self._descriptor_of(doc), self.key_of(doc) or "", dtype)
