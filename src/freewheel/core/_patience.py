"""Time-outs that say what was waited for, and not for how long."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["time_out_text"]

#: What ophyd-async's time-outs consist of: where the signal is.
_ADDRESS: Final = re.compile(r"\w+://\S+")


def time_out_text(error: BaseException | None, seconds: float) -> str | None:
    """Return the text of a time-out with how long it took.

    Parameters
    ----------
    error : BaseException or None
        What something failed with.
    seconds : float
        How long it took until then.

    Returns
    -------
    str or None
        The text; `None` if it is no time-out, or says more than what was waited for.
    """
    if type(error) is not TimeoutError:
        return None
    text = str(error)
    if text and not _ADDRESS.fullmatch(text):
        return None
    return f"{text or 'no answer'}, given up after {seconds:.1f} s"
