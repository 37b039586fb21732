"""How bad it is what a signal reads, whichever control system says so."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["severity_of"]

_INVALID: Final = 3
#: Tango's qualities, which ophyd-async hands on in the place of EPICS' severities.
_QUALITIES: Final = {
    "ATTR_VALID": 0,
    "ATTR_CHANGING": 0,  # it moves
    "ATTR_WARNING": 1,
    "ATTR_ALARM": 2,
}


def severity_of(told: Any) -> int:
    """Return a severity as EPICS has them: 0, 1 (minor), 2 (major) or 3 (invalid).

    Parameters
    ----------
    told : object
        The ``alarm_severity`` of a reading; ``None`` for none.
    """
    if type(told).__name__ == "AttrQuality":  # numbers of its own, of which 1 is the worst
        return _QUALITIES.get(told.name, _INVALID)
    severity = int(told or 0)
    return severity if 0 <= severity <= _INVALID else _INVALID
