"""From values to colours: maps, gamma and logarithm, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyqtgraph as pg

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["COLOUR_MAPS", "Curve", "colour_map", "table_of"]

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
#: Maps of two colours; the others are pyqtgraph's.
_RAMPS: Final = {
    "grey": (_BLACK, _WHITE),
    "grey, inverted": (_WHITE, _BLACK),
    "red": (_BLACK, (255, 0, 0)),
    "green": (_BLACK, (0, 255, 0)),
    "blue": (_BLACK, (80, 80, 255)),
}
#: The names of the colour maps.
COLOUR_MAPS: Final = (*_RAMPS, "viridis", "inferno", "magma", "plasma", "cividis", "turbo")
#: So many shades has a table with a curve: dark ones lie close to each other there.
_SHADES: Final = 4096
#: What the logarithm begins with, as a share of the range that is shown.
_FIRST: Final = 1e-3


@dataclass(frozen=True)
class Curve:
    """How brightness follows the values.

    Attributes
    ----------
    gamma
        The exponent: below 1 dark parts are lifted.
    logarithmic
        Whether its logarithm is shown, of three decades.
    """

    gamma: float = 1.0
    logarithmic: bool = False

    @property
    def is_straight(self) -> bool:
        """Whether nothing is done."""
        return self.gamma == 1.0 and not self.logarithmic

    def __call__(self, shares: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return brightness, 0 to 1, for values from 0 to 1."""
        if self.logarithmic:
            shares = np.log1p(shares / _FIRST) / np.log1p(1 / _FIRST)
        return np.asarray(shares**self.gamma)


def colour_map(name: str) -> pg.ColorMap:
    """Return a colour map by its name.

    Raises
    ------
    ValueError
        If there is none, with those that there are.
    """
    if name not in COLOUR_MAPS:
        msg = f"there is no colour map {name!r}; there are: {'; '.join(COLOUR_MAPS)}"
        raise ValueError(msg)
    if name in _RAMPS:
        return pg.ColorMap([0.0, 1.0], list(_RAMPS[name]))
    return pg.colormap.get(name)


def table_of(colours: npt.NDArray[Any], curve: Curve) -> npt.NDArray[Any]:
    """Return a table of colours, such as pyqtgraph's, with a curve; shades of grey as one column.

    Parameters
    ----------
    colours
        Shape (n, 3), whole numbers up to 255.
    curve
        What is done before.
    """
    shades = len(colours) if curve.is_straight else _SHADES
    places = curve(np.linspace(0.0, 1.0, shades)) * (len(colours) - 1)
    table = colours[np.rint(places).astype(int)].astype(np.uint8)
    grey = (table == table[:, :1]).all()
    return np.ascontiguousarray(table[:, :1] if grey else table)
