"""The ping-size suite, and its reports."""
