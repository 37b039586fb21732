"""bluesky's own plans in a host: quick, unless their stacks are asked for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import gc, sys, warnings
from bluesky.plan_stubs import null
from freewheel.hosts.queueserver import use
from freewheel import RunEngine
RE = use(RunEngine({}))

def forgets():
    null()  # which bluesky warns of, with the stack that made it

with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    forgets()
    gc.collect()
print(sum("in forgets" in str(each.message) for each in seen))
print(sum("in <module>" in str(each.message) for each in seen))
RE.close()
"""


@pytest.mark.parametrize(("stacks", "whole"), [("", "0"), ("1", "1")])
def test_a_host_remembers_lines_instead_of_stacks(stacks: str, whole: str) -> None:
    pytest.importorskip("zmq")
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "FREEWHEEL_STACKS": stacks},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.split() == ["1", whole]
