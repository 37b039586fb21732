"""The one shape in which every benchmark reports, and what they all measure with.

A benchmark module ``benchmarks/_name.py`` has a function ``rows()`` that returns an iterable of
`Row`; ``python -m benchmarks --only name`` runs it. What a module compares runs *interleaved*
(`interleave`): ours, peer, ours, peer, in one process, so that a machine that slows down slows
both, and a ratio of the medians is worth more than either median.
"""

from __future__ import annotations

import gc
import os
import re
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Row", "interleave", "make_row", "resident", "rounds", "spread_of"]

_LIMIT = re.compile(r"\s*(>=|<=|<|>)\s*([0-9.]+)(/[0-9.]+)?\s*(.*)")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    name
        What was measured, in words.
    ours, peer
        The two medians, in ``unit``; `None` for a peer that is not installed.
    peer_name
        ``"bluesky"``, ``"redsun"``, ``"ophyd"``, ``"pymmcore-plus"``, or ``""`` for an absolute
        figure.
    ratio
        How many times better ours is than the peer's; above 1 is better, whether the unit is a
        time or a rate. `None` where there is no peer.
    unit
        ``"µs"``, ``"1/s"``, ``"MB"``, …
    must_reach
        The limit that the project has set itself: ``">= 1.1"`` is a limit on the ratio,
        ``"<= 5 ms"`` (with a unit) one on our own figure; empty where there is none.
    """

    name: str
    ours: float
    peer: float | None
    peer_name: str
    ratio: float | None
    unit: str
    must_reach: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the limit is kept; `None` if there is none, or no peer to compare with."""
        if not self.must_reach:
            return None
        match = _LIMIT.fullmatch(self.must_reach)
        if match is None:
            msg = f"benchmark {self.name!r}: cannot read the limit {self.must_reach!r}"
            raise ValueError(msg)
        sign, number, divisor, unit = match.groups()
        limit = float(number) / (float(divisor[1:]) if divisor else 1.0)
        figure = self.ours if unit and unit != "x" else self.ratio
        if figure is None:
            return None
        return {
            ">=": figure >= limit,
            "<=": figure <= limit,
            ">": figure > limit,
            "<": figure < limit,
        }[sign]


def make_row(
    name: str,
    figures: Mapping[str, float],
    *,
    peer: str = "",
    unit: str,
    more_is_better: bool = False,
    must_reach: str = "",
    ours: str = "freewheel",
) -> Row:
    """Put two of the medians that `interleave` returned side by side.

    Parameters
    ----------
    name
        What was measured.
    figures
        Medians by name, as `interleave` returns them.
    peer
        Which of them is the peer; one that is not there (not installed) gives a row without it.
    unit
        Unit of the figures.
    more_is_better
        True for rates, false for times and sizes.
    must_reach
        See `Row`.
    ours
        Which of the figures is ours.

    Returns
    -------
    Row
        With the ratio the right way up.
    """
    mine, theirs = figures[ours], figures.get(peer)
    ratio = None
    if theirs is not None:
        top, bottom = (mine, theirs) if more_is_better else (theirs, mine)
        ratio = top / bottom if bottom else float("inf")
    return Row(name, mine, theirs, peer if theirs is not None else "", ratio, unit, must_reach)


def interleave(
    cases: Mapping[str, Callable[[], float]], *, repeats: int = 7, warm_up: int = 1
) -> dict[str, float]:
    """Run the cases in turn, ``repeats`` rounds of them, and return each one's median.

    Parameters
    ----------
    cases
        By name, functions that measure once and return the figure.
    repeats
        How many rounds count.
    warm_up
        How many rounds are run before, and thrown away.

    Returns
    -------
    dict of str to float
        The median of each case, under its name.
    """
    seen = rounds(cases, repeats=repeats, warm_up=warm_up)
    return {name: statistics.median(figures) for name, figures in seen.items()}


def rounds(
    cases: Mapping[str, Callable[[], float]], *, repeats: int = 7, warm_up: int = 1
) -> dict[str, list[float]]:
    """Do as `interleave`, and return all figures of each case, round by round."""
    seen: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(warm_up + repeats):
        for name, measure in cases.items():
            gc.collect()
            figure = measure()
            if turn >= warm_up:
                seen[name].append(figure)
    return seen


def spread_of(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return by how much the ratio of two cases varies from round to round.

    Half of the range that the middle half of the rounds is in.
    """
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return (high - low) / 2


def resident() -> float:
    """Return the memory that this process holds, in MB; 0 where that can't be told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0
