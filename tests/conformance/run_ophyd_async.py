"""Run ophyd-async's own tests of detectors and fly plans on freewheel's engine.

``python tests/conformance/run_ophyd_async.py CHECKOUT [pytest's options]``, with a checkout of
ophyd-async's repository, for its wheel has no tests in it. With ``CONFORMANCE_ENGINE=bluesky`` the
same tests run on bluesky's own engine, which is the baseline: a checkout of another version than
the one that is installed fails a test or two on both.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
TESTS = (
    "tests/conftest.py",
    "tests/unit_tests/core/test_standard_detector.py",
    "tests/unit_tests/fastcs/panda/test_seq_table.py",
    "tests/unit_tests/sim/test_sim_blob_detector.py",
    "tests/unit_tests/sim/test_sim_motor.py",
)
SETTINGS = "[pytest]\nasyncio_mode = auto\naddopts = --import-mode=importlib -W ignore\n"


def run(checkout: Path, options: list[str]) -> int:
    """Run them in a fresh process, on copies, and return its exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for test in TESTS:
            (folder / test).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(checkout / test, folder / test)
        (folder / "pytest.ini").write_text(SETTINGS)
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        command = [
            *(sys.executable, "-m", "pytest", "-c", "pytest.ini", "-q", "--no-header"),
            *("-p", "engine_in_place", "-p", "no:cacheprovider", "tests"),
            *options,
        ]
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))
