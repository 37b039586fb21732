"""Whether a Tiled server can read the files of arrays that were written for it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ._arrays import DATASET

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["say_if_unreadable"]

logger = logging.getLogger(__name__)


def say_if_unreadable(client: Any, run: str, folder: Path) -> None:
    """Warn if the server does not give the first array of a run that has ended.

    It takes what it is told of files that it cannot read, and fails only who asks for them.

    Parameters
    ----------
    client : tiled client
        The catalogue.
    run : str
        The uid of the run.
    folder : Path
        Where its files are.
    """
    try:
        status = _asked_for(client, run)
    except Exception as error:  # the run is there, whatever becomes of the question
        logger.info("Whether the Tiled server reads arrays could not be asked: %r", error)
        return
    if status >= 400:
        logger.warning(
            "The Tiled server cannot read the arrays of the run %s (%d). They are in %s: give a "
            "folder that the server reads, as arrays= or as &arrays= in an address. `freewheel "
            "tiled DIR` reads what is below DIR.",
            run,
            status,
            folder,
        )


def _asked_for(client: Any, run: str) -> int:
    """Return how the server answers who asks for an array, or 0 if there is none."""
    array = _first_array(client[run])
    if array is None:
        return 0
    # Without the client's own methods, which try for half a minute; and on a connection that is
    # closed then, for a server hangs up after such an error, and the next document would meet that.
    link = array.item["links"]["full"]
    answer = client.context.http_client.get(
        link, params={"slice": "0"}, headers={"Connection": "close"}
    )
    return int(answer.status_code)


def _first_array(run: Any) -> Any:
    for stream in run.values():
        for part in getattr(stream, "base", stream).values():
            if any(source.parameters.get("dataset") == DATASET for source in _sources(part)):
                return part
    return None


def _sources(part: Any) -> Any:
    return part.include_data_sources().data_sources() or ()
