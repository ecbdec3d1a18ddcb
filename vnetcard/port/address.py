"""Addresses and routes of an interface: the values, and how they are written on the command line."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Gateway = ipaddress.IPv4Address | ipaddress.IPv6Address

METRIC_MAX: Final = (1 << 32) - 1
ALLOW_MAX: Final = 64
"""Networks that a pump's filter holds: VNC_ALLOW_MAX in vnetcard/_c/vnc_filter.h."""
ROUTE_SYNTAX: Final = "'NETWORK/BITS [via GATEWAY] [metric N]'"


@dataclass(frozen=True, slots=True)
class Route:
    """``DESTINATION [via GATEWAY] [metric N]``; without a metric the kernel takes 0 for IPv4 and 1024 for IPv6."""

    destination: Network
    gateway: Gateway | None
    metric: int | None = None

    @classmethod
    def parse(cls, text: str) -> Route:
        """``10.0.0.0/8``, ``10.0.0.0/8 via 10.10.10.5``, ``default via 10.10.10.5 metric 9``; ConfigError otherwise."""
        words = text.split()
        try:
            metric = _take(words, "metric")
            via = _take(words, "via")
            number = None if metric is None else _metric(metric)
            match words, via:
                case ["default"], None:
                    return cls(ipaddress.ip_network("0.0.0.0/0"), None, number)
                case ["default"], str():
                    hop = ipaddress.ip_address(via)
                    return cls(ipaddress.ip_network("0.0.0.0/0" if hop.version == 4 else "::/0"), hop, number)
                case [destination], _:
                    network = ipaddress.ip_network(destination)
                    gateway = None if via is None else ipaddress.ip_address(via)
                    if gateway is not None and network.version != gateway.version:
                        raise ValueError(f"{network} is IPv{network.version}, {gateway} is IPv{gateway.version}")
                    return cls(network, gateway, number)
        except ValueError as error:
            raise ConfigError(f"invalid route {text!r}: {error}", code=ErrorCode.BAD_ROUTE) from error
        raise ConfigError(f"invalid route {text!r}: write {ROUTE_SYNTAX}", code=ErrorCode.BAD_ROUTE)

    def __str__(self) -> str:
        via = f" via {self.gateway}" if self.gateway else ""
        return f"{self.destination}{via}" + (f" metric {self.metric}" if self.metric is not None else "")

    @property
    def effective_metric(self) -> int:
        """The metric that the kernel stores for this route."""
        if self.metric:
            return self.metric
        return 0 if self.destination.version == 4 else 1024


def _take(words: list[str], keyword: str) -> str | None:
    """Remove ``keyword VALUE`` from the end of ``words``; the value, or None where the keyword is not there."""
    if len(words) >= 2 and words[-2] == keyword:
        value = words[-1]
        del words[-2:]
        return value
    return None


def _metric(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > METRIC_MAX:
        raise ValueError(f"metric {text!r} is out of range (0 to {METRIC_MAX})")
    return int(text)


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks of ``--allow``, without repetitions; ConfigError otherwise, also for more than ALLOW_MAX."""
    networks = tuple(dict.fromkeys(_network(text) for text in texts))
    if len(networks) > ALLOW_MAX:
        raise ConfigError(
            f"--allow is given {len(networks)} networks, but at most {ALLOW_MAX} are possible: combine some",
            code=ErrorCode.BAD_NETWORK,
        )
    return networks


def _network(text: str) -> Network:
    try:
        if "%" in text:
            raise ValueError("a zone")
        network = ipaddress.ip_network(text, strict=False)
        if ipaddress.ip_interface(text).ip != network.network_address:
            words = f"has bits behind its prefix: write {network}, or {ipaddress.ip_interface(text).ip} for one address"
            raise ConfigError(f"--allow {text!r} {words}", code=ErrorCode.BAD_NETWORK)
    except ValueError as error:
        raise ConfigError(
            f"--allow {text!r} is not a network: write IP/BITS, such as 10.10.10.0/24 or fd00::/64",
            code=ErrorCode.BAD_NETWORK,
        ) from error
    return network


def parse_address(text: str) -> Address:
    """``10.10.10.1/24`` or ``fd00::1/64``; ConfigError otherwise, also where the prefix length is missing."""
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ConfigError(
            f"invalid address {text!r}: write IP/BITS, such as 10.10.10.1/24 or fd00::1/64", code=ErrorCode.BAD_ADDRESS
        ) from error
    if "/" not in text:
        bits = 24 if address.version == 4 else 64
        raise ConfigError(
            f"address {text!r} has no prefix length: write {text}/{bits} or similar", code=ErrorCode.BAD_ADDRESS
        )
    if address.ip.is_multicast or address.ip.is_unspecified:
        kind = "multicast" if address.ip.is_multicast else "unspecified"
        raise ConfigError(
            f"address {text!r} is {kind}: an interface needs a unicast address, such as 10.10.10.1/24",
            code=ErrorCode.BAD_ADDRESS,
        )
    return address
