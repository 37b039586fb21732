"""What users need to test their own plans."""

__all__: list[str] = []
