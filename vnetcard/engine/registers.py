"""The DMA engine's registers: every offset, access and bit of the page that each side sees.

The single source, like ``layout.py``: ``python -m vnetcard.engine.layoutgen`` writes the SystemVerilog package, the
C header and ``docs/registers.md`` from it.  Host and card see the same page, each from its own point of
view: *tx* is the direction that this side produces, *rx* the one that it consumes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PAGE_BYTES: Final = 0x1000
ENGINE_ID: Final = 0x4443_4E56
"""``VNCD`` as little-endian bytes, in the register ID."""

ENGINE_VERSION: Final = 1
"""Version of this register map."""


@dataclass(frozen=True, slots=True)
class Register:
    """One 32-bit register; ``access`` is RO, RW, WO (reads 0) or W1C (write 1 to clear)."""

    name: str
    offset: int
    access: str
    meaning: str


_DIRECTION: Final = (
    ("cause", "why the direction halted, see below; 0: it did not"),
    ("error_addr_lo", "the bus address that failed; for an impossible index, the value"),
    ("error_addr_hi", "its upper half"),
    ("published", "prod that the consumer can see"),
    ("returned", "cons that the producer can see"),
    ("bytes_lo", "bytes published; reading it holds the upper half for bytes_hi"),
    ("bytes_hi", "as it was when bytes_lo was read"),
    ("bursts", "write bursts acknowledged"),
    ("publications", "index words written to the consumer and acknowledged"),
    ("errors", "times that the direction halted"),
    ("stall_read", "cycles with work in which the next beat to write was not read yet"),
    ("stall_write", "cycles in which AW or W was not accepted"),
    ("stall_ack", "cycles in which everything was written and a response was missing"),
    ("suppressed", "publications that raised no interrupt because nobody slept"),
    ("latency", "cycles from the doorbell to the acknowledged publication, the last time"),
    ("latency_max", "and the longest since the direction started"),
)


def _direction(prefix: str, start: int) -> tuple[Register, ...]:
    return tuple(
        Register(f"{prefix}_{name}", start + 4 * n, "RO", meaning) for n, (name, meaning) in enumerate(_DIRECTION)
    )


REGISTERS: Final = (
    Register("id", 0x000, "RO", "`VNCD`"),
    Register("version", 0x004, "RO", "low half: version of this map; high half: wire format"),
    Register("caps", 0x008, "RO", "bits 15..0: data width; 23..16: longest burst in beats, less 1; 24: 1 on the card"),
    Register("control", 0x00C, "RW", "see below"),
    Register("status", 0x010, "RO", "see below"),
    Register("reset", 0x014, "WO", "see below; a direction ends what is under way, then starts anew at tx_start"),
    Register("irq_status", 0x018, "W1C", "see below"),
    Register("irq_enable", 0x01C, "RW", "which bits of irq_status raise the interrupt"),
    Register("window_base_lo", 0x020, "RW", "bus address of this side's window, multiple of 4 KiB; locked"),
    Register("window_base_hi", 0x024, "RW", "its upper half; locked"),
    Register("window_log2", 0x028, "RW", "the window has 2 ** this bytes, 14 to 30; locked"),
    Register("h2c_ring_offset", 0x030, "RW", "the h2c ring in this window, multiple of 4 KiB; locked"),
    Register("h2c_ring_log2", 0x034, "RW", "it has 2 ** this bytes, 12 to 29, the same on both sides; locked"),
    Register("c2h_ring_offset", 0x038, "RW", "the c2h ring; locked"),
    Register("c2h_ring_log2", 0x03C, "RW", "its size; locked"),
    Register("tx_prod", 0x040, "RW", "doorbell: this side's new prod; reads as last written"),
    Register("rx_cons", 0x044, "RW", "doorbell: this side's new cons; reads as last written"),
    Register("tx_start", 0x048, "RW", "index at which tx starts after a reset, multiple of 64"),
    Register("side_doorbell", 0x04C, "RW", "doorbell: this side's block changed, take it across; any value"),
    Register("side_done", 0x050, "RO", "the side_doorbell whose block the peer's window holds, acknowledged"),
    Register("side_cause", 0x054, "RO", "why this side's block halted: NONE, READ, WRITE or TIMEOUT"),
    Register("side_error_addr_lo", 0x058, "RO", "the bus address that failed"),
    Register("side_error_addr_hi", 0x05C, "RO", "its upper half"),
    Register("irq_count", 0x060, "RW", "RX_PROD and TX_CONS interrupt after this many events; 0 and 1: at once"),
    Register("irq_time", 0x064, "RW", "... or this many cycles after the first of them; 0: without a limit"),
    Register("timeout", 0x068, "RW", "cycles that this side's memory may leave a transaction waiting; 0: for ever"),
    *_direction("tx", 0x080),
    *_direction("rx", 0x0C0),
    Register("cycles_lo", 0x100, "RO", "clock cycles since reset; reading it holds the upper half"),
    Register("cycles_hi", 0x104, "RO", "as it was when cycles_lo was read"),
)

CONTROL_BITS: Final[dict[str, int]] = {
    "ENABLE": 1 << 0,  # the directions run when both sides say so; locks this side's configuration
    "NEED_WAKEUP": 1 << 1,  # RX_PROD and TX_CONS only when this side's line says need_wakeup
}
STATUS_BITS: Final[dict[str, int]] = {
    "TX_RUN": 1 << 0,
    "TX_HALT": 1 << 1,
    "TX_DRAIN": 1 << 2,
    "RX_RUN": 1 << 4,
    "RX_HALT": 1 << 5,
    "RX_DRAIN": 1 << 6,
    "LOCKED": 1 << 8,  # configuration registers ignore writes
    "SIDE_RUN": 1 << 12,
    "SIDE_HALT": 1 << 13,
    "SIDE_DRAIN": 1 << 14,
}
RESET_BITS: Final[dict[str, int]] = {"TX": 1 << 0, "RX": 1 << 1, "SIDE": 1 << 2}
IRQ_BITS: Final[dict[str, int]] = {
    "RX_PROD": 1 << 0,  # there is a new prod in this window
    "TX_CONS": 1 << 1,  # there is a new cons in this window
    "TX_HALT": 1 << 2,
    "RX_HALT": 1 << 3,
    "SIDE": 1 << 4,  # the peer's block in this window changed
    "SIDE_HALT": 1 << 5,  # this side's block could not be taken across
}
CAUSES: Final[dict[str, int]] = {
    "NONE": 0,
    "CONFIG": 1,  # sizes that differ or are not possible, or a window at the very end of the address space
    "READ": 2,  # RRESP on data
    "WRITE": 3,  # BRESP on data
    "PROD_WRITE": 4,  # BRESP on the prod word
    "CONS_WRITE": 5,  # BRESP on the cons word
    "BAD_PROD": 6,  # no multiple of 64, or beyond what the consumer has freed
    "BAD_CONS": 7,  # no multiple of 64, or beyond what was published
    "TIMEOUT": 8,  # a memory did not answer; the direction drains only when it does
    "WAKEUP_READ": 9,  # RRESP on the need_wakeup word
}


def offset(name: str) -> int:
    """Offset of the register ``name``; KeyError when there is none."""
    return {register.name: register.offset for register in REGISTERS}[name]
