"""What was dropped between a packet port and its interface; the calls are those of ``KernelDiscards``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from vnetcard.agent.history import since_1970
from vnetcard.agent.misrouted import Misrouted
from vnetcard.agent.recent_packets import RecentPackets
from vnetcard.codes.cause import CauseCode
from vnetcard.codes.discard import DiscardCode
from vnetcard.port.packet import PacketPort
from vnetcard.port.packet_ip import IpPacketPort
from vnetcard.port.resolver import Failure

_UNRESOLVED: Final = {4: DiscardCode.PORT_UNRESOLVED, 6: DiscardCode.PORT6_UNRESOLVED}


class PacketDiscards:
    """``begin`` and ``sample`` belong to the agent's thread; ``view`` and ``counts`` may be called by any."""

    def __init__(self, port: PacketPort) -> None:
        self._port = port
        self._before: dict[str, int] = {}
        self._since: float | None = None

    def begin(self) -> None:
        """Count from now on; called whenever the link comes up, and only the first call counts."""
        if self._since is None:
            self._before = self._now()
            self._since = time.monotonic()

    def sample(self, moved: Mapping[str, int], recent: RecentPackets) -> dict[str, int]:
        """``counts``."""
        del moved, recent
        return self.counts()

    def counts(self) -> dict[str, int]:
        """The counters by their values of DiscardCode, read now."""
        if self._since is None:
            return {}
        return {name: count - self._before[name] for name, count in self._now().items()}

    def _now(self) -> dict[str, int]:
        found = {DiscardCode.TX_PACKET_SOCKET.value: self._port.drops()}
        if isinstance(self._port, IpPacketPort):
            found |= {_UNRESOLVED[version].value: count for version, count in self._port.unresolved().items()}
        return found

    def view(self) -> dict[str, Any]:
        """For ``status``."""
        origin = since_1970()
        since = None if self._since is None else origin + self._since
        failures = self._port.failures() if isinstance(self._port, IpPacketPort) else []
        misrouted = [{**asdict(_misrouted(one, self._port.name)), "at": origin + one.at} for one in failures]
        return {"since": since, "problem": "", "counters": self.counts(), "misrouted": misrouted, "sockets": []}


def _misrouted(one: Failure, interface: str) -> Misrouted:
    words = f"no machine on {interface} answers for {one.hop}"
    fix = "check its address and its cable, and address= and gateway= of the port"
    return Misrouted(CauseCode.NEIGHBOUR_FAILED, one.source, one.destination, words, fix)
