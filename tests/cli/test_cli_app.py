"""The command line as such: help, version, commands loaded when called, missing extras."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import types
from importlib import import_module

import pytest

import freewheel
import freewheel.cli
from freewheel.cli import main
from freewheel.cli._registry import COMMANDS, Entry
from freewheel.core import MissingExtraError

OPTIONAL = ["PySide6", "PyQt6", "qtpy", "IPython", "h5py", "tiled", "trio", "ophyd_async"]
SLOW = ["bluesky", "numpy", "rich"]  # what a list of commands needs none of


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A sub-command named ``probe``, whose function the test defines as ``module.probe``."""
    module = types.ModuleType("freewheel.cli._probe")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(COMMANDS, "probe", Entry("Probe.", "._probe", "probe", "qt"))
    return module


def test_exports() -> None:
    assert freewheel.cli.__all__ == ["main"]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"freewheel {freewheel.__version__}\n"


def test_module_is_the_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "freewheel", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout == f"freewheel {freewheel.__version__}\n"


def test_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name, entry in COMMANDS.items():
        assert name in out
        assert entry.summary.split()[0] in out


@pytest.mark.parametrize("command", ["", *sorted(COMMANDS)])
def test_help_imports_nothing_optional_and_nothing_slow(command: str) -> None:
    asked = [*command.split(), "--help"]
    code = (
        f"import sys; from freewheel.cli import main; assert main({asked}) == 0;"
        f"print(sorted(set({OPTIONAL + SLOW!r}) & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stderr.strip() == "[]"


def complete(code: str, asked: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run Python as a shell does that wants to know how a line may go on."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("freewheel re", ["record", "replay"]),
        ("freewheel record --s", ["--shape", "--startup", "--stacks"]),
        ("freewheel demo --s", ["--seconds", "--shape"]),
        ("freewheel gui --s", ["--sim", "--shape", "--startup", "--stacks"]),
        ("freewheel nonsense --s", ["--show-completion"]),
    ],
)
def test_a_shell_completes_commands_and_their_options(line: str, expected: list[str]) -> None:
    code = (
        "import sys; from freewheel.cli import main; code = main([]);"
        f"print(sorted(set({OPTIONAL + SLOW!r}) & set(sys.modules)), file=sys.stderr)"
    )
    asked = {
        "_FREEWHEEL_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    ran = complete(code, asked)
    assert ran.stdout.split() == expected
    assert ran.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("bash", "record\nreplay\n"),
        ("zsh", '"record":"Run a plan'),
        ("fish", "replay\tEmit recorded documents again."),
    ],
)
def test_a_shell_completes_a_command_without_what_reads_values(shell: str, expected: str) -> None:
    code = (
        "import sys; from freewheel.cli import main; code = main([]);"
        "sys.exit('pydantic' in sys.modules)"
    )
    asked = {
        "_FREEWHEEL_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "freewheel re",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "freewheel re",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    ran = complete(code, asked)
    assert expected in ran.stdout


def test_help_shows_units_in_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--help"]) == 0
    assert "[pixels]" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_there(name: str) -> None:
    entry = COMMANDS[name]
    function = getattr(import_module(entry.module, "freewheel.cli"), entry.function)
    assert inspect.getdoc(function)
    assert entry.summary.endswith(".")


@pytest.mark.parametrize("arguments", [["nonsense"], ["demo", "--nonsense"]])
def test_bad_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "nonsense" in capsys.readouterr().err


def test_command_gets_its_options(command: types.ModuleType) -> None:
    got: list[int] = []

    def probe(number: int = 1) -> None:
        """Take a number."""
        got.append(number)

    command.probe = probe
    assert main(["probe", "--number", "7"]) == 0
    assert got == [7]


def test_missing_package_gives_the_pip_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(COMMANDS, "probe", Entry("Probe.", "._probe", "probe", "qt"))
    monkeypatch.setitem(sys.modules, "freewheel.cli._probe", None)
    # A package that is not freewheel's own.
    monkeypatch.setattr(
        "freewheel.cli._registry.import_module",
        lambda *_: (_ for _ in ()).throw(ModuleNotFoundError("No qtpy", name="qtpy.QtWidgets")),
    )
    assert main(["probe"]) == 2
    assert 'pip install "freewheel[qt]"' in capsys.readouterr().err


def test_missing_extra_while_it_runs(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    def probe() -> None:
        """Need more."""
        raise MissingExtraError("a window", "qt")

    command.probe = probe
    assert main(["probe"]) == 2
    err = capsys.readouterr().err
    assert err == (
        "freewheel: a window needs packages that are not installed. "
        'Install them with: pip install "freewheel[qt]"\n'
    )


def test_own_broken_import_is_no_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "probe", Entry("Probe.", "._no_such_module", "probe", "qt"))
    with pytest.raises(ModuleNotFoundError, match="_no_such_module"):
        main(["probe"])


@pytest.mark.parametrize(("code", "expected"), [(None, 0), (3, 3), ("no beam", 1)])
def test_exit_codes(
    command: types.ModuleType,
    capsys: pytest.CaptureFixture[str],
    code: object,
    expected: int,
) -> None:
    def probe() -> None:
        """Leave."""
        sys.exit(code)

    command.probe = probe
    assert main(["probe"]) == expected
    assert capsys.readouterr().err == ("no beam\n" if code == "no beam" else "")


def test_keyboard_interrupt(command: types.ModuleType) -> None:
    def probe() -> None:
        """Be interrupted."""
        raise KeyboardInterrupt

    command.probe = probe
    assert main(["probe"]) == 130
