"""The URL of a packet port: ``packet:IF[?qdisc=on|off][&frames=ethernet|ip][&address=IP/BITS...][&gateway=IP...]``."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.port.address import Address, Gateway, parse_address
from vnetcard.port.tun import check_name

ADDRESSES_MAX: Final = 8
"""Addresses of one port: VNC_CONNECTED_MAX in vnetcard/_c/vnc_neighbour.h."""
LINK_LOCAL: Final = ipaddress.IPv6Network("fe80::/10")
"""On every Ethernet, whatever the addresses of a port are."""
_EXPECTED: Final = {
    "qdisc": "qdisc=on or qdisc=off",
    "frames": "frames=ethernet or frames=ip",
    "address": "address=IP/BITS",
    "gateway": "gateway=IP",
}
_CHOICES: Final = {"qdisc": ("on", "off"), "frames": ("ethernet", "ip")}


@dataclass(frozen=True, slots=True)
class PacketOptions:
    """``bypass``: of the queueing discipline; ``addresses``: none for Ethernet frames, else those of the IP packets."""

    interface: str
    bypass: bool = False
    addresses: tuple[Address, ...] = ()
    gateways: tuple[Gateway, ...] = ()


def split_options(name: str) -> PacketOptions:
    """The parts of ``name``, the URL without its kind.  ConfigError."""
    interface, question, rest = name.partition("?")
    values: dict[str, list[str]] = {key: [] for key in _EXPECTED}
    for option in rest.split("&") if question else ():
        key, value = _split(option)
        values[key].append(value)
    check_name(interface)
    for key in _CHOICES:
        if len(values[key]) > 1:
            raise _refused(interface, f"{key}= is given more than once")
    addresses = _addresses(interface, values["address"])
    if values["frames"] != ["ip"]:
        for key in ("address", "gateway"):
            if values[key]:
                raise _refused(interface, f"{key}= needs frames=ip")
    elif not addresses:
        raise _refused(interface, "frames=ip needs an address of the other side: add &address=IP/BITS")
    gateways = _gateways(interface, values["gateway"], addresses)
    return PacketOptions(interface, values["qdisc"] == ["off"], addresses, gateways)


def _refused(interface: str, words: str, code: ErrorCode = ErrorCode.BAD_URL) -> ConfigError:
    return ConfigError(f"port packet:{interface}: {words}", code=code)


def _split(option: str) -> tuple[str, str]:
    key, _, value = option.partition("=")
    expected = _EXPECTED.get(key, ", ".join(_EXPECTED.values()))
    if key not in _EXPECTED or not value or value not in _CHOICES.get(key, (value,)):
        raise ConfigError(f"port option {option!r} is unknown: expected {expected}", code=ErrorCode.BAD_URL)
    return key, value


def _check_zone(interface: str, text: str) -> None:
    if "%" in text:
        raise _refused(interface, f"{text!r} has a zone: leave it out, the interface is known", ErrorCode.BAD_ADDRESS)


def _addresses(interface: str, texts: Iterable[str]) -> tuple[Address, ...]:
    found: list[Address] = []
    for text in texts:
        _check_zone(interface, text)
        try:
            address = parse_address(text)
        except ConfigError as error:
            raise _refused(interface, str(error), error.code) from error
        twice = address.ip in [one.ip for one in found]
        if why := "is given twice" if twice else _unusable(address.ip, address):
            raise _refused(interface, f"address {text!r} {why}", ErrorCode.BAD_ADDRESS)
        found.append(address)
    if len(found) > ADDRESSES_MAX:
        raise _refused(interface, f"{len(found)} addresses are given, but at most {ADDRESSES_MAX} are possible")
    return tuple(found)


def _unusable(ip: Gateway, on: Address) -> str:
    """Why no machine has the address ``ip`` in the network of ``on``; "" where one can."""
    if ip.is_loopback:
        return "is a loopback address: no machine on an Ethernet has it"
    network = on.network
    if ip.version == 4 and network.prefixlen < 31 and ip in (network.network_address, network.broadcast_address):
        return f"is the network {network} itself, or all machines of it, not one machine"
    return ""


def _gateways(interface: str, texts: Iterable[str], addresses: tuple[Address, ...]) -> tuple[Gateway, ...]:
    found: dict[int, Gateway] = {}
    for text in texts:
        _check_zone(interface, text)
        try:
            gateway = ipaddress.ip_address(text)
        except ValueError as error:
            words = f"gateway {text!r} is no IP address: write it as 10.10.10.1"
            raise _refused(interface, words, ErrorCode.BAD_ADDRESS) from error
        if why := _not_a_gateway(gateway, addresses):
            raise _refused(interface, f"gateway {text!r} {why}", ErrorCode.BAD_ADDRESS)
        if gateway.version in found:
            raise _refused(interface, f"two gateways are given for IPv{gateway.version}", ErrorCode.BAD_ADDRESS)
        found[gateway.version] = gateway
    return tuple(found.values())


def _not_a_gateway(gateway: Gateway, addresses: tuple[Address, ...]) -> str:
    if gateway in [address.ip for address in addresses]:
        return "is an address of this port"
    near = [address for address in addresses if gateway in address.network]
    if gateway.version == 6 and gateway in LINK_LOCAL:
        near = near or [address for address in addresses if address.version == 6]
    if not near:
        return "is in the network of no address= of this port"
    return _unusable(gateway, near[0])
