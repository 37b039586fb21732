"""Run the tests of programs that others wrote for bluesky's engine, on bluesky's and on ours.

``python tests/conformance/run_others.py [--sources FOLDER] [NAME ...]``. The programs must be
installed; their tests come from their source distributions, which pip downloads, or which are in
FOLDER unpacked. Each test must end alike on both engines, unless ``others.txt`` says why not.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
DIFFERENCES = HERE / "others.txt"


@dataclass(frozen=True)
class Program:
    """A program, and those of its tests that have to do with an engine.

    Attributes
    ----------
    package : str
        The name of its distribution.
    tests : tuple of str
        Files and folders in its source distribution; what stands beside them comes along.
    support : tuple of str
        Further files that they need.
    """

    package: str
    tests: tuple[str, ...]
    support: tuple[str, ...] = ()


PROGRAMS = {
    "blueapi": Program(
        "blueapi",
        (
            "tests/unit_tests/worker",
            "tests/unit_tests/core",
            "tests/unit_tests/service/test_interface.py",
            "tests/unit_tests/service/test_runner.py",
        ),
        ("tests",),
    ),
    "ophyd-async": Program(
        "ophyd-async",
        (
            "tests/unit_tests/sim",
            "tests/unit_tests/core/test_auto_init_devices.py",
            "tests/unit_tests/core/test_standard_detector.py",
            "tests/unit_tests/epics/demo",
            "tests/unit_tests/fastcs",
        ),
        ("tests",),
    ),
    "bluesky-adaptive": Program(
        "bluesky-adaptive",
        ("src/bluesky_adaptive/tests/test_plans.py", "src/bluesky_adaptive/tests/test_utils.py"),
        ("src/bluesky_adaptive/tests",),
    ),
}


def unpacked(program: Program, sources: Path | None, folder: Path) -> Path:
    """Return the folder of a program's source distribution, of the version that is installed."""
    installed = version(program.package)
    for spelling in (program.package, program.package.replace("-", "_")):
        if sources is not None and (sources / f"{spelling}-{installed}").is_dir():
            return sources / f"{spelling}-{installed}"
    requirement = f"{program.package}=={installed}"
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*command, "-d", str(folder), requirement], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return next(each for each in folder.iterdir() if each.is_dir())


def outcomes(program: Program, source: Path, engine: str) -> dict[str, str]:
    """Run its tests on an engine, and return how each ended."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in program.support:
            shutil.copytree(source / part, folder / part, dirs_exist_ok=True)
        (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\ntimeout = 60\n")
        path = os.pathsep.join([str(HERE), str(folder), os.environ.get("PYTHONPATH", "")])
        command = [
            *(sys.executable, "-m", "pytest", "-c", "pytest.ini", "-q", "--no-header", "--tb=line"),
            *("-p", "engine_in_place", "-p", "no:cacheprovider", "-p", "no:freewheel"),
            *("-W", "ignore", "--junitxml=report.xml"),
            *program.tests,
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": path.rstrip(os.pathsep),
            "CONFORMANCE_ENGINE": engine,
            "MPLBACKEND": "Agg",
        }
        subprocess.run(command, cwd=folder, env=environment, check=False)
        return read_report(folder / "report.xml")


def read_report(report: Path) -> dict[str, str]:
    """Return what pytest's report says of each test: passed, failed, error or skipped."""
    found = {}
    for case in ET.parse(report).iter("testcase"):
        ended = {each.tag for each in case} & {"failure", "error", "skipped"}
        identity = f"{case.get('classname')}.{case.get('name')}"
        found[re.sub(r"0x[0-9a-f]+", "0x…", identity)] = ended.pop() if ended else "passed"
    return found


def explained() -> dict[str, str]:
    """Return the tests that may end otherwise on our engine, and why."""
    reasons, reason = {}, ""
    for line in DIFFERENCES.read_text().splitlines():
        if line.startswith("#"):
            reason = line.lstrip("# ")
        elif line.strip():
            reasons[line.strip()] = reason
    return reasons


def compare(name: str, sources: Path | None) -> int:
    """Run one program's tests on both engines; return how many differences nobody explains."""
    program, known, unexplained = PROGRAMS[name], explained(), 0
    with tempfile.TemporaryDirectory() as folder:
        source = unpacked(program, sources, Path(folder))
        theirs, ours = (outcomes(program, source, each) for each in ("bluesky", "freewheel"))
    for label, found in (("bluesky", theirs), ("freewheel", ours)):
        counts = {each: list(found.values()).count(each) for each in sorted(set(found.values()))}
        print(f"{name} on {label}: {counts}")
    for test in sorted(theirs.keys() | ours.keys()):
        before, after = theirs.get(test, "missing"), ours.get(test, "missing")
        if before == after:
            continue
        reason = known.get(f"{name}: {test}")
        unexplained += reason is None
        print(f"  {test}: {before} on bluesky's, {after} on ours; {reason or 'UNEXPLAINED'}")
    return unexplained


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PROGRAMS))
    parser.add_argument("--sources", type=Path)
    given = parser.parse_args()
    names = given.names or list(PROGRAMS)
    return 1 if sum(compare(name, given.sources) for name in names) else 0


if __name__ == "__main__":
    sys.exit(main())
