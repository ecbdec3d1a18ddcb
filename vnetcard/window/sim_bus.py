"""The shared objects through which agents reach a live simulation: its memories, registers and doorbells.

``vnetcard-sim`` (``sim/``) makes them, ``--window sim:NAME`` opens them.  Three objects of POSIX shared memory::

    /vnetcard-sim-NAME         the bus: a header, and for each side registers, doorbell counts and a mailbox
    /vnetcard-sim-NAME.host    the host's memory: its window
    /vnetcard-sim-NAME.card    the card's

This file is the single source of the layout; the simulator's C++ gets it as a generated header.  All values
are little-endian u32 unless noted otherwise.

A *doorbell* (tx_prod, rx_cons, side_doorbell) is a store of the value into the register's word of the page REGS, then
an atomic increment of the word at the same offset in the page RUNG, then, if ``asleep`` is 1, an increment of
``doorbell`` of the header and a futex wake on it.  The simulator polls the counts, and for each that moved writes the
value over
AXI4-Lite.  So a value rung twice is never lost, and values rung faster than the bus are coalesced, as a posted
write that overtakes nothing may be.

Any other access goes through the *mailbox*, one at a time a side: ``op``, ``offset`` and ``value`` stored, then
``request`` incremented and ``doorbell`` as above; the simulator answers with ``result``, then ``reply = request``, and
a futex wake on ``reply``.  Every doorbell rung before the request has been carried when it is answered.

The simulator is also the driver's interrupt handler of both sides.  While a side's interrupt is raised it clears
the causes in ``irq_status``, and wakes (futex, all sleepers) the words in that side's memory on which its pumps
sleep: the prod word of its rx ring for RX_PROD, the cons word of its tx ring for TX_CONS, both for anything else.

The *log* is what the engine did to both memories, for ``vnetcard trace``: an entry per burst that ended, in a ring
that the simulator overwrites.  ``log_count`` counts the entries ever written, with release after each; a reader
reads it again afterwards, and discards what may have been overwritten meanwhile.

*Life.*  The simulator holds byte LOCK_BYTE of the bus locked (``window/locks.py``) while it lives, however it ends.
Ending, it stores ``instance = 0`` and removes the three names.  Killed, it leaves them, and the next one of the name
takes them over: the memories keep their contents, ``instance`` is new, doorbells rung before are forgotten, and a
request that was waiting is answered with all ones.  A card that was removed (``removed``) reads as all ones,
ignores writes and touches no memory; put back, its registers are as after power-up, and ``instance`` is new as well.
"""

from __future__ import annotations

from typing import Final

MAGIC: Final = 0x314D_4953_5445_4E56
"""``VNETSIM1`` as little-endian bytes; stored last."""
VERSION: Final = 2
BUS_BYTES: Final = 0x29000

HEADER: Final[dict[str, int]] = {
    "magic": 0x000,  # u64
    "version": 0x008,
    "instance": 0x00C,  # random, new at each start of the simulator and each return of the card; 0: it ended
    "pid": 0x010,
    "data_width": 0x014,
    "memory_bytes": 0x018,  # u64, of each side's memory
    "base_host": 0x020,  # u64, bus address of the host's memory; 0: the host is a PCI function's client, elsewhere
    "base_card": 0x028,  # u64
    "doorbell": 0x040,  # futex: wakes the simulator
    "asleep": 0x044,  # 1: it sleeps, or is about to, and has to be woken
    "removed": 0x048,  # 1: the card was removed; register reads return all ones
}
LOCK_BYTE: Final = 0
"""The byte of the bus that a living simulator holds locked; agents lock bytes of their own memory only."""
SIDE_OFFSET: Final = 0x1000
SIDE_BYTES: Final = 0x3000
REGS: Final = 0x0000
"""Page of a side: the doorbell words, at the offsets of their registers."""
RUNG: Final = 0x1000
"""Page of a side: the number of rings of each, at the same offsets."""
MAILBOX: Final[dict[str, int]] = {
    "request": 0x2000,
    "op": 0x2004,
    "offset": 0x2008,
    "value": 0x200C,
    "reply": 0x2040,
    "result": 0x2044,
}
OPS: Final[dict[str, int]] = {"READ": 1, "WRITE": 2}

LOG: Final[dict[str, int]] = {"log_count": 0x7000, "log_entries": 0x8000}  # u64, then the entries
LOG_KINDS: Final[dict[str, int]] = {"READ": 0, "WRITE": 1, "INDEX": 2}
"""A burst read; a burst written; a word of 4 bytes written, as prod and cons are."""
LOG_ENTRIES: Final = 4096
LOG_ENTRY: Final = "<QQQIHH"
"""An entry, as struct packs it: when it ended (CLOCK_MONOTONIC, ns), in which cycle, at which offset of the memory,
bytes (INDEX: the value), kind, side whose memory it is."""


def bus_name(name: str) -> str:
    """The shared memory object of the bus of simulation ``name``, without the slash."""
    return f"vnetcard-sim-{name}"


def memory_name(name: str, side: int) -> str:
    """The object of the memory of ``side`` (HOST or CARD)."""
    return f"vnetcard-sim-{name}.{('host', 'card')[side]}"
