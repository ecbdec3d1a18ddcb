"""Sizes in bytes as people write and read them."""

from __future__ import annotations

from vnetcard.errors import ConfigError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def human(size: int) -> str:
    """``8388608`` as ``8 MiB``; a size that is not a whole number of units stays in bytes."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale and size % scale == 0:
            return f"{size // scale} {unit}"
    return f"{size} bytes"


def parse_size(text: str) -> int:
    """``65536``, ``64K``, ``8MiB`` or ``1G`` (powers of 1024) in bytes; ConfigError otherwise."""
    body = text.strip().upper().removesuffix("IB").removesuffix("B")
    unit = body[-1:] if body[-1:] in ("K", "M", "G") else ""
    digits = body.removesuffix(unit).strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise ConfigError(f"invalid size {text!r}: expected bytes, or a number with K, M or G")
    return int(digits) * _UNITS[unit]
