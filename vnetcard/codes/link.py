"""Codes of link reasons: why a link is in the state that it is in (``link.reason_code`` in ``status --json``)."""

from __future__ import annotations

from vnetcard.codes.code import Code


class LinkReason(Code):
    """In the order in which a link usually meets them."""

    NOT_STARTED = "not-started", "The link has not been started."
    STARTING = "starting", "This side has published a new epoch."
    NO_PEER = "no-peer", "No peer has published an epoch yet.", "Start the other side's agent."
    WAITING_FOR_ANSWER = "waiting-for-answer", "The peer has not answered this side's epoch yet."
    ENGINE_STARTING = "engine-starting", "The engine has not started both directions yet."
    UP = "up", "Both sides have answered; packets move."
    PEER_STOPPED = "peer-stopped", "The peer has stopped.", "Start the other side's agent."
    PEER_RESTARTED = "peer-restarted", "The peer has published a new epoch."
    HEARTBEAT_LOST = (
        "heartbeat-lost",
        "The peer's heartbeat has not changed for one second.",
        "Check whether the peer's agent runs or is stopped, and whether its machine hangs.",
    )
    PEER_BACK = "peer-back", "The peer's heartbeat changes again."
    PEER_PORT_DOWN = (
        "peer-port-down",
        "Both sides have answered, but nothing is behind the peer's port: this side's interface has no carrier.",
        "Set the peer's interface, or what is behind it, up; or connect a program to the peer's port.",
    )
    PEER_PORT_UP = "peer-port-up", "Something is behind the peer's port again."
    VERSION_MISMATCH = (
        "version-mismatch",
        "The two sides speak different wire formats.",
        "Update the older one.",
    )
    MTU_OUT_OF_RANGE = "mtu-out-of-range", "The peer offers an MTU that is out of range.", "Change the peer's --mtu."
    FRAMES_MISMATCH = (
        "frames-mismatch",
        "One side moves Ethernet frames, the other one IP packets.",
        "Give both agents a `--port` of the same kind: both `tap` or both `tun`.",
    )
    FORMAT_VIOLATION = (
        "format-violation",
        "The peer broke the format; this side has published a new epoch.",
        "See the viol_* counters; update or restart the peer.",
    )
    EPOCH_CHANGED_BACK = (
        "epoch-changed-back",
        "The peer's epoch changed and changed back, which a correct peer never does.",
        "Find the other program that writes into the window.",
    )
    SIDE_BLOCK_OVERWRITTEN = (
        "side-block-overwritten",
        "Another writer changed this side's block.",
        "Find the other program that writes into the window.",
    )
    COUNTERS_OVERWRITTEN = (
        "counters-overwritten",
        "Another writer changed this side's counters or words in the window; this side has written them again.",
        "Find the other program that writes into the window.",
    )
    SUPERBLOCK_OVERWRITTEN = (
        "superblock-overwritten",
        "Another writer changed the superblock; this side has written it again, and the link went on.",
        "Find the other program that writes into the window.",
    )
    LAYOUT_DIFFERS = (
        "layout-differs",
        "The two sides run on different layouts of one window; the one whose layout was replaced opens it again.",
        "Wait some seconds; if it stays, restart the agent that was started first.",
    )
    FINAL_COUNT_IMPOSSIBLE = (
        "final-count-impossible",
        "The peer claims to have received more records than this side sent.",
        "Find the other program that writes into the window.",
    )
    IRQ_NUMBER_UNKNOWN = (
        "irq-number-unknown",
        "No peer has the interrupt number that the peer's side block names; the peer is not interrupted and polls.",
        "Restart both agents.",
    )
    PEER_RESTARTS_TOO_OFTEN = (
        "peer-restarts-too-often",
        "The peer published more epochs than an agent that is restarted can.",
        "See the peer's log for why it restarts; find the other program that writes into the window.",
    )
    PORT_NOT_READY = (
        "port-not-ready",
        "The kernel refused a setting of the interface that this link needs; it is tried again.",
        "See the message; `ip link` shows where the interface is.",
    )
    CARRIER_PAUSE = (
        "carrier-pause",
        "Both sides have answered; the carrier has changed often and rises within a second.",
        "See `vnetcard show link` for why it changes.",
    )
    OFFLOAD_WITHDRAWN = "offload-withdrawn", "This side no longer offers an offload that its kernel refused."
    ENGINE_HALTED = "engine-halted", "The DMA engine halted.", "See `vnetcard show registers`."
    RECOVERING = "recovering", "This side starts again after the engine halted or the device was gone."
    DEVICE_GONE = "device-gone", "The window's device or memory is gone.", "Rescan the bus, or restart the agents."
    WINDOW_LOST = (
        "window-lost",
        "A part of the window's memory is missing: its file was cut short, or its file system has no room for it.",
        "Make room, and find the program that changes the file; memfd: windows cannot be cut short.",
    )
    STOPPED = "stopped", "This side has stopped."
