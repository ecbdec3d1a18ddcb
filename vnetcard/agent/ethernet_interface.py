"""The agent's TAP: as any interface of an agent, with a MAC address that stays, and as a port of a bridge."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from vnetcard.agent.config import Config
from vnetcard.agent.managed_interface import ManagedInterface
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import PortUnavailable, VnetcardError
from vnetcard.port.interface import Interface
from vnetcard.port.mac import own_mac
from vnetcard.port.tap import TapPort
from vnetcard.port.tun import TunPort


def manage(port: TunPort, interface: Interface, config: Config, log: logging.Logger, window: str) -> ManagedInterface:
    """The interface of ``port``, not configured yet; ``window`` is the URL of the agent's window."""
    if isinstance(port, TapPort):
        return EthernetInterface(port, interface, config, log, window)
    return ManagedInterface(interface, config, log)


class EthernetInterface(ManagedInterface):
    """As its base, and ``--mac`` and ``--bridge``."""

    def __init__(self, port: TapPort, interface: Interface, config: Config, log: logging.Logger, window: str) -> None:
        super().__init__(interface, config, log)
        self._port = port
        self._bridge = config.bridge
        self._persist = config.persist
        self._wanted_mac = config.mac or own_mac(config.side, window, bridged=bool(config.bridge))

    def configure(self) -> None:
        """As its base; the bridge itself is never changed: PortUnavailable where its MTU would be."""
        if self._bridge:
            self._check_mtu(self._mtu, "give this agent")
        self._port.set_mac(self._wanted_mac)
        super().configure()
        if self._bridge:
            self.interface.set_bridge(self._bridge)

    def _check_mtu(self, mtu: int, remedy: str) -> None:
        """The kernel gives a bridge the smallest MTU of its ports."""
        assert self._bridge is not None
        wanted = self.interface.bridge(self._bridge)[1].mtu
        if mtu < wanted:
            raise PortUnavailable(
                f"--bridge {self._bridge}: its MTU of {wanted} would become {mtu}, that of its smallest port: "
                f"{remedy} --mtu {wanted}, or the bridge a smaller one",
                code=ErrorCode.BRIDGE_UNUSABLE,
            )

    def set_mtu(self, mtu: int) -> None:
        """As its base; PortUnavailable where the peer's smaller MTU would change that of the bridge."""
        if self._bridge and self._is_port():
            self._check_mtu(mtu, "give the peer")
        super().set_mtu(mtu)

    def _is_port(self) -> bool:
        with contextlib.suppress(OSError, VnetcardError):
            return self.interface.link().master == self.interface.bridge(self._bridge or "")[0]
        return False

    def view(self) -> dict[str, Any]:
        """As its base, with its ``mac`` and its ``bridge``."""
        view = super().view()
        with contextlib.suppress(OSError):
            view["mac"] = str(self._port.mac)
        if self._bridge:
            view["bridge"] = self._bridge
            if not self._is_port():
                words = f"{view['name']} is no port of bridge {self._bridge}: another program removed it; "
                words += f"`ip link set {view['name']} master {self._bridge}` adds it again"
                view["problems"].append({"code": ErrorCode.BRIDGE_UNUSABLE.value, "message": words})
        return view

    def close(self) -> None:
        """Leave the bridge, also where the interface stays."""
        if self._bridge and self._persist:
            with contextlib.suppress(OSError, VnetcardError):
                self.interface.set_bridge(None)
        super().close()
