"""``freewheel serve``: serve an engine to clients elsewhere."""

from __future__ import annotations

import getpass
import queue
import re
from contextlib import ExitStack
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ._lab import ConnectTimeout, Devices, Lab, Startup
from ._options import Stacks, call_sites
from ._output import say
from ._publish import UNSENT, Publish, Unsent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from freewheel.remote import EngineServer, TokenFile

#: Of bluesky's plans those that are offered without being asked for.
_BLUESKY: Final = (
    "count scan rel_scan list_scan rel_list_scan grid_scan rel_grid_scan list_grid_scan"
).split()

#: Those that a prompt elsewhere moves devices with.
_MOVES: Final = ("mv", "mvr")
#: Those of freewheel's own that take what cannot be sent.
_OF_OBJECTS: Final = ("mda", "together")


def serve(
    what: Annotated[
        str | None,
        typer.Argument(help="`token` makes a token, and serves nothing.", metavar="token"),
    ] = None,
    name: Annotated[
        str | None, typer.Argument(help="Whose token: how others will see who it was.")
    ] = None,
    role: Annotated[
        str,
        typer.Option(
            help="What the owner of a new token may: observer (looks), operator (runs, moves, "
            "stops) or admin (also takes devices away from others)."
        ),
    ] = "operator",
    remove: Annotated[
        bool, typer.Option("--remove", help="With `token NAME`: take the token away.")
    ] = False,
    plans: Annotated[
        list[str] | None,
        typer.Option(help="A folder, file or module whose plans to offer; several times."),
    ] = None,
    devices: Devices = None,
    sim: Annotated[
        bool, typer.Option("--sim", help="Offer the simulated microscope's devices, too.")
    ] = False,
    startup: Startup = None,
    timeout: ConnectTimeout = 10.0,
    host: Annotated[
        str, typer.Option(help="Where to listen; the default is this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The port; 0 for any free one.", min=0, max=65535)
    ] = 60650,
    tokens: Annotated[
        Path | None,
        typer.Option(
            help="The file of the tokens; by default freewheel/tokens.json where your "
            "programs keep their settings.",
            dir_okay=False,
        ),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="For TLS: the certificate, a PEM file.", exists=True)
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="For TLS: its private key, a PEM file.", exists=True)
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Record all runs in this directory.", file_okay=False)
    ] = None,
    publish: Publish = None,
    unsent: Unsent = UNSENT,
    stacks: Stacks = False,
) -> None:
    """Serve an engine, its devices and plans: ``freewheel serve --devices lab.py --plans plans/``.

    Others use it with ``freewheel gui``, ``shell`` or ``run --connect ws://HOST:PORT``, or from
    Python with ``freewheel.remote.connect``. Who they are, and what they may, is told by tokens:
    the first start makes one for you, an admin, ``freewheel serve token NAME --role operator`` one
    for somebody else. Without devices of your own, the simulated microscope is served.

    After a stop or a failure, plans that wait in the queue are held until somebody releases them.
    Ctrl-C, SIGTERM and SIGHUP end it: a plan that runs is aborted with its clean-up.

    Exit code: 0 it was ended, 1 it could not start, 2 bad usage.
    """
    file = _open_tokens(tokens)
    if what is not None:
        _token(file, what, name, role, remove=remove)
        return
    from freewheel.terminal import ENDING_SIGNALS, log_as_lines, signals

    ended: queue.SimpleQueue[int] = queue.SimpleQueue()  # handlers of signals may put into it
    restore_logging = log_as_lines(who_did_what=True)
    lab = Lab()
    try:
        lab.take_devices(devices)
        lab.start_up(startup)
        if sim or not lab.devices:
            lab.devices.update(_scope())
        lab.connect(dict(lab.devices), timeout)
        lab.engine.queue.on_interruption = "hold"
        with ExitStack() as stack:
            stack.enter_context(call_sites(stacks))
            keep = _record(lab, record, stack)
            lab.publish(publish, unsent if keep is None else keep)
            stack.enter_context(signals(ENDING_SIGNALS, ended.put))
            mine = stack.enter_context(_FirstToken(file))
            tls = _tls(certificate, key)
            server = _server(lab, plans or (), file, host, port, tls)
            stack.callback(server.close)
            _say_how(server, len(lab.devices), mine.show(), file)
            ended.get()
            say("Ending: a plan that runs is aborted with its clean-up.")
    finally:
        lab.close()
        restore_logging()


# -- tokens --------------------------------------------------------------------------------------


def _open_tokens(path: Path | None) -> TokenFile:
    from freewheel.remote import TokenFile

    try:
        return TokenFile(path)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="--tokens") from None


def _token(file: TokenFile, what: str, name: str | None, role: str, *, remove: bool) -> None:
    if what != "token" or name is None:
        message = f"write freewheel serve token NAME, not {what!r}"
        raise typer.BadParameter(message)
    try:
        if remove:
            file.remove(name)
            typer.echo(f"{name} has no token any more.")
            return
        token = _added(file, name, role)
    except OSError as error:
        message = f"{file.path} cannot be changed: {error.strerror or error}"
        raise typer.BadParameter(message, param_hint="--tokens") from None
    except (KeyError, ValueError) as error:
        raise typer.BadParameter(str(error.args[0])) from None
    typer.echo(f"The token of {name} ({role}), which is shown this once:", err=True)
    typer.echo(token)


class _FirstToken:
    """A token for whoever starts a server that has no admin: taken back if nobody is shown it."""

    def __init__(self, file: TokenFile) -> None:
        self._file = file
        clients = file.clients
        self._name = _free_name({client.name for client in clients})
        self._shown = any(client.role == "admin" for client in clients)
        self._token = None if self._shown else _added(file, self._name, "admin")

    def show(self) -> str | None:
        self._shown = True
        return self._token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._shown:
            self._file.remove(self._name)


def _free_name(taken: set[str]) -> str:
    """Return what the admin is called: a token that somebody has by that name stays good."""
    name = _user()
    while name in taken:
        name += "-admin"
    return name


def _user() -> str:
    try:
        return re.sub(r"[^\w.@+-]", "", getpass.getuser()) or "admin"
    except (OSError, KeyError):  # there is no name for the user of a container
        return "admin"


def _added(file: TokenFile, name: str, role: str) -> str:
    try:
        return file.add(name, role)
    except OSError as error:
        message = f"no token can be kept in {file.path}: {error.strerror or error}"
        raise typer.BadParameter(message, param_hint="--tokens") from None


# -- what is served ------------------------------------------------------------------------------


def _scope() -> Mapping[str, Any]:
    from freewheel.sim import microscope

    return microscope()


def _record(lab: Lab, directory: Path | None, stack: ExitStack) -> Any:
    if directory is None:
        return None
    from freewheel.recording import Recorder, RecordingError

    try:
        recorder = stack.enter_context(Recorder(directory))
    except RecordingError as error:
        raise typer.BadParameter(str(error), param_hint="--record") from None
    lab.engine.subscribe(recorder, delivery="queued")
    return recorder


def _tls(certificate: Path | None, key: Path | None) -> dict[str, str]:
    if (certificate is None) is not (key is None):
        message = "--certificate and --key go together"
        raise typer.BadParameter(message)
    return {} if certificate is None else {"certfile": str(certificate), "keyfile": str(key)}


def _server(
    lab: Lab, sources: Any, file: TokenFile, host: str, port: int, tls: dict[str, str]
) -> EngineServer:
    from freewheel.remote import EngineServer

    try:
        return EngineServer(
            lab.engine,
            plans=_plans(sources, lab),
            devices=lab.devices,
            tokens=file,
            host=host,
            port=port,
            ssl=tls,
        ).start()
    except (OSError, TypeError, ValueError) as error:
        say(f"freewheel serve: {error}")
        raise typer.Exit(1) from None


def _plans(sources: list[str], lab: Lab) -> list[Callable[..., Any]]:
    """Return the plans to offer; of two with one name the later counts."""
    import bluesky.plan_stubs
    import bluesky.plans

    import freewheel.plans
    from freewheel.forms import find_plans, is_plan_function

    found = {name: getattr(bluesky.plans, name) for name in _BLUESKY}
    found |= {name: getattr(bluesky.plan_stubs, name) for name in _MOVES}
    own = {name: getattr(freewheel.plans, name) for name in freewheel.plans.__all__}
    found |= {
        name: value
        for name, value in own.items()
        if is_plan_function(value) and name not in _OF_OBJECTS
    }
    try:
        entries = find_plans(sources, lab.devices)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error), param_hint="--plans") from None
    for entry in entries:
        if entry.spec is not None and entry.spec.plan is not None:
            found[entry.name] = entry.spec.plan
        else:
            say(f"{entry.name} of {entry.source} is not offered: {entry.reason}")
    found |= {
        name: value
        for name, value in lab.names.items()
        if is_plan_function(value) and name[0] != "_"
    }
    return list(found.values())


def _say_how(server: EngineServer, devices: int, mine: str | None, file: TokenFile) -> None:
    typer.echo(f"Serving {devices} devices and {len(server.plans)} plans at {server.url}")
    if mine is not None:
        typer.echo("Your token is in these lines, and shown this once. Connect with one of them:")
        for command in ("gui", "shell"):
            typer.echo(f"    freewheel {command} --connect {server.url} --token {mine}")
        typer.echo(f"    {server.page}#token={mine}  (in a browser, also of a phone)")
    else:
        who = ", ".join(f"{client.name} ({client.role})" for client in file.clients)
        typer.echo(f"Connect with: freewheel gui --connect {server.url} --token TOKEN")
        typer.echo(f"In a browser, also of a phone: {server.page}")
        typer.echo(f"There are tokens of: {who}")
    if not (server.is_local or server.url.startswith("wss")):
        typer.echo("Without --certificate and --key whoever listens on the network sees tokens.")
    typer.echo("One for somebody else: freewheel serve token NAME --role operator")
    typer.echo("Ctrl-C ends it.")
