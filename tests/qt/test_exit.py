"""What a program with a window leaves to the interpreter's end."""

import json
import subprocess
import sys
from pathlib import Path


def test_a_window_that_is_left_is_deleted_before_the_interpreter_ends() -> None:
    program = Path(__file__).with_name("ended_program.py")
    ended = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    left = json.loads(ended.stdout)
    assert left["windows"] == 0
    assert not {"AcquisitionWindow", "EngineBridge", "PlotItem", "ViewBox"} & {*left["objects"]}
