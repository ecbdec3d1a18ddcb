"""Opens a packet port, of Ethernet frames (packet.py) or of IP packets (packet_ip.py)."""

from __future__ import annotations

import errno

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import PortUnavailable
from vnetcard.port.packet import PacketPort
from vnetcard.port.packet_ip import IpPacketPort
from vnetcard.port.packet_options import split_options
from vnetcard.terminal import limits


def open_port(name: str, *, netns: str | None = None, persist: bool = False, queues: int = 1) -> PacketPort:
    """Open packet sockets at the interface in ``name``; ``persist`` has no effect.  ConfigError, PortUnavailable."""
    del persist
    options = split_options(name)
    try:
        if not options.addresses:
            return PacketPort(options, netns=netns, queues=queues)
        return IpPacketPort(options, netns=netns, queues=queues)
    except (OSError, RuntimeError) as error:
        raise _unavailable(options.interface, netns, error) from error


def _unavailable(name: str, netns: str | None, error: OSError | RuntimeError) -> PortUnavailable:
    code = ErrorCode.PORT_UNAVAILABLE
    if isinstance(error, RuntimeError):
        words, code = "out of tasks: no thread can be started", ErrorCode.RESOURCE_LIMIT
    elif error.errno in (errno.ENODEV, errno.ENXIO):
        words = f"no such interface{'' if netns else ' here'}; `ip link` lists those there are"
    elif error.errno in (errno.EPERM, errno.EACCES):
        words, code = "no permission for packet sockets; run as root, or with CAP_NET_RAW", ErrorCode.PORT_PERMISSION
    elif limit := limits.name_of(error):
        words, code = limit, ErrorCode.RESOURCE_LIMIT
    elif error.errno in (errno.ENOPROTOOPT, errno.EAFNOSUPPORT):
        words, code = "this kernel has no packet sockets, or one older than Linux 4.20", ErrorCode.PORT_DRIVER
    else:
        words = f"cannot open packet sockets ({error.strerror})"
    place = f"port packet:{name}" + (f" in namespace {netns}" if netns else "")
    return PortUnavailable(f"{place}: {words}", code=code)
