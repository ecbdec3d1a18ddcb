"""``vnetcard demo --qemu``: this machine and an ARM64 guest ping each other over a PCI BAR."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from vnetcard.lab.lab import ADDRESSES
from vnetcard.ping import report, suite
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import image
from vnetcard.sim.guest.lab import CardLab
from vnetcard.sim.guest.machines import ARM64, X86_64
from vnetcard.sim.guest.pair import GuestPair
from vnetcard.sim.guest.qemu import find_qemu

MACHINES = (X86_64, ARM64)
"""Of the two guests: the host, the card."""
PING_LIMIT = 20.0
"""Seconds to wait for late replies: an emulated card on a busy machine may stand still for seconds."""
REST_LIMIT = 5.0
"""Seconds for the packets that are in flight after the last ping."""


def prepare(*, both: bool = False) -> None:
    """Make what the guest boots from, or both guests; this needs a network once; progress goes to stderr."""
    for machine in MACHINES if both else (ARM64,):
        find_qemu(machine)
        image(_progress)


def _progress(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def show(count: int, log: IO[str], started: float) -> Sequence[suite.PingResult]:
    """Boot, ping in both directions and print the results; ``log`` gets the log of the host's agent."""
    with CardLab(image(_progress), log=log) as lab:
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
        print("\n".join([*_ledger(lab), *_interruptions(lab)]))
    return results


def _ping(lab: CardLab, count: int) -> list[suite.PingResult]:
    """Ping in both directions, each from the system that has the interface."""
    targets = [
        suite.Target(ADDRESSES[L.CARD], netns=lab.lab.namespaces[L.HOST], label="host to card"),
        suite.Target(ADDRESSES[L.HOST], label="card to host"),
    ]
    print(report.header(targets), flush=True)
    results = suite.run_suite(
        targets[:1],
        count=count,
        timeout=PING_LIMIT,
        on_result=lambda result: print(report.row(result, targets), flush=True),
    )
    from_card = lab.ping_from_card(count=count, target=targets[1])
    print("\n".join(report.row(result, targets) for result in from_card))
    results += from_card
    print(report.summary(results))
    return results


def show_pair(count: int, started: float) -> Sequence[suite.PingResult]:
    """As ``show``, between two guests: each agent finds its own PCI function."""
    with GuestPair([image(_progress, machine) for machine in MACHINES]) as pair:
        pair.boot()
        for side, guest in sorted(pair.guests.items()):
            print(f"{L.SIDES[side]}: {guest.machine.title} guest, Linux {guest.ready}")
        print(f"guests up after {time.monotonic() - started:.1f} s, joined by a PCI BAR alone", flush=True)
        pair.start()
        pair.wait_up()
        print(f"link up after {time.monotonic() - started:.1f} s\n")
        targets = [pair.target(side) for side in (L.HOST, L.CARD)]
        print(report.header(targets), flush=True)
        results = []
        for side in (L.HOST, L.CARD):
            seen = pair.ping_from(side, count=count)
            print("\n".join(report.row(result, targets) for result in seen), flush=True)
            results += seen
        print(report.summary(results))
        print("\n".join(_lines(lambda: pair.status(L.HOST)["balance"])))
    return results


def _interruptions(lab: CardLab) -> Iterator[str]:
    """A line where the host's link was interrupted: pings of that time are lost, and are not the link's."""
    host = next(side for side in lab.lab.status(L.HOST)["sides"] if side["side"] == L.SIDES[L.HOST])
    seen = {name: host["link"][name] for name in ("link_down", "peer_dead", "peer_restart") if host["link"][name]}
    if seen:
        yield "the link was interrupted: " + ", ".join(f"{name} {count}" for name, count in seen.items())


def _ledger(lab: CardLab) -> Iterator[str]:
    return _lines(lambda: lab.lab.status(L.HOST)["balance"])


def _lines(balance: Callable[[], list[dict[str, Any]]]) -> Iterator[str]:
    """The ledger of both directions, once no record is in flight any more."""
    deadline = time.monotonic() + REST_LIMIT
    rows = balance()
    while any(row["in_flight"] for row in rows) and time.monotonic() < deadline:
        time.sleep(0.01)
        rows = balance()
    for row in rows:
        lost = row["sent"] - row["received"]
        yield f"ledger {row['direction']}: sent {row['sent']}, received {row['received']}, lost {lost}"
