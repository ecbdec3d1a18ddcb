"""What ``vnetcard show port`` shows: a port's kind and state, and what the kernel counts about its interface."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import Any

from vnetcard.agent import port_state
from vnetcard.agent.config import Config
from vnetcard.agent.managed_interface import ManagedInterface
from vnetcard.agent.punt import Punt
from vnetcard.errors import VnetcardError
from vnetcard.link.link import Link
from vnetcard.port import Port, presence_of
from vnetcard.port import netns as ns
from vnetcard.port.kernel_queries import DeviceView, KernelQueries
from vnetcard.port.packet import PacketPort
from vnetcard.port.packet_ip import IpPacketPort
from vnetcard.port.ring_port import RingPort
from vnetcard.ring import layout as L


class PortDetails:
    """Made while the process may still enter the port's namespace; the methods may be called by any thread."""

    def __init__(self, config: Config, port: Port, interface: ManagedInterface | None, punt: Punt | None) -> None:
        self._config, self._port, self._interface, self._punt = config, port, interface, punt
        self._queries: KernelQueries | None = None
        if isinstance(port, PacketPort):
            with contextlib.suppress(OSError, VnetcardError), ns.inside(config.netns):
                self._queries = KernelQueries()

    def view(self, link: Link | None) -> dict[str, Any]:
        """The details; ``device`` is None where the port has no interface, or it cannot be asked."""
        port, agreement = self._port, link.agreement if link else None
        device = self._device()
        features = agreement.features if agreement else 0
        mac = getattr(port, "mac", None) if device and not isinstance(port, PacketPort) else None
        return {
            "kind": self._config.port.partition(":")[0],
            "up": port_state.is_up(port, self._interface),
            "program": presence_of(port) if device is None else None,
            "mac": str(mac) if mac else (device.mac if device else ""),
            "queues": {
                "open": len(port.fds),
                "in_use": agreement.queues if agreement else None,
                "unsteered": getattr(port, "unsteered", None),
            },
            "vnet_hdr": port.vnet,
            "offloads": [name for name in L.OFFLOADS if features & L.FEATURES[name]],
            "device": asdict(device) if device else None,
            "socket_drops": port.drops() if isinstance(port, PacketPort) else None,
            "punt": self._punt.view() if self._punt else None,
            "neighbours": _neighbours(port) if isinstance(port, IpPacketPort) else None,
            "rings": port.view() if isinstance(port, RingPort) else None,
        }

    def counters(self) -> dict[str, int]:
        """The kernel's counters of the interface; empty without one."""
        device = self._device()
        return dict(device.counters) if device else {}

    def _device(self) -> DeviceView | None:
        try:
            if self._interface is not None:
                return self._interface.interface.device()
            if self._queries is not None:
                return self._queries.device(self._queries.index_of(self._port.name))
        except (OSError, KeyError):
            return None
        return None

    def close(self) -> None:
        """Close what was opened.  Idempotent."""
        if self._queries is not None:
            self._queries.close()


def _neighbours(port: IpPacketPort) -> dict[str, int]:
    """Machines whose MAC address is known, and packets that were dropped for want of one, since the port was opened."""
    return {"known": port.known(), "unresolved": sum(port.unresolved().values())}
