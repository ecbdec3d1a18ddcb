"""The registers of the DMA engine: offset, access and bits of the page that each side has.

This table is the single source, like ``layout.py``: ``python -m vnetcard.engine.layoutgen`` generates the SystemVerilog
package, the C header and ``docs/registers.md`` from it.  Host and card have the same page, each from its own point of
view: *tx* is the direction that this side produces, *rx* the direction that it consumes.
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
    ("cause", "why the direction halted, see below; 0 when it did not halt"),
    ("error_addr_lo", "bus address of the failed access, or the value of an invalid index"),
    ("error_addr_hi", "upper half of error_addr"),
    ("published", "last prod that was acknowledged in the consumer's window"),
    ("returned", "last cons that was acknowledged in the producer's window"),
    ("bytes_lo", "bytes published; a read latches the upper half for bytes_hi"),
    ("bytes_hi", "upper half of bytes at the last read of bytes_lo"),
    ("bursts", "write bursts acknowledged"),
    ("publications", "prod words written to the consumer and acknowledged"),
    ("errors", "number of halts of the direction"),
    ("stall_read", "cycles that waited for read data with no write pending"),
    ("stall_write", "cycles in which AW or W was valid and not ready"),
    ("stall_ack", "cycles in which all data was written and a response was outstanding"),
    ("suppressed", "publications without an interrupt because the consumer was awake"),
    ("latency", "cycles from a doorbell to its acknowledged publication, last measurement"),
    ("latency_max", "largest latency since the direction started"),
)


def _direction(prefix: str, start: int) -> tuple[Register, ...]:
    return tuple(
        Register(f"{prefix}_{name}", start + 4 * n, "RO", meaning) for n, (name, meaning) in enumerate(_DIRECTION)
    )


REGISTERS: Final = (
    Register("id", 0x000, "RO", "`VNCD`"),
    Register("version", 0x004, "RO", "low half: version of this map; high half: wire format"),
    Register("caps", 0x008, "RO", "bits 15..0: data width; 23..16: longest burst in beats, minus 1; 24: 1 on the card"),
    Register("control", 0x00C, "RW", "see below"),
    Register("status", 0x010, "RO", "see below"),
    Register("reset", 0x014, "WO", "see below; outstanding transfers complete, then it restarts at tx_start"),
    Register("irq_status", 0x018, "W1C", "see below"),
    Register(
        "irq_enable",
        0x01C,
        "RW",
        "bits of irq_status that raise the interrupt; of RX_PROD and TX_CONS also which indices are read back",
    ),
    Register("window_base_lo", 0x020, "RW", "bus address of this side's window, multiple of 4 KiB; locked"),
    Register("window_base_hi", 0x024, "RW", "upper half of the bus address; locked"),
    Register("window_log2", 0x028, "RW", "base-2 logarithm of the window size in bytes, 14 to 30; locked"),
    Register("h2c_ring_offset", 0x030, "RW", "offset of the h2c ring in this window, multiple of 4 KiB; locked"),
    Register("h2c_ring_log2", 0x034, "RW", "base-2 logarithm of its size, 12 to 29, equal on both sides; locked"),
    Register("c2h_ring_offset", 0x038, "RW", "offset of the c2h ring, as h2c_ring_offset; locked"),
    Register("c2h_ring_log2", 0x03C, "RW", "size of the c2h ring, as h2c_ring_log2; locked"),
    Register("tx_prod", 0x040, "RW", "doorbell: the new prod of this side; reads the last value written"),
    Register("rx_cons", 0x044, "RW", "doorbell: the new cons of this side; reads the last value written"),
    Register("tx_start", 0x048, "RW", "index at which tx starts, multiple of 64"),
    Register("side_doorbell", 0x04C, "RW", "doorbell: copy the block of this side to the peer's window; any value"),
    Register("side_done", 0x050, "RO", "side_doorbell value of the last copy that the peer can see"),
    Register("side_cause", 0x054, "RO", "why the copy of the side block halted: NONE, READ, WRITE or TIMEOUT"),
    Register("side_error_addr_lo", 0x058, "RO", "bus address of the failed access"),
    Register("side_error_addr_hi", 0x05C, "RO", "upper half of side_error_addr"),
    Register("irq_count", 0x060, "RW", "events of RX_PROD and TX_CONS per interrupt; 0 and 1: each event"),
    Register("irq_time", 0x064, "RW", "largest delay of that interrupt after its first event in cycles; 0: no limit"),
    Register("timeout", 0x068, "RW", "cycles without progress of an access until what waits for it halts; 0: no limit"),
    *_direction("tx", 0x080),
    *_direction("rx", 0x0C0),
    Register("cycles_lo", 0x100, "RO", "clock cycles since reset; a read latches the upper half"),
    Register("cycles_hi", 0x104, "RO", "upper half of cycles at the last read of cycles_lo"),
)

CONTROL_BITS: Final[dict[str, int]] = {
    "ENABLE": 1 << 0,  # both sides' bits enable the engine; locks this side's configuration
    "NEED_WAKEUP": 1 << 1,  # RX_PROD and TX_CONS only when this side's line has need_wakeup set
}
STATUS_BITS: Final[dict[str, int]] = {
    "TX_RUN": 1 << 0,
    "TX_HALT": 1 << 1,
    "TX_DRAIN": 1 << 2,
    "RX_RUN": 1 << 4,
    "RX_HALT": 1 << 5,
    "RX_DRAIN": 1 << 6,
    "LOCKED": 1 << 8,  # configuration registers ignore writes
    "OVERTAKEN": 1 << 9,  # a read of this side's memory overtook an earlier write; until both sides are off
    "SIDE_RUN": 1 << 12,
    "SIDE_HALT": 1 << 13,
    "SIDE_DRAIN": 1 << 14,
}
RESET_BITS: Final[dict[str, int]] = {"TX": 1 << 0, "RX": 1 << 1, "SIDE": 1 << 2}
IRQ_BITS: Final[dict[str, int]] = {
    "RX_PROD": 1 << 0,  # a new prod was written to this window
    "TX_CONS": 1 << 1,  # a new cons was written to this window
    "TX_HALT": 1 << 2,
    "RX_HALT": 1 << 3,
    "SIDE": 1 << 4,  # the peer's block was copied into this window
    "SIDE_HALT": 1 << 5,  # the copy of this side's block failed
}
CAUSES: Final[dict[str, int]] = {
    "NONE": 0,
    "CONFIG": 1,  # sizes that differ or are out of range, misplaced rings, or a window in the last GiB
    "READ": 2,  # RRESP on data
    "WRITE": 3,  # BRESP on data
    "PROD_WRITE": 4,  # BRESP on the prod word
    "CONS_WRITE": 5,  # BRESP on the cons word
    "BAD_PROD": 6,  # not a multiple of 64, or beyond what the consumer has freed
    "BAD_CONS": 7,  # not a multiple of 64, or beyond what was published
    "TIMEOUT": 8,  # a memory did not answer in time; DRAIN lasts until it does
    "WAKEUP_READ": 9,  # RRESP on the read after an index: of need_wakeup, or of the index
}


def offset(name: str) -> int:
    """Return the offset of the register ``name``; raises KeyError when there is none."""
    return {register.name: register.offset for register in REGISTERS}[name]
