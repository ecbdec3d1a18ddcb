"""The wire format: every offset, size, flag and counter of a window, and its one writer.

This table is the single source.  From it come the C header (``_c/vnc_layout.h``), the SystemVerilog
package (``hdl/rtl/vnc_pkg.sv``) and the table in ``docs/wire-format.md``; ``python -m vnetcard.engine.layoutgen``
generates them, ``--check`` compares them (a test does).  The generator is ``layoutgen.py``; this file holds only
the facts.

All values are little-endian and naturally aligned.  A *line* is 64 bytes and has exactly one writer.

::

    0x0000  superblock            geometry; written once by the creator of the window
    0x0400  side block, host      control line, identity line, link counters
    0x0600  side block, card      likewise
    0x0800  queue block 0         index lines and ledgers of one h2c and one c2h FIFO
    0x1000  queue block 1 ...     0x800 per queue pair
    then    rings                 each a power of two, at the offsets in the descriptors
"""

from __future__ import annotations

from typing import Final

from vnetcard.ring.block import Block, lay_out

LINE: Final = 64
"""Bytes of one line: the unit of writing, and the alignment of records and indices."""

MAGIC: Final = 0x3144_5243_5445_4E56
"""``VNETCRD1`` as little-endian bytes; the last word written when a window is created."""

VERSION: Final = 1
"""The wire-format version that this code speaks."""

# --- sizes and limits --------------------------------------------------------------------------------

SUPERBLOCK_OFFSET: Final = 0x0000
SIDE_OFFSET: Final = 0x0400
SIDE_BYTES: Final = 0x0200
QUEUE_OFFSET: Final = 0x0800
QUEUE_BYTES: Final = 0x0800
QUEUES_MAX: Final = 15
RING_ALIGN: Final = 0x1000
RING_MIN: Final = 0x1000
RING_MAX: Final = 0x2000_0000
WINDOW_MIN: Final = 16 << 10
WINDOW_MAX: Final = 1 << 30
WINDOW_DEFAULT: Final = 8 << 20
RECORD_HEADER: Final = 16
FRAME_MAX: Final = 65_600
"""Largest payload of a record: a 65 535-byte packet, its IPv6 or Ethernet header and a virtio_net_hdr."""
VNET_HDR: Final = 10
"""Bytes of ``struct virtio_net_hdr`` (Linux ``include/uapi/linux/virtio_net.h``), without num_buffers."""
MTU_MIN: Final = 68
"""RFC 791: every IPv4 link carries 68 bytes.  (IPv6 wants 1280, RFC 8200; the agent says so.)"""
MTU_MAX: Final = 65_535
MTU_DEFAULT: Final = 1500
OFFLOAD_RING_MIN: Final = 256 << 10
"""Smallest ring over which offloads are offered: four of the largest super-packets fit."""

HOST: Final = 0
CARD: Final = 1
SIDES: Final = ("host", "card")
DIRECTIONS: Final = ("h2c", "c2h")
"""Direction ``n`` is produced by side ``n``: h2c by the host, c2h by the card."""

# --- side states and features ------------------------------------------------------------------------

STATES: Final[dict[str, int]] = {
    "DOWN": 0,  # no agent: never started, or stopped cleanly
    "INIT": 1,  # epoch published, indices not reset yet
    "READY": 2,  # indices reset, the peer's epoch answered
    "RUN": 3,  # both epochs answered: pumps move packets
    "REFUSED": 4,  # the peer's version or geometry cannot be served
}

FEATURES: Final[dict[str, int]] = {
    "CSUM": 1 << 0,  # virtio_net_hdr in every record; checksums may be partial
    "TSO4": 1 << 1,
    "TSO6": 1 << 2,
    "USO4": 1 << 3,
    "USO6": 1 << 4,
    "WAKE": 1 << 8,  # wake-ups by futexes on the index words of the window
    "IRQ": 1 << 9,  # wake-ups by interrupts: see irq_number in the side block
    "CRC32C": 1 << 16,  # reserved: records carry a CRC; no agent offers it yet
}

FRAMES: Final[dict[str, int]] = {
    "IP": 0,  # IP packets, as of a TUN; all that older software knows
    "ETHERNET": 1,  # Ethernet frames, as of a TAP, without frame check sequence
}
"""What the payload of a record is; both sides must have the same."""
ETHERNET_HEADER: Final = 14
VLAN_TAG: Final = 4
FRAME_OVERHEAD: Final[dict[int, int]] = {
    FRAMES["IP"]: 0,
    FRAMES["ETHERNET"]: ETHERNET_HEADER + 2 * VLAN_TAG,
}
"""Bytes by which a packet may exceed the MTU, by its kind: an Ethernet header with two VLAN tags (IEEE 802.1ad)."""

OFFLOADS: Final = ("CSUM", "TSO4", "TSO6", "USO4", "USO6")
"""The features that a port must support; the others require CSUM."""

RECORD_FLAGS: Final[dict[str, int]] = {"VNET": 1 << 0}
"""VNET: the payload starts with ``hdr_len`` = 10 bytes of virtio_net_hdr."""


SUPERBLOCK: Final = Block(
    "superblock",
    LINE,
    "creator",
    "both",
    "magic last, with release; nothing else changes afterwards",
    lay_out(
        ("magic", 8, "`VNETCRD1`; 0 until the window is complete"),
        ("version_min", 4, "oldest wire format that may use this window"),
        ("version_max", 4, "newest wire format that may use this window"),
        ("window_bytes", 8, "size of the window, 16 KiB to 1 GiB"),
        ("queues", 4, "Q, the number of queue pairs, 1 to 15"),
        ("rings_offset", 4, "where the first ring may start; multiple of 4 KiB"),
        ("instance", 4, "random id of this creation; never 0"),
        ("checksum", 4, "CRC-32 (zlib) of the superblock with magic and checksum as 0, and of the Q descriptors"),
        ("removable", 4, "1: the agents created the file; the last one to close it removes it"),
    ),
)

QUEUE_DESCRIPTOR: Final = Block(
    "queue_descriptor",
    LINE,
    "creator",
    "both",
    "as the superblock; descriptor q is at 0x40 * (1 + q)",
    lay_out(
        ("h2c_offset", 4, "start of the h2c ring in the window; multiple of 4 KiB"),
        ("h2c_bytes", 4, "size of the h2c ring; a power of two, 4 KiB to 512 MiB"),
        ("c2h_offset", 4, "start of the c2h ring; from window_bytes on in a second memory"),
        ("c2h_bytes", 4, "size of the c2h ring"),
    ),
)

SIDE_CONTROL: Final = Block(
    "side_control",
    LINE,
    "this side",
    "peer",
    "answered = 0, then epoch, then the index lines, then answered; each step released before the next",
    lay_out(
        ("epoch", 4, "random, new at each start; 0: stopped cleanly"),
        ("answered", 4, "the peer's epoch that this side has answered; 0: none"),
        ("state", 4, "DOWN, INIT, READY, RUN, REFUSED; for diagnosis only, the handshake reads the epochs"),
        ("heartbeat", 4, "counter that increases while the agent is alive"),
        ("features", 4, "features offered, a bit mask"),
        ("mtu", 4, "largest IP packet in bytes that this side accepts, without an Ethernet header"),
        ("version", 4, "wire format version of this side"),
        ("queue_mask", 4, "queue pairs that this side serves, a bit mask without gaps; bit 0 is implied"),
        ("final_own_epoch", 4, "last generation in which this side received: its own epoch"),
        ("final_peer_epoch", 4, "last generation in which this side received: the peer's epoch"),
        ("final_records", 8, "records received in that generation, over all queues"),
        ("irq_number", 4, "with IRQ: 1 + the interrupt number of this side at the window's device; 0: none"),
        ("frames", 4, "what a record holds: 0 an IP packet, 1 an Ethernet frame; the two sides must be equal"),
        ("layout", 4, "checksum of the superblock that this side runs on; 0: it does not say"),
        ("port_down", 4, "1: nothing is behind this side's port; the peer then has no carrier"),
    ),
)

SIDE_IDENTITY: Final = Block(
    "side_identity",
    LINE,
    "this side",
    "diagnosis",
    "none",
    lay_out(
        ("pid", 4, "process id of the agent in its own PID namespace"),
        ("reserved", 4, "0"),
        ("started_ns", 8, "CLOCK_REALTIME at the start of the agent, nanoseconds"),
        ("software", 16, "version of the software, ASCII, padded with 0"),
        ("mac", 8, "MAC address that the peer's frames must have, then the bytes 1 and 0; anything else: any"),
        ("machine", 24, "name of the machine, ASCII, padded with 0"),
    ),
)

PROD_LINE: Final = Block(
    "prod_line",
    LINE,
    "producer",
    "consumer",
    "prod with release, after the records that it covers",
    lay_out(
        ("prod", 4, "bytes produced, free-running, a multiple of 64"),
        ("need_wakeup", 4, "1: the producer sleeps until cons moves"),
    ),
)

CONS_LINE: Final = Block(
    "cons_line",
    LINE,
    "consumer",
    "producer",
    "cons with release, after the last read of the records that it frees",
    lay_out(
        ("cons", 4, "bytes consumed, free-running, a multiple of 64"),
        ("need_wakeup", 4, "1: the consumer sleeps until prod moves"),
    ),
)

RECORD: Final = Block(
    "record",
    RECORD_HEADER,
    "producer",
    "consumer",
    "complete before prod covers it; padded to a multiple of 64",
    lay_out(
        ("len", 4, "bytes of payload after this header, 1 to 65600"),
        ("flags", 2, "VNET"),
        ("hdr_len", 2, "bytes of virtio_net_hdr at the start of the payload: 0 or 10"),
        ("seq", 4, "number of this record in its generation, from 0"),
        ("crc32c", 4, "0 (CRC32C is not negotiated)"),
    ),
)

# --- the ledger --------------------------------------------------------------------------------------
# A slot is sixteen u64.  Each end has two, and the one with the higher stamp is valid, so a writer that is killed
# between two stores always leaves one consistent slot (see _c/vnc_ledger.h).

LEDGER_COMMON: Final = ("stamp", "generation", "gen_records", "index")
"""stamp: increases with each write; generation: own epoch << 32 | peer epoch; index: prod or cons at that time."""

TX_LEDGER: Final = (
    *LEDGER_COMMON,
    "tx_taken",
    "tx_taken_bytes",
    "tx_sent",
    "tx_sent_bytes",
    "lost_restart",
    "drop_link_down",
    "drop_peer_dead",
    "drop_too_big",
    "drop_malformed",
    "drop_offload",
)
"""Port to FIFO: ``tx_taken = tx_sent + drops``, and over all queues ``tx_sent = peer's rx_received + lost_restart``."""

RX_LEDGER: Final = (
    *LEDGER_COMMON,
    "rx_received",
    "rx_received_bytes",
    "rx_delivered",
    "rx_delivered_bytes",
    "drop_port_refused",
    "drop_port_down",
    "drop_bad_frame",
    "gen_serial",
    "drop_source",
    "drop_redirect",
    "drop_segments",
)
"""FIFO to port: ``rx_received = rx_delivered + drops``.

gen_serial numbers the generations, since epochs have no order: the queues with the largest one received last.
"""

TX_STATS: Final = (
    "port_reads",
    "publications",
    "ring_full",
    "sleeps",
    "wakeups_sent",
    "wakeups_suppressed",
    "viol_cons",
    "late_wakeups",
    "busy_ns",
    "moved_at_ns",
    "irq_wakeups",
)
RX_STATS: Final = (
    "port_writes",
    "publications",
    "ring_empty",
    "sleeps",
    "wakeups_sent",
    "wakeups_suppressed",
    "viol_prod",
    "viol_len",
    "viol_header",
    "viol_seq",
    "late_wakeups",
    "busy_ns",
    "moved_at_ns",
    "high_water",
    "irq_wakeups",
)
"""Diagnostics beside the ledger, sixteen u64; ``viol_*`` count a hostile or broken peer's violations.

late_wakeups: sleeps that ended by time-out although the peer had moved its index; busy_ns: time between two waits,
measured in one batch of eight; moved_at_ns: CLOCK_REALTIME at the end of the last batch; high_water: largest number of
unread bytes that the consumer found; irq_wakeups: sleeps ended by an interrupt of the peer (the cause of a futex
wake-up is unknown).
"""

BATCHES: Final = tuple(f"batch_{1 << n}" for n in range(8))
"""Batches (the records moved between two waits) by size: 1, 2-3, 4-7 records ... 128 and more; u64 each."""

LINK_COUNTERS: Final = (
    "link_up",
    "link_down",
    "peer_restart",
    "peer_dead",
    "peer_back",
    "own_restart",
    "viol_side_block",
    "viol_final_count",
    "window_lost",
    "offload_refused",
    "refused",
    "engine_halt",
    "braked",
    "superblock_restored",
    "ledger_restored",
    "ledger_restarted",
)
"""Events of the link, u64 each, in the side block after the identity line.

superblock_restored, ledger_restored: this side wrote again what another program had overwritten in the window;
ledger_restarted: counters of an end, or of the link, that were ruined when this side started, and began at 0 again.
"""
LINK_SLOT_WORDS: Final = 24
"""The link counters are there twice, each copy with its checksum in its last word (ring/link_counters.py)."""

LEDGER_WORDS: Final = 16
LEDGER_CHECKSUM: Final = LEDGER_WORDS - 1
"""The word of a slot that holds the checksum of the others (_c/vnc_ledger.h)."""
LEDGER_SLOT_BYTES: Final = LEDGER_WORDS * 8
STATS_BYTES: Final = 128
LINK_COUNTERS_OFFSET: Final = 2 * LINE

# Offsets inside a queue block.  Index lines are 128 bytes apart, because the adjacent-line prefetcher of x86
# fetches lines in pairs and would otherwise cause false sharing.
QUEUE_LINES: Final[dict[str, int]] = {
    "h2c_prod": 0x000,
    "h2c_cons": 0x080,
    "c2h_prod": 0x100,
    "c2h_cons": 0x180,
}
QUEUE_LEDGERS: Final[dict[str, int]] = {
    "h2c_tx": 0x200,
    "h2c_rx": 0x380,
    "c2h_tx": 0x500,
    "c2h_rx": 0x680,
}
"""Two ledger slots (2 x 128 bytes) and one stats area (128 bytes) per end, written by the owner of that end."""
QUEUE_BATCHES: Final[dict[str, int]] = {
    "h2c_tx": 0x040,
    "h2c_rx": 0x0C0,
    "c2h_tx": 0x140,
    "c2h_rx": 0x1C0,
}
"""The line after each index line: its writer's batches by size."""

BLOCKS: Final = (SUPERBLOCK, QUEUE_DESCRIPTOR, SIDE_CONTROL, SIDE_IDENTITY, PROD_LINE, CONS_LINE, RECORD)


def align_record(length: int) -> int:
    """Return the bytes that a record with ``length`` payload bytes occupies in a ring: a multiple of 64."""
    return (RECORD_HEADER + length + LINE - 1) & ~(LINE - 1)


def side_offset(side: int) -> int:
    """Return the offset of the side block of ``side`` (HOST or CARD)."""
    return SIDE_OFFSET + side * SIDE_BYTES


def queue_offset(queue: int) -> int:
    """Return the offset of queue block ``queue``, 0 to 14."""
    return QUEUE_OFFSET + queue * QUEUE_BYTES


def descriptor_offset(queue: int) -> int:
    """Return the offset of the descriptor of queue pair ``queue``."""
    return SUPERBLOCK_OFFSET + LINE * (1 + queue)


def rings_offset(queues: int) -> int:
    """Return the lowest offset of a ring after ``queues`` queue blocks; a multiple of 4 KiB."""
    end = queue_offset(queues)
    return (end + RING_ALIGN - 1) & ~(RING_ALIGN - 1)


def feature_names(mask: int) -> list[str]:
    """Return the names of the bits of ``mask``; an unknown bit is named like ``bit17``."""
    known = {bit: name for name, bit in FEATURES.items()}
    bits = (1 << n for n in range(32) if mask >> n & 1)
    return [known.get(bit, f"bit{bit.bit_length() - 1}") for bit in bits]
