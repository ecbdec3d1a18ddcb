"""``tap:NAME``: a TAP device, which moves Ethernet frames: ``port/tun.py`` with another mode, and a MAC address.

Source: Linux drivers/net/tun.c (SIOCSIFHWADDR on its descriptor takes no permission), include/uapi/linux/if_arp.h.
"""

from __future__ import annotations

import fcntl
import struct
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import PortUnavailable
from vnetcard.port.mac import Mac
from vnetcard.port.tun import IFF_TAP, TunPort, open_device
from vnetcard.ring import layout as L

MTU_MAX: Final = 0xFFFF - L.ETHERNET_HEADER
"""Largest MTU in bytes that the kernel gives a TAP."""
SIOCSIFHWADDR, SIOCGIFHWADDR = 0x8924, 0x8927
ARPHRD_ETHER = 1


class TapPort(TunPort):
    """A TAP device, opened once per queue; see ``vnetcard.port.Port`` for the contract."""

    kind = "tap"
    mode = IFF_TAP
    frames = L.FRAMES["ETHERNET"]

    @property
    def mac(self) -> Mac:
        """Its MAC address as it is now; OSError when it was deleted."""
        return Mac(fcntl.ioctl(self.fds[0], SIOCGIFHWADDR, bytes(40))[18:24])

    def set_mac(self, mac: Mac) -> None:
        """Change its MAC address; PortUnavailable where the kernel refuses it."""
        try:
            fcntl.ioctl(self.fds[0], SIOCSIFHWADDR, struct.pack("16sH6s16x", b"", ARPHRD_ETHER, mac.raw))
        except OSError as error:
            raise PortUnavailable(
                f"port {self.kind}:{self.name}: cannot set the MAC address {mac} ({error.strerror})",
                code=ErrorCode.PORT_UNAVAILABLE,
            ) from error


def open_port(name: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> TapPort:
    """Create TAP ``name`` in namespace ``netns``, or take over a persistent one; PortUnavailable names the cause."""
    return open_device(TapPort, name, netns=netns, persist=persist, queues=queues)
