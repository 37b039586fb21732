"""What a command works with: an engine, devices, and the names of a start-up file."""

from __future__ import annotations

import traceback
from concurrent.futures import wait
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from ._output import say
from ._publish import finish
from ._sources import search_here

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from freewheel.core import EngineView
    from freewheel.publishing import Publisher
    from freewheel.recording import Recorder

__all__ = ["ConnectTimeout", "Devices", "Lab", "Startup"]

Devices: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--devices",
        help="A file or a module with devices of your own: its attributes, or what its function "
        "devices() returns. They are connected. If it has a run engine RE, that one is used.",
        metavar="FILE.py|MODULE",
    ),
]
Startup: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--startup",
        help="A Python file that is run first, with RE and the devices in its namespace, as a "
        "start-up file of IPython: it may subscribe, add metadata, or make a RE of its own.",
        metavar="FILE.py",
    ),
]
ConnectTimeout: TypeAlias = Annotated[
    float,
    typer.Option(
        "--timeout",
        help="How long a device of your own may take to connect, in seconds.",
        min=0.1,
    ),
]


class _Offered(dict[str, Any]):
    """Devices by name; a name that is not there is answered with those that are."""

    def __missing__(self, name: str) -> Any:
        msg = f"there is no device {name!r}; there is {', '.join(self) or 'none'}"
        raise KeyError(msg)


class Lab:
    """An engine and devices by name.

    The engine comes first, for some libraries ask for one as devices are made. If a file has one,
    that one takes its place. Whoever made the lab closes it.

    Attributes
    ----------
    engine : EngineView
        The engine.
    devices : dict
        The devices by name.
    names : dict
        What the start-up file has left in its namespace.
    """

    def __init__(self) -> None:
        from freewheel.engine import RunEngine

        self.engine: EngineView = RunEngine()
        self.devices: dict[str, Any] = _Offered()
        self.names: dict[str, Any] = {}
        self._publishers: list[Publisher] = []

    def take_devices(self, source: str | None) -> dict[str, Any]:
        """Load the devices of a file or module, and its engine; return them, not connected.

        Raises
        ------
        typer.BadParameter
            If it can't be loaded, or has none.
        """
        from freewheel.forms import DeviceSourceError, find_devices, load_module

        if source is None:
            return {}
        search_here()
        try:
            module = load_module(source)
            found = find_devices(module)
        except (FileNotFoundError, DeviceSourceError) as error:
            raise typer.BadParameter(str(error), param_hint="--devices") from error
        except (Exception, SystemExit):
            say(traceback.format_exc())
            message = f"{source} could not be loaded, see above"
            raise typer.BadParameter(message, param_hint="--devices") from None
        self.take_engine(vars(module))
        self.devices.update(found)
        return found

    def take_engine(self, names: Mapping[str, Any]) -> None:
        """Use the engine RE of a namespace, if it has one of ours."""
        from freewheel.core import is_engine

        theirs = names.get("RE")
        if is_engine(theirs) and theirs is not self.engine:
            self.engine.close()
            self.engine = theirs

    def connect(self, devices: Mapping[str, Any], timeout: float) -> None:
        """Connect devices, all at once, and wait; one that fails is told of, and not on offer."""
        from freewheel.forms import connect_devices

        pending: dict[str, Future[Any]] = connect_devices(self.engine, devices, timeout)
        wait(pending.values())
        for name, future in pending.items():
            if (error := future.exception()) is not None:
                say(f"{name} is not connected: {type(error).__name__}: {error}")
                self.devices.pop(name, None)

    def start_up(self, file: str | None, namespace: dict[str, Any] | None = None) -> None:
        """Run a start-up file in a namespace, which gets the engine and the devices first.

        Raises
        ------
        typer.BadParameter
            If there is none, or it raises; its traceback is shown.
        """
        from freewheel.forms import public_devices

        if file is None:
            return
        path = Path(file).expanduser()
        if not path.is_file():
            message = f"there is no file {file!r}"
            raise typer.BadParameter(message, param_hint="--startup")
        search_here()
        shared = {} if namespace is None else namespace
        shared |= {"__name__": "__main__", "RE": self.engine, **self.devices}
        try:
            self.names = _run_file(path, shared)
        except (Exception, SystemExit):
            say(traceback.format_exc())
            message = f"{file} could not be run, see above"
            raise typer.BadParameter(message, param_hint="--startup") from None
        self.take_engine(self.names)
        self.devices.update(public_devices(self.names))

    def publish(self, addresses: Sequence[str] | None, keep: Path | Recorder) -> None:
        """Have the engine's documents sent to these addresses, too.

        Parameters
        ----------
        addresses : sequence of str or None
            What was given with ``--publish``.
        keep : Path or Recorder
            Where runs are kept that cannot be sent.
        """
        if not addresses:
            return
        from freewheel.publishing import Publisher

        for address in addresses:
            self._publishers.append(Publisher(address, keep=keep))
            self._publishers[-1].attach(self.engine)

    def close(self) -> None:
        """Close the engine, and send what waits to be published."""
        try:
            self.engine.close()
        finally:
            for publisher in self._publishers:
                finish(publisher)


def _run_file(path: Path, namespace: dict[str, Any]) -> dict[str, Any]:
    namespace["__file__"] = str(path)
    exec(compile(path.read_bytes(), str(path), "exec"), namespace)
    return {name: value for name, value in namespace.items() if not name.startswith("__")}
