"""The geometry of a window: where its rings are, as the creator plans it and the superblock stores it."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, LayoutMismatch
from vnetcard.ring import layout as L
from vnetcard.terminal.sizes import human

HEADER_BYTES = L.QUEUE_OFFSET
"""Bytes that ``Geometry.decode`` needs: superblock, descriptors and side blocks."""

_SUPERBLOCK = struct.Struct("<QIIQIIIII")
_DESCRIPTOR = struct.Struct("<IIII")


@dataclass(frozen=True, slots=True)
class Ring:
    """A ring's place in the window: offset and size in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """The geometry of a window; ``rings[q]`` is the (h2c, c2h) pair of queue ``q``."""

    window_bytes: int
    rings: tuple[tuple[Ring, Ring], ...]
    instance: int
    removable: bool

    @property
    def ring_bytes(self) -> int:
        """Size of the smallest ring."""
        return min(ring.size for pair in self.rings for ring in pair)

    @property
    def c2h_beside(self) -> bool:
        """True: the c2h rings are in a second memory, whose bytes count from ``window_bytes`` on."""
        return self.rings[0][1].offset >= self.window_bytes

    @property
    def mtu_max(self) -> int:
        """Largest MTU in bytes for these rings: two records must fit at once."""
        return min(L.MTU_MAX, self.ring_bytes // 2 - L.LINE - L.VNET_HDR)

    def describe(self) -> str:
        """``8 MiB window, 1 queue pair, rings of 2 MiB`` in words."""
        rings = f"{count(len(self.rings))}, rings of {human(self.ring_bytes)}"
        beside = ", those of c2h beside it" if self.c2h_beside else ""
        return f"{human(self.window_bytes)} window, {rings}{beside}"

    def differs(self, window_bytes: int | None, ring_bytes: int | None, queues: int | None = None) -> str | None:
        """How the geometry differs from what is asked for, in words; a None argument accepts any value."""
        if window_bytes is not None and window_bytes != self.window_bytes:
            return f"asked for {human(window_bytes)}, the window has {human(self.window_bytes)}"
        if ring_bytes is not None and ring_bytes != self.ring_bytes:
            return f"asked for queues of {human(ring_bytes)}, the window has {human(self.ring_bytes)}"
        if queues is not None and queues != len(self.rings):
            return f"asked for {count(queues)}, the window has {len(self.rings)}"
        return None

    @classmethod
    def plan(
        cls,
        window_bytes: int,
        *,
        queue_bytes: int | None = None,
        queues: int = 1,
        instance: int,
        removable: bool,
        c2h_beside: bool = False,
    ) -> Geometry:
        """Plan rings of ``queue_bytes`` (default: the largest that fit) in a window; ConfigError if they do not fit.

        ``c2h_beside``: those of c2h are in a second memory, of ``window_bytes`` too, after its first ``RING_ALIGN``.
        """
        if not L.WINDOW_MIN <= window_bytes <= L.WINDOW_MAX:
            raise ConfigError(
                f"window size {human(window_bytes)} is out of range: "
                f"choose {human(L.WINDOW_MIN)} to {human(L.WINDOW_MAX)}",
                code=ErrorCode.OUT_OF_RANGE,
            )
        start = L.rings_offset(queues)
        shared = 1 if c2h_beside else 2
        most = max(0, window_bytes - start) // (shared * queues)
        if most < L.RING_MIN:
            raise ConfigError(
                f"{count(queues)} do not fit a window of {human(window_bytes)}: each takes "
                f"{'one ring' if c2h_beside else 'two rings'} of {human(L.RING_MIN)} at least"
            )
        ring = queue_bytes if queue_bytes is not None else 1 << (most.bit_length() - 1)
        if ring & (ring - 1) or not L.RING_MIN <= ring <= L.RING_MAX:
            raise ConfigError(
                f"queue size {ring} is out of range: a power of two, {human(L.RING_MIN)} to {human(L.RING_MAX)}",
                code=ErrorCode.OUT_OF_RANGE,
            )
        if ring > most:
            raise ConfigError(
                f"{shared * queues} queues of {human(ring)} do not fit a window of {human(window_bytes)}: "
                f"at most {human(1 << (most.bit_length() - 1))} each"
            )
        h2c = [start + shared * q * ring for q in range(queues)]
        beside = window_bytes + L.RING_ALIGN
        c2h = [beside + q * ring for q in range(queues)] if c2h_beside else [offset + ring for offset in h2c]
        pairs = tuple((Ring(one, ring), Ring(other, ring)) for one, other in zip(h2c, c2h, strict=True))
        return cls(window_bytes, pairs, instance, removable)

    def encode(self, *, magic: bool = True) -> bytes:
        """The superblock and its descriptors; without ``magic``, as they are before the last store."""
        return self._superblock(L.MAGIC if magic else 0, self.checksum) + self._descriptors()

    @property
    def checksum(self) -> int:
        """The checksum of the superblock, which names this layout of a window."""
        return zlib.crc32(self._superblock(0, 0) + self._descriptors())

    def _descriptors(self) -> bytes:
        return b"".join(
            _DESCRIPTOR.pack(h2c.offset, h2c.size, c2h.offset, c2h.size).ljust(L.LINE, b"\0") for h2c, c2h in self.rings
        )

    def _superblock(self, magic: int, checksum: int) -> bytes:
        return _SUPERBLOCK.pack(
            magic,
            L.VERSION,
            L.VERSION,
            self.window_bytes,
            len(self.rings),
            L.rings_offset(len(self.rings)),
            self.instance,
            checksum,
            int(self.removable),
        ).ljust(L.LINE, b"\0")

    @classmethod
    def decode(cls, header: bytes, available: int, *, c2h_beside: bool | None = False) -> Geometry:
        """Read a superblock from the first HEADER_BYTES of a window of ``available`` bytes.

        ``c2h_beside``: whether the c2h rings must be in a second memory; None: if all rings are in ``available``.
        Every value is checked: LayoutMismatch names what is wrong, and both values where two differ.
        """
        if len(header) < HEADER_BYTES:
            raise LayoutMismatch(f"{len(header)} bytes are too few for a window")
        fields = _SUPERBLOCK.unpack_from(header)
        magic, oldest, newest, window_bytes, queues, start, instance, checksum, removable = fields
        if magic != L.MAGIC:
            raise LayoutMismatch(
                f"no vnetcard window here: its first word is {magic:#018x}, not {L.MAGIC:#018x}",
                code=ErrorCode.NO_WINDOW,
            )
        if not oldest <= L.VERSION <= newest:
            spoken = str(oldest) if oldest == newest else f"{oldest} to {newest}"
            raise LayoutMismatch(
                f"the window has wire format {spoken}, this software speaks {L.VERSION}", code=ErrorCode.WIRE_FORMAT
            )
        if not 1 <= queues <= L.QUEUES_MAX:
            raise LayoutMismatch(f"the superblock names {queues} queue pairs, out of range (1 to {L.QUEUES_MAX})")
        descriptors = header[L.LINE : L.LINE * (1 + queues)]
        plain = bytearray(header[: L.LINE])
        plain[:8] = bytes(8)
        at = L.SUPERBLOCK.offset("checksum")
        plain[at : at + 4] = bytes(4)
        if zlib.crc32(bytes(plain) + descriptors) != checksum:
            raise LayoutMismatch("the superblock is damaged: its checksum does not fit", code=ErrorCode.WINDOW_DAMAGED)
        if window_bytes > available:
            raise LayoutMismatch(f"the superblock names {window_bytes} bytes, the window has {available}")
        rows = [_DESCRIPTOR.unpack_from(header, L.descriptor_offset(q)) for q in range(queues)]
        pairs = tuple((Ring(a, b), Ring(c, d)) for a, b, c, d in rows)
        beside = all(c2h.offset >= window_bytes for _, c2h in pairs)
        if beside and (c2h_beside is False or (c2h_beside is None and 2 * window_bytes > available)):
            raise LayoutMismatch("the window's c2h rings are in a memory beside it: name that by the option ?c2h=")
        if c2h_beside and not beside:
            raise LayoutMismatch("the window's c2h rings are in the window itself, not in another memory (?c2h=)")
        taken = L.rings_offset(queues)
        if start < taken:
            raise LayoutMismatch(f"the rings start at {start:#x}, inside the header of {taken:#x} bytes")
        places = sorted(
            ((ring, n == 1) for pair in pairs for n, ring in enumerate(pair)), key=lambda one: one[0].offset
        )
        for ring, is_c2h in places:
            end = window_bytes
            if beside and is_c2h:
                taken, end = max(taken, window_bytes + L.RING_ALIGN), 2 * window_bytes
            bad_size = ring.size & (ring.size - 1) or not L.RING_MIN <= ring.size <= L.RING_MAX
            if bad_size or ring.offset % L.RING_ALIGN or ring.offset < taken or ring.offset + ring.size > end:
                raise LayoutMismatch(f"a ring of {ring.size} bytes at {ring.offset:#x} is impossible in this window")
            taken = ring.offset + ring.size
        return cls(window_bytes, pairs, instance, bool(removable))


def count(queues: int) -> str:
    """``1 queue pair``, ``2 queue pairs``."""
    return f"{queues} queue pair" + ("s" if queues > 1 else "")


def speaks_our_format(header: bytes) -> bool:
    """True if the first bytes of a window have the magic number and a version range that includes this version."""
    magic, oldest, newest = struct.unpack_from("<QII", header.ljust(16, b"\0"))
    return bool(magic == L.MAGIC and oldest <= L.VERSION <= newest)
