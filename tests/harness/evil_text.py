"""Text that harms a terminal, a log or a page that shows it as it is."""

from __future__ import annotations

from typing import Final

EVIL: Final = "\x1b[2J\x1b]0;owned\x07\r\n\x7f\x9b\x00\u202e\u2028\udc80<script>\"'"
"""Escape sequences, ends of lines, DEL, CSI of C1, NUL, bidirectional override, invalid UTF-8, markup."""
EVIL_BYTES: Final = b"\x1b[2J\x1b]0;o\x07\r\n\x7f\x9b\xff\xe2\x80\xae"
"""The same for a field of 24 bytes in the window."""


def harmful(text: str) -> set[str]:
    """The characters of ``text`` that do more than show themselves, apart from tab and end of line."""
    return {char for char in text if not char.isprintable()} - set("\n\t")
