"""Documents that carry pictures, of which the newest alone counts where somebody is behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

__all__ = ["WaitingPictures", "has_picture", "without_pictures"]

T = TypeVar("T")

#: An array of this size or more is a picture [bytes].
_PICTURE: Final = 16_384


def has_picture(doc: Mapping[str, Any]) -> bool:
    """Tell whether an event carries one."""
    return any(map(_is_picture, doc["data"].values()))


def without_pictures(doc: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return an event with all else that it carries, which is to be plotted; `None` for nothing."""
    kept = {key for key, value in doc["data"].items() if not _is_picture(value)}
    if not kept:
        return None
    slim = {
        part: {key: value for key, value in doc.get(part, {}).items() if key in kept}
        for part in ("data", "timestamps", "filled")
    }
    return {**doc, **slim}


class WaitingPictures(Generic[T]):
    """Knows which of the things that wait in a line keep their pictures.

    Of each stream these are the newest, which stands last, and the first: who is more and more
    behind would never come to the newest. It has no lock: whoever has the line has one.
    """

    def __init__(self) -> None:
        self._newest: dict[Hashable, T] = {}
        self._firsts: dict[Hashable, T] = {}

    def newest(self, stream: Hashable) -> T | None:
        """Return the one of a stream that came last, if it waits."""
        return self._newest.get(stream)

    def overtake(self, stream: Hashable) -> T | None:
        """Return the one that is to lose its pictures for a newer one, if there is one."""
        older = self._newest.get(stream)
        if older is None or self._firsts.setdefault(stream, older) is older:
            return None
        return older

    def put(self, stream: Hashable, thing: T) -> None:
        """Take note of the newest one, which has come into the line."""
        self._newest[stream] = thing

    def taken(self, stream: Hashable, thing: T) -> None:
        """Take note that one waits no more."""
        for known in (self._newest, self._firsts):
            if known.get(stream) is thing:
                del known[stream]

    def clear(self) -> None:
        """Forget all."""
        self._newest.clear()
        self._firsts.clear()


def _is_picture(value: Any) -> bool:
    return bool(getattr(value, "nbytes", 0) >= _PICTURE)
