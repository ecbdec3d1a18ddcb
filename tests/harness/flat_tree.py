"""Reads a flattened device tree (Devicetree Specification 0.4, chapter 5) into the folders of /proc/device-tree."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

BEGIN_NODE: Final = 1
END_NODE: Final = 2
PROPERTY: Final = 3
NOP: Final = 4
END: Final = 9


def unpack(blob: bytes, folder: Path) -> None:
    """Write each node as a folder and each property as a file, as the kernel shows them, below ``folder``."""
    magic, _, structure, strings = struct.unpack_from(">4I", blob)
    assert magic == 0xD00DFEED, "not a flattened device tree"
    at, place = structure, folder.parent
    while True:
        (token,) = struct.unpack_from(">I", blob, at)
        at += 4
        if token == BEGIN_NODE:
            name = _text(blob, at)
            at += len(name) + 1
            place = place / name if name else folder
            place.mkdir(parents=True)
        elif token == PROPERTY:
            size, name_at = struct.unpack_from(">2I", blob, at)
            at += 8
            (place / _text(blob, strings + name_at)).write_bytes(blob[at : at + size])
            at += size
        elif token == END_NODE:
            place = place.parent
        elif token == END:
            return
        else:
            assert token == NOP, f"token {token}"
        at = (at + 3) // 4 * 4


def _text(blob: bytes, at: int) -> str:
    return blob[at : blob.index(b"\0", at)].decode()
