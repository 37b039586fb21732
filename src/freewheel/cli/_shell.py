"""``freewheel shell``: IPython on the simulated microscope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import IPython  # noqa: F401  # so that a missing extra is told of before anything else
import typer

from ._options import Stacks, call_sites

if TYPE_CHECKING:
    from collections.abc import Sequence

    from traitlets.config import Config

    from freewheel import RunEngine

_BANNER: Final = """\
freewheel {version}: run engine RE, plans (bp, bps, live_view), and a simulated microscope:
{devices}

Five things to try first:
    f = RE(live_view([camera]))                   a plan in the background of this prompt
    %fg                                           watch it; Ctrl-C comes back here
    %action snap                                  record a frame of it
    RE.between_messages(lambda: camera.exposure.set(0.02))      change it as it runs
    %stop                                         then: RE(bp.scan([camera], stage.x, -5, 5, 20))
%jobs lists what runs, %plans what can be run, %wa where everything is.
"""


def shell(
    instant: Annotated[
        bool, typer.Option(help="Let motors jump and exposures take no time.")
    ] = False,
    shape: Annotated[
        int, typer.Option(help="Height and width of the camera's frames [pixels].", min=16)
    ] = 512,
    stacks: Stacks = False,
) -> None:
    """Start IPython with a run engine, plans and a simulated microscope.

    When the terminal is closed, or on SIGTERM, the plan that runs is aborted and cleaned up.
    """
    import bluesky.plan_stubs as bps
    import bluesky.plans as bp
    from IPython import start_ipython

    from freewheel import RunEngine, __version__, plan_stubs
    from freewheel.plans import live_view
    from freewheel.sim import microscope

    scope = microscope(shape=(shape, shape), instant=instant)
    engine = RunEngine()
    namespace: dict[str, Any] = {
        "RE": engine,
        "scope": scope,
        **scope,
        "bp": bp,
        "bps": bps,
        "fps": plan_stubs,
        "live_view": live_view,
    }
    try:
        with call_sites(stacks):
            start_ipython(
                argv=[],
                user_ns=namespace,
                config=_config(_BANNER.format(version=__version__, devices=_listed(list(scope)))),
            )
    finally:
        _close(engine)


def _listed(names: Sequence[str]) -> str:
    return "    " + ", ".join(names)


def _config(banner: str) -> Config:
    from traitlets.config import Config

    config = Config()
    config.InteractiveShellApp.extensions = ["freewheel"]
    config.TerminalInteractiveShell.banner1 = banner
    config.TerminalInteractiveShell.banner2 = ""
    return config


def _close(engine: RunEngine) -> None:
    if engine.state != "idle":
        typer.echo("Ending the plan with its clean-up ...", err=True)
    engine.close()
