"""Qt widgets for acquisition programs (extra ``qt``)."""

__all__: list[str] = []
