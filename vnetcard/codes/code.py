"""What every code has: its name, its meaning, and what to do about it."""

from __future__ import annotations

import enum


class Code(enum.StrEnum):
    """A code: a string in lower case with hyphens, such as ``window-permission``; equal to that string.

    ``meaning`` is one sentence, ``remedy`` what a person does about it ('' where there is nothing to do).
    """

    meaning: str
    remedy: str

    def __new__(cls, value: str, meaning: str, remedy: str = "") -> Code:
        code = str.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        code.remedy = remedy
        return code
