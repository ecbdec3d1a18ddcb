"""How many packets the link itself has carried: a ping that its counters did not see has proved nothing."""

from __future__ import annotations

import ipaddress
import time
from typing import Any, Final

from vnetcard.agent.control import ask
from vnetcard.errors import ConfigError, PeerGone
from vnetcard.ping.suite import Target
from vnetcard.ping.target import netns_of
from vnetcard.port.netns import identity
from vnetcard.ring import layout as L
from vnetcard.window import WindowUrl

SETTLE_LIMIT: Final = 0.3
"""Seconds in which a pump may still account for a packet that has been answered."""


class LinkCounts:
    """Per target, the packets sent into the link of ``window`` by the agent whose network the target is in."""

    def __init__(self, window: str) -> None:
        self._url = str(WindowUrl.parse(window))

    def sent(self, target: Target) -> int | None:
        """Packets that have entered the link so far; None where no agent here is the one that ``target`` is behind."""
        views = [view for view in self._views() if _is_behind(target, view)]
        return sum(_sent(view) for view in views) if views else None

    def crossed(self, target: Target, before: int | None, wanted: int) -> int | None:
        """Packets that entered the link since ``before``, once they are ``wanted`` or SETTLE_LIMIT has passed."""
        if before is None:
            return None
        deadline = time.monotonic() + SETTLE_LIMIT
        while True:
            now = self.sent(target)
            if now is None or now - before >= wanted or time.monotonic() > deadline:
                return None if now is None else now - before
            time.sleep(0.02)

    def _views(self) -> list[dict[str, Any]]:
        views = []
        for side in (L.HOST, L.CARD):
            try:
                views.append(ask(self._url, side, "status"))
            except (PeerGone, ConfigError):
                continue
        return views


def _is_behind(target: Target, view: dict[str, Any]) -> bool:
    """Is the target in a network of the agent's interface, and pinged from the interface's namespace?"""
    address = ipaddress.ip_address(target.address)
    networks = [ipaddress.ip_interface(text).network for text in view["port"]["addresses"]]
    return identity(target.netns) == identity(netns_of(view)) and any(address in network for network in networks)


def _sent(view: dict[str, Any]) -> int:
    return sum(int(side["tx"]["tx_sent"]) for side in view["sides"] if side["side"] == view["side"])
