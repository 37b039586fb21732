"""A stage that flies, and an account of what its runs say."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import h5py
import numpy as np
from bluesky.run_engine import TransitionError

from freewheel import RunEngine
from freewheel.plans import fly_grid, fly_scan
from freewheel.sim import Microscope, microscope

#: 1 for the number of random moments that the project asks of itself, which takes many minutes.
FULL = os.environ.get("FREEWHEEL_FLY_MOMENTS") == "full"


class Account:
    """Documents by run, with what a reader of them finds."""

    def __init__(self) -> None:
        self.docs: list[tuple[str, dict[str, Any]]] = []
        # Told of indices, on the engine's thread: a test waits for a moment of the flight.
        self.condition = threading.Condition()
        self.index = 0
        self.stopped = 0
        self._then: list[tuple[int, Callable[[], Any], threading.Event]] = []

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        with self.condition:
            self.docs.append((name, doc))
            if name == "start":
                self.index = 0
            elif name == "stop":
                self.stopped += 1
            elif name == "stream_datum":
                self.index = doc["indices"]["stop"]
            self.condition.notify_all()
            due = [each for each in self._then if self.index >= each[0]]
            self._then = [each for each in self._then if self.index < each[0]]
        for _, call, called in due:
            call()
            called.set()

    def at_index(self, index: int, call: Callable[[], Any], *, wait: bool = True) -> None:
        """Call something on the engine's thread once an index is there; wait until it was called.

        A test on a thread of its own may be late, and find that the flight is over.
        """
        called = threading.Event()
        with self.condition:
            self._then.append((index, call, called))
        assert not wait or called.wait(30)

    def wait_for_index(self, index: int) -> None:
        stops = self.stopped
        with self.condition:
            assert self.condition.wait_for(
                lambda: self.index >= index or self.stopped > stops, timeout=30
            )

    def named(self, name: str) -> list[dict[str, Any]]:
        return [doc for known, doc in self.docs if known == name]

    def covered(self) -> dict[str, int]:
        """Return by data key how many indices there are; each once, and none missing."""
        resources = {doc["uid"]: doc for doc in self.named("stream_resource")}
        found: dict[str, int] = defaultdict(int)
        for doc in self.named("stream_datum"):
            key = resources[doc["stream_resource"]]["data_key"]
            assert doc["indices"]["start"] == found[key], (key, doc)
            assert doc["seq_nums"]["start"] == found[key] + 1
            found[key] = doc["indices"]["stop"]
            assert doc["seq_nums"]["stop"] == found[key] + 1
        assert len(set(found.values())) <= 1, dict(found)
        return dict(found)

    def read(self, key: str) -> np.ndarray:
        """Read what a data key's documents point to; the file is closed, and whole."""
        (resource,) = (doc for doc in self.named("stream_resource") if doc["data_key"] == key)
        with h5py.File(urlparse(resource["uri"]).path, "r") as file:
            return np.asarray(file[resource["parameters"]["dataset"]][()])

    def joined(self, run: str) -> dict[str, np.ndarray]:
        """Return by data key what a run has in all of its files; each index once, none missing."""
        descriptors = {doc["uid"] for doc in self.named("descriptor") if doc["run_start"] == run}
        resources = {doc["uid"]: doc for doc in self.named("stream_resource")}
        parts: dict[str, list[np.ndarray]] = defaultdict(list)
        for doc in self.named("stream_datum"):
            if doc["descriptor"] in descriptors:
                resource = resources[doc["stream_resource"]]
                so_far = sum(map(len, parts[resource["data_key"]]))
                assert doc["seq_nums"]["start"] == so_far + 1, doc
                with h5py.File(urlparse(resource["uri"]).path, "r") as file:
                    values = np.asarray(file[resource["parameters"]["dataset"]][()])
                indices = doc["indices"]
                parts[resource["data_key"]].append(values[indices["start"] : indices["stop"]])
        return {key: np.concatenate(several) for key, several in parts.items()}

    def check_balanced(self) -> dict[str, Any]:
        """Return the stop document of the one run."""
        assert [name for name, _ in self.docs].count("start") == 1
        (stop,) = self.named("stop")
        assert self.docs[-1] == ("stop", stop)
        return stop


class Bench:
    """An engine, a microscope and an account."""

    def __init__(self, engine: RunEngine, directory: Path, **kwargs: Any) -> None:
        self.engine = engine
        self.scope: Microscope = microscope(
            shape=(32, 32), exposure=0.001, directory=directory, **kwargs
        )
        self.account = Account()
        engine.subscribe(self.account)

    @property
    def detectors(self) -> list[Any]:
        return [self.scope.file_camera, self.scope.stage.recorder]

    @property
    def flyers(self) -> list[Any]:
        return [self.scope.stage.triggers, self.scope.stage.trajectory]

    def scan(self, num: int = 300, period: float = 0.002, **kwargs: Any) -> Any:
        return fly_scan(
            self.detectors,
            *(self.scope.stage.x, 0, 30),
            num=num,
            period=period,
            flyers=self.flyers,
            **{"collect_every": 0.02, **kwargs},
        )

    def grid(self, rows: int = 4, num: int = 60, period: float = 0.002, **kwargs: Any) -> Any:
        return fly_grid(
            self.detectors,
            *(self.scope.stage.y, 0, 3, rows),
            *(self.scope.stage.x, 0, 6, num),
            period=period,
            flyers=self.flyers,
            **{"collect_every": 0.02, **kwargs},
        )

    def fresh(self) -> Account:
        """Begin a new account."""
        with self.account.condition:
            self.account.docs.clear()
            self.account.index = 0
        return self.account

    def check(self, points: int | None, path: Any) -> int:
        """Check one run; return how many points it has, which is ``points`` if that is given."""
        account = self.account
        account.check_balanced()
        covered = account.covered()
        found = next(iter(covered.values()), 0)
        if points is not None:
            assert found == points
        if found:
            assert len(covered) == 4  # frames, time, x, y
            frames = account.read("file_camera")
            assert len(frames) >= found
            assert frames[:found].max(axis=(1, 2)).min() > 0  # no frame that was never written
            times = account.read("stage-recorder-time")
            assert len(times) >= found
            assert (np.diff(times) > 0).all()
            check_places(account, path, found)
        return found


def pause(engine: RunEngine, defer: bool = False) -> bool:
    """Pause; return whether it is paused, for the plan may have ended first."""
    paused = threading.Event()

    def changed(new: str, old: str) -> None:
        if new in ("paused", "idle"):
            paused.set()

    engine.events.state_changed.connect(changed)
    try:
        with suppress(TransitionError):
            engine.request_pause(defer)
            assert paused.wait(30)
    finally:
        engine.events.state_changed.disconnect(changed)
    return engine.state == "paused"


def pause_at_index(bench: Any, index: int) -> None:
    """Pause when a document says that an index is there."""
    asked: list[Any] = []
    bench.account.at_index(index, lambda: asked.append(bench.engine.request_pause()))
    asked[0].result(30)
    assert bench.engine.state == "paused"


def check_places(account: Account, path: list[dict[str, float]], found: int) -> None:
    """Each point was taken where it was to be, in its turn."""
    for axis in path[0]:
        wanted = np.array([point[axis] for point in path[:found]])
        there = account.read(f"stage-recorder-{axis}")[:found]
        np.testing.assert_allclose(there, wanted, atol=1e-3)


def line(num: int = 300) -> list[dict[str, float]]:
    return [{"x": x} for x in np.linspace(0, 30, num)]


def snake(rows: int = 4, num: int = 60) -> list[dict[str, float]]:
    path = []
    for row, y in enumerate(np.linspace(0, 3, rows)):
        xs = np.linspace(0, 6, num)
        path += [{"x": x, "y": y} for x in (xs if row % 2 == 0 else xs[::-1])]
    return path
