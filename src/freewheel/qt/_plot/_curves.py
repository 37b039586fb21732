"""Curves that are fitted to points, and the statistics of a peak. No widget is touched here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

__all__ = ["FITS", "STATISTICS", "FitResult", "fit_points", "why_no_fit"]

_Points = "npt.NDArray[Any]"
#: More points than this are thinned before a curve is fitted to them.
_POINTS: Final = 2000
#: What needs no fit: maximum, centre of mass, width at half of the height.
STATISTICS: Final = "peak statistics"


def _gaussian(x: Any, height: Any, centre: Any, sigma: Any, base: Any) -> Any:
    return base + height * np.exp(-(((x - centre) / sigma) ** 2) / 2)


def _lorentzian(x: Any, height: Any, centre: Any, width: Any, base: Any) -> Any:
    return base + height / (1 + ((x - centre) / (width / 2)) ** 2)


def _edge(x: Any, height: Any, centre: Any, width: Any, base: Any) -> Any:
    return base + height / 2 * (1 + np.tanh((x - centre) / width))


def _line(x: Any, slope: Any, offset: Any) -> Any:
    return slope * x + offset


#: The curves by name, with the names of their parameters.
FITS: Final[Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]]] = {
    "gaussian": (_gaussian, ("height", "centre", "sigma", "base")),
    "lorentzian": (_lorentzian, ("height", "centre", "width", "base")),
    "edge": (_edge, ("height", "centre", "width", "base")),
    "line": (_line, ("slope", "offset")),
}


@dataclass(frozen=True)
class FitResult:
    """What was found.

    Attributes
    ----------
    kind
        The curve, or `STATISTICS`.
    values, errors
        The parameters by name, and how far off they may be; infinite where that is not known.
    curve
        Points of the curve to be drawn, shape (2, n); `None` for statistics.
    """

    kind: str
    values: Mapping[str, float]
    errors: Mapping[str, float] = field(default_factory=dict)
    curve: npt.NDArray[Any] | None = None

    def __str__(self) -> str:
        """Say it in a line."""
        parts = []
        for name, value in self.values.items():
            error = self.errors.get(name, math.nan)
            parts.append(
                f"{name} {value:.5g}" + (f" ± {error:.2g}" if math.isfinite(error) else "")
            )
        return f"{self.kind}: {', '.join(parts)}"


def why_no_fit() -> str:
    """Return why no curve can be fitted; empty if one can."""
    return "" if find_spec("scipy") else "needs SciPy, which lmfit brings too: pip install scipy"


def fit_points(points: npt.NDArray[Any], kind: str) -> FitResult:
    """Fit a curve to points, shape (2, n); from any thread.

    Raises
    ------
    ValueError
        If there are too few points, or no curve of that kind goes through them.
    """
    x, y = points[:, np.isfinite(points).all(axis=0)]
    step = max(1, len(x) // _POINTS)
    x, y = x[::step], y[::step]
    if kind == STATISTICS:
        return FitResult(kind, _statistics(x, y))
    function, names = FITS[kind]
    if len(x) < len(names):
        msg = f"{kind}: {len(names)} points are needed at least, and there are {len(x)}"
        raise ValueError(msg)
    import warnings

    from scipy.optimize import OptimizeWarning, curve_fit

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", OptimizeWarning)  # that errors are not known is told
        try:
            found, covariance = curve_fit(function, x, y, _guess(kind, x, y), maxfev=2000)
        except RuntimeError:
            msg = f"{kind}: no such curve goes through these points"
            raise ValueError(msg) from None
    values = dict(zip(names, map(float, found), strict=True))
    for name in ("sigma", "width"):
        if name in values and kind != "edge":
            values[name] = abs(values[name])  # which the square hides
    errors = dict(zip(names, map(float, np.sqrt(np.diag(covariance))), strict=True))
    drawn = np.linspace(x.min(), x.max(), 400)
    return FitResult(kind, values, errors, np.array([drawn, function(drawn, *found)]))


def _guess(kind: str, x: Any, y: Any) -> list[float]:
    if kind == "line":
        return [0.0, float(y.mean())]
    span = float(np.ptp(x)) or 1.0
    if kind == "edge":
        ends = np.argsort(x)
        first, last = float(y[ends[0]]), float(y[ends[-1]])
        middle = float(x[np.argmin(np.abs(y - (first + last) / 2))])
        return [last - first, middle, span / 10, first]
    base = float(np.median(y))
    up = float(y.max()) - base >= base - float(y.min())
    top = int(np.argmax(y) if up else np.argmin(y))
    return [float(y[top]) - base, float(x[top]), span / 10, base]


def _statistics(x: Any, y: Any) -> dict[str, float]:
    """Return what bluesky's PeakStats tells: where the peak is, and how wide."""
    if not len(x):
        msg = f"{STATISTICS}: there are no points"
        raise ValueError(msg)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    found = {"maximum": float(y.max()), "at": float(x[np.argmax(y)]), "minimum": float(y.min())}
    above = y - y.min()
    if above.sum() > 0:
        found["centre of mass"] = float((x * above).sum() / above.sum())
    middle = (y.max() + y.min()) / 2
    crossed = np.flatnonzero(np.diff((y > middle).astype(int)))
    if crossed.size:
        share = (middle - y[crossed]) / (y[crossed + 1] - y[crossed])
        places = x[crossed] + share * (x[crossed + 1] - x[crossed])
        found["centre"] = float(places.mean())
        if crossed.size > 1:
            found["width"] = float(places[-1] - places[0])
    return found
