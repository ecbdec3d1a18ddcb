"""Which addresses to ping when the user names none: the peers of the agents on this machine."""

from __future__ import annotations

import contextlib
import ipaddress
from pathlib import Path
from typing import Any, Final

from vnetcard.agent.config import DEFAULT_ADDRESS
from vnetcard.agent.control import ask
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError, PeerGone
from vnetcard.ping.suite import Target
from vnetcard.ring import layout as L
from vnetcard.terminal.arguments import DEFAULT_WINDOW
from vnetcard.window import WindowUrl

LABELS: Final = ("host to card", "card to host")
"""Labels of the default targets, by the side that pings."""


def default_targets(window: str = DEFAULT_WINDOW) -> list[Target]:
    """The peers of the agents of ``window`` on this machine, host's peer first.

    With one agent on this machine, its peer is on another one and is expected at the default address.  With none,
    the target is the card's default address, from this process's namespace.  Raises ConfigError when an address is
    not known, or when agents exist and none of them answers.
    """
    url = str(WindowUrl.parse(window))
    views: dict[int, dict[str, Any]] = {}
    unresponsive = ""
    for side in (L.HOST, L.CARD):
        try:
            views[side] = ask(url, side, "status")
        except PeerGone as error:
            unresponsive = str(error) if error.unresponsive else unresponsive
    if not views and unresponsive:
        raise ConfigError(unresponsive, code=ErrorCode.PEER_UNRESPONSIVE)
    if not views:
        return [Target(_default_address(L.CARD))]
    return [
        Target(
            _address(views[1 - side]) if 1 - side in views else _address_of_remote_peer(view),
            netns=netns_of(view),
            label=LABELS[side],
        )
        for side, view in views.items()
    ]


def _default_address(side: int) -> str:
    return DEFAULT_ADDRESS[side].partition("/")[0]


def _address(view: dict[str, Any]) -> str:
    """The first IPv4 address in an agent's status, or its first address if it has no IPv4."""
    addresses = [ipaddress.ip_interface(text) for text in view["port"]["addresses"]]
    for address in sorted(addresses, key=lambda address: address.version):
        return str(address.ip)
    raise ConfigError(
        f"the {view['side']}'s agent has no address to ping: name a target", code=ErrorCode.TARGET_UNKNOWN
    )


def _address_of_remote_peer(view: dict[str, Any]) -> str:
    """The default address of the peer, provided that it is in the network of the agent that is here."""
    peer = ipaddress.ip_address(_default_address(1 - L.SIDES.index(view["side"])))
    if not any(peer in ipaddress.ip_interface(text).network for text in view["port"]["addresses"]):
        raise ConfigError(
            f"the address of the {view['side']}'s peer is not known on this machine: name it as a target",
            code=ErrorCode.TARGET_UNKNOWN,
        )
    return str(peer)


def netns_of(view: dict[str, Any]) -> str | None:
    """The namespace of an agent's interface: its ``--netns``, or the path of the namespace that it runs in.

    None when that is this process's own namespace, or cannot be read.
    """
    named: str | None = view["port"]["netns"]
    if named:
        return named
    path = Path(f"/proc/{view['pid']}/ns/net")
    with contextlib.suppress(OSError):  # another user's process: its namespace could not be entered either
        if path.readlink() != Path("/proc/self/ns/net").readlink():
            return str(path)
    return None
