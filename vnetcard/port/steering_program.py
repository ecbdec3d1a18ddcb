"""The program of ``steering.py``, in the kernel's instructions, and the layout of the memory that it shares with us.

``ENTRIES`` entries of three 64-bit words.  Of a flow: when its last packet came, in nanoseconds of CLOCK_MONOTONIC; the
bytes in its bucket; and, for one that acknowledgements do not pace, 1 if it has another queue than the first, plus 2 if
its bucket has overflowed since its last silence.  The last entry's first word is the number of queues that are not the
first.

Source: Linux Documentation/bpf/standardization/instruction-set.rst, include/uapi/linux/bpf.h (struct __sk_buff).
"""

from __future__ import annotations

import struct
from typing import Final

FLOWS: Final = 1024
ENTRIES: Final = FLOWS + 1
ENTRY_BYTES: Final = 24
COUNT_AT: Final = FLOWS * ENTRY_BYTES
"""Byte offset of the number of queues."""
LEAK_SHIFT: Final = 8
"""A bucket loses one byte each 2**LEAK_SHIFT nanoseconds: 3.9 MB/s."""
BUCKET: Final = 16 << 10
"""Bytes that a flow may send at once."""
FULL: Final = 80 << 10
"""What a bucket that has overflowed is filled with."""
_SILENCE_NS: Final = (FULL - BUCKET) << LEAK_SHIFT
SILENCE: Final = _SILENCE_NS / 1e9
"""Seconds in which a flow must send nothing to be served by the first queue again."""

_TCP, _UDP = 6, 17
_ACK_ONLY: Final = 0x10
_FLAGS: Final = 0x3F
"""Of TCP: URG, ACK, PSH, RST, SYN, FIN; not those of congestion notification."""
_MULTIPLIER: Final = -0x61C8_8647
"""Odd, and near 2**32 divided by the golden ratio: Knuth, The Art of Computer Programming 3, 6.4."""

_CTX, _LEN, _HASH, _L4, _ENTRY = 6, 7, 8, 9, 9
_FP: Final = 10
_HEADER: Final = -40
"""On the stack: the first 20 bytes of the IP header."""
_ADDRESSES: Final = -80
"""The addresses of IPv6, 32 bytes."""
_PACED, _PORTS, _FLAGS_AT, _KEY = -20, -16, -8, -4
_STREAM, _OVERFLOWED = 1, 2
_LOAD_BYTES, _LOOKUP, _CLOCK = 26, 1, 5

_SIZES: Final = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
_OPERATIONS: Final = {
    "+": 0x07, "-": 0x17, "|": 0x47, "&": 0x57, "<<": 0x67, ">>": 0x77, "%": 0x97, "^": 0xA7, "*": 0x27, "=": 0xB7
}  # fmt: skip
_CONDITIONS: Final = {"==": 0x15, ">": 0x25, ">=": 0x35, "!=": 0x55, "<": 0xA5, "<=": 0xB5, "s<": 0xC5}


class _Assembler:
    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int | str, int]] = []
        self._labels: dict[str, int] = {}

    def label(self, name: str) -> None:
        self._labels[name] = len(self._code)

    def set(self, target: int, operation: str, value: int) -> None:
        """``target OP value``, a constant, on all 64 bits."""
        self._code.append((_OPERATIONS[operation], target, 0, 0, value))

    def set_by(self, target: int, operation: str, source: int) -> None:
        """``target OP source``, a register."""
        self._code.append((_OPERATIONS[operation] | 0x08, target, source, 0, 0))

    def load(self, target: int, size: int, base: int, offset: int) -> None:
        self._code.append((0x61 | _SIZES[size], target, base, offset, 0))

    def store(self, base: int, offset: int, size: int, source: int) -> None:
        self._code.append((0x63 | _SIZES[size], base, source, offset, 0))

    def big_endian(self, target: int, bits: int) -> None:
        self._code.append((0xDC, target, 0, 0, bits))

    def jump(self, label: str) -> None:
        self._code.append((0x05, 0, 0, label, 0))

    def jump_if(self, left: int, condition: str, value: int, label: str) -> None:
        self._code.append((_CONDITIONS[condition], left, 0, label, value))

    def jump_if_by(self, left: int, condition: str, right: int, label: str) -> None:
        self._code.append((_CONDITIONS[condition] | 0x08, left, right, label, 0))

    def call(self, helper: int) -> None:
        self._code.append((0x85, 0, 0, 0, helper))

    def load_map(self, target: int, fd: int) -> None:
        self._code += [(0x18, target, 1, 0, fd), (0, 0, 0, 0, 0)]

    def exit(self) -> None:
        self._code.append((0x95, 0, 0, 0, 0))

    def code(self) -> bytes:
        return b"".join(
            struct.pack(
                "=BBhi",
                code,
                source << 4 | target,
                self._labels[jump] - at - 1 if isinstance(jump, str) else jump,
                value,
            )
            for at, (code, target, source, jump, value) in enumerate(self._code)
        )


def program(flows: int, header: int) -> bytes:
    """The instructions, which return the number of a queue; ``flows`` is the map, IP begins ``header`` bytes in."""
    a = _Assembler()
    a.set_by(_CTX, "=", 1)
    a.load(_LEN, 4, _CTX, 0)
    a.set(1, "=", 0)
    a.store(_FP, _PACED, 4, 1)
    _copy(a, header, _HEADER, 20, "first")
    a.load(1, 1, _FP, _HEADER)
    a.set(1, ">>", 4)
    a.jump_if(1, "==", 4, "ipv4")
    a.jump_if(1, "!=", 6, "first")
    _hash_ipv6(a, header)
    a.label("ipv4")
    _hash_ipv4(a, header)
    a.label("ports")
    _hash_ports(a)
    a.label("flow")
    _fill_bucket(a, flows)
    a.label("other")
    _choose(a, flows)
    a.label("first")
    a.set(0, "=", 0)
    a.exit()
    return a.code()


def _copy(a: _Assembler, offset: int, to: int, size: int, otherwise: str) -> None:
    """``size`` bytes of the packet to the stack; ``offset`` is a constant."""
    a.set(2, "=", offset)
    _copy_from_register_2(a, to, size, otherwise)


def _copy_from_register_2(a: _Assembler, to: int, size: int, otherwise: str) -> None:
    a.set_by(1, "=", _CTX)
    a.set_by(3, "=", _FP)
    a.set(3, "+", to)
    a.set(4, "=", size)
    a.call(_LOAD_BYTES)
    a.jump_if(0, "!=", 0, otherwise)


def _mix(a: _Assembler, size: int, offset: int) -> None:
    """A field on the stack into the hash."""
    a.load(1, size, _FP, offset)
    a.set_by(_HASH, "^", 1)
    a.set(_HASH, "*", _MULTIPLIER)
    a.set_by(1, "=", _HASH)
    a.set(1, ">>", 29)
    a.set_by(_HASH, "^", 1)


def _hash_ipv4(a: _Assembler, header: int) -> None:
    """Addresses and protocol; register 5 is the protocol, 0 for a fragment, which has no ports."""
    a.load(_HASH, 1, _FP, _HEADER + 9)
    _mix(a, 4, _HEADER + 12)
    _mix(a, 4, _HEADER + 16)
    a.load(_L4, 1, _FP, _HEADER)
    a.set(_L4, "&", 0xF)
    a.set(_L4, "<<", 2)
    a.set(_L4, "+", header)
    a.load(5, 1, _FP, _HEADER + 9)
    a.load(1, 2, _FP, _HEADER + 6)
    a.big_endian(1, 16)
    a.set(1, "&", 0x3FFF)
    a.jump_if(1, "==", 0, "ports")
    a.jump("flow")


def _hash_ipv6(a: _Assembler, header: int) -> None:
    _copy(a, header + 8, _ADDRESSES, 32, "first")
    a.load(_HASH, 1, _FP, _HEADER + 6)
    for at in range(0, 32, 8):
        _mix(a, 8, _ADDRESSES + at)
    a.set(_L4, "=", header + 40)
    a.load(5, 1, _FP, _HEADER + 6)
    a.jump("ports")


def _hash_ports(a: _Assembler) -> None:
    """Ports of TCP and UDP; a segment that only acknowledges goes to ``other`` at once."""
    a.jump_if(5, "==", _UDP, "udp")
    a.jump_if(5, "!=", _TCP, "flow")
    a.set(1, "=", 1)
    a.store(_FP, _PACED, 4, 1)
    a.set_by(2, "=", _L4)
    a.set(2, "+", 12)
    _copy_from_register_2(a, _FLAGS_AT, 2, "flow")
    a.set_by(2, "=", _L4)
    _copy_from_register_2(a, _PORTS, 4, "flow")
    _mix(a, 4, _PORTS)
    a.load(1, 1, _FP, _FLAGS_AT + 1)
    a.set(1, "&", _FLAGS)
    a.jump_if(1, "!=", _ACK_ONLY, "flow")
    a.load(1, 1, _FP, _FLAGS_AT)
    a.set(1, ">>", 4)
    a.set(1, "<<", 2)
    a.set_by(1, "+", _L4)
    a.jump_if_by(1, "==", _LEN, "other")
    a.jump("flow")
    a.label("udp")
    a.set_by(2, "=", _L4)
    _copy_from_register_2(a, _PORTS, 4, "flow")
    _mix(a, 4, _PORTS)


def _lookup(a: _Assembler, flows: int) -> None:
    """The entry whose index is in register 1; its address in register 0."""
    a.store(_FP, _KEY, 4, 1)
    a.load_map(1, flows)
    a.set_by(2, "=", _FP)
    a.set(2, "+", _KEY)
    a.call(_LOOKUP)
    a.jump_if(0, "==", 0, "first")


def _fill_bucket(a: _Assembler, flows: int) -> None:
    """To ``first`` if the flow is served there: TCP while its bucket holds each packet, others by their last burst."""
    now, state = 0, 3
    a.set_by(1, "=", _HASH)
    a.set(1, "&", FLOWS - 1)
    _lookup(a, flows)
    a.set_by(_ENTRY, "=", 0)
    a.call(_CLOCK)
    a.load(1, 8, _ENTRY, 0)
    a.store(_ENTRY, 0, 8, now)
    a.set_by(now, "-", 1)
    a.load(state, 8, _ENTRY, 16)
    a.load(2, 4, _FP, _PACED)
    a.jump_if(2, "!=", 0, "leak")
    a.jump_if(now, "<", _SILENCE_NS, "leak")
    a.set(state, ">>", 1)  # what has overflowed is a stream from now on
    a.label("leak")
    a.set(now, ">>", LEAK_SHIFT)
    a.load(1, 8, _ENTRY, 8)
    a.jump_if_by(1, ">", now, "leaks")
    a.set_by(1, "=", now)
    a.label("leaks")
    a.set_by(1, "-", now)
    a.set_by(1, "+", _LEN)
    a.jump_if(1, "<=", BUCKET, "holds")
    a.set(1, "=", FULL)
    a.set(state, "|", _OVERFLOWED)
    a.label("holds")
    a.store(_ENTRY, 8, 8, 1)
    a.store(_ENTRY, 16, 8, state)
    a.jump_if(2, "==", 0, "unpaced")
    a.jump_if(1, "<=", BUCKET, "first")
    a.jump("other")
    a.label("unpaced")
    a.set(state, "&", _STREAM)
    a.jump_if(state, "==", 0, "first")


def _choose(a: _Assembler, flows: int) -> None:
    """One of the other queues by the hash; the first where there is no other."""
    a.set(1, "=", FLOWS)
    _lookup(a, flows)
    a.load(1, 8, 0, 0)
    a.jump_if(1, "==", 0, "first")
    a.set_by(0, "=", _HASH)
    a.set(0, ">>", 10)
    a.set_by(0, "%", 1)
    a.set(0, "+", 1)
    a.exit()
