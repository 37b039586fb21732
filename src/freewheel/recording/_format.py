"""The names and the version of the format, and the manifest that tells them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from ._errors import FutureVersionError, NotARecordingError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "MANIFEST",
    "NOTES_FILE",
    "RECORDER",
    "check_version",
    "write_manifest",
]

FORMAT_NAME: Final = "freewheel recording"
FORMAT_VERSION: Final = 1
RECORDER: Final = "freewheel"
MANIFEST: Final = "recording.json"
NOTES_FILE: Final = "notes"


def check_version(folder: Path) -> None:
    """Read a recording's manifest, if there is one.

    Raises
    ------
    FutureVersionError
        When it is of a format that only a later version knows.
    NotARecordingError
        When it is no manifest of a recording.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        name, version = manifest["format"], int(manifest["version"])
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError, OSError) as error:
        message = "this is no manifest of a recording; move it away to read the documents beside it"
        raise NotARecordingError(message, file=path) from error
    if name != FORMAT_NAME:
        message = f"this manifest is of {name!r}, not of a {FORMAT_NAME}"
        raise NotARecordingError(message, file=path)
    if version > FORMAT_VERSION:
        message = (
            f"this recording has format version {version}, and this version of freewheel reads "
            f"up to {FORMAT_VERSION}: install a newer freewheel"
        )
        raise FutureVersionError(message, file=path)


def write_manifest(folder: Path) -> None:
    """Say in a recording's directory what it is, unless it is said already.

    Raises
    ------
    OSError
        When the directory cannot be written to.
    """
    manifest = folder / MANIFEST
    if not manifest.exists():
        text = json.dumps({"format": FORMAT_NAME, "version": FORMAT_VERSION})
        manifest.write_text(text + "\n", encoding="utf-8")
