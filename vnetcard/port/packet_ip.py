"""``packet:IF?frames=ip&address=IP/BITS``: an Ethernet interface whose frames are IP packets on the link.

The other side, a TUN, is on the Ethernet of the interface by this port: the pumps take the Ethernet header off and put
it on (vnetcard/_c/vnc_neighbour.h), and a thread answers for the addresses and finds those of others (resolver.py).
Source of the constants: Linux include/uapi/linux/filter.h, if_packet.h, if_ether.h.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import Final

from vnetcard.port import netns as ns
from vnetcard.port.neighbour_messages import ETH_P_ARP, ETH_P_IPV6
from vnetcard.port.packet import (
    PACKET_IGNORE_OUTGOING,
    PACKET_MR_ALLMULTI,
    SOL_PACKET,
    PacketPort,
    Reception,
    attach_filter,
)
from vnetcard.port.packet_options import PacketOptions
from vnetcard.port.resolver import Failure, Resolver
from vnetcard.ring import layout as L

_PROTOCOLS: Final = {4: ETH_P_ARP, 6: ETH_P_IPV6}
"""What the resolver listens to, by the version of IP."""

_BPF: Final = struct.Struct("=HBBI")
_WORD, _HALF, _BYTE, _EQUAL, _AT_LEAST, _ABOVE, _RETURN = 0x20, 0x28, 0x30, 0x15, 0x35, 0x25, 0x06
_TO_X, _EQUAL_X = 0x07, 0x1D
_KIND, _TAGGED = 0xFFFF_F000 + 4, 0xFFFF_F000 + 48
"""Offsets of what is beside the packet: to whom it is (PACKET_HOST, BROADCAST, MULTICAST; 3: others), has it a tag."""
_ALL: Final = 0xFFFF_FFFF


def _program(*lines: tuple[int, int] | tuple[int, int, str, str]) -> bytes:
    """``(code, value)``, or a jump ``(code, value, then, otherwise)``: to "pass", "drop", or "" for the next line."""
    at = {"pass": len(lines), "drop": len(lines) + 1}
    code = b""
    for n, (instruction, value, *jumps) in enumerate(lines):
        then, otherwise = (at.get(str(jump), n + 1) - n - 1 for jump in jumps or ("", ""))
        code += _BPF.pack(instruction, then, otherwise, value)
    return code + _BPF.pack(_RETURN, 0, 0, _ALL) + _BPF.pack(_RETURN, 0, 0, 0)


IP_FRAMES: Final = _program(
    (_WORD, _KIND),
    (_ABOVE, 2, "drop", ""),
    (_WORD, _TAGGED),
    (_EQUAL, 0, "", "drop"),
    (_HALF, 12),
    (_EQUAL, 0x0800, "pass", ""),
    (_EQUAL, 0x86DD, "", "drop"),
    (_BYTE, 20),  # the protocol behind IPv6; its hop limit; the type of ICMPv6
    (_EQUAL, 58, "", "pass"),
    (_BYTE, 21),
    (_EQUAL, 255, "", "pass"),
    (_BYTE, 54),
    (_ABOVE, 137, "pass", ""),
    (_AT_LEAST, 133, "drop", "pass"),
)
"""Frames with an IP packet to this interface, to a group or to all, without neighbour and router discovery."""


def _arp_program(addresses: list[bytes]) -> bytes:
    """ARP messages to this interface alone, about one of ``addresses``, or about their sender."""
    return _program(
        (_WORD, _TAGGED),
        (_EQUAL, 0, "", "drop"),
        (_WORD, _KIND),
        (_ABOVE, 2, "drop", ""),
        (_EQUAL, 0, "pass", ""),
        (_WORD, 24),  # the address that is asked for, and the sender's
        *((_EQUAL, int.from_bytes(address, "big"), "pass", "") for address in addresses),
        (_TO_X, 0),
        (_WORD, 14),
        (_EQUAL_X, 0, "pass", "drop"),
    )


_DISCOVERY: Final = _program(
    (_WORD, _TAGGED),
    (_EQUAL, 0, "", "drop"),
    (_WORD, _KIND),
    (_ABOVE, 2, "drop", ""),
    (_BYTE, 6),
    (_EQUAL, 58, "", "drop"),
    (_BYTE, 40),
    (_EQUAL, 135, "pass", ""),
    (_EQUAL, 136, "pass", "drop"),
)


class IpPacketPort(PacketPort):
    """As its base; ``neighbours`` is for the pumps."""

    frames = L.FRAMES["IP"]
    reception = Reception(PACKET_MR_ALLMULTI, IP_FRAMES)

    def __init__(self, options: PacketOptions, *, netns: str | None, queues: int) -> None:
        super().__init__(options, netns=netns, queues=queues)
        self._served: tuple[str, bytes] | None = None
        with contextlib.ExitStack() as opened:
            opened.callback(super().close)
            versions = sorted({address.version for address in options.addresses})
            arp = [address.ip.packed for address in options.addresses if address.version == 4]
            with ns.inside(netns):
                self._control: dict[int, socket.socket] = {
                    version: opened.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0))
                    for version in versions
                }
            for version, one in self._control.items():
                one.setblocking(False)
                one.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
                attach_filter(one, _arp_program(arp) if version == 4 else _DISCOVERY)
            self._bound_again()
            self._resolver = Resolver(options.addresses, options.gateways, self._control, self._sockets[0].send)
            opened.callback(self._resolver.close)
            self._opened = opened.pop_all()
        self.neighbours = self._resolver.table
        self._follow(self._running())

    @property
    def present(self) -> bool:
        """As its base; the port says on its Ethernet that it is there whenever the interface has come up."""
        present = super().present
        with self._lock:
            self._follow(present)
        return present

    def inject(self, packet: bytes) -> None:
        """Send an IP packet that does not come from a pump.  OSError: the port is down or full, or has no route."""
        self._resolver.inject(packet)

    def unresolved(self) -> dict[int, int]:
        """By version of IP: packets that were not sent, as nothing answered for their next hop."""
        return self._resolver.unresolved()

    def failures(self) -> list[Failure]:
        """The latest of them."""
        return self._resolver.failures()

    def known(self) -> int:
        """Neighbours whose MAC address is known."""
        return self._resolver.known()

    def take_news(self) -> list[str]:
        return super().take_news() + self._resolver.take_news()

    def close(self) -> None:
        self._opened.close()

    # --- with the lock held ----------------------------------------------------------------------------

    def _follow(self, present: bool) -> None:
        """Say on the Ethernet that the port is there, where the interface has come up or has another MAC address."""
        served = None
        if present:
            with contextlib.suppress(OSError):
                served = (self._name, self._sockets[0].getsockname()[4])
        if served is not None and served != self._served:
            self._resolver.begin(*served)
        self._served = served

    def _bound_again(self) -> None:
        self._served = None
        for version, one in self._control.items():
            one.bind((self._name, _PROTOCOLS[version]))
