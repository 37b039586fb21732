"""Python in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap


def run_script(
    script: str, *, warnings: str = "error", timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end; it may be indented."""
    return subprocess.run(
        [sys.executable, "-W", warnings, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
