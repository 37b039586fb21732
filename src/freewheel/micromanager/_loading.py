"""Loading a configuration file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pymmcore_plus import CMMCorePlus

from ._errors import ConfigurationFileError
from ._exit import leave_at_exit
from ._port import close_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["load"]

_LINE = re.compile(r"\bline (\d+)", re.IGNORECASE)


class ClosingCore(CMMCorePlus):
    """A core that closes the devices that were made of it before it unloads what they use.

    A core that is called by one thread while another one unloads its devices crashes the process.
    """

    def unloadAllDevices(self) -> None:  # noqa: N802 - the core's name
        """Close the devices that were made of it, and unload all."""
        close_ports(self)
        super().unloadAllDevices()

    def loadSystemConfiguration(  # noqa: N802
        self,
        fileName: str | Path = "MMConfig_demo.cfg",  # noqa: N803
    ) -> None:
        """Close the devices that were made of it, and load a file in their place."""
        close_ports(self)
        super().loadSystemConfiguration(fileName)

    def reset(self) -> None:
        """Close the devices that were made of it, and begin anew."""
        close_ports(self)
        super().reset()


def load(path: str | Path | None = None, *, core: CMMCorePlus | None = None) -> CMMCorePlus:
    """Load a Micro-Manager configuration.

    Blocks until all devices are initialised; call it on the main thread, before a window is up.

    Parameters
    ----------
    path : path, optional
        The configuration file; by default Micro-Manager's demo configuration, with simulated
        devices.
    core : CMMCorePlus, optional
        The core to load it into; by default a new one. Devices that were made of it are closed.

    Returns
    -------
    CMMCorePlus
        The core. A new one closes the devices that were made of it before it unloads them.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ConfigurationFileError
        When it does not load; with the line that failed. The core is left without devices.
    RuntimeError
        When the core's camera runs a sequence; nothing is changed then.
    """
    _find_adapters()
    if core is None:
        core = ClosingCore()
    leave_at_exit(core)
    file = _demo(core) if path is None else Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"there is no Micro-Manager configuration {file}")
    if core.isSequenceRunning():
        raise RuntimeError(
            f"the camera {core.getCameraDevice()!r} runs a sequence: stop the plan that has it "
            f"run before {file} is loaded in place of its configuration"
        )
    _check_kind(file)
    close_ports(core)
    try:
        core.loadSystemConfiguration(str(file))
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip()
        if "device adapter" in reason:
            reason += f"\nThe device adapters here are: {', '.join(core.getDeviceAdapterNames())}"
        core.unloadAllDevices()
        number, line = _culprit(file, reason)
        raise ConfigurationFileError(str(file), number, line, reason) from error
    return core


def _demo(core: CMMCorePlus) -> Path:
    for folder in core.getDeviceAdapterSearchPaths():
        file = Path(folder) / "MMConfig_demo.cfg"
        if file.is_file():
            return file
    raise FileNotFoundError(
        "Micro-Manager's demo configuration was not found. Install Micro-Manager (`mmcore "
        "install`) or its test adapters (`pip install mm-test-adapters`), or give a file."
    )


def _find_adapters() -> None:
    """Take the device adapters of `mm-test-adapters` if no others are installed."""
    from pymmcore_plus import find_micromanager

    if os.environ.get("MICROMANAGER_PATH") or find_micromanager():
        return
    try:
        import mm_test_adapters
    except ImportError:
        return
    os.environ["MICROMANAGER_PATH"] = str(mm_test_adapters.device_adapter_path())


def _culprit(file: Path, reason: str) -> tuple[int, str]:
    """Return number and text of the line that failed."""
    lines = dict(_commands(file))
    match = _LINE.search(reason)
    if match is not None and int(match[1]) in lines:
        return int(match[1]), lines[int(match[1])]
    # Older cores name the line by its text.
    for number, line in lines.items():
        if line in reason:
            return number, line
    return 0, ""


def _check_kind(file: Path) -> None:
    """Refuse a file that is no configuration: the core leaves out what it does not know."""
    lines = list(_commands(file))
    if not any(line.startswith(("Device,", "Property,")) for _, line in lines):
        number, line = lines[0] if lines else (0, "")
        reason = "it has no line that loads a device or sets a property"
        raise ConfigurationFileError(str(file), number, line[:80], reason)


def _commands(file: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()
