"""Recording runs to a folder whose name has the day on which they begin."""

from __future__ import annotations

import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from freewheel.recording import Recorder, RecordingError
from freewheel.recording._errors import raise_first
from freewheel.recording._owners import RunOwners

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["DAY", "DailyRecorder", "folder_of", "today"]

#: Stands in the name of a folder for the day on which a run begins.
DAY: Final = "{date}"


def today() -> datetime.date:
    """Return the day that it is, where this machine stands."""
    return datetime.date.today()


def folder_of(template: str, start: Mapping[str, Any] | None = None) -> str:
    """Return the folder of a run that begins as its start document says; without one, now."""
    if DAY not in template:
        return template
    try:
        day = today() if start is None else datetime.date.fromtimestamp(start["time"])
    except (KeyError, TypeError, ValueError, OverflowError, OSError):  # of a clock that was wrong
        day = today()
    return template.replace(DAY, day.isoformat())


class DailyRecorder:
    """Hands each run whole to the recorder of the folder of its day.

    Of one thread, that of the documents, but for its making and its closing.

    Parameters
    ----------
    template
        The folder, with `DAY` in its name.

    Raises
    ------
    RecordingError
        When the folder of today cannot be made or written to.
    """

    def __init__(self, template: str) -> None:
        self._template = template
        self._owners = RunOwners()
        self._of_runs: dict[str, Recorder] = {}  # that are under way
        folder = folder_of(template)
        self._recorders = {folder: Recorder(folder)}

    @property
    def writes_to(self) -> Path:
        """The folder that it fills, for those who ask how much room there is."""
        return next(reversed(self._recorders.values())).path

    def take_batch(self, documents: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Write several documents; see `Recorder.take_batch`."""
        self.begin_batch(documents)()()

    def begin_batch(
        self, documents: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> Callable[[], Callable[[], None]]:
        """Take several documents; see `Recorder.begin_batch`."""
        failures: list[BaseException] = []
        batches: dict[Recorder, list[tuple[str, Mapping[str, Any]]]] = {}
        for name, doc in documents:
            try:
                batches.setdefault(self._recorder_of(name, doc), []).append((name, doc))
            except RecordingError as error:
                failures.append(error)
        waits = [recorder.begin_batch(batch) for recorder, batch in batches.items()]
        return partial(_wait, waits, failures)

    def _recorder_of(self, name: str, doc: Mapping[str, Any]) -> Recorder:
        run = self._owners.run_of(name, doc)
        if name == "start":
            self._of_runs[run] = self._recorder_at(folder_of(self._template, doc), run)
        recorder = self._of_runs.get(run)
        if name == "stop":
            self._of_runs.pop(run, None)
            self._owners.forget(run)
        # Of a run whose folder could not be made a recorder tells that it has not seen its start.
        return next(reversed(self._recorders.values())) if recorder is None else recorder

    def _recorder_at(self, folder: str, run: str) -> Recorder:
        if folder not in self._recorders:
            try:
                self._recorders[folder] = Recorder(folder)
            except RecordingError as error:
                error.run = run
                raise
        return self._recorders[folder]

    def close(self) -> None:
        """Close the files of runs that have not ended; they stay incomplete. Idempotent."""
        for recorder in list(self._recorders.values()):
            recorder.close()


def _wait(
    waits: Sequence[Callable[[], Callable[[], None]]], failures: list[BaseException]
) -> Callable[[], None]:
    return partial(_finish, [wait() for wait in waits], failures)


def _finish(finishes: Sequence[Callable[[], None]], failures: list[BaseException]) -> None:
    for finish in finishes:
        try:
            finish()
        except Exception as error:
            failures.append(error)
    raise_first(failures)
