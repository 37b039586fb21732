"""The picture of a preview, drawn by bluesky's own function where there are two axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bluesky.simulators import plot_raster_path
from bluesky.utils import Msg

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["draw"]


class _Axis(NamedTuple):
    name: str


def draw(
    title: str,
    moves: Mapping[str, Any],
    every: Sequence[Mapping[str, float]],
    ax: Any,
    x: str | None,
    y: str | None,
) -> Any:
    """Draw moves and the points of events; see `Preview.plot`."""
    names = [name for name, move in moves.items() if move.lowest is not None]
    for asked in (x, y):
        if asked is not None and asked not in names:
            raise KeyError(f"{asked!r} is not moved; moved are: {', '.join(names) or 'none'}")
    chosen = [asked for asked in (x, y) if asked is not None]
    chosen += [name for name in names if name not in chosen][: 2 - len(chosen)]
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1]
    ax.set_title(title)
    points = [point for point in every if all(name in point for name in chosen)]
    if len(chosen) == 2 and points:
        plot_raster_path(_messages(points, *chosen), chosen[0], chosen[1], ax=ax)
        ax.set_aspect("auto" if _is_flat(points, *chosen) else "equal")
    elif chosen:
        places = [point[chosen[0]] for point in points] or moves[chosen[0]].path
        ax.plot(range(len(places)), places, marker="o", markersize=3)
        ax.set_xlabel("event" if points else "move")
    axes = (ax.xaxis, ax.yaxis) if len(chosen) == 2 else (ax.yaxis,)
    for axis, name in zip(axes, chosen, strict=False):
        unit = moves[name].unit
        axis.set_label_text(f"{name} [{unit}]" if unit else name)
    return ax


def _messages(points: list[Any], x: str, y: str) -> Iterator[Msg]:
    """Return messages that bluesky's function draws the points from."""
    for point in points:
        yield Msg("set", _Axis(x), point[x])
        yield Msg("set", _Axis(y), point[y])
        yield Msg("save")


def _is_flat(points: list[Any], x: str, y: str) -> bool:
    """Tell whether one axis moves so much more that nothing would be seen at equal scales."""
    wide = max(p[x] for p in points) - min(p[x] for p in points)
    high = max(p[y] for p in points) - min(p[y] for p in points)
    return bool(min(wide, high) * 20 < max(wide, high))
