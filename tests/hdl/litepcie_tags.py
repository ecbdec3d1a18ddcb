"""The number of tags of the benches around LitePCIe, for modules that need not import LiteX or pytest."""

TAGS = 4
"""Read requests that LitePCIe allows at a time in the tests; with LiteX's default of 8 a build takes twice as long."""
