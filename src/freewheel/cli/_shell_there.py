"""IPython on an engine elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from freewheel.remote import RemoteEngine

__all__ = ["shell_there"]

_BANNER: Final = """\
freewheel {version}: RE is the engine at {url}, where you are {name} ({role}).
Its plans: {plans}
Its devices: {devices}
It goes on when this shell ends. %jobs lists what runs.
"""


def shell_there(engine: RemoteEngine, config: Callable[[str], Any]) -> None:
    """Start IPython on an engine elsewhere, and close the line at the end."""
    from freewheel import __version__
    from freewheel.core import MissingExtraError

    try:
        from IPython import start_ipython
    except ModuleNotFoundError as error:
        engine.close()
        raise MissingExtraError("freewheel shell", "ipython") from error
    with engine:
        namespace = {**engine.plans, **engine.devices}
        namespace |= {"RE": engine, "plans": engine.plans, "devices": engine.devices}
        banner = _BANNER.format(
            version=__version__,
            url=engine.url,
            name=engine.name,
            role=engine.role,
            plans=", ".join(engine.plans) or "none",
            devices=", ".join(engine.devices) or "none",
        )
        start_ipython(argv=[], user_ns=namespace, config=config(banner))
