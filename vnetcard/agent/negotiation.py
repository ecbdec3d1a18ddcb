"""What an agent offers to its peer: what its port and its window can, less what the configuration switches off."""

from __future__ import annotations

from vnetcard.agent.config import Config
from vnetcard.errors import ConfigError, PortUnavailable
from vnetcard.link.session import pairs_of
from vnetcard.link.types import Offer
from vnetcard.port import Port, open_port
from vnetcard.ring import layout as L
from vnetcard.window import Window


def port_for(config: Config, window: Window) -> tuple[Port, str]:
    """The port, and why it may have fewer queues than a window.

    With the queues asked for; if none are, the host's has one, and the card's as many as ``window``, or one.
    """

    def opened(queues: int) -> Port:
        return open_port(config.port, netns=config.netns, persist=config.persist, queues=queues)

    later = "the interface was made for fewer; start this agent anew"
    if config.queues is not None or config.side == L.HOST:
        return opened(config.queues or 1), later
    try:
        return opened(pairs_of(window)), later
    except (ConfigError, PortUnavailable) as error:
        if pairs_of(window) == 1:
            raise
        return opened(1), str(error)


def make_offer(config: Config, port: Port, window: Window) -> Offer:
    """What the port really takes, less what was switched off or does not fit."""
    verdicts = port.probe_offload()
    small = window.geometry.ring_bytes < L.OFFLOAD_RING_MIN
    for kind in verdicts:
        if kind not in config.offload:
            verdicts[kind] = "switched off by --offload"
        elif small:
            verdicts[kind] = f"the rings are smaller than {L.OFFLOAD_RING_MIN >> 10} KiB"
    if verdicts.get("CSUM"):
        for kind in verdicts:
            verdicts[kind] = verdicts[kind] or "it needs CSUM"
    if verdicts.get("USO4") or verdicts.get("USO6"):
        for kind in ("USO4", "USO6"):
            if kind in verdicts:
                verdicts[kind] = verdicts[kind] or "the kernel knows USO4 and USO6 only together"
    verdicts["WAKE"] = _no_wake(window)
    verdicts["IRQ"] = "" if window.interrupts else "this window has no interrupts"
    features = sum(L.FEATURES[kind] for kind, why in verdicts.items() if not why)
    return Offer(features, config.mtu, {kind: why for kind, why in verdicts.items() if why})


def _no_wake(window: Window) -> str:
    """Why this side does not offer to wake the peer, and to be woken, or ''."""
    if not window.futex_wake:
        return "this window's memory cannot be slept on"
    if window.engine and window.engine.has_peer_ledger:
        return "the mover cannot wake the card"
    return ""
