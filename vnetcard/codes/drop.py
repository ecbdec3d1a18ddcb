"""Codes of drops: every counter of packets that were discarded or lost, and of violations by the peer.

The code is the counter's name, the same in ``show errors``, in ``--json`` and, between ``vnetcard_`` and ``_total``,
in the metrics.
"""

from __future__ import annotations

from vnetcard.codes.cause import CauseCode
from vnetcard.codes.code import Code


class DropCode(Code):
    """``causes``: which causes ``show errors`` may conclude from the counter; it names at least one of them."""

    causes: tuple[CauseCode, ...]

    def __new__(cls, value: str, meaning: str, remedy: str, *causes: CauseCode) -> DropCode:
        code = str.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        code.remedy = remedy
        code.causes = causes
        return code

    # From the port to the FIFO
    LINK_DOWN = (
        "drop_link_down",
        "Packets taken from the interface while no link was up.",
        "Start the other side's agent; `vnetcard show link` says why the link was down.",
        CauseCode.NO_PEER,
        CauseCode.PEER_RESTARTS,
        CauseCode.LINK_INTERRUPTED,
    )
    PEER_DEAD = (
        "drop_peer_dead",
        "Packets taken from the interface while the peer's heartbeat stood still.",
        "Check whether the peer's agent is stopped or starved.",
        CauseCode.PEER_DEAD,
    )
    TOO_BIG = (
        "drop_too_big",
        "Packets from the interface that are larger than the link's MTU.",
        "`ip link set NAME mtu N` with the link's MTU.",
        CauseCode.PACKET_TOO_BIG,
    )
    MALFORMED = (
        "drop_malformed",
        "Reads from the interface without a packet in them.",
        "See the sample in `vnetcard show errors`.",
        CauseCode.MALFORMED_PACKETS,
    )
    OFFLOAD = (
        "drop_offload",
        "Packets from the interface that need an offload that the peer does not take.",
        "Nothing, unless the count goes on growing.",
        CauseCode.OFFLOAD_MISMATCH,
    )
    LOST_RESTART = (
        "lost_restart",
        "Records that were in the ring, or in the consumer's hands, when a side was restarted.",
        "None: they are lost, and counted.",
        CauseCode.PEER_RESTARTS,
        CauseCode.LINK_INTERRUPTED,
    )
    # From the FIFO to the port
    PORT_REFUSED = (
        "drop_port_refused",
        "Packets that the kernel refused when they were written to the interface, or a slow program of --punt, or for "
        "which a `packet:IF?frames=ip` port has no route.",
        "See the sample in `vnetcard show errors`, and the agent's log.",
        CauseCode.PORT_REFUSED,
        CauseCode.PUNT_DROPPED,
    )
    PORT_DOWN = (
        "drop_port_down",
        "Packets that arrived while the interface was down, or for a program of --punt that was not connected.",
        "`ip link set NAME up`, or start the program.",
        CauseCode.INTERFACE_DOWN,
        CauseCode.PUNT_DROPPED,
    )
    BAD_FRAME = (
        "drop_bad_frame",
        "Packets from the peer with an impossible virtio_net_hdr, or super-packets whose headers are not whole.",
        "Update the peer's program.",
        CauseCode.BAD_FRAMES,
    )
    SOURCE = (
        "drop_source",
        "Packets from the peer with a source address outside the networks of --allow.",
        "See the sample in `vnetcard show errors`; add the network with --allow if it is the peer's.",
        CauseCode.FOREIGN_SOURCES,
    )
    REDIRECT = (
        "drop_redirect",
        "ICMP redirects and IPv6 router advertisements from the peer, and IPv6 packets with extension headers behind "
        "which one could hide.",
        "None: they would configure this machine; --trust-peer lets them pass.",
        CauseCode.PEER_CONFIGURES,
    )
    SEGMENTS = (
        "drop_segments",
        "Super-packets from the peer that the kernel would have to cut into more segments than --max-segments, or into "
        "more than 64 of less than 8 bytes.",
        "For an honest peer, raise --max-segments; otherwise find out what the peer runs.",
        CauseCode.BAD_FRAMES,
    )
    # Violations of the format by the peer
    VIOL_CONS = (
        "viol_cons",
        "Impossible cons indices of the peer.",
        "Find what else writes into the window.",
        CauseCode.CORRUPT_INDEX,
    )
    VIOL_PROD = (
        "viol_prod",
        "Impossible prod indices of the peer.",
        "Find what else writes into the window.",
        CauseCode.CORRUPT_INDEX,
    )
    VIOL_LEN = ("viol_len", "Records of impossible length.", "Check the bus.", CauseCode.CORRUPT_RECORDS)
    VIOL_HEADER = (
        "viol_header",
        "Records with unknown flags or an impossible hdr_len.",
        "Check the bus, and the peer's version.",
        CauseCode.CORRUPT_RECORDS,
    )
    VIOL_SEQ = ("viol_seq", "Records out of order.", "Check the bus.", CauseCode.CORRUPT_RECORDS)
    VIOL_SIDE_BLOCK = (
        "viol_side_block",
        "A side block held what its owner did not write.",
        "Find what else writes into the window.",
        CauseCode.CORRUPT_SIDE_BLOCK,
    )
    VIOL_FINAL_COUNT = (
        "viol_final_count",
        "The peer claimed more records received than were sent.",
        "Find what else writes into the window, or update the peer.",
        CauseCode.CORRUPT_SIDE_BLOCK,
    )
