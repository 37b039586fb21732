"""Background tasks, claims, merging and services."""

__all__: list[str] = []
