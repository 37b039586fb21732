"""Writes the snapshots that are taken of a live view: documents as JSON lines, frames beside."""

from __future__ import annotations

import json
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SnapshotWriter", "new_folder"]

_DOCUMENTS = "documents.jsonl"


def new_folder(output: Path | None) -> Path:
    """Make the folder to write to, by default a new temporary one.

    Raises
    ------
    typer.BadParameter
        If it can't be made, or holds the documents of another run.
    """
    if output is None:
        return Path(tempfile.mkdtemp(prefix="freewheel-demo-"))
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"can't be made: {error}"
        raise typer.BadParameter(msg, param_hint="--output") from error
    if (output / _DOCUMENTS).exists():
        msg = f"holds the documents of another run already: {output / _DOCUMENTS}"
        raise typer.BadParameter(msg, param_hint="--output")
    return output


class SnapshotWriter:
    """Writes a run's snapshots to a folder; subscribe it to an engine's documents.

    The documents ``start``, ``descriptor``, ``event`` and ``stop`` go to ``documents.jsonl``, one
    ``[name, document]`` a line; an array goes to a file of NumPy, whose name stands in its place.
    Other streams are left out.

    Parameters
    ----------
    stream : str
        Name of the stream of snapshots.
    folder : Path
        Where to write; must exist.

    Attributes
    ----------
    wrote : threading.Event
        Set when a snapshot is written.
    """

    def __init__(self, stream: str, folder: Path) -> None:
        self._stream = stream
        self._folder = folder
        self.wrote = threading.Event()
        # Used on the delivery's own thread; read when the plan has ended, and the delivery with it.
        self._descriptors: set[str] = set()
        self._frames: list[Path] = []

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take a document."""
        if name in ("start", "stop"):
            self._append(name, doc)
        elif name == "descriptor" and doc["name"] == self._stream:
            self._descriptors.add(doc["uid"])
            self._append(name, doc)
        elif name == "event" and doc["descriptor"] in self._descriptors:
            self._append(name, self._without_arrays(doc))
            self.wrote.set()

    def summary(self) -> Iterator[str]:
        """Say what was written and where; to be asked when the plan has ended."""
        documents = self._folder / _DOCUMENTS
        if not self._frames:
            # A plan that is stopped before its first message has no documents at all.
            place = f"; the run's documents: {documents}" if documents.exists() else "."
            yield f"No snapshot was taken{place}"
            return
        yield f"Snapshot: {documents}"
        for path in self._frames:
            yield f"          {path}"

    def _without_arrays(self, doc: dict[str, Any]) -> dict[str, Any]:
        data = {}
        for key, value in doc["data"].items():
            if isinstance(value, np.ndarray):
                path = self._folder / f"{self._stream}-{doc['seq_num']}-{key}.npy"
                np.save(path, value)
                self._frames.append(path)
                data[key] = path.name
            else:
                data[key] = value
        return {**doc, "data": data}

    def _append(self, name: str, doc: dict[str, Any]) -> None:
        with (self._folder / _DOCUMENTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, doc], default=_plain) + "\n")


def _plain(value: Any) -> Any:
    """Give json what it can write for what NumPy made."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    msg = f"{value!r} can't be written as JSON"
    raise TypeError(msg)
