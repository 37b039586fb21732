"""Run the tests of programs that others wrote for bluesky's engine, on bluesky's and on ours.

``python tests/conformance/run_others.py [--sources FOLDER] [NAME ...]``. The programs must be
installed (extra ``others``); their tests are installed with them, or come from their source
distributions, which pip downloads, or which are in FOLDER unpacked. Each test must end alike on
both engines, unless ``others.txt`` says why not. Tests that do not are run again, alone: some
measure time, and both engines run at the same time.
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
from collections import Counter
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import distribution, version
from pathlib import Path

HERE = Path(__file__).parent
ENGINES = ("bluesky", "freewheel")
SETTINGS = "[pytest]\nasyncio_mode = auto\ntimeout = 60\n"
DIFFERENCES = HERE / "others.txt"
AGAIN = 2  # times that a test is run again that did not end alike


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
    installed : bool
        Whether they are installed with the program, and are run where they are.
    """

    package: str
    tests: tuple[str, ...]
    support: tuple[str, ...] = ()
    installed: bool = False


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
    # Those that need neither an IOC nor the data that are not in the wheel.
    "apstools": Program(
        "apstools",
        (
            "apstools/callbacks/tests/test_i1123_specwriter.py",
            "apstools/callbacks/tests/test_scan_signal_statistics.py",
            "apstools/plans/tests/test_doc_run.py",
            "apstools/plans/tests/test_input_plan.py",
            "apstools/plans/tests/test_issue606.py",
            "apstools/plans/tests/test_stage_sigs_support.py",
        ),
        installed=True,
    ),
}


def unpacked(program: Program, sources: Path | None, folder: Path) -> Path:
    """Return the folder of a program's source distribution, of the version that is installed."""
    if program.installed:
        return Path(str(distribution(program.package).locate_file("")))
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


def outcomes(
    program: Program, source: Path, engine: str, only: Collection[str] = ()
) -> dict[str, str]:
    """Run its tests on an engine, or some of them, and return how each ended."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in program.support:
            shutil.copytree(source / part, folder / part, dirs_exist_ok=True)
        (folder / "pytest.ini").write_text(SETTINGS)
        tests = [str(source / test) if program.installed else test for test in program.tests]
        path = os.pathsep.join([str(HERE), str(folder), os.environ.get("PYTHONPATH", "")])
        command = [
            *(sys.executable, "-m", "pytest", "-c", "pytest.ini", "-q", "--no-header", "--tb=line"),
            *("-p", "engine_in_place", "-p", "no:cacheprovider", "-p", "no:freewheel"),
            *("-W", "ignore", "--junitxml=report.xml"),
            *tests,
        ]
        if program.installed:
            command.append("--import-mode=importlib")
        if only:
            command += ["-k", " or ".join(sorted({each.rpartition(".")[2] for each in only}))]
        environment = {
            **os.environ,
            "PYTHONPATH": path.rstrip(os.pathsep),
            "CONFORMANCE_ENGINE": engine,
            "MPLBACKEND": "Agg",
        }
        ran = subprocess.run(
            command, cwd=folder, env=environment, check=False, text=True, stdout=subprocess.PIPE
        )
        if not (folder / "report.xml").exists():
            raise RuntimeError(f"The tests of {program.package} were not run:\n{ran.stdout}")
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


def differences(theirs: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Return how the tests ended that did not end alike."""
    return {
        test: f"{theirs.get(test, 'missing')} on bluesky's, {ours.get(test, 'missing')} on ours"
        for test in sorted(theirs.keys() | ours.keys())
        if theirs.get(test) != ours.get(test)
    }


def compare(name: str, sources: Path | None) -> int:
    """Run one program's tests on both engines; return how many differences nobody explains."""
    program, known = PROGRAMS[name], explained()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as both:
        source = unpacked(program, sources, Path(folder))
        found = list(both.map(lambda each: outcomes(program, source, each), ENGINES))
        for _ in range(AGAIN):
            names = {re.sub(r"\[.*", "", test) for test in differences(*found)}
            if not names:
                break
            for outcome, engine in zip(found, ENGINES, strict=True):
                outcome.update(outcomes(program, source, engine, names))
    for engine, outcome in zip(ENGINES, found, strict=True):
        print(f"{name} on {engine}: {dict(sorted(Counter(outcome.values()).items()))}")
    unexplained = 0
    for test, how in differences(*found).items():
        reason = known.get(f"{name}: {test}")
        unexplained += reason is None
        print(f"  {test}: {how}; {reason or 'UNEXPLAINED'}")
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
