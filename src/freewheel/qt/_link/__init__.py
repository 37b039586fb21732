"""The engine as Qt sees it: signals, feeds from its threads, and how both end."""
