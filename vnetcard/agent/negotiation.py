"""An agent's offer to its peer: the features of its port and window, less those that are switched off."""

from __future__ import annotations

from typing import Final

from vnetcard import _core
from vnetcard.agent.config import Config
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.link.session import pairs_of
from vnetcard.link.types import Offer
from vnetcard.port import Port, open_port, steering
from vnetcard.port.tun import TunPort
from vnetcard.ring import layout as L
from vnetcard.window import Window, WindowUrl

MEMORY_KINDS: Final = ("shm", "file", "memfd")
"""Kinds of windows that are memory of this machine, where a queue pair more costs little."""
STEERED_KINDS: Final = ("tun", "tap")


def queues_of_new_window(config: Config) -> int:
    """Two where that pays: in memory, and with the first pair kept for flows that send little."""
    memory = WindowUrl.parse(config.window).kind in MEMORY_KINDS
    device = config.port.partition(":")[0] in STEERED_KINDS
    return 2 if memory and device and config.steering == "sparse" and steering.is_permitted() else 1


def port_for(config: Config, window: Window) -> tuple[Port, str]:
    """The port, and why it may have fewer queues than a window.

    With the queues asked for; if none are, with as many as ``window``, or one.
    """

    def opened(queues: int) -> Port:
        port = open_port(config.port, netns=config.netns, persist=config.persist, queues=queues)
        if config.steering == "sparse" and isinstance(port, TunPort):
            port.steer()
        return port

    later = "the interface was made for fewer; restart this agent"
    if config.queues is not None:
        return opened(config.queues), later
    try:
        return opened(pairs_of(window)), later
    except (ConfigError, PortUnavailable) as error:
        if pairs_of(window) == 1:
            raise
        return opened(1), str(error)


def make_offer(config: Config, port: Port, window: Window) -> Offer:
    """The features that the port accepts, less those that are switched off or do not fit the rings."""
    verdicts = port.probe_offload()
    merge = _merge({kind for kind, why in verdicts.items() if not why}) if config.gro else 0
    small = window.geometry.ring_bytes < L.OFFLOAD_RING_MIN
    for kind in verdicts:
        if kind not in config.offload:
            verdicts[kind] = "switched off by --offload"
        elif small:
            verdicts[kind] = f"the rings are smaller than {L.OFFLOAD_RING_MIN >> 10} KiB"
    if verdicts.get("CSUM"):
        for kind in verdicts:
            verdicts[kind] = verdicts[kind] or "needs CSUM"
    if verdicts.get("USO4") or verdicts.get("USO6"):
        for kind in ("USO4", "USO6"):
            if kind in verdicts:
                verdicts[kind] = verdicts[kind] or "the kernel accepts USO4 and USO6 only together"
    verdicts["WAKE"] = _no_wake(window)
    verdicts["IRQ"] = "" if window.interrupts else "this window has no interrupts"
    features = sum(L.FEATURES[kind] for kind, why in verdicts.items() if not why)
    return Offer(features, config.mtu, {kind: why for kind, why in verdicts.items() if why}, merge=merge)


def _merge(accepted: set[str]) -> int:
    """What may be merged for a port that accepts these offloads, whether or not they are offered to the peer."""
    tcp4 = _core.MERGE_TCP4 if {"CSUM", "TSO4"} <= accepted else 0
    tcp6 = _core.MERGE_TCP6 if {"CSUM", "TSO6"} <= accepted else 0
    return _core.MERGE_UDP | tcp4 | tcp6


def _no_wake(window: Window) -> str:
    """Why this side offers no wake-ups, or ''."""
    if not window.futex_wake:
        return "this window's memory allows no futex"
    if window.engine and window.engine.has_peer_ledger:
        return "the DMA copier cannot wake the card"
    return ""
