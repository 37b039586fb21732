"""Run the plans of ophyd-async's tutorial on detectors, the fly scan included, unchanged.

``python tests/conformance/run_ophyd_async_tutorial.py CHECKOUT``, with a checkout of ophyd-async's
repository. It says for each cell how many documents of each kind came. With
``CONFORMANCE_ENGINE=bluesky`` they run on bluesky's own engine: both must say the same.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
from bluesky.run_engine import RunEngine
from ophyd_async.core import StaticPathProvider, UUIDFilenameProvider, init_devices
from ophyd_async.sim import PatternGenerator, SimBlobDetector, SimPointDetector, SimStage
from resolved_engine import _resolved_engine  # of this folder

TUTORIAL = "docs/tutorials/implementing-detectors.md"


def cells(text: str) -> list[str]:
    """Return the cells that IPython's directive runs, without those that set it up."""
    found = re.findall(
        r"\.\. ipython:: python\n(.*?)(?=^\.\. |^```)", text, re.DOTALL | re.MULTILINE
    )
    plain = (re.sub(r"^ *:\w+:\n", "", cell, flags=re.MULTILINE) for cell in found)
    return [textwrap.dedent(cell) for cell in plain if "__main__" not in cell]


def instrument(engine: Any, folder: str) -> dict[str, Any]:
    """Return what the tutorial's own start-up makes, with this engine."""
    pattern = PatternGenerator()
    paths = StaticPathProvider(UUIDFilenameProvider(), Path(folder))
    with init_devices():
        stage = SimStage(pattern)
        pdet = SimPointDetector(pattern)
        bdet = SimBlobDetector(paths, pattern)
    return {"RE": engine, "bp": bp, "bps": bps, "bpp": bpp, **locals()}


def run(checkout: Path) -> None:
    """Run the cells, and say what came."""
    stock = os.environ.get("CONFORMANCE_ENGINE") == "bluesky"
    engine = RunEngine() if stock else _resolved_engine()()
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        names = instrument(engine, folder)
        names["print"] = lambda name, doc: kinds.update([name])
        for cell in cells((checkout / TUTORIAL).read_text()):
            kinds.clear()
            exec(cell, names)
            if kinds:
                print(cell.strip(), dict(kinds))
    if not stock:
        engine.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    run(Path(sys.argv[1]))
