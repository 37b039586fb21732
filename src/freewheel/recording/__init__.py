"""Record runs, replay documents, replay devices."""

__all__: list[str] = []
