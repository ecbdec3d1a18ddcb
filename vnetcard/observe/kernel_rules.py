"""Rules that find why a kernel discarded packets beside the link: its own counters, and evidence of what they were."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from vnetcard.codes.cause import CauseCode
from vnetcard.codes.discard import DiscardCode
from vnetcard.observe.cause import Cause
from vnetcard.observe.views import Discard, Snapshot
from vnetcard.ring import layout as L


def misrouted(snapshot: Snapshot) -> Iterator[Cause]:
    """Packets with a wrong route, by a counter that grew and a packet through the link that the kernel discards."""
    for side in L.SIDES:
        kernel = snapshot.kernel(side)
        if kernel is None:
            continue
        rows = [row for row in snapshot.discards() if row.side == side]
        cleared = snapshot.by_side[side]["cleared"].get("errors", {}).get("at", 0.0)
        for code in CauseCode:
            grown = {row.code.version for row in rows if code in row.code.causes}
            found = [one for one in kernel["misrouted"] if one["code"] == code and one["at"] >= cleared]
            found = [one for one in found if ipaddress.ip_address(one["source"]).version in grown]
            versions = {ipaddress.ip_address(one["source"]).version for one in found}
            if found:
                counted = [row for row in rows if code in row.code.causes and row.code.version in versions]
                yield Cause(code, side, _describe(side, counted, found))


def _describe(side: str, counted: list[Discard], found: list[dict[str, Any]]) -> str:
    latest, others = found[-1], len(found) - 1
    more = f" (and {others} other pairs of addresses)" if others > 1 else " (and one other pair of addresses)" * others
    who = "port" if all(row.code.startswith("port_") for row in counted) else "kernel"
    return (
        f"the {side}'s {who} counted {_counts(counted)}; packets like {latest['source']} > {latest['destination']} "
        f"came through the link{more}: {latest['words']}; {latest['fix']}"
    )


def _counts(rows: list[Discard]) -> str:
    """``kernel_ip_in_addr_errors 50 (all interfaces of its namespace together)``."""
    together = " (all interfaces of its namespace together)" if any(not row.where for row in rows) else ""
    return ", ".join(f"{row.code} {row.count}" for row in rows) + together


def application(snapshot: Snapshot) -> Iterator[Cause]:
    """Sockets that were full; less what sockets of other interfaces' addresses dropped."""
    for side in L.SIDES:
        rows = [row for row in snapshot.discards() if row.side == side and _is_of_application(row.code)]
        if not rows:
            continue
        port = snapshot.by_side[side]["port"]
        own = {ipaddress.ip_interface(text).ip for text in port["addresses"]}
        ours, foreign = [], 0
        for one in port["kernel"]["sockets"]:
            address = ipaddress.ip_address(one["address"])
            if address.is_unspecified or address in own:
                ours.append(one)
            else:
                foreign += one["drops"]
        if sum(row.count for row in rows) <= foreign:
            continue
        words = f"the {side}'s kernel counted {_counts(rows)}: a program there reads more slowly than packets come"
        if ours:
            words += "; of these " + ", ".join(f"UDP socket {_socket(one)} dropped {one['drops']}" for one in ours)
        yield Cause(CauseCode.APPLICATION_TOO_SLOW, side, words)


def _is_of_application(code: DiscardCode) -> bool:
    return CauseCode.APPLICATION_TOO_SLOW in code.causes


def _socket(one: dict[str, Any]) -> str:
    address = ipaddress.ip_address(one["address"])
    host = "*" if address.is_unspecified else f"[{address}]" if address.version == 6 else str(address)
    return f"{host}:{one['port']}"


def interface_queue(snapshot: Snapshot) -> Iterator[Cause]:
    """The interface's own queue towards the link, which was full."""
    for side in L.SIDES:
        rows = [row for row in snapshot.discards() if row.side == side]
        full = [row for row in rows if CauseCode.INTERFACE_QUEUE_FULL in row.code.causes]
        if full:
            dropped = sum(row.count for row in full)
            words = f"{dropped} packets of the {side} found the queue of {full[0].where} full: its programs sent "
            words += "faster than the link carried; none of these packets reached the link"
            yield Cause(CauseCode.INTERFACE_QUEUE_FULL, side, words)


RULES = (misrouted,)
SPEED_RULES = (application, interface_queue)
"""Rules that find what limits the speed; they come last."""
