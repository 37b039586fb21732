"""Plans as jobs at the IPython prompt (extra ``ipython``)."""

__all__: list[str] = []
