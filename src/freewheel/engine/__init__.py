"""The run engine, plan futures, the queue, commands and document delivery."""

__all__: list[str] = []
