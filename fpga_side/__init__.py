"""The card side."""
