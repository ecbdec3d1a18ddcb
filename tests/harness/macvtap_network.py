"""A host whose agent has a macvtap over its interface ``eth1``, a machine at the other end, and a card with a TAP."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.harness.programs import ip
from tests.harness.restarts import GENEROUS, until
from vnetcard.lab.lab import Lab, run_in
from vnetcard.ring.layout import CARD, HOST

NODE, CARD_ADDRESS = "192.0.2.1", "192.0.2.50"
OPTIONS = (["--port", "macvtap:eth1"], ["--port", "tap", "--address", f"{CARD_ADDRESS}/24"])


class Network:
    """The host's ``eth1`` and its other end, ``far``, in the namespace ``node``: a machine of the network."""

    def __init__(self, lab: Lab, node: str) -> None:
        self.lab, self.node = lab, node
        self.host, self.card = lab.namespaces
        ip("link", "add", "eth1", "netns", self.host, "type", "veth", "peer", "far", "netns", node)
        ip("-n", self.host, "link", "set", "eth1", "up")
        ip("-n", node, "address", "add", f"{NODE}/24", "dev", "far")
        ip("-n", node, "link", "set", "far", "up")

    def launch(self, *options: str) -> None:
        """Start both agents, with ``options`` for each, and return once the link is up."""
        for side in (HOST, CARD):
            self.lab.start(side, *OPTIONS[side], *options)
        self.lab.wait_up(limit=GENEROUS)

    def start(self, *options: str) -> None:
        """The same, and wait until the card reaches the node."""
        self.launch(*options)
        until(self.reaches_the_node, "the card reaches the network")

    def reaches_the_node(self) -> bool:
        words = run_in(self.card, ["ping", "-n", "-q", "-c", "1", "-W", "1", NODE])
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def port(self, side: int) -> dict[str, Any]:
        return dict(self.lab.status(side)["port"])

    def card_has_carrier(self) -> bool:
        return "NO-CARRIER" not in shown(self.card, "tap0")["flags"]


def shown(netns: str, name: str) -> dict[str, Any]:
    return dict(json.loads(ip("-n", netns, "-j", "link", "show", name))[0])


def names(netns: str) -> set[str]:
    return {one["ifname"] for one in json.loads(ip("-n", netns, "-j", "link"))}
