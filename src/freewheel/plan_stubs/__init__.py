"""Plan stubs: generators of the messages that plans are made of."""

__all__: list[str] = []
