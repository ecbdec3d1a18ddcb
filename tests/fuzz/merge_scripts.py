"""Written inputs of the harness merge.c: packets that are merged, and what must not be."""

from __future__ import annotations

from tests.fuzz.script_parts import NEXT, NOW, ONES, poke


def merge() -> dict[str, bytes]:
    """Inputs of merge.c.

    The first byte: Ethernet, filter, taps, packet_max of 120, no USO4, no USO6, TCP, no checksum offload.
    """
    changed, other_size = 128, 64

    def push(how: int, what: int = 0) -> bytes:
        return bytes([0, how, what])

    def move(most: int = 79) -> bytes:
        return bytes([6, most])

    flows = b"".join(push(flow | size << 4) * 5 + push(flow | size << 4 | other_size, 3) + move()
                     for flow in range(16) for size in range(3))  # fmt: skip
    many = push(0) * 70 + move() * 2
    changes = b"".join(push(flow) * 2 + push(flow | changed, what) * 3 + push(flow) * 2 + move()
                       for flow in range(2) for what in range(23))  # fmt: skip
    full = b"".join(push(0) * 3 + bytes([4, how]) + move() * 4 for how in range(12))
    mixed = b"".join(push(size << 4) for size in (2, 1, 1, 2, 3, 0, 0, 3, 2, 2, 1)) + move()
    small = push(2) * 6 + move(1) + move(3) + move()
    found = {
        f"flows, {name}": bytes([how, index]) + flows + many + changes + full + mixed + small
        for name, how, index in (("packets", 0, 66), ("frames", 1, 3), ("filtered", 2, 0), ("filtered frames", 3, 9),
                                 ("tapped", 4, 70), ("small packets", 8, 0), ("IPv6", 16, 0), ("IPv4", 32, 0),
                                 ("TCP", 64, 5), ("TCP in frames", 65, 1), ("whole TCP", 192, 0),
                                 ("whole TCP in frames", 193, 60),
                                 ("small whole TCP", 200, 7), ("whole UDP", 128, 0))
    }  # fmt: skip
    for word in range(12):
        attacks = b"".join(
            push(how) * 4 + poke(3, 2 + 8 * word, choice, load, 0x1105) + move() + bytes([5, load])
            for how in (0, 1) for load in (NOW, 3, 6, 9) for choice in (ONES, 9, 10, NEXT)
        )  # fmt: skip
        found[f"word {word} of a record changes"] = bytes([0, 0]) + attacks
        found[f"word {word} of a frame's record changes"] = bytes([1, 0]) + attacks
        found[f"word {word} of a segment's record changes"] = bytes([64, 0]) + attacks
        found[f"word {word} of a whole segment changes"] = bytes([192, 0]) + attacks
    return found | {
        "index and epoch": bytes([0, 0]) + push(0) * 3 + poke(3, 0, NEXT) + move() + bytes([5, 1]) + push(0) * 3
        + poke(3, 1, NEXT) + move(),
    }  # fmt: skip
