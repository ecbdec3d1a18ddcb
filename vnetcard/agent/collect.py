"""An agent's answer to ``show``: all its counters and registers, raw, and its history."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from vnetcard._core import Memory
from vnetcard.agent import status, thread_cpu
from vnetcard.agent.config import Config
from vnetcard.agent.history import History
from vnetcard.codes.link import LinkReason
from vnetcard.engine.register_text import decode
from vnetcard.errors import WindowUnavailable
from vnetcard.link.endpoints import PumpEndpoints
from vnetcard.link.link import Link
from vnetcard.link.queues import QueueEndpoints
from vnetcard.ring import layout as L
from vnetcard.ring.counters import RX_DROPS, TX_DROPS, EndCounters, read_end
from vnetcard.ring.derived import is_error_counter, of_queue
from vnetcard.ring.dissect import describe_sample, describe_violation
from vnetcard.ring.geometry import Geometry
from vnetcard.ring.sideblock import SideBlock
from vnetcard.ring.window_dump import ring_name
from vnetcard.window import Window

Pumps = QueueEndpoints[PumpEndpoints]
Figures = dict[str, dict[str, int]]
"""The counters of a side: ``tx`` and ``rx`` of its pumps, ``link`` of its link.

In a window of several queue pairs ``tx`` and ``rx`` are the sums, and ``tx queue 0`` and so on what they are of.
"""


def figures(memory: Memory, geometry: Geometry, side: int) -> Figures:
    """The counters of ``side`` over all queues, read from a window."""
    found: Figures = {}
    for pump, direction in (("tx", L.DIRECTIONS[side]), ("rx", L.DIRECTIONS[1 - side])):
        endpoints = [read_end(memory, direction, tx=pump == "tx", queue=queue) for queue in range(len(geometry.rings))]
        found[pump] = EndCounters.total(endpoints).flat()
        if len(endpoints) > 1:
            found |= {of_queue(pump, queue): end.flat() for queue, end in enumerate(endpoints)}
    return found | {"link": SideBlock(memory, side).counters()}


def own(window: Window, side: int) -> Figures:
    """The counters of this process's side, and the kernel's CPU times of its pumps."""
    found = figures(window.memory, window.geometry, side)
    for pump, threads in thread_cpu.of_pumps().items():
        found[pump] |= {f"{pump}_{name}": n for name, n in threads.items()}
    return found


def baseline(window: Window, side: int, what: str) -> dict[str, dict[str, int]]:
    """The values from which readers of ``what`` count once it is cleared."""
    if what != "registers":
        return own(window, side)
    return {"registers": {row["name"]: row["value"] for row in _registers(window)}}


def watched(window: Window, side: int) -> dict[str, int]:
    """The input of ``History.sample``: counters of loss and trouble, and the consumers' indices."""
    found = figures(window.memory, window.geometry, side)
    counts = {name: n for name, n in (found["tx"] | found["rx"] | found["link"]).items() if is_error_counter(name)}
    queues = range(len(window.geometry.rings))
    endpoints = [(queue, direction) for queue in queues for direction in L.DIRECTIONS]
    return counts | {_cons(window, *end): _load_cons(window, *end) for end in endpoints}


def _cons(window: Window, queue: int, direction: str) -> str:
    return f"{ring_name(len(window.geometry.rings), queue, direction)} cons"


def _load_cons(window: Window, queue: int, direction: str) -> int:
    return window.memory.load32(L.queue_offset(queue) + L.QUEUE_LINES[f"{direction}_cons"])


def collect(
    config: Config,
    window: Window,
    link: Link | None,
    endpoints: Pumps | None,
    history: History,
    *,
    port: dict[str, Any],
    since: float,
) -> dict[str, Any]:
    """The whole answer, in bytes, seconds and nanoseconds; ``since`` is the time since the last change of the carrier.

    ``sides`` has the peer's counters too where the window holds them.
    """
    view = status.collect(config, window, link, port=port, since=since)
    engine, side, moved = window.engine, config.side, history.moved()
    both = engine is None or engine.has_peer_ledger
    peers = {L.SIDES[1 - side]: figures(window.memory, window.geometry, 1 - side)} if both else {}
    return {
        **{name: view[name] for name in ("program", "side", "pid", "port", "window", "engine", "balance")},
        "at": time.time(),
        "monotonic": time.monotonic(),
        "mtu": config.mtu,
        "link": {**view["link"], "history": [asdict(change) for change in history.changes()]},
        "rings": [
            {**ring, "cons_moved_at": moved.get(_cons(window, ring["queue"], ring["direction"]))}
            for ring in view["rings"]
        ],
        "registers": _registers(window),
        "sides": peers | {L.SIDES[side]: own(window, side)},
        "peer_mtu": SideBlock(window.memory, 1 - side).load("mtu"),
        "notes": _notes(history, endpoints, ethernet=port["frames"] == "ethernet"),
        "cleared": history.cleared(),
    }


def collect_lost(
    config: Config, url: str, reason: str, code: LinkReason, history: History, *, port: dict[str, Any]
) -> dict[str, Any]:
    """The answer while the window is lost."""
    view = status.collect_lost(config, url, reason, code, port=port)
    return {
        **{name: view[name] for name in ("program", "side", "pid", "port", "window", "engine", "balance", "rings")},
        "at": time.time(),
        "monotonic": time.monotonic(),
        "mtu": config.mtu,
        "link": {**view["link"], "history": [asdict(change) for change in history.changes()]},
        "registers": [],
        "sides": {},
        "peer_mtu": 0,
        "notes": {name: {"at": at, "sample": ""} for name, at in history.moved().items()},
        "cleared": history.cleared(),
    }


def _registers(window: Window) -> list[dict[str, Any]]:
    try:
        return decode(window.engine.registers()) if window.engine else []
    except WindowUnavailable:
        return []  # ``engine`` says why


def _notes(history: History, endpoints: Pumps | None, *, ethernet: bool) -> dict[str, dict[str, Any]]:
    """When each counter of trouble last changed, and the packet of that moment where a pump kept it."""
    notes = {name: {"at": at, "sample": ""} for name, at in history.moved().items()}
    for name, (at, length, start) in sorted(_samples(endpoints), key=lambda sample: sample[1]) if endpoints else ():
        drop = name in TX_DROPS or name in RX_DROPS
        words = describe_sample(start, length, ethernet=ethernet) if drop else describe_violation(name, start)
        notes[name] = {"at": at / 1e9, "sample": words}  # of several queues, the last one
    return notes


def _samples(endpoints: Pumps) -> Iterator[tuple[str, tuple[int, int, bytes]]]:
    """By counter: time, length and first bytes of the packet."""
    for pair in endpoints.pairs:
        for pump, drops, stats in ((pair.tx, TX_DROPS, L.TX_STATS), (pair.rx, RX_DROPS, L.RX_STATS)):
            names = [*drops, *(name for name in stats if name.startswith("viol_"))]
            yield from ((name, sample) for name, sample in zip(names, pump.samples, strict=False) if sample[0])
