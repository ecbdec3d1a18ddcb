"""What ports without a kernel's interface have in common: one queue, plain packets, no offloads."""

from __future__ import annotations

from vnetcard.codes.error import ErrorCode
from vnetcard.errors import ConfigError
from vnetcard.ring import layout as L


class PlainPort:
    """The parts of ``vnetcard.port.Port`` that a message socket does not need."""

    vnet = False
    frames = L.FRAMES["IP"]

    def probe_offload(self) -> dict[str, str]:
        return {}

    def set_offload(self, features: int) -> None:
        """No effect: the packets are always plain."""

    def use_queues(self, count: int) -> None:
        """No effect: there is one queue."""

    def set_carrier(self, up: bool) -> None:
        """No effect: a program at the far end is not told about the link."""


def need_one_queue(url: str, queues: int) -> None:
    """Raise ConfigError for more than one queue."""
    if queues > 1:
        raise ConfigError(f"port {url} has one queue, not {queues}", code=ErrorCode.OUT_OF_RANGE)


def split_frames(url: str) -> tuple[str, int]:
    """The place of KIND:PLACE[?frames=ip|ethernet], and what the packets are (layout.FRAMES).  ConfigError."""
    place, question, options = url.partition("?")
    if not question:
        return place, L.FRAMES["IP"]
    name, _, value = options.partition("=")
    if name != "frames" or value.upper() not in L.FRAMES:
        raise ConfigError(f"port option {options!r} is unknown: expected frames=ip or frames=ethernet")
    return place, L.FRAMES[value.upper()]
