"""``freewheel shell``: IPython with a run engine, on devices of one's own or simulated ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ._lab import ConnectTimeout, Devices, Lab, Startup
from ._options import Configuration, Stacks, call_sites
from ._publish import UNSENT, Publish, Unsent
from ._remote import Connect, Token, connect_to, refuse_beside
from ._shell_there import shell_there

if TYPE_CHECKING:
    from traitlets.config import Config

    from freewheel.sim import Microscope

_BANNER: Final = """\
freewheel {version}: run engine RE, plans (bp, bps, live_view), and {what}:
    {devices}
"""
_MICROSCOPY: Final = """\
scope is all of them: RE(live_view([scope.camera])) shows it live, RE(mda(sequence, scope)) runs a
useq.MDASequence, a file of one, or {"channels": [...], "z_plan": {...}}.
"""
_FIRST_THINGS: Final = """
Five things to try first:
    f = RE(live_view([camera]))                   a plan in the background of this prompt
    %fg                                           watch it; Ctrl-C comes back here
    %action snap                                  record a frame of it
    RE.between_messages(lambda: camera.exposure.set(0.02))      change it as it runs
    %stop                                         then: RE(bp.scan([camera], stage.x, -5, 5, 20))
"""
_MAGICS: Final = "%jobs lists what runs, %plans what can be run, %wa where everything is.\n"


def shell(
    instant: Annotated[
        bool, typer.Option(help="Let motors jump and exposures take no time.")
    ] = False,
    shape: Annotated[
        int, typer.Option(help="Height and width of the camera's frames [pixels].", min=16)
    ] = 512,
    devices: Devices = None,
    micromanager: Configuration = None,
    startup: Startup = None,
    sim: Annotated[
        bool,
        typer.Option(
            "--sim",
            help="Have the simulated microscope, too; without --devices it is there anyway.",
        ),
    ] = False,
    timeout: ConnectTimeout = 10.0,
    publish: Publish = None,
    unsent: Unsent = UNSENT,
    stacks: Stacks = False,
    connect: Connect = None,
    token: Token = None,
) -> None:
    """Start IPython with a run engine, plans, and devices of your own or a simulated microscope.

    ``freewheel shell --devices my_lab.py`` has your devices by their names, connected; one that
    fails is told of, and can be connected later. When the terminal is closed, or on SIGTERM, the
    plan that runs is aborted and cleaned up.

    With ``--connect`` RE is the engine of a server, which goes on when this shell ends; its plans
    and devices are there by their names: ``RE(count([camera], num=3))``.
    """
    if connect is not None:
        beside = {"--devices": devices, "--micromanager": micromanager, "--startup": startup}
        refuse_beside({**beside, "--sim": sim, "--publish": publish})
        shell_there(connect_to(connect, token, "freewheel shell"), _config)
        return
    from freewheel.core import MissingExtraError

    from ._micromanager import load_microscope

    try:
        from IPython import start_ipython
    except ModuleNotFoundError as error:
        raise MissingExtraError("freewheel shell", "ipython") from error

    microscope = load_microscope(micromanager) if micromanager is not None else {}
    lab = Lab()
    lab.devices.update(microscope)
    namespace = _plans()
    try:
        own = {**microscope, **lab.take_devices(devices)}
        lab.connect(own, timeout)
        simulated = sim or not (own or startup)
        if microscope:
            namespace["scope"] = microscope
        if simulated:
            scope = _scope(shape, instant)
            namespace |= {"scope": scope, **scope}
            lab.devices = {**scope, **lab.devices}
        # One that did not connect has its name all the same: it may be connected by hand.
        namespace |= {**own, "RE": lab.engine}
        with call_sites(stacks):
            lab.start_up(startup, namespace)
            namespace["RE"] = lab.engine
            lab.publish(publish, unsent)
            banner = _banner(lab, simulated=simulated, alone=not own, microscopy=bool(microscope))
            start_ipython(argv=[], user_ns=namespace, config=_config(banner))
    finally:
        _close(lab)


def _plans() -> dict[str, Any]:
    import bluesky.plan_stubs as bps
    import bluesky.plans as bp

    from freewheel import plan_stubs
    from freewheel.plans import live_view, mda

    return {"bp": bp, "bps": bps, "fps": plan_stubs, "live_view": live_view, "mda": mda}


def _scope(shape: int, instant: bool) -> Microscope:
    from freewheel.sim import microscope

    return microscope(shape=(shape, shape), instant=instant)


def _banner(lab: Lab, *, simulated: bool, alone: bool, microscopy: bool) -> str:
    from freewheel import __version__

    banner = _BANNER.format(
        version=__version__,
        what="a simulated microscope" if simulated and alone else "the devices",
        devices=", ".join(lab.devices) or "none yet",
    )
    if microscopy and not simulated:  # which is the scope, then
        banner += _MICROSCOPY
    return banner + (_FIRST_THINGS if simulated else "") + _MAGICS


def _config(banner: str) -> Config:
    from traitlets.config import Config

    config = Config()
    config.InteractiveShellApp.extensions = ["freewheel"]
    config.TerminalInteractiveShell.banner1 = banner
    config.TerminalInteractiveShell.banner2 = ""
    return config


def _close(lab: Lab) -> None:
    if lab.engine.state != "idle":
        typer.echo("Ending the plan with its clean-up ...", err=True)
    lab.close()
