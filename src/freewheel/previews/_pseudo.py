"""Pseudo axes of ophyd: where they send the real ones."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, final

from ._facts import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._seen import Seen

__all__ = ["Pseudo", "pseudo_of"]

_MODULE: Final = "ophyd.pseudopos"


def pseudo_of(device: Any, get: Callable[[Any], Seen]) -> Pseudo | None:
    """Return what moves a pseudo axis or a whole pseudo positioner; ``None`` for another device."""
    module = sys.modules.get(_MODULE)
    if module is None:
        return None
    if isinstance(device, module.PseudoPositioner):
        return Pseudo(device, None, get)
    if isinstance(device, module.PseudoSingle) and device.parent is not None:
        return Pseudo(device.parent, device, get)
    return None


@final
class Pseudo:
    """A pseudo positioner, or one of its axes.

    Parameters
    ----------
    positioner : ophyd.PseudoPositioner
        The positioner.
    single : ophyd.PseudoSingle or None
        The axis, if it is about one.
    get : callable
        Returns what is seen of a real axis.
    """

    def __init__(self, positioner: Any, single: Any, get: Callable[[Any], Seen]) -> None:
        self._positioner = positioner
        self._single = single
        self._get = get

    @property
    def reals(self) -> list[Seen]:
        """The real axes."""
        return [self._get(real) for real in self._positioner.real_positioners]

    def position(self) -> Any:
        """Return where it is, from where the real axes are in the plan."""
        pseudo = self._pseudo_position()
        if pseudo is UNKNOWN:
            return UNKNOWN
        return pseudo if self._single is None else getattr(pseudo, self._single.attr_name)

    def _pseudo_position(self) -> Any:
        places = [real.position for real in self.reals]
        if any(place is UNKNOWN for place in places):
            return UNKNOWN
        return self._positioner.inverse(self._positioner.RealPosition(*places))

    def reach(self, value: Any) -> list[tuple[Seen, float]]:
        """Return where each real axis goes; raise what the positioner raises for such a value."""
        positioner = self._positioner
        if self._single is None:
            target = positioner.PseudoPosition(*_sequence(value))
        else:
            here = self._pseudo_position()
            if here is UNKNOWN:
                here = positioner.position
            target = here._replace(**{self._single.attr_name: value})
        positioner.check_value(target)
        return list(zip(self.reals, positioner.forward(target), strict=True))

    @property
    def is_concurrent(self) -> bool:
        """Whether the real axes move at the same time."""
        return bool(self._positioner.concurrent)


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (tuple, list)) else (value,)
