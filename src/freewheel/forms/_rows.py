"""What ``*args`` that come in groups mean: a row of a table for each group."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin

from bluesky.protocols import Movable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Rows", "needed_beside", "rows_of"]


class Rows:
    """Says that ``*args`` come in groups, such as motor, start and stop: a form shows a table.

    ``def my_scan(detectors, *args: Annotated[Any, Rows(motor=Movable, start=float, stop=float)])``.

    Parameters
    ----------
    columns
        The annotation of each argument of a group, by what it is called, in their order.

    Raises
    ------
    TypeError
        Without a column.
    """

    def __init__(self, **columns: Any) -> None:
        if not columns:
            msg = "Rows(...) needs a column at least, such as Rows(motor=Movable, place=float)"
            raise TypeError(msg)
        self.columns: Mapping[str, Any] = MappingProxyType(columns)

    def __repr__(self) -> str:
        """Return what made it."""
        return f"Rows({', '.join(self.columns)})"


_LINE: Final = Rows(motor=Movable, start=float, stop=float)
_GRID: Final = Rows(motor=Movable, start=float, stop=float, num=int)
_POINTS: Final = Rows(motor=Movable, points=list[float])
#: Plans of bluesky and of ours, whose signatures do not say it.
_KNOWN: Final[Mapping[tuple[str, str], Rows]] = MappingProxyType(
    {
        ("bluesky.plans", "scan"): _LINE,
        ("bluesky.plans", "rel_scan"): _LINE,
        ("bluesky.plans", "inner_product_scan"): _LINE,
        ("bluesky.plans", "relative_inner_product_scan"): _LINE,
        ("bluesky.plans", "grid_scan"): _GRID,
        ("bluesky.plans", "rel_grid_scan"): _GRID,
        ("bluesky.plans", "list_scan"): _POINTS,
        ("bluesky.plans", "rel_list_scan"): _POINTS,
        ("bluesky.plans", "list_grid_scan"): _POINTS,
        ("bluesky.plans", "rel_list_grid_scan"): _POINTS,
    }
)
#: Parameters that may be left out only if something else is said in ``*args``, which no row has.
_NEEDED: Final = frozenset({("bluesky.plans", "scan", "num"), ("bluesky.plans", "rel_scan", "num")})


def rows_of(function: Any, annotation: Any) -> Rows | None:
    """Return what the ``*args`` of a plan function mean; `None` if nobody has said that."""
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, Rows):
                return extra
    return _KNOWN.get((getattr(function, "__module__", ""), getattr(function, "__name__", "")))


def needed_beside(function: Any, parameter: str) -> bool:
    """Tell whether a form has to ask for a parameter that may be left out in a call."""
    plan = getattr(function, "__module__", ""), getattr(function, "__name__", "")
    return (*plan, parameter) in _NEEDED
