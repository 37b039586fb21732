"""The names and the version of the format, and the manifest that tells them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from ._errors import FutureVersionError, NotARecordingError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "MANIFEST",
    "NOTES_FILE",
    "RECORDER",
    "RESERVE_FILE",
    "check_version",
    "document_id",
    "is_of_recorder",
    "notes_of",
    "write_manifest",
]

FORMAT_NAME: Final = "freewheel recording"
FORMAT_VERSION: Final = 2
RECORDER: Final = "freewheel"
MANIFEST: Final = "recording.json"
NOTES_FILE: Final = "notes"
RESERVE_FILE: Final = "reserve"


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
    """Say in a recording's directory what it is, and of this version from now on.

    Raises
    ------
    OSError
        When the directory cannot be written to.
    """
    manifest = folder / MANIFEST
    text = json.dumps({"format": FORMAT_NAME, "version": FORMAT_VERSION}) + "\n"
    if manifest.exists() and manifest.read_text(encoding="utf-8") == text:
        return
    new = manifest.with_name(f"{MANIFEST}.{uuid.uuid4()}")
    new.write_text(text, encoding="utf-8")
    new.replace(manifest)  # at once: others may read it now


def document_id(doc: Mapping[str, Any]) -> str | None:
    """Return what tells a document from all others of its run, as far as it has such a thing."""
    for field in ("uid", "datum_id"):
        if field in doc:
            own = doc[field]
            if isinstance(own, str):
                return own
            return next(iter(own), None)
    return None


def notes_of(path: Path) -> Path:
    """Return where the notes on a file of documents are."""
    return path.with_suffix("") / NOTES_FILE


def is_of_recorder(resource: Mapping[str, Any]) -> bool:
    """Tell whether a ``stream_resource`` document is one that a recorder added."""
    about = resource.get("parameters", {}).get("recorder")
    return isinstance(about, dict) and about.get("name") == RECORDER
