"""Programs that take what ``RE(plan)`` returns for the plan's result."""

from __future__ import annotations

from typing import Final

__all__ = ["HOSTS", "refuse_host"]

#: Their packages, as they are imported.
HOSTS: Final = ("bluesky_queueserver", "blueapi")


def refuse_host(module: str) -> None:
    """Refuse a call that comes from such a program's own code, before a plan is started.

    It would take the future for a result, report that the plan has ended, and begin the next.

    Parameters
    ----------
    module : str
        Where the engine was called.

    Raises
    ------
    TypeError
        With the remedy.
    """
    package = module.partition(".")[0]
    if package in HOSTS:
        raise TypeError(
            f"{package} expects RE(plan) to return when the plan has ended, and a "
            "freewheel.RunEngine returns a future. Nothing was started. Give it "
            "RE = freewheel.BlockingRunEngine(), or `RE.blocking`, which is the same engine."
        )
