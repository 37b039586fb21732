"""Plans as jobs at the IPython prompt and in notebooks (extra ``ipython``).

``%load_ext freewheel`` loads it; ``freewheel shell`` starts IPython with it and a simulated
microscope.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freewheel.core import MissingExtraError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "load_ipython_extension",
    "unload_ipython_extension",
]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Load the magics, the prompt and the notices into ``shell``; ``%load_ext`` calls this.

    Raises
    ------
    MissingExtraError
        If IPython is not installed.
    """
    try:
        from ._extension import load
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "freewheel":
            raise
        raise MissingExtraError("freewheel.ipython", "ipython") from error
    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take all that back; ``%unload_ext`` calls this. Plans go on."""
    from ._extension import unload

    unload(shell)
