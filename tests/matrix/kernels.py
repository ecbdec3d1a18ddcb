"""Cells for other kernels: two guests, an x86-64 host and an ARM64 card, boot one and ping each other."""

from __future__ import annotations

import os
from pathlib import Path

from tests.matrix.cell import Failed, NotAvailable, Ran
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L
from vnetcard.sim.guest.image import image
from vnetcard.sim.guest.machines import ARM64, X86_64
from vnetcard.sim.guest.packages import kernel_of
from vnetcard.sim.guest.pair import GuestPair
from vnetcard.sim.guest.qemu import find_qemu

SIZES = [56, 1472, 2048, 9000]
COUNT = 5


def run_with_kernel(version: str, release: str, log: Path) -> Ran:
    """Boot two guests with the kernel ``version`` of Debian's ``release``; every ping must be answered both ways."""
    if os.geteuid() != 0:
        raise NotAvailable("guests on one BAR need root")
    with log.open("a") as out:
        machines = (X86_64, ARM64)
        for machine in machines:
            find_qemu(machine)
        images = [image(out.write, machine, kernel_of(release, out.write, machine)) for machine in machines]
        with GuestPair(images, f"matrix-{version}") as pair:
            pair.boot()
            kernels = [pair.guests[side].ready for side in (L.HOST, L.CARD)]
            out.write("".join(f"{ready}\n" for ready in kernels))
            if not all(ready.startswith(f"{version}.") for ready in kernels):
                raise ConfigError(f"{release} has no kernel {version}: {kernels}", code=ErrorCode.BAD_CONFIG)
            pair.start()
            pair.wait_up()
            return _ping(pair, kernels)


def _ping(pair: GuestPair, kernels: list[str]) -> Ran:
    results = [result for side in (L.HOST, L.CARD) for result in pair.ping_from(side, SIZES, count=COUNT)]
    lost = [str(result) for result in results if not result.ok]
    if lost:
        raise Failed(f"pings were lost: {'; '.join(lost)}")
    host, card = (pair.status(side) for side in (L.HOST, L.CARD))
    for row in (*host["balance"], *card["balance"]):
        if row["sent"] != row["received"] + row["in_flight"]:
            raise Failed(f"the ledgers do not balance: {row}")
    offloads = ", ".join(name for name, verdict in host["link"]["features"].items() if verdict == "on") or "none"
    names = " and ".join(ready.partition(",")[0] for ready in kernels)
    return Ran(f"Linux {names}; offloads: {offloads}", sum(result.sent for result in results))
