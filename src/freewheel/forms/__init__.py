"""A plan's signature as a toolkit-neutral description of a form."""

__all__: list[str] = []
