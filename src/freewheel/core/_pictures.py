"""Documents that carry pictures, of which the newest alone counts where somebody is behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["has_picture", "without_pictures"]

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


def _is_picture(value: Any) -> bool:
    return bool(getattr(value, "nbytes", 0) >= _PICTURE)
