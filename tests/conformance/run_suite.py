"""Run bluesky's own test suite, from the installed wheel, on freewheel's engine.

``python tests/conformance/run_suite.py [pytest's options]``; with
``CONFORMANCE_ENGINE=bluesky`` the same tests run on bluesky's own engine, which is the baseline.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent


def command(options: list[str]) -> list[str]:
    """Return the pytest command, parallel where pytest-xdist is installed."""
    parallel = ["-n", "2"] if find_spec("xdist") and "-n" not in options else []
    return [
        *(sys.executable, "-m", "pytest", "-c", str(HERE / "pytest.ini")),
        *("-p", "resolved_engine", "-p", "no:cacheprovider", "-q", "--no-header"),
        *("-W", "ignore", "--disable-warnings", "--pyargs"),
        *parallel,
        *(options or []),
        *([] if any("bluesky" in option for option in options) else ["bluesky.tests"]),
    ]


def run(options: list[str], **kwargs: object) -> subprocess.CompletedProcess[str]:
    """Run the suite in a fresh process, in a directory of its own."""
    environment = {
        **os.environ,
        "MPLBACKEND": "Agg",
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]).rstrip(":"),
    }
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            command(options), cwd=folder, env=environment, check=False, text=True, **kwargs
        )


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]).returncode)
