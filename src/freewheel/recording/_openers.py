"""Opening recordings, wherever they are."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._errors import FutureVersionError, NotARecordingError, RecordingError, RecordingNotFoundError
from ._files import FileRun
from ._format import MANIFEST, check_version
from ._tiled_reader import read_tiled_runs

if TYPE_CHECKING:
    import os

    from ._run import RecordedRun

__all__ = ["read_folder", "read_runs"]

logger = logging.getLogger(__name__)


def read_runs(path: str | os.PathLike[str], **options: Any) -> list[RecordedRun]:
    """Open a recording.

    Parameters
    ----------
    path : str or Path
        A recording's directory, one ``.jsonl`` file of a run, or the ``http(s)`` address of a
        Tiled server. Files written by suitcase-jsonl are read as well.
    **options
        For a Tiled server: see `read_tiled_runs`.

    Returns
    -------
    list of RecordedRun
        In the order in which they started. A run that is incomplete is among them; one of which
        not even the start document is whole is not, and is logged.

    Raises
    ------
    NotARecordingError
        When there is no recording; where there is no such path, the `RecordingNotFoundError` is a
        `FileNotFoundError` too.
    FutureVersionError
        When a later version wrote it.
    TypeError
        For options with a path that is no address.
    """
    text = str(path)
    if text.startswith(("http://", "https://")):
        return read_tiled_runs(text, **options)
    if options:
        message = f"the options {', '.join(options)} are for a Tiled server, and this is a path"
        raise TypeError(message)
    path = Path(path)
    if path.is_dir():
        return read_folder(path)[0]
    if not path.exists():
        message = "there is no such file or directory"
        raise RecordingNotFoundError(message, file=path)
    check_version(path.parent)
    return [FileRun(path)]


def read_folder(folder: Path) -> tuple[list[RecordedRun], list[RecordingError]]:
    """Open a recording's directory; return its runs, and why others could not be read."""
    check_version(folder)
    files = sorted(folder.glob("*.jsonl"))
    if not files and not (folder / MANIFEST).exists():
        message = "this directory holds no recording: neither a manifest nor any .jsonl file"
        raise NotARecordingError(message, file=folder)
    runs: list[RecordedRun] = []
    failures: list[RecordingError] = []
    for file in files:
        try:
            runs.append(FileRun(file))
        except FutureVersionError:
            raise
        except RecordingError as error:
            failures.append(error)
            logger.warning("Skipped: %s", error)
    if failures and not runs and not (folder / MANIFEST).exists():
        raise failures[0]
    return sorted(runs, key=lambda run: run.start["time"]), failures
