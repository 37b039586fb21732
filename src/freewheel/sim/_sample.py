"""What lies under the simulated microscope: an endless field of glowing beads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_TILE = 64.0  # um: beads are drawn tile by tile, so that the field has no edge
_BEADS_PER_TILE = 5
BEAD_DEPTH = 3.0  # um: beads lie at most this far above or below the focal plane z = 0
_CACHED_TILES = 4096  # a 2048 x 2048 frame shows about 300


@dataclass(frozen=True, slots=True)
class View:
    """What a camera looks at, at one moment.

    Parameters
    ----------
    x, y : float
        Place of the sample that is seen in the centre of the sensor [um].
    z : float
        Distance from the plane of best focus [um].
    light : float
        Illumination, from 0 (dark) to 1 (full).
    """

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    light: float = 1.0


class Sample:
    """A field of beads without end, the same for the same seed.

    Beads are drawn on demand, one tile at a time, from a generator seeded by the sample's seed
    and the tile's place, so that the stage may travel any distance and finds the same beads when
    it comes back.

    Parameters
    ----------
    seed : int
        Seed of the field, zero or more.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._tile = lru_cache(maxsize=_CACHED_TILES)(self._draw_tile)

    def _draw_tile(self, column: int, row: int) -> FloatArray:
        # Seeds can't be negative, tile numbers can.
        rng = np.random.default_rng((self._seed, column % 2**32, row % 2**32))
        count = rng.poisson(_BEADS_PER_TILE)
        beads = np.empty((count, 4), dtype=np.float32)
        beads[:, 0] = (column + rng.random(count)) * _TILE
        beads[:, 1] = (row + rng.random(count)) * _TILE
        beads[:, 2] = rng.uniform(-BEAD_DEPTH, BEAD_DEPTH, count)
        beads[:, 3] = rng.lognormal(mean=-1.0, sigma=0.6, size=count)
        return beads

    def beads(self, x: tuple[float, float], y: tuple[float, float]) -> FloatArray:
        """Return the beads of the tiles that a rectangle touches.

        Parameters
        ----------
        x, y : tuple[float, float]
            Lower and upper edge of the rectangle [um].

        Returns
        -------
        numpy.ndarray
            One row for each bead: x, y, z [um] and brightness (1 is bright), shape ``(n, 4)``.
        """
        columns = range(int(x[0] // _TILE), int(x[1] // _TILE) + 1)
        rows = range(int(y[0] // _TILE), int(y[1] // _TILE) + 1)
        return np.concatenate([self._tile(column, row) for row in rows for column in columns])
