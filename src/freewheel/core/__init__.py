"""Values and primitives: errors, latches, actions, status, protocols."""

__all__: list[str] = []
