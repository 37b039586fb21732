"""A live view of the simulated camera, with two snapshots.

Run it: ``python plans/live_view.py``
"""

from __future__ import annotations

import argparse
from typing import Any

from freewheel import RunEngine
from freewheel.plans import LiveViewResult, live_view
from freewheel.sim import microscope


def main(seconds: float = 2.0, rate: float = 30.0) -> LiveViewResult:
    """Show frames for some seconds; return what the view says of itself."""
    scope = microscope(shape=(256, 256))
    frames = round(seconds * rate)
    seen = 0

    def show(name: str, doc: dict[str, Any]) -> None:
        nonlocal seen
        seen += 1
        # A window's button does the same.
        if seen in (frames // 3, 2 * frames // 3) and "snap" in RE.pending_actions:
            RE.trigger_action("snap")
        if seen % 15 == 0 and "pace-rate" in doc["data"]:
            data = doc["data"]
            mean = data["camera-image"].mean()
            print(f"{seen:4} frames, {data['pace-rate']:6.2f} a second, mean {mean:6.1f}")

    with RunEngine() as RE:  # noqa: N806 - as everybody calls it
        RE.subscribe(show, "event")
        view: LiveViewResult = (
            RE(live_view([scope.camera], rate=rate, frames=frames)).result().plan_result
        )
    print(
        f"{view.frames} frames at {view.rate:.2f} a second, {view.missed} missed, "
        f"{view.snapshots} snapshots"
    )
    return view


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rate", type=float, default=30.0, help="frames a second")
    options = parser.parse_args()
    main(options.seconds, options.rate)
