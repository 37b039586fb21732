"""A live view that gives way to a snapshot, and comes back by itself.

The live view runs in the background. Each snapshot, an ordinary plan in the foreground, needs the
same camera: the view is paused, its camera is unstaged, and when the snapshot is over the camera
is staged again and the view goes on.

Run it: ``python plans/snapshot_during_live.py``
"""

from __future__ import annotations

import argparse
import threading
from collections import Counter
from typing import Any

from freewheel import BackgroundTask, RunEngine
from freewheel.plans import live_view, snapshot
from freewheel.sim import microscope


class Frames:
    """Counts the events of each stream; ``shown`` waits for the live view to show more."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self._streams: dict[str, str] = {}
        self._more = threading.Condition()

    def __call__(self, name: str, doc: Any) -> None:
        """Take a document."""
        if name == "descriptor":
            self._streams[doc["uid"]] = doc["name"]
        elif name == "event":
            with self._more:
                self.count[self._streams[doc["descriptor"]]] += 1
                self._more.notify_all()

    def shown(self, more: int, timeout: float = 20) -> bool:
        """Wait until ``more`` live frames have come."""
        wanted = self.count["live"] + more
        with self._more:
            return self._more.wait_for(lambda: self.count["live"] >= wanted, timeout)


def tell(task: BackgroundTask) -> None:
    """Print where a task is in its life."""
    print(f"{task.name}: {task.status.value}")


def main(snapshots: int = 3, rate: float = 30.0) -> dict[str, int]:
    """Take snapshots during a live view; return the number of frames of each kind."""
    scope = microscope(shape=(128, 128))
    frames = Frames()
    with RunEngine() as RE:  # noqa: N806 - as everybody calls it
        RE.subscribe(frames)
        live = RE.background.launch(
            live_view([scope.camera], rate=rate),
            name="live view",
            claims=scope.camera,
            on_conflict="pause",
        )
        said = [""]

        def tell(task: BackgroundTask) -> None:
            line = f"{task.name}: {task.status.value}"
            if line != said[-1]:  # what it waits for may change, too
                said.append(line)
                print(line)

        RE.events.background_changed.connect(tell)
        for number in range(1, snapshots + 1):
            frames.shown(10)
            RE(snapshot([scope.camera])).result()
            print(f"snapshot {number} taken; the camera belongs to {RE.claims[scope.camera]} again")
        frames.shown(10)
        live.cancel()
        live.result()
    print(f"{frames.count['live']} live frames, {frames.count['primary']} snapshots")
    return {"live": frames.count["live"], "snapshots": frames.count["primary"]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snapshots", type=int, default=3)
    parser.add_argument("--rate", type=float, default=30.0, help="live frames per second")
    arguments = parser.parse_args()
    main(arguments.snapshots, arguments.rate)
