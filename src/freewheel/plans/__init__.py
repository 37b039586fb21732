"""Ready plans."""

__all__: list[str] = []
