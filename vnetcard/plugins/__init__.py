"""Window and port kinds of other packages, found by their entry points (docs/plugins.md)."""
