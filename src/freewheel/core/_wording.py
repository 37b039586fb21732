"""How values are put into words, wherever a person reads them."""

from __future__ import annotations

from ._states import PlanStatus

__all__ = ["status_text"]


def status_text(status: PlanStatus, failure: BaseException | None = None) -> str:
    """Return how a plan stands, in words: ``"running"``, ``"failed: ValueError"``.

    Parameters
    ----------
    status : PlanStatus
        Its status.
    failure : BaseException, optional
        What it failed with, if it did.
    """
    if status == PlanStatus.FAILED and failure is not None:
        return f"failed: {type(failure).__name__}"
    if status == PlanStatus.RESUMED:
        return "paused, then resumed or ended"
    return str(status)
