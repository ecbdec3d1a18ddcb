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
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from tests.harness.needs import need
from tests.harness.programs import ip
from tests.harness.traffic import V4, V6, assert_no_bad_checksums
from vnetcard.lab.lab import Lab, run_in
from vnetcard.port.netns import inside
from vnetcard.ring.layout import CARD, HOST

PORT: Final = f"packet:veth0?frames=ip&address={V4[HOST]}/24&address={V6[HOST]}/64&address=fe80::1/64"
EARLY: Final = frozenset({"drop_link_down"})
"""What the veth's kernel sends by itself before the link is up: it has carrier."""
ETH_P_ALL: Final = 3


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


class Wired:
    """The lab with the namespace `wire` and a veth; the agents are the caller's to start."""

    def __init__(self, lab: Lab, log: IO[str]) -> None:
        self.lab, self._log = lab, log
        self.host, self.far = lab.namespaces
        self.wire = f"{self.far}-wire"

    def add_veth(self) -> None:
        ip("link", "add", "veth0", "netns", self.wire, "type", "veth", "peer", "name", "veth0", "netns", self.far)
        for netns in (self.wire, self.far):
            ip("-n", netns, "link", "set", "veth0", "up")
        for address in (f"{V4[CARD]}/24", f"{V6[CARD]}/64"):
            ip("-n", self.far, "address", "add", address, "dev", "veth0")

    def start(self, *, host: tuple[str, ...] = (), card: tuple[str, ...] = (), port: str = PORT) -> None:
        """Start both agents again, and return once packets pass."""
        for side in (HOST, CARD):
            if self.lab.agents[side] is not None:
                self.lab.stop(side)
        addresses = ("--address", f"{V4[HOST]}/24", "--address", f"{V6[HOST]}/64", "--address", "fe80::1/64")
        self.lab.start(HOST, *addresses, *host)
        self.lab.start(CARD, "--netns", self.wire, "--port", port, *card)
        self.lab.wait_up()

    def log(self) -> str:
        self._log.flush()
        return Path(self._log.name).read_text()

    def neighbours(self) -> dict[str, dict[str, Any]]:
        """What the far end knows of its Ethernet, by address."""
        return {one["dst"]: one for one in json.loads(ip("-n", self.far, "-j", "neigh", "show", "dev", "veth0"))}


@contextlib.contextmanager
def wiring(tag: str, window: str | None = None) -> Iterator[Wired]:
    with tempfile.NamedTemporaryFile("w") as log, Lab(tag, window=window, log=log) as lab:
        wired = Wired(lab, log)
        ip("netns", "add", wired.wire)
        try:
            for netns in (*lab.namespaces, wired.wire):  # no waiting for the detection of duplicate addresses
                with inside(netns):
                    Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")
            wired.add_veth()
            yield wired
            assert_no_bad_checksums(lab)
        finally:
            for side in (HOST, CARD):
                if lab.agents[side] is not None:
                    lab.stop(side)
            ip("netns", "del", wired.wire)


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
