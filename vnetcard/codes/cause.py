"""Codes of causes: what is wrong with a link or beside it, as ``show errors``, ``top`` and ``report`` conclude.

The rules that find them are in ``vnetcard/observe/causes.py``.
"""

from __future__ import annotations

from vnetcard.codes.code import Code


class CauseCode(Code):
    """In the order in which the rules are tried: an earlier one explains later ones."""

    AGENT_UNRESPONSIVE = (
        "agent-unresponsive",
        "An agent of this machine does not answer: a signal or a debugger has stopped it, or it hangs.",
        "Continue it (`kill -CONT PID`), or end it and start it again.",
    )
    DEVICE_GONE = (
        "device-gone",
        "The window reads as all ones, or its memory was taken away.",
        "Check the card's power and `lspci`; rescan the bus. The agents open the window again by themselves.",
    )
    VERSION_MISMATCH = (
        "version-mismatch",
        "The two sides speak different wire formats and have refused one another.",
        "Update the older side.",
    )
    MTU_MISMATCH = (
        "mtu-mismatch",
        "The two sides have different MTUs; the smaller one counts.",
        "Give both agents the same `--mtu`.",
    )
    ENGINE_STALLED = (
        "engine-stalled",
        "The DMA engine halted: a memory did not answer within the engine's time-out.",
        "See the address in the message and `vnetcard show registers`; check that memory's bus.",
    )
    ENGINE_BUS_ERROR = (
        "engine-bus-error",
        "The DMA engine halted: a memory answered with an error.",
        "See the address in the message and `vnetcard show registers`; check the address map and the IOMMU.",
    )
    ENGINE_READ_ORDER = (
        "engine-read-order",
        "The bridge to this side's memory lets a read overtake an earlier write, so the DMA engine cannot wake pumps.",
        "Add `wakeup=off` to the window's URL.",
    )
    CORRUPT_SIDE_BLOCK = (
        "corrupt-side-block",
        "A side block holds what its owner did not write.",
        "Find the other program that writes into the window.",
    )
    WINDOW_OVERWRITTEN = (
        "window-overwritten",
        "Another program overwrote the superblock or the counters in the window; they were written again, or began "
        "at 0 where no agent was there to know them.",
        "Find the other program that writes into the window, or the device whose DMA strays into it.",
    )
    CORRUPT_RECORDS = (
        "corrupt-records",
        "Records have an impossible length, header or number.",
        "Check the bus (`vnetcard doctor --window URL`), then the peer's program.",
    )
    CORRUPT_INDEX = (
        "corrupt-index",
        "The peer published an index that is impossible in the ring.",
        "Find the other program that writes into the window, or update the peer's.",
    )
    BAD_FRAMES = (
        "bad-frames",
        "Packets from the peer had an impossible virtio_net_hdr.",
        "Update the peer's program, or start it with `--offload off`.",
    )
    PEER_DEAD = (
        "peer-dead",
        "The peer's heartbeat stands still, or stood still for a time.",
        "Check whether the peer's agent runs, is stopped, or lacks CPU time.",
    )
    PEER_RESTARTS = (
        "peer-restarts",
        "The peer's agent was restarted; records in flight were lost.",
        "See the peer's log for why.",
    )
    NO_PEER = ("no-peer", "No agent answers on the other side.", "Start the other side's agent.")
    PORT_REFUSED = (
        "port-refused",
        "The kernel refused packets that were written to the interface.",
        "See the sample and the errno in the log: a firewall, an address family that is off, or a broken packet.",
    )
    FOREIGN_SOURCES = (
        "foreign-sources",
        "The peer sent packets with a source address outside the networks of --allow.",
        "See the sample; add the network with --allow, or correct addresses and routes on the peer's side.",
    )
    PEER_CONFIGURES = (
        "peer-configures",
        "The peer sent ICMP redirects or IPv6 router advertisements, which were dropped.",
        "Correct the peer's routes; start the agent with --trust-peer if the peer may configure this machine.",
    )
    INTERFACE_DOWN = (
        "interface-down",
        "The interface, or what is behind it, is down and the peer has no carrier, or packets arrived meanwhile.",
        "`ip link set NAME up`, or connect what is behind the port.",
    )
    PUNT_DROPPED = (
        "punt-dropped",
        "The program of --punt was not connected, or did not take packets as fast as they came.",
        "Start the program, or let packets pass without it: `--punt FILTER=unix:PATH?bypass=on`.",
    )
    PACKET_TOO_BIG = (
        "packet-too-big",
        "The kernel sent packets that are larger than the link's MTU: its interface has a larger one.",
        "`ip link set NAME mtu N` with the link's MTU, or start both agents with a larger `--mtu`.",
    )
    OFFLOAD_MISMATCH = (
        "offload-mismatch",
        "The kernel sent packets that need an offload that the peer does not take.",
        "Nothing if the count stands still: they were queued before the last negotiation. Otherwise restart the agent.",
    )
    MALFORMED_PACKETS = (
        "malformed-packets",
        "The interface delivered reads without a packet in them.",
        "See the sample; report it with the kernel's version.",
    )
    LOST_DOORBELL = (
        "lost-doorbell",
        "Pumps slept until their time-out although the peer had moved: its wake-ups or interrupts get lost.",
        "Check the interrupt (`/proc/interrupts`, `vnetcard doctor`); the link works, but slowly.",
    )
    LINK_INTERRUPTED = (
        "link-interrupted",
        "Packets were dropped or lost because the link was down for a time.",
        "`vnetcard show link` says when and why.",
    )
    FOREIGN_ADDRESS = (
        "foreign-address",
        "Packets came through the link for an address that this side neither has nor has a route to.",
        "Correct the sender's target, this side's `--address`, or the route; the message has the command.",
    )
    NOT_FORWARDING = (
        "not-forwarding",
        "Packets came through the link for a network behind this side, which does not forward.",
        "`sysctl -w net.ipv4.ip_forward=1`, or `net.ipv6.conf.all.forwarding=1`.",
    )
    REVERSE_PATH_FILTER = (
        "reverse-path-filter",
        "Packets came through the link from a source that the kernel expects on another interface, and were discarded.",
        "Add the route that the message names, or `sysctl -w net.ipv4.conf.NAME.rp_filter=0` for it and for `all`.",
    )
    NO_ROUTE_BACK = (
        "no-route-back",
        "Packets came through the link from a source to which this side has no route: answers cannot be sent.",
        "Add the route that the message names, or start the agent with `--route`.",
    )
    NEIGHBOUR_FAILED = (
        "neighbour-failed",
        "Packets were forwarded to a machine behind this side that does not answer to ARP or neighbour discovery.",
        "Check that machine, its cable and its address.",
    )
    STUCK_CONSUMER = (
        "stuck-consumer",
        "A ring holds records, and the consumer takes none of them.",
        "Restart the consumer's agent; keep `vnetcard show ring --json` of both sides for a report.",
    )
    RING_TOO_SMALL = (
        "ring-too-small",
        "A ring is full again and again, and holds only a few of the largest packets.",
        "Use a larger window or `--queue-bytes`.",
    )
    SLOW_CONSUMER = (
        "slow-consumer",
        "A ring is full again and again: the consumer takes records too slowly.",
        "`vnetcard show runtime` and `trace --summary` say what it spends its time on.",
    )
    CPU_STARVED = (
        "cpu-starved",
        "Pumps waited for a CPU longer than they had one.",
        "Give the agent a CPU of its own (`taskset`, `nice`), or take load from the machine.",
    )
    APPLICATION_TOO_SLOW = (
        "application-too-slow",
        "Packets crossed the link and found their socket full: the program that receives them reads too slowly.",
        "Give the program more CPU time or a larger receive buffer (SO_RCVBUF, `sysctl net.core.rmem_max`).",
    )
    INTERFACE_QUEUE_FULL = (
        "interface-queue-full",
        "Programs sent faster than the link carries: the kernel's queue before the link was full.",
        "Send more slowly, or use TCP, which adapts; `ip link set NAME txqueuelen N` takes longer bursts.",
    )
