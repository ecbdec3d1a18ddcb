"""A TUN that is on an Ethernet by `packet:IF?frames=ip` of the other side.

The card's agent serves `veth0` of the namespace `wire`; its far end, `veth0` of the card's own namespace, is an
ordinary machine on that Ethernet.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import subprocess
from collections.abc import Iterator
from typing import Any, Final

from tests.harness.needs import need
from tests.harness.programs import ip
from tests.harness.traffic import V4, V6
from tests.harness.veth_lab import VethLab, veth_lab
from vnetcard.lab.lab import run_in
from vnetcard.port.netns import inside
from vnetcard.ring.layout import CARD, HOST

PORT: Final = f"packet:veth0?frames=ip&address={V4[HOST]}/24&address={V6[HOST]}/64&address=fe80::1/64"
EARLY: Final = frozenset({"drop_link_down"})
"""What the veth's kernel sends by itself before the link is up: it has carrier."""
ETH_P_ALL: Final = 3


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


class Wired(VethLab):
    """The card's agent has the near end of the veth; the far end is an ordinary machine."""

    @property
    def host(self) -> str:
        """The namespace of the host's agent, whose TUN is on this Ethernet."""
        return self.lab.namespaces[HOST]

    def add_veth(self, *near: str) -> None:
        super().add_veth(*near)
        for address in (f"{V4[CARD]}/24", f"{V6[CARD]}/64"):
            ip("-n", self.far, "address", "add", address, "dev", "veth0")

    def start(self, *, host: tuple[str, ...] = (), card: tuple[str, ...] = (), port: str = PORT) -> None:
        """Start both agents again, and return once packets pass."""
        self.stop_agents()
        addresses = ("--address", f"{V4[HOST]}/24", "--address", f"{V6[HOST]}/64", "--address", "fe80::1/64")
        self.lab.start(HOST, *addresses, *host)
        self.lab.start(CARD, "--netns", self.wire, "--port", port, *card)
        self.lab.wait_up()

    def neighbours(self) -> dict[str, dict[str, Any]]:
        """What the far end knows of its Ethernet, by address."""
        return {one["dst"]: one for one in json.loads(ip("-n", self.far, "-j", "neigh", "show", "dev", "veth0"))}


def wiring(tag: str) -> contextlib.AbstractContextManager[Wired]:
    return veth_lab(Wired, CARD, tag)


def pings(netns: str, address: str, *options: str) -> bool:
    """One ping that is answered within a second."""
    command = run_in(netns, [need("ping"), "-n", "-c", "1", "-W", "1", *options, address])
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


def mac_of(netns: str) -> bytes:
    (found,) = json.loads(ip("-n", netns, "-j", "link", "show", "veth0"))
    return bytes.fromhex(found["address"].replace(":", ""))


@contextlib.contextmanager
def frames_of(netns: str, name: str = "veth0") -> Iterator[socket.socket]:
    """All frames of an interface."""
    with inside(netns):
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    with end:
        end.bind((name, ETH_P_ALL))
        end.settimeout(20)
        yield end
