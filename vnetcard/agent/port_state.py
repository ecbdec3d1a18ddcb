"""What an agent's loop asks about its port: is it up, is it gone, and which MAC address belongs to it."""

from __future__ import annotations

import contextlib

from vnetcard.agent.ethernet_interface import MacvtapInterface
from vnetcard.agent.managed_interface import ManagedInterface
from vnetcard.link.link import Link
from vnetcard.port import Port, presence_of
from vnetcard.port.macvtap import MacvtapPort


def is_up(port: Port, interface: ManagedInterface | None) -> bool:
    """Can packets go on behind ``port``?  ``interface`` as its last check found it."""
    present = presence_of(port)
    return (interface is None or interface.port_up) if present is None else present


def is_gone(port: Port) -> bool:
    """Was it deleted, and its pumps do not notice?"""
    return isinstance(port, MacvtapPort) and port.gone


def follow_mac(port: Port, interface: ManagedInterface | None, link: Link) -> None:
    """Tell the peer the MAC address of a macvtap, or take over that of the peer's."""
    if isinstance(port, MacvtapPort):
        if isinstance(interface, MacvtapInterface):
            interface.note_identity(link.peer.identity().pid != 0)
        with contextlib.suppress(OSError):
            if (mac := port.mac.raw) != link.offer.mac:
                link.offer.mac = mac
                link.own.write_identity(mac)
    elif interface is not None:
        interface.accept_peer_mac(link.peer.identity().mac)
