"""Run bluesky's own test suite, from the installed wheel, on freewheel's engine.

``python tests/conformance/run_suite.py [pytest's options]``; with
``CONFORMANCE_ENGINE=bluesky`` the same tests run on bluesky's own engine, which is the baseline.

Several of these tests allow 0.05 or 0.1 s between what they time and what they expect, which a
busy machine takes from any engine. What fails in parallel is therefore run once more, one test
at a time, and said to have been; a test that fails then has failed. Those that send SIGINTs run by
themselves, for one that comes after its test, from a busy machine, ends pytest: they have a second
chance as well.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
# pytest's exit codes: tests ran, and some failed; it was interrupted.
FAILED, INTERRUPTED = 1, 2


def command(options: list[str]) -> list[str]:
    """Return the pytest command, parallel where pytest-xdist is installed."""
    parallel = ["-n", "2"] if find_spec("xdist") and "-n" not in options else []
    return [
        *(sys.executable, "-m", "pytest", "-c", str(HERE / "pytest.ini")),
        *("-p", "engine_in_place", "-q", "--no-header"),
        *("-W", "ignore", "--disable-warnings", "--pyargs"),
        *parallel,
        *(options or []),
        *([] if any("bluesky" in option for option in options) else ["bluesky.tests"]),
    ]


def run(options: list[str]) -> int:
    """Run the suite in a fresh process, in a directory of its own, and return its exit code."""
    environment = {
        **os.environ,
        "MPLBACKEND": "Agg",
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]).rstrip(":"),
    }
    with tempfile.TemporaryDirectory() as folder:
        options = [*options, "-o", f"cache_dir={folder}"]

        def once(more: list[str]) -> int:
            arguments = command([*options, *more])
            return subprocess.run(arguments, cwd=folder, env=environment, check=False).returncode

        if {"-n", "-k"} & set(options):
            return once([])
        code = once(["-k", "not sigint"])
        if code == FAILED:
            print("\nOnce more what has failed, one at a time:", flush=True)
            code = once(["--last-failed", "--last-failed-no-failures=none", "-n", "0"])
        signals = ["-n", "0", "-k", "sigint"]
        sent = once(signals)
        if sent in (FAILED, INTERRUPTED):
            print("\nOnce more the tests that send SIGINTs:", flush=True)
            sent = once(signals)
        return code or sent


if __name__ == "__main__":
    # Shells have what they start in the background ignore it, and bluesky's tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))
