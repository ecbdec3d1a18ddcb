"""``vnetcard demo --pci``: a guest whose PCI function is the engine's RTL pings the card's agent on this machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from vnetcard.ping import report, suite
from vnetcard.ring import layout as L
from vnetcard.sim import build
from vnetcard.sim.guest import vfio_user_qemu
from vnetcard.sim.guest.image import image
from vnetcard.sim.guest.machines import X86_64
from vnetcard.sim.guest.pci_lab import PciLab

PING_LIMIT = 20.0
"""Seconds to wait for late replies: an emulated host on a busy machine may stand still for seconds."""
REST_LIMIT = 5.0
"""Seconds for the packets that are in flight after the last ping."""


def prepare(width: int | None) -> None:
    """Make what the guest boots from, find or fetch QEMU, build the simulator; this needs a network once.

    ``width``: bits of the engine, None for the default.  Raises ConfigError with what to install.
    """
    vfio_user_qemu.find(_progress)
    image(_progress, X86_64)
    build.library(width or build.DEFAULT_WIDTH, trace=False, progress=_progress)


def _progress(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


def show(count: int, width: int | None, log: IO[str], started: float) -> Sequence[suite.PingResult]:
    """Boot, ping in both directions and print the results; ``log`` gets the log of the card's agent."""
    options = [] if width is None else ["--data-width", str(width)]
    qemu = vfio_user_qemu.find(_progress)
    with PciLab(image(_progress, X86_64), qemu, options=options, log=log) as lab:
        guest = lab.boot()
        address, driver, group = lab.bind()
        print(f"network namespace {lab.lab.namespaces[L.CARD]}, and a guest (Linux {guest.ready})")
        print(f"guest up after {time.monotonic() - started:.1f} s: PCI function {address}, {driver}, group {group}")
        sys.stdout.flush()
        lab.lab.start(L.CARD)
        lab.start_host()
        lab.wait_up()
        view = lab.lab.status(L.CARD)
        on = " ".join(name for name, verdict in view["link"]["features"].items() if verdict == "on") or "none"
        print(f"link up after {time.monotonic() - started:.1f} s: {view['window']['geometry']}; offloads: {on}\n")
        results = _ping(lab, count)
        print("\n".join(_ledger(lambda: lab.status_of_host()["balance"])))
        print(engine_line(lab.simulator.stop()))
    return results


def _ping(lab: PciLab, count: int) -> list[suite.PingResult]:
    """Ping in both directions, each from the system that has the interface."""
    targets = lab.targets()
    print(report.header(targets), flush=True)
    results = lab.ping_from_host(count=count)
    print("\n".join(report.row(result, targets) for result in results), flush=True)
    results += suite.run_suite(
        targets[1:],
        count=count,
        timeout=PING_LIMIT,
        on_result=lambda result: print(report.row(result, targets), flush=True),
    )
    print(report.summary(results))
    return results


def _ledger(balance: Callable[[], list[dict[str, Any]]]) -> Iterator[str]:
    """The ledger of both directions, once no record is in flight any more."""
    deadline = time.monotonic() + REST_LIMIT
    rows = balance()
    while any(row["in_flight"] for row in rows) and time.monotonic() < deadline:
        time.sleep(0.01)
        rows = balance()
    for row in rows:
        lost = row["sent"] - row["received"]
        yield f"ledger {row['direction']}: sent {row['sent']}, received {row['received']}, lost {lost}"


def engine_line(totals: dict[str, Any]) -> str:
    """The line about the function at the end."""
    pci, host = totals["pci"], totals["sides"][L.SIDES[L.HOST]]
    return (
        f"PCI function: {host['read_bytes']} bytes read and {host['write_bytes']} written by DMA through "
        f"{pci['dma_maps']} maps of the IOMMU, {pci['refused']} accesses refused, {pci['msix']} MSI-X, "
        f"{pci['function_resets']} function resets"
    )
