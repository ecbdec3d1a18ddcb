"""Written inputs of the C harnesses: what honest peers do, and attacks that chance finds late.

``python -m tests.fuzz.scripts`` writes them into the corpora again, beside the inputs that a search has found.  The
numbers of operations and places are those of the harnesses in tests/fuzz/c.
"""

from __future__ import annotations

import random
from typing import Final

from tests.fuzz import corpora
from tests.fuzz.merge_scripts import merge
from tests.fuzz.script_parts import LINE_AHEAD, NEXT, NOW, ONES, ZERO, poke, u16
from tests.fuzz.vhost_scripts import vhost
from tests.harness.super_packets import super_packet

# --- the rings ---------------------------------------------------------------------------------------

_PUSH, _POKE_C, _DRAIN = 0, 2, bytes([9])


def _consumer(*parts: bytes, domain: int = 0, frame_max: int = 1500, index: bytes = b"\0") -> bytes:
    return bytes([0, domain]) + u16(frame_max - 1) + index + b"".join(parts)


def _record(length: int, *, vnet: bool = False, hidden: bool = False) -> bytes:
    return bytes([_PUSH, vnet | hidden << 1]) + u16(length - 1 - (10 if vnet else 0))


def consumer() -> dict[str, bytes]:
    """Inputs of consumer.c."""
    flow = b"".join(_record(n * 97 % 1400 + 1) + _DRAIN for n in range(30))
    steps = bytes([3, 4, 5, 6, 7])
    return {
        "records of many sizes around the ring": _consumer(flow),
        "the same behind PCIe, across 2^32": _consumer(flow, domain=1, index=bytes([65])),
        "the same with hooks at every load": _consumer(flow, domain=2, index=bytes([64])),
        "several records published at once": _consumer(_record(9, hidden=True), _record(60, vnet=True), _DRAIN),
        "length changes after its check": _consumer(_record(200), bytes([3, 4]), poke(_POKE_C, 4, ONES), steps),
        "length changes between the words": _consumer(_record(200), bytes([3]), poke(_POKE_C, 4, ONES, 2), steps),
        "prod goes back": _consumer(_record(200), bytes([3]), poke(_POKE_C, 0, ZERO), bytes([4, 6, 3])),
        "prod a ring and a line ahead": _consumer(poke(_POKE_C, 0, 5), bytes([3, 4])),
        "record longer than what is published": _consumer(_record(60), poke(_POKE_C, 4, 9, raw=2), _DRAIN),
        "unknown flags": _consumer(_record(60), poke(_POKE_C, 5, 10, raw=1), _DRAIN),
        "header of another length": _consumer(_record(60), poke(_POKE_C, 5, 10, raw=16), _DRAIN),
        "record missing": _consumer(_record(60), poke(_POKE_C, 6, NEXT), _DRAIN),
        "recovers with a new generation": _consumer(poke(_POKE_C, 0, NEXT), _DRAIN, bytes([8, 0]), _record(50), _DRAIN),
    }


def producer() -> dict[str, bytes]:
    """Inputs of producer.c."""

    def start(*parts: bytes, domain: int = 0, index: int = 0) -> bytes:
        return bytes([0, domain]) + u16(1499) + bytes([index]) + b"".join(parts)

    def send(length: int) -> bytes:
        return bytes([0, 1]) + u16(length) + bytes([2, 0, 4])

    flow = b"".join(send(n * 131 % 1400 + 1) + (bytes([6, 9]) if n % 3 == 2 else b"") for n in range(30))
    full = send(1400) * 3
    return {
        "records of many sizes around the ring": start(flow),
        "the same behind PCIe, across 2^32": start(flow, domain=1, index=66),
        "the same with hooks at every load": start(flow, domain=2, index=66),
        "full ring, then room": start(full, bytes([6, 1]), full, bytes([7])),
        "cons ahead of what is published": start(full, poke(5, 0, LINE_AHEAD), full),
        "cons goes back": start(full, bytes([6, 1, 7]), poke(5, 1, 3), bytes([7])),
        "cons within a line": start(full, poke(5, 1, NEXT), full),
        "record one line longer than the room": start(send(1400), send(1400), bytes([0, 1]) + u16(1200)),
        "impossible lengths": start(bytes([0, 1]) + u16(0), bytes([0, 0, 255, 255, 255, 255])),
    }


def ledger() -> dict[str, bytes]:
    """Inputs of ledger.c."""
    return {
        f"writer stops {at} stores on, domain {domain}": bytes([domain])
        + poke(0, 40, ZERO)
        + b"".join(poke(0, step, ZERO, at + step) for step in (1, 7, 19))
        + bytes([4, 3])
        + bytes(range(30))
        + bytes([4, 2, 3, 4])
        for domain, at in ((0, 1), (1, 9), (2, 18))
    } | {
        "writer overtakes the reader": bytes([0]) + poke(0, 40, ZERO) + poke(0, 23, ZERO, 8) + bytes([4]),
        "hostile stamps": bytes([0]) + poke(0, 128, ONES) + poke(0, 144, ZERO, 5) + bytes([4, 2, 1, 4]),
    }


def tap() -> dict[str, bytes]:
    """Inputs of tap.c."""
    head = bytes([0x3F, 0x3F]) + u16(300) + bytes([0]) + bytes([0x3F, 7]) + u16(60) + bytes([2])

    def entry(how: int, first: int, second: int) -> bytes:
        return bytes([0, how, first]) + u16(second) + bytes([how, 0])

    flow = b"".join(entry(4 + 8 * (n % 6), n * 7 % 250, n * 31 % 400) + bytes([4, 3]) for n in range(40))
    return {
        "events around the ring": head + flow,
        "reader that is too slow": head + b"".join(entry(5, 200, 500) for _ in range(20)) + bytes([4, 7]),
        "waits before a record": head + bytes([3, 6, 1, 1, 9]) + entry(4, 9, 9) + bytes([3, 7, 0, 1, 12]),
        "reader's index ahead": head + poke(2, 0, LINE_AHEAD) + entry(4, 60, 60),
    }


# --- the pumps ---------------------------------------------------------------------------------------

PLAIN, HOOKED, VNET, TSO, USO, TAPPED, FILTERED = 0, 2, 4, 4 + 16, 4 + 24, 32, 64
FUTEX, DOORBELL, WAKE, ETHERNET, PUNTS, BYPASS, NEIGHBOURS = 1, 2, 4, 8, 16, 32, 64
_WAKING = FUTEX | WAKE


def _pump(how: int, wake: int, *parts: bytes, packet_max: int = 1500, index: int = 0) -> bytes:
    """``index`` 64 and up: so many lines before 2^32.  The peer sleeps if the pumps wake one another."""
    return bytes([how, wake]) + u16(packet_max - 68) + bytes([index, wake & WAKE and 1]) + b"".join(parts)


def _in_domain(how: int, domain: int) -> int:
    """``how`` with the memory's domain, which is its rest by three: the bits for it are not used otherwise."""
    return next(n for n in (how, how | 128, how | 1, how | 2) if n % 3 == domain)


def rx() -> dict[str, bytes]:
    """Inputs of rx.c."""

    def push(length: int, how: int = 0) -> bytes:
        return bytes([0]) + u16(length - 1) + bytes([how])

    def move(most: int) -> bytes:
        return bytes([4, most])

    refuse = [bytes([6, kind + 8]) for kind in range(8)]
    flow = b"".join(push(n * 89 % 1480 + 1) + (move(9) if n % 2 else b"") for n in range(30))
    offloads = [2 * (gso + checksum) + version for gso in (1, 2, 3) for checksum in (0, 16) for version in (0, 1)]
    kinds = b"".join(
        push(300, how) + move(3) for how in (0, 4, 8, 10, 18, *[37] * 4, 30, 32, 33, 64, 160, 161, 255, *offloads * 2)
    )
    kinds += b"".join(push(length, how) + move(3) for length in (9, 30, 45) for how in offloads)
    headers = b"".join(push(length, n % 2) + move(9) for n in range(140) for length in (44 + n * 13 % 700,))
    headers += b"".join(push(length, length % 2) + move(1) for length in (1, 19, 20, 21, 39, 40, 41, 48))
    refused = b"".join(refuse[kind] + push(99, 2) + push(98) + move(4) + move(4) for kind in range(8))
    seeds, program = {}, bytes([8])
    for domain in range(3):
        for name, how in (("plain", PLAIN), ("vnet", VNET), ("tso", TSO), ("uso", USO), ("tapped", TSO | TAPPED)):
            start = _in_domain(how, domain)
            seeds[f"packets, {name}, domain {domain}"] = _pump(start, _WAKING, flow, kinds, index=66)
            seeds[f"refused, {name}, domain {domain}"] = _pump(start, WAKE, refused)
        seeds[f"filter, domain {domain}"] = _pump(_in_domain(VNET | FILTERED, domain), _WAKING, headers, index=66)
        seeds[f"filter of plain packets, domain {domain}"] = _pump(_in_domain(FILTERED, domain), 0, headers)
        for name, how in (("plain", PLAIN), ("filter", VNET | FILTERED), ("tso", TSO), ("uso", USO | TAPPED)):
            start = _in_domain(how, domain)
            seeds[f"punt, {name}, domain {domain}"] = _pump(
                start, PUNTS, flow, program, kinds, headers, refused, program, flow
            )
            seeds[f"punt of frames, {name}, domain {domain}"] = _pump(start, PUNTS | ETHERNET, program, flow, kinds)
        forged = b"".join(push(61 + 3 * n - 1, 96) + move(1) for n in range(30))
        seeds[f"punt, checksum over the source, domain {domain}"] = _pump(
            _in_domain(TSO | FILTERED, domain), PUNTS, program, forged
        )
        seeds[f"punt with bypass, domain {domain}"] = _pump(
            _in_domain(TSO, domain), PUNTS | BYPASS, flow, program, kinds, program, refused
        )
    epoch, prod, head = 3, 0, 4
    near = b"".join(push(length, n % 2) + move(9) for n in range(32) for length in (44 + n * 13 % 700,))
    near += b"".join(push(length, length % 2) + move(1) for length in (1, 19, 20, 21, 39, 40, 41, 48))
    for name, how in (("vnet", VNET), ("tso", TSO), ("filter", VNET | FILTERED)):
        for domain in range(3):
            seeds[f"onto an Ethernet, {name}, domain {domain}"] = _pump(
                _in_domain(how, domain), _WAKING | NEIGHBOURS, near, kinds, bytes([6, 40]), near, index=66
            )
    return seeds | {
        "resolver that has room again": _pump(
            TSO, NEIGHBOURS, bytes([6, 40]), push(99), move(9), near, bytes([6, 0]), near
        ),
        "refused by an Ethernet": _pump(TSO, WAKE | NEIGHBOURS, refused),
        "destination changes on its way onto an Ethernet": _pump(
            TSO, NEIGHBOURS, *(push(300, n % 2) + poke(3, 8, ONES, n // 2) + move(2) for n in range(40))
        ),
        "through an engine": _pump(PLAIN, DOORBELL, flow),
        "polling peer": _pump(PLAIN, 0, flow, move(63), bytes([8]), flow),
        "peer that is awake": _pump(PLAIN, _WAKING, bytes([7, 0, 0]), flow),
        "record without virtio_net_hdr on a link with it": _pump(TSO, 0, push(60), poke(3, 5, ZERO), move(2)),
        "super-packet of no IP version": _pump(TSO, 0, push(300, 2), poke(3, 8, ZERO), move(2)),
        "checksum beyond the packet": _pump(TSO, 0, push(60, 2 * (16 + 64)), move(2)),
        "killed and started again": _pump(TSO, _WAKING, flow, bytes([9, 0, 1]), flow),
        "new epoch": _pump(PLAIN, 0, push(60), poke(3, epoch, NEXT), move(2), bytes([7, 70, 0]), push(60), move(2)),
        "new epoch explains a bad index": _pump(PLAIN, 0, poke(3, prod, NEXT), poke(3, epoch, NEXT), move(2)),
        "new epoch explains a bad record": _pump(
            PLAIN, 0, push(60), poke(3, head, ZERO, 3), poke(3, epoch, NEXT, 3), move(2)
        ),
        "bad index": _pump(PLAIN, 0, poke(3, prod, NEXT), move(2)),
        "bad record": _pump(PLAIN, 0, push(60), poke(3, head, ONES), move(2), bytes([7, 0, 0]), push(60), move(2)),
        "virtio_net_hdr changes after its check": _pump(
            TSO, 0, push(600, 2), *(poke(3, 7, ONES, after) for after in range(4, 9)), move(2)
        ),
        "packet changes while the filter reads it": _pump(
            VNET | FILTERED, 0, *(push(300, n % 2) + poke(3, 7 + n % 2, ONES, n // 2) + move(2) for n in range(40))
        ),
        "no IP behind a filter": _pump(FILTERED, 0, push(60), poke(3, 7, ZERO), move(2)),
        "every load changes the record": _pump(
            _in_domain(TSO, 2), 0, push(60, 2), *(poke(3, 4 + n % 4, ONES, n + 2) for n in range(8)), move(9)
        ),
    }


def tx() -> dict[str, bytes]:
    """Inputs of tx.c."""

    def packet(length: int, kind: int = 0) -> bytes:
        return bytes([0, kind]) + u16(length)

    def move(most: int) -> bytes:
        return bytes([3, most])

    take, die_before, die_after = bytes([5, 15]), bytes([7, 1]), bytes([7, 0])
    flow = b"".join(packet(n * 89 % 1480 + 1) + (move(9) + take if n % 2 else b"") for n in range(30))
    kinds = b"".join(packet(300, kind) + move(3) + take for kind in (0, 2, 3, 4, 6, 7, 8, 10, 32, 33, 160, 255))
    odd = packet(0) + packet(1530) + move(9) + packet(60) + move(1) + take
    began = bytes(2)  # the next generation's index, and that the peer is awake
    kill = packet(60) + die_after + move(1) + began + packet(61) + die_before + move(1) + began + move(1) + take
    drops = packet(60) + bytes([8, 0]) + packet(61) + packet(0) + bytes([8, 2]) + bytes([8, 3])
    errors = b"".join(bytes([9, kind]) + move(2) for kind in range(3)) + bytes([9, 0, 8, 0])
    seeds = {}
    for domain in range(3):
        for name, how in (("plain", PLAIN), ("vnet", VNET), ("tso", TSO), ("uso", USO), ("tapped", TSO | TAPPED)):
            start = _in_domain(how, domain)
            seeds[f"packets, {name}, domain {domain}"] = _pump(start, _WAKING, flow, kinds, odd, index=66)
            seeds[f"kills and drops, {name}, domain {domain}"] = _pump(start, WAKE, kill, drops, errors, kill)
    cons, epoch = 0, 3
    full = packet(1400) * 4 + move(9)
    return seeds | {
        "through an engine": _pump(PLAIN, DOORBELL, flow),
        "polling peer": _pump(PLAIN, 0, flow, move(63)),
        "peer that is awake": _pump(PLAIN, _WAKING, bytes([6, 0, 0]), flow),
        "full ring": _pump(PLAIN, 0, full, take, move(9)),
        "bad index": _pump(PLAIN, 0, full, poke(2, cons, NEXT), move(9), bytes([6, 70, 0]), packet(60), move(1), take),
        "new epoch explains a bad index": _pump(
            PLAIN, 0, full, poke(2, cons, NEXT), poke(2, epoch, NEXT), packet(60), move(9)
        ),
        # Index and checksum of both slots: as if older software, which knows no checksum, had written them.
        "ledger's index anywhere": _pump(
            PLAIN,
            0,
            packet(60),
            *(poke(2, slot + 10 * word, ONES) for slot in (7, 8) for word in (3, 15)),
            bytes([10, 0, 0]),
            move(1),
        ),
        "ledger of garbage": _pump(
            PLAIN,
            0,
            packet(60),
            *(poke(2, slot + 10 * word, ONES) for slot in (7, 8) for word in (0, 4)),
            bytes([10, 0, 0]),
            move(1),
        ),
        "killed in a generation whose place was overwritten": _pump(
            PLAIN, 0, packet(60), poke(2, 6, ZERO), die_after, move(1), began, packet(60), move(1)
        ),
    }


def socket() -> dict[str, bytes]:
    """Inputs of socket.c."""
    tagged, typed, cut, tcp, short, padded = (1 << n for n in range(6))

    def arrive(length: int, kind: int = 0, how: int = 0) -> bytes:
        return bytes([0, kind, how]) + u16(length)

    move, take, drop = bytes([3, 60]), bytes([5]), bytes([7])
    hows = (0, tagged, tagged | typed, cut, short, padded, tcp, tcp | tagged, 255)
    lengths = b"".join(
        arrive(10 + n * 97 % 2900, n % 2, hows[n % 9]) + (move + take if n % 3 else b"") for n in range(36)
    )
    kinds = b"".join(
        arrive(700, kind, how) + move + take for kind in range(0, 256, 5) for how in (0, tcp, tcp | tagged)
    )
    full = arrive(2900, 0, tcp) * 4 + move + take + move
    left = full + bytes([6, 0]) + full + drop + arrive(90) + arrive(5, 0, short) + drop
    errors = b"".join(arrive(90) + bytes([8, kind]) + move + bytes([8, kind]) + drop for kind in range(3))
    seeds = {}
    for domain in range(3):
        for name, how in (("plain", PLAIN), ("vnet", VNET), ("tso", TSO), ("uso", USO), ("tapped", TSO | TAPPED)):
            for what, more in (("frames", 0), ("packets", NEIGHBOURS)):
                start = _in_domain(how, domain)
                seeds[f"{what}, {name}, domain {domain}"] = (
                    bytes([start, _WAKING | more]) + u16(1432) + bytes([66]) + (lengths + kinds + left + errors)
                )
    return seeds | {
        "bad index": bytes([PLAIN, 0]) + u16(1432) + bytes([0]) + full + poke(2, 0, NEXT) + move + bytes([6, 0]) + full
    }


def finish() -> dict[str, bytes]:
    """Inputs of finish.c: a super-packet of each kind, as a frame and without, and a partial checksum alone."""
    kinds = {0: "partial checksum", 1: "TCP over IPv4", 4: "TCP over IPv6", 5: "UDP", 0x81: "TCP with CWR"}
    found: dict[str, bytes] = {}
    for number in range(400):
        one = super_packet(random.Random(number), payload=131)
        if one.vnet[1] in kinds:
            name = f"{kinds[one.vnet[1]]}{f' behind {one.lead} bytes' if one.lead else ''}"
            found.setdefault(name, bytes([one.lead > 0]) + one.vnet + one.packet)
            found.setdefault(f"{name}, header off", bytes([2]) + one.vnet + one.packet) if one.lead == 14 else None
    plain = bytes(12) + b"\x08\0" + bytes.fromhex("4500001c0000000040fd0000") + bytes(16)
    checksum = bytes([1, 0, 60, 0, 0, 0, 34, 0, 6, 0])
    found |= {
        "padding behind an IP packet": bytes([2]) + checksum + plain + bytes(18),
        "IPv6 packet with padding": bytes([2]) + bytes(10) + bytes(12) + b"\x86\xdd\x60" + bytes(45),
        "no IP packet behind an Ethernet header": bytes([2]) + bytes(10) + plain[:14] + b"\x50" + bytes(45),
        "IP packet longer than its frame": bytes([2]) + bytes(10) + plain[:-1],
        "checksum in an Ethernet header": bytes([2]) + bytes([1, 0, 0, 0, 0, 0, 13, 0, 6, 0]) + plain,
        "frame of 13 bytes": bytes([2]) + bytes(10) + plain[:13],
    }
    options = bytes([6, 30]) + bytes(246)
    packet = bytes([0x60, 0, 0, 0, 0, 0, 60, 1]) + bytes(32) + options + bytes(12) + b"\x50" + bytes(140)
    return found | {"more headers than a packet may have": bytes([0, 0, 4, 0, 0, 48, 0, 0, 0, 0, 0]) + packet}


def memif() -> dict[str, bytes]:
    """Inputs of memif.c; the first byte: 1 for a client, 0 for a server."""
    ours, theirs, index, length, offset = 0, 1, 0, 4, 4 + 32
    flip, low, high = 10, 12, 13  # choices: that bit is the other one, that half of 64 bits becomes the raw value

    def flow(client: int) -> bytes:
        frames = b"".join(bytes([0, n * 41 % 255, 2, 255, 3, n * 59 % 255, 4, 6, 7, n & 1]) for n in range(40))
        return bytes([client]) + frames

    def hurt(client: int, ring: int, word: int, choice: int, raw: int, *after: int) -> bytes:
        """A frame each way, while a word of ``ring`` changes, earlier or later."""
        once = (poke(5, ring | word, choice, load, raw) + bytes([0, 200, 2, 255, 3, 200, 4, 8]) for load in after)
        return bytes([client]) + b"".join(bytes([0, 60]) + part for part in once)

    found: dict[str, bytes] = {}
    for client, role in enumerate(("server", "client")):
        found |= {
            f"frames of many sizes, {role}": flow(client),
            f"full ring, {role}": bytes([client, *([3, 200] * 4), *([4] * 3), *([0, 100] * 5), *([2, 255] * 5)]),
            f"index of the peer, {role}": hurt(client, theirs, index + 2 * client, flip, 4 if client else 20, NOW, 1),
            f"room of the peer, {role}": hurt(client, ours, index + 2 * client, flip, 4 if client else 20, NOW, 1),
            f"length in the last slot, {role}": bytes([client])
            + b"".join(
                bytes([0, 60, 2, 255] * 3)
                + poke(5, theirs | length | 3 * 8, high, load, 0xFFFF)
                + bytes([0, 60, 2, 255, 8])
                for load in range(1, 10)
            ),
            f"length, received, {role}": hurt(client, theirs, length, high, 0xFFFF, *range(10)),
            f"offset, received, {role}": hurt(client, theirs, offset, low, 0xFFFF, *range(10)),
            f"region, received, {role}": hurt(client, theirs, length, flip, 20, *range(10)),
            f"chain, received, {role}": hurt(client, theirs, length, flip, 0, *range(10)),
            f"length, sent, {role}": hurt(client, ours, length, high, 0xFFFF, *range(16)),
            f"offset, sent, {role}": hurt(client, ours, offset, low, 0xFFFF, *range(16)),
        }
    return found


SCRIPTS: Final = {
    "consumer": consumer, "finish": finish, "producer": producer, "ledger": ledger, "memif": memif, "merge": merge,
    "tap": tap, "rx": rx, "socket": socket, "tx": tx, "vhost": vhost,
}  # fmt: skip


def main() -> None:
    """Write the scripts into the corpora; what a search has found stays."""
    for name, make in SCRIPTS.items():
        old = corpora.load(name) if (corpora.CORPUS / f"{name}.hex").exists() else {}
        found = {called: data for called, data in old.items() if called == corpora.digest(data)}
        corpora.store(name, make() | found)


if __name__ == "__main__":
    main()
