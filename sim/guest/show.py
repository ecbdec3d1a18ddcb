"""``vnetcard demo --qemu``: this machine and an ARM64 guest answer each other's pings over a PCI BAR."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import IO

from vnetcard.lab.lab import ADDRESSES
from vnetcard.ping import report, suite
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import image
from vnetcard.sim.guest.lab import CardLab
from vnetcard.sim.guest.qemu import find_qemu

REST_LIMIT = 5.0
"""Seconds for what is still on its way after the last ping."""


def prepare() -> None:
    """Make what the guest boots from, which needs a network once; progress goes to stderr."""
    find_qemu()
    image(_tell)


def _tell(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def show(count: int, log: IO[str], started: float) -> Sequence[suite.PingResult]:
    """Boot, ping both ways, print what is seen; ``log`` takes what the host's agent says."""
    with CardLab(image(_tell), log=log) as lab:
        lab.lab.start(L.HOST)
        guest = lab.boot()
        namespace = lab.lab.namespaces[L.HOST]
        print(f"network namespace {namespace}, and a guest (Linux {guest.ready}): joined by a PCI BAR alone")
        print(f"guest up after {time.monotonic() - started:.1f} s", flush=True)
        lab.start_card()
        lab.wait_up()
        view = lab.lab.status(L.HOST)
        on = " ".join(name for name, verdict in view["link"]["features"].items() if verdict == "on") or "none"
        print(f"link up after {time.monotonic() - started:.1f} s: {view['window']['geometry']}; offloads: {on}\n")
        results = _ping(lab, count)
        print("\n".join(_ledger(lab)))
    return results


def _ping(lab: CardLab, count: int) -> list[suite.PingResult]:
    """Both directions, each pinged by the system that has the interface."""
    targets = [
        suite.Target(ADDRESSES[L.CARD], netns=lab.lab.namespaces[L.HOST], label="host to card"),
        suite.Target(ADDRESSES[L.HOST], label="card to host"),
    ]
    print(report.header(targets), flush=True)
    results = suite.run_suite(
        targets[:1], count=count, on_result=lambda result: print(report.row(result, targets), flush=True)
    )
    from_card = lab.ping_from_card(count=count, target=targets[1])
    print("\n".join(report.row(result, targets) for result in from_card))
    results += from_card
    print(report.summary(results))
    return results


def _ledger(lab: CardLab) -> Iterator[str]:
    """The books of both directions, once nothing is on its way any more."""
    deadline = time.monotonic() + REST_LIMIT
    rows = lab.lab.status(L.HOST)["balance"]
    while any(row["in_flight"] for row in rows) and time.monotonic() < deadline:
        time.sleep(0.01)
        rows = lab.lab.status(L.HOST)["balance"]
    for row in rows:
        lost = row["sent"] - row["received"]
        yield f"ledger {row['direction']}: sent {row['sent']}, received {row['received']}, lost {lost}"
