"""Memory requests and completions of PCIe as DWORDs, and the rules that a requester must keep.

The sections are those of the PCI Express Base Specification, revision 4.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

COMPLETION, MEMORY = 0x0A, 0x00
GOOD, UNSUPPORTED, ABORT = 0, 1, 4
"""Status of a completion: SC, UR, CA (2.2.9)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A memory request; ``data`` of a write, whole DWORDs, is None for a read."""

    address: int
    dwords: int
    tag: int
    requester: int
    first_be: int
    last_be: int
    data: bytes | None = None

    def enabled(self) -> list[tuple[int, bytes]]:
        """Address and bytes of each run of enabled bytes of a write."""
        assert self.data is not None
        strobes = self.first_be | ((1 << 4 * self.dwords) - 1 & ~0xF)
        if self.dwords > 1:
            strobes &= (1 << 4 * self.dwords - 4) - 1 | self.last_be << 4 * self.dwords - 4
        found: list[tuple[int, bytes]] = []
        at = 0
        while at < len(self.data):
            stop = at
            while strobes >> stop & 1:
                stop += 1
            if stop > at:
                found.append((self.address + at, self.data[at:stop]))
            at = stop + 1
        return found


def parse(words: Sequence[int]) -> Request | None:
    """Return a memory request, checked against 2.2.2 to 2.2.5 and 2.2.7; None for a completion.

    Raises AssertionError when a rule is broken.
    """
    fmt, kind, length = words[0] >> 29, words[0] >> 24 & 0x1F, words[0] & 0x3FF or 1024
    if kind == COMPLETION:
        return None
    assert kind == MEMORY and fmt < 4, f"TLP {words[0]:#010x}"
    assert not words[0] & 0x00FF_FC00, "traffic class, digest, poison, attributes or address type"
    head = 3 + (fmt & 1)
    address = words[2] << 32 | words[3] if fmt & 1 else words[2]
    assert not fmt & 1 or address >> 32, "a header of four DWORDs for an address below 4 GiB"
    assert not address & 3
    assert address % 4096 + 4 * length <= 4096, f"{4 * length} bytes at {address:#x} cross 4 KiB"
    data = words[head:]
    assert len(data) == (length if fmt & 2 else 0), f"{len(data)} DWORDs of data, length {length}"
    first, last = words[1] & 0xF, words[1] >> 4 & 0xF
    if length == 1:
        assert not last, "last byte enables of one DWORD"
    else:
        assert first in (0xF, 0xE, 0xC, 0x8) and last in (0xF, 0x7, 0x3, 0x1), f"byte enables {first:#x}, {last:#x}"
    raw = b"".join(word.to_bytes(4, "big") for word in data) if fmt & 2 else None
    return Request(address, length, words[1] >> 8 & 0xFF, words[1] >> 16, first, last, raw)


def request(address: int, *, requester: int, tag: int = 0, data: bytes | None = None, dwords: int = 1) -> list[int]:
    """The DWORDs of a memory request of 32-bit addresses with all bytes enabled."""
    length = dwords if data is None else len(data) // 4
    words = [(0 if data is None else 0b010) << 29 | length, requester << 16 | tag << 8 | (0xFF if length > 1 else 0xF)]
    return [*words, address, *_dwords(data or b"")]


def completion(
    read: Request, at: int, data: bytes, *, completer: int, status: int = GOOD, poisoned: bool = False
) -> list[int]:
    """A completion of ``read`` with the bytes from ``at`` on; without data when the status is not GOOD (2.2.9)."""
    left = read.address + 4 * read.dwords - at
    head = (0b010 if status == GOOD else 0) << 29 | COMPLETION << 24 | poisoned << 14 | len(data) // 4
    words = [head, completer << 16 | status << 13 | left & 0xFFF, read.requester << 16 | read.tag << 8 | at & 0x7F]
    return words + _dwords(data)


def completed(words: Sequence[int]) -> tuple[int, bytes | None]:
    """Tag and data of a completion; None when it has no data."""
    assert words[0] >> 24 & 0x1F == COMPLETION
    data = b"".join(word.to_bytes(4, "big") for word in words[3:])
    assert len(data) == 4 * (words[0] & 0x3FF)
    return words[2] >> 8 & 0xFF, data or None


def _dwords(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 4], "big") for at in range(0, len(data), 4)]
