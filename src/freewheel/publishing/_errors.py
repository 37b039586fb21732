"""What can go wrong between documents and a broker."""

from __future__ import annotations

__all__ = ["AwayError", "PublishingError", "RefusedError"]


class PublishingError(Exception):
    """Documents could not be sent.

    Parameters
    ----------
    message : str
        What happened, and where.

    Attributes
    ----------
    sent : int
        How many of the documents that were to be sent were sent before.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message.partition("\n")[0].rstrip("."))
        self.sent = 0


class AwayError(PublishingError):
    """The broker cannot be reached, or takes nothing; later it may."""


class RefusedError(PublishingError):
    """A document was refused, and would be the next time as well."""
