"""The agent's TAP or macvtap: as any interface of an agent, with a MAC address that stays.

A TAP can be a port of a bridge; what is behind a macvtap is the interface below it.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any, Final

from vnetcard.agent.config import Config
from vnetcard.agent.managed_interface import ManagedInterface
from vnetcard.codes.error import ErrorCode
from vnetcard.errors import PortUnavailable, VnetcardError
from vnetcard.port.interface import Interface
from vnetcard.port.mac import given_by_peer, own_mac
from vnetcard.port.macvtap import MacvtapPort
from vnetcard.port.rtnetlink import LinkView
from vnetcard.port.tap import TapPort
from vnetcard.port.tun import TunPort

IDENTITY_TRIES: Final = 3
"""Seconds that the peer's identity may take to arrive: the DMA copier carries it four times a second."""


def manage(port: TunPort, interface: Interface, config: Config, log: logging.Logger, window: str) -> ManagedInterface:
    """The interface of ``port``, not configured yet; ``window`` is the URL of the agent's window."""
    if isinstance(port, MacvtapPort):
        return MacvtapInterface(port, interface, config, log, window)
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
        self._mac_given = config.mac is not None
        self._peer_mac = ""
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

    def accept_peer_mac(self, mac: str) -> None:
        """Behind the peer's macvtap only its own address passes: take it, unless ``--mac`` or a bridge forbids it."""
        if mac == self._peer_mac:
            return
        self._peer_mac = mac
        wanted = given_by_peer(mac)
        if wanted is not None and not self._mac_given and not self._bridge:
            self._wanted_mac = wanted
            with contextlib.suppress(OSError, VnetcardError):  # deleted in this moment
                if self._port.mac != wanted:
                    self._port.set_mac(wanted)
                    self._log.info("%s: MAC address %s, the one that the peer's macvtap passes", self._name, wanted)

    def _is_port_up(self, link: LinkView) -> bool:
        """A port of a bridge that is down leads nowhere."""
        if link.up and self._bridge and self._is_port():
            with contextlib.suppress(OSError, VnetcardError):
                return self.interface.bridge(self._bridge)[1].up
        return link.up

    def _is_port(self) -> bool:
        with contextlib.suppress(OSError, VnetcardError):
            return self.interface.link().master == self.interface.bridge(self._bridge or "")[0]
        return False

    def view(self) -> dict[str, Any]:
        """As its base, with its ``mac`` and its ``bridge``."""
        view = super().view()
        with contextlib.suppress(OSError):
            view["mac"] = str(self._port.mac)
            if self._peer_mac not in ("", view["mac"]):
                words = f"the peer's macvtap passes frames of {self._peer_mac} alone, and {view['name']} has "
                words += f"{view['mac']}: nothing comes back; give both sides the same --mac"
                view["problems"].append({"code": ErrorCode.MAC_DIFFERS.value, "message": words})
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


class MacvtapInterface(EthernetInterface):
    """As its base; behind it is the network of the interface below, which may be in another namespace."""

    FOLLOW_REFUSED = (
        f"{ManagedInterface.FOLLOW_REFUSED}, and a macvtap is followed only into namespaces that `ip netns` lists"
    )

    def __init__(
        self, port: MacvtapPort, interface: Interface, config: Config, log: logging.Logger, window: str
    ) -> None:
        super().__init__(port, interface, config, log, window)
        self._macvtap = port
        self._below: tuple[str, str | None] | None = None
        self._unknown = 0

    def configure(self) -> None:
        """As its base; PortUnavailable where the interface below has a smaller MTU."""
        try:
            lower, _ = self.interface.lower()
        except OSError:
            lower = None
        if lower is not None and lower.mtu < self._mtu:
            raise PortUnavailable(
                f"port macvtap:{lower.name}: the MTU of {lower.name} is {lower.mtu}, less than --mtu {self._mtu}: "
                f"give this agent --mtu {lower.mtu}, or {lower.name} a larger one",
                code=ErrorCode.OUT_OF_RANGE,
            )
        super().configure()
        self.port_up = self._is_port_up(self.interface.link())

    def accept_peer_mac(self, mac: str) -> None:
        """Its own address stays: the peer takes it over."""

    def note_identity(self, known: bool) -> None:
        """Called every second while the link is up: has the peer's identity arrived, as this side's does over there?

        A DMA engine carries neither, so the peer cannot take over the address.
        """
        self._unknown = 0 if known or self._mac_given else self._unknown + 1
        if self._unknown == IDENTITY_TRIES:
            self._report(self.note_identity, self._mac_unknown())

    def _mac_unknown(self) -> str:
        return (
            "the peer cannot know the MAC address that this macvtap passes, since the engine between the two sides "
            f"does not carry it: start both agents with --mac {self._wanted_mac}"
        )

    def _is_port_up(self, link: LinkView) -> bool:
        self._macvtap.keep_carrier()
        return link.up and self._carrier_below()

    def _carrier_below(self) -> bool:
        try:
            lower, netns = self.interface.lower()
        except OSError as error:
            self._report(self._carrier_below, f"the interface below it cannot be asked ({error.strerror})")
            return True
        self._reported.pop(self._carrier_below, None)
        if self._below not in (None, (lower.name, netns)):
            where = f"in the namespace {netns or 'of this process'}"
            self._log.info("interface %s: the interface below it is %s now, %s", self._name, lower.name, where)
        self._below = lower.name, netns
        return lower.up and lower.carrier

    def view(self) -> dict[str, Any]:
        """As its base, with the interface below, its namespace and whether it has its carrier."""
        view = super().view()
        with contextlib.suppress(OSError):
            lower, netns = self.interface.lower()
            view["lower"] = {
                "name": lower.name,
                "netns": netns,
                "up": lower.up,
                "carrier": lower.carrier,
                "mtu": lower.mtu,
            }
        if self._unknown >= IDENTITY_TRIES:
            view["problems"].append({"code": ErrorCode.MAC_UNKNOWN.value, "message": self._mac_unknown()})
        return view
