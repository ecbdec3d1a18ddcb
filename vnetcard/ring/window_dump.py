"""A window decoded for people: superblock, side blocks, rings.  Works on a copy, and checks every value.

``vnetcard info`` shows it for any window, also a corrupt one; agents use it for their view of the rings.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vnetcard._core import Memory
from vnetcard.errors import LayoutMismatch
from vnetcard.ring import layout as L
from vnetcard.ring.counters import Balance, balance, read_ends
from vnetcard.ring.fifo import locate
from vnetcard.ring.geometry import HEADER_BYTES, Geometry
from vnetcard.ring.link_counters import read_link_counters
from vnetcard.ring.sideblock import SideBlock, served_queues

MOST_RECORDS = 1 << 20
"""Most records that are counted in a ring: a 64 MiB ring full of 64-byte records."""

ATTEMPTS = 8
"""How often a ring that moves while it is read is read again."""

_RECORD = struct.Struct("<IHHII")


@dataclass(frozen=True, slots=True)
class RingView:
    """A ring at one moment, sizes and indices in bytes; ``problem`` says what is impossible in it, or ''."""

    queue: int
    direction: str
    offset: int
    size: int
    prod: int
    cons: int
    fill: int
    records: int
    producer_sleeps: bool
    consumer_sleeps: bool
    problem: str


def view_ring(memory: Memory, geometry: Geometry, direction: str, queue: int = 0) -> RingView:
    """Decode a ring, and check its records from cons to prod.

    A ring in use changes while it is read: a problem counts only if cons has not moved meanwhile.
    """
    end = locate(geometry, direction, "producer", queue)
    for _ in range(ATTEMPTS):
        cons, prod = memory.load32(end.peer), memory.load32(end.own)
        fill = (prod - cons) & 0xFFFF_FFFF
        records, problem = 0, ""
        if fill > end.ring.size or prod % L.LINE or cons % L.LINE:
            problem = f"prod {prod:#x} and cons {cons:#x} are impossible in a ring of {end.ring.size} bytes"
        else:
            records, problem = _walk(memory, end.ring.offset, end.ring.size, cons, fill)
        if not problem or memory.load32(end.peer) == cons:
            break
    else:
        fill, problem = min(fill, end.ring.size), ""
    return RingView(
        queue,
        direction,
        end.ring.offset,
        end.ring.size,
        prod,
        cons,
        fill,
        records,
        bool(memory.load32(end.own + L.PROD_LINE.offset("need_wakeup"))),
        bool(memory.load32(end.peer + L.CONS_LINE.offset("need_wakeup"))),
        problem,
    )


def view_rings(memory: Memory, geometry: Geometry) -> list[RingView]:
    """All rings: of queue 0 in both directions, of queue 1, ..."""
    queues = range(len(geometry.rings))
    return [view_ring(memory, geometry, direction, queue) for queue in queues for direction in L.DIRECTIONS]


def _walk(memory: Memory, offset: int, size: int, cons: int, fill: int) -> tuple[int, str]:
    records = at = 0
    while at < fill and records < MOST_RECORDS:
        header = memory.read(offset + ((cons + at) & (size - 1)), L.RECORD_HEADER)
        length, flags, hdr_len, _, _ = _RECORD.unpack(header)
        step = L.align_record(length)
        if not 1 <= length <= L.FRAME_MAX or at + step > fill:
            return records, f"record {records} claims {length} bytes"
        if flags & ~L.RECORD_FLAGS["VNET"] or hdr_len not in (0, L.VNET_HDR):
            return records, f"record {records} has flags {flags:#x} and hdr_len {hdr_len}"
        records, at = records + 1, at + step
    return records, ""


def queue_of(ring: Mapping[str, Any]) -> int:
    """The queue of a ring in an agent's answer; agents of earlier versions have only queue 0."""
    return int(ring.get("queue", 0))


def ring_name(queues: int, queue: int, direction: str) -> str:
    """``h2c``, or ``h2c queue 1`` in a window of several."""
    return direction if queues == 1 else f"{direction} queue {queue}"


def view_side(memory: Memory, side: int, queues: int) -> dict[str, Any]:
    """A side block and the counters of that side's ends over all queues, by name."""
    block = SideBlock(memory, side)
    identity = block.identity()
    states = {number: name for name, number in L.STATES.items()}
    control = {field.name: block.load(field.name) for field in L.SIDE_CONTROL.fields if field.size == 4}
    tx = read_ends(memory, L.DIRECTIONS[side], tx=True, queues=queues)
    rx = read_ends(memory, L.DIRECTIONS[1 - side], tx=False, queues=queues)
    counters, ruined = read_link_counters(memory, side)
    return {
        "side": L.SIDES[side],
        "epoch": control["epoch"],
        "answered": control["answered"],
        "state": states.get(control["state"], f"unknown ({control['state']})"),
        "heartbeat": control["heartbeat"],
        "features": L.feature_names(control["features"]),
        "mtu": control["mtu"],
        "version": control["version"],
        "queues": served_queues(control["queue_mask"]),
        **asdict(identity),
        "link": counters,
        "ruined": [name for name, bad in (("tx", tx.ruined), ("rx", rx.ruined), ("link", ruined)) if bad],
        "tx": tx.flat() | {"unaccounted": tx.unaccounted},
        "rx": rx.flat() | {"unaccounted": rx.unaccounted},
    }


def view_balance(memory: Memory, rings: list[RingView]) -> list[dict[str, Any]]:
    """The balance of each direction across the link, over all queues."""
    queues = len(rings) // len(L.DIRECTIONS)
    in_ring = {name: sum(ring.records for ring in rings if ring.direction == name) for name in L.DIRECTIONS}
    return [describe_balance(balance(memory, name, in_ring[name], queues)) for name in L.DIRECTIONS]


def describe_balance(row: Balance) -> dict[str, Any]:
    """A balance with its sums, for JSON."""
    return asdict(row) | {"in_flight": row.in_flight, "even": row.even}


def view_window(url: str, copy: bytes, *, side: int | None = None) -> dict[str, Any]:
    """Everything about a copy of a window; ``problems`` lists what is wrong with it.

    ``side``: whose memory it is, where each side has its own; the peer's counters are missing then.
    """
    problems: list[str] = []
    view: dict[str, Any] = {"window": url, "bytes": len(copy), "problems": problems}
    try:
        geometry = Geometry.decode(copy[:HEADER_BYTES], len(copy), c2h_beside=None)
    except LayoutMismatch as error:
        problems.append(str(error))
        geometry = None
    if geometry is not None:
        view["geometry"] = {
            "instance": geometry.instance,
            "window_bytes": geometry.window_bytes,
            "removable": geometry.removable,
            "rings": [
                {"queue": q, **{name: asdict(ring) for name, ring in zip(L.DIRECTIONS, pair, strict=True)}}
                for q, pair in enumerate(geometry.rings)
            ],
        }
    if len(copy) < L.rings_offset(1):
        problems.append(f"{len(copy)} bytes are too few for a window (at least {L.WINDOW_MIN})")
        return view
    memory = Memory(aligned(copy))
    queues = len(geometry.rings) if geometry is not None else 1
    view["sides"] = [view_side(memory, n, queues) for n in ((L.HOST, L.CARD) if side is None else (side,))]
    if geometry is not None:
        rings = view_rings(memory, geometry)
        view["rings"] = [asdict(ring) for ring in rings]
        problems += [
            f"{ring_name(queues, ring.queue, ring.direction)}: {ring.problem}" for ring in rings if ring.problem
        ]
        view["balance"] = view_balance(memory, rings) if side is None else []
    return view


def aligned(copy: bytes) -> Any:
    """A writable buffer that starts at a multiple of 64, as a mapped window does."""
    buffer = mmap.mmap(-1, len(copy))
    buffer[:] = copy
    return buffer
