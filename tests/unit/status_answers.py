"""Agents' answers to `status` for the tests of commands that show them, without an agent."""

from __future__ import annotations

from typing import Any

from vnetcard.ring import layout as L
from vnetcard.ring.counters import EndCounters

NOW = 1_800_000_000.0


def counters(pump: str) -> dict[str, int]:
    """Every counter of a pump, all 0."""
    ledger, stats = (L.TX_LEDGER, L.TX_STATS) if pump == "tx" else (L.RX_LEDGER, L.RX_STATS)
    words = ledger[len(L.LEDGER_COMMON) :]
    end = EndCounters(pump == "tx", dict.fromkeys(words, 0), dict.fromkeys(stats, 0), dict.fromkeys(L.BATCHES, 0))
    return end.flat()


def ring(direction: str) -> dict[str, Any]:
    return {
        "queue": 0,
        "direction": direction,
        "offset": 4096,
        "size": 1 << 21,
        "prod": 0,
        "cons": 0,
        "fill": 0,
        "records": 0,
        "producer_sleeps": False,
        "consumer_sleeps": True,
        "problem": "",
        "cons_moved_at": None,
    }


def view(side: int) -> dict[str, Any]:
    """An agent's answer about a link at rest."""
    name = L.SIDES[side]
    return {
        "program": "x",
        "side": name,
        "pid": 1,
        "port": {"url": "tun:tun0", "name": "tun0", "netns": None, "addresses": ["10.10.10.1/24"]},
        "window": {"url": "shm:w", "geometry": "8 MiB", "doorbell": True},
        "engine": None,
        "balance": [],
        "at": NOW,
        "mtu": 1500,
        "peer_mtu": 1500,
        "link": {
            "state": "run",
            "up": True,
            "reason": "both sides have answered",
            "reason_code": "up",
            "fault_code": "",
            "since": 10.0,
            "mtu": 1500,
            "features": {},
            "history": [{"at": NOW - 10, "state": "run", "reason": "both sides have answered", "fault_code": ""}],
        },
        "rings": [ring(direction) for direction in L.DIRECTIONS],
        "registers": [],
        "sides": {name: {"tx": counters("tx"), "rx": counters("rx"), "link": dict.fromkeys(L.LINK_COUNTERS, 0)}},
        "notes": {},
        "cleared": {},
    }
