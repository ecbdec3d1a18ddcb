"""The DMA copier: does in software what the DMA engine does, over the channels of a card with a plain DMA driver.

The host's window is in the host's memory.  In the card's memory the host lays out a second window of the same
geometry, which the card's agent opens like any window in device memory; the card needs no support for the copier.
``DmaCopier`` is the host's ``Transport``; between the link's calls its owner calls ``step``.  It is not thread-safe:
``copier_thread.py`` runs everything in one thread.

    host's memory                          card's memory
    own block      -- rest, then head -->  copy of the block      (head: epoch and answered, 8 bytes at once)
    ring h2c       -- [moved, prod) ---->  ring h2c, then the prod line
    cons of c2h    -------------------->   its line
    copy of block  <-- block -----------   the card's block
    ring c2h       <-- [moved, prod) ---   ring c2h, then prod is published here
    cons of h2c    <-- its line --------

The card stores ``answered = 0``, a new epoch, its indices (0), then its answer.  No index of a new generation leaves 0
until this side has answered, by a call to the copier: an index that moves on from the known one, and the records that
it covers, belong to the known generation.  An index that becomes 0, or an impossible one, counts only if the head of
the block, read afterwards, is unchanged.  After a new head nothing is accepted until the link has reset this side and
answered the new epoch.

A packet thus takes two transfers in either direction.  The cons that frees the card's records waits, for ``CONS_AFTER``
or until they are a quarter of the ring, so that many packets share it.

Every transfer is a multiple of 64-byte lines, which every configuration of a DMA core supports.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Final

from vnetcard._core import Memory
from vnetcard.engine.transport import Fault
from vnetcard.errors import LayoutMismatch, WindowUnavailable
from vnetcard.ring import layout as L
from vnetcard.ring.fifo import locate
from vnetcard.ring.geometry import Geometry
from vnetcard.x86_side.xdma.channel import CardMemory, DeviceGone, TransferFailed
from vnetcard.x86_side.xdma.copier_stats import CopierStats, RingProgress, pieces
from vnetcard.x86_side.xdma.ledger_mirror import LedgerMirror
from vnetcard.x86_side.xdma.remote_window import RemoteWindow

BURST: Final = 256 << 10
"""Largest number of bytes that are copied before their index is published, so that the other side can start."""
POLL_EVERY: Final = 0.02
"""Seconds between two polls of the card's block."""
CONS_AFTER: Final = 0.002
"""Seconds for which a cons may wait: what it frees is less than a quarter of the ring, so the card does without it."""
HEAD_BYTES: Final = 8
"""Bytes of the head of a block, ``epoch`` and ``answered``, which are copied last and in one transfer."""
MASK: Final = 0xFFFF_FFFF
_HEAD: Final = struct.Struct("<II")
_NO_HEAD: Final = bytes(HEAD_BYTES)


class _Halt(Exception):
    """An impossible value in memory; ``cause`` is a name of ``engine.registers.CAUSES``."""

    def __init__(self, cause: str, why: str) -> None:
        super().__init__(f"{cause}, {why}")
        self.cause = cause


class DmaCopier:
    """Copies between ``memory``, this side's window, and ``card``; ``spans`` are the same bytes as ``memory``.

    ``side`` is this side, as a rule HOST.  ``woken`` is called with the offset of a word that was published here.
    """

    def __init__(
        self,
        memory: Memory,
        spans: memoryview,
        geometry: Geometry,
        card: CardMemory,
        *,
        side: int = L.HOST,
        name: str = "the DMA copier",
        format_any: bool = False,
        wake: Callable[[int], None] = lambda offset: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._memory, self._spans, self._card = memory, spans, card
        self._side, self.name = side, name
        self._wake, self._clock = wake, clock
        tx, rx = L.DIRECTIONS[side], L.DIRECTIONS[1 - side]
        self._tx_end, self._rx_end = locate(geometry, tx, "producer"), locate(geometry, rx, "consumer")
        self._own_block, self._peer_block = L.side_offset(side), L.side_offset(1 - side)
        theirs = (self._tx_end.peer, self._rx_end.peer)
        self._lines_at = min(theirs)
        self._lines_bytes = max(theirs) + L.LINE - self._lines_at
        self.stats = CopierStats(RingProgress(tx), RingProgress(rx))
        self.gone: str | None = None
        self._fault: Fault | None = None
        self._window = RemoteWindow(card, geometry, clock=clock, format_any=format_any)
        self._mirror = LedgerMirror(memory, card, side)
        self._enabled = False
        self._attached = False
        self._own_head = self._peer_head = _NO_HEAD
        self._live = False
        self._poll_at = 0.0
        self._cons_since: float | None = None

    # --- calls of the link (vnetcard.engine.transport.Transport) -------------------------------------------------

    def attach(self) -> None:
        """No earlier transfer is in progress, since each ends before its call returns."""
        self._check_gone()
        self._enabled, self._fault = False, None
        self._lose_card()

    def announce(self) -> None:
        """As ``publish``; the first call after ``attach`` enables the copier."""
        self._enabled = True
        self._guarded(self._come_up)
        self.publish()

    def publish(self, *, wait: bool = True) -> None:
        """Copy this side's block to the card; without a window there, it is copied once there is one."""
        del wait
        self._check_gone()
        self._guarded(self._put_block)

    def reset_directions(self) -> None:
        """Set this side's index lines in the card's memory to 0, and the card's index lines here."""
        self._check_gone()
        self._guarded(self._restart)

    def not_ready(self) -> str | None:
        if not self._attached:
            return "the card's memory holds no window yet"
        return None if self._live else "the two sides have not answered each other in the card's memory"

    def fault(self) -> Fault | None:
        self._check_gone()
        return self._fault

    def waits(self, least: float) -> str | None:
        """The transfer that has been with the driver for ``least`` seconds or more; may be asked by any thread."""
        return self._card.waits(least)

    def detach(self) -> None:
        self._enabled = False
        self._set_live(False)

    # --- copying --------------------------------------------------------------------------------

    def step(self) -> bool:
        """Copy what is due; returns True if anything was."""
        if not self._enabled or self._fault or self.gone:
            return False
        before = self.stats.tx.publications, self.stats.rx.publications, self._peer_head
        self._guarded(self._carry if self._attached else self._come_up)
        return before != (self.stats.tx.publications, self.stats.rx.publications, self._peer_head)

    def _carry(self) -> None:
        if self._live:
            self._send()
        self._fetch()
        if self._attached:
            self._mirror.update(self._clock())

    def _check_gone(self) -> None:
        if self.gone:
            raise WindowUnavailable(self.gone)

    def _guarded(self, act: Callable[[], None]) -> None:
        """Call ``act``; a failed transfer becomes the fault, a removed device stays ``gone``."""
        if self._fault or self.gone:
            return
        try:
            act()
        except (TransferFailed, _Halt) as error:
            self._halt(error.cause, str(error))
        except DeviceGone as error:
            self.gone = str(error)
            self._set_live(False)
        self.stats.retries = self._card.retries

    def _halt(self, cause: str, why: str) -> None:
        self._fault = Fault(f"{self.name} halted: {why}", cause)
        self.stats.halts += 1
        self._set_live(False)
        self.stats.state = "halt"

    # --- coming up -----------------------------------------------------------------------------------

    def _come_up(self) -> None:
        """Once the card's memory holds a window, copy this side's block to it and start from index 0."""
        if self._attached or self._clock() < self._poll_at:
            return
        self._poll_at = self._clock() + POLL_EVERY
        try:
            if not self._window.ready():
                return
        except LayoutMismatch as error:
            raise _Halt("CONFIG", f"in the card's memory at {self._card.base:#x}: {error}") from None
        self._attached = True
        self._own_head = self._card.read(self._own_block, L.LINE)[:HEAD_BYTES]
        self._put_block()
        self._restart()
        self._poll_at = 0.0

    def _lose_card(self) -> None:
        """Publish here that the card has stopped; what was in flight is forgotten."""
        self._attached, self._poll_at = False, 0.0
        self._publish_head(_NO_HEAD)
        self._zero_peer_lines()
        self._own_head = _NO_HEAD

    # --- blocks --------------------------------------------------------------------------------------

    def _put_block(self) -> None:
        if not self._attached:
            return
        line = self._memory.read(self._own_block, L.LINE)
        if line[:HEAD_BYTES] != self._own_head:
            self._card.write(self._own_block, self._own_head + line[HEAD_BYTES:])
        self._card.write(self._own_block, line)
        self._own_head = line[:HEAD_BYTES]
        self._set_live(self._answered_each_other())

    def _read_block(self) -> bool:
        """Read the card's block; False if it belongs to a new generation, which is then published step by step."""
        self._poll_at = self._clock() + POLL_EVERY
        line = self._card.read(self._peer_block, L.LINE)
        head = line[:HEAD_BYTES]
        if head != self._peer_head:
            self._accept_head(head)
            return False
        self._memory.write(self._peer_block + HEAD_BYTES, line[HEAD_BYTES:])
        return True

    def _accept_head(self, head: bytes) -> None:
        """Publish a new head, after the rest of the block, read again so that it is at least as new."""
        line = self._card.read(self._peer_block, L.LINE)
        if self._window.changed():
            self._lose_card()
            return
        self._memory.write(self._peer_block + HEAD_BYTES, line[HEAD_BYTES:])
        self._publish_head(head)

    def _publish_head(self, head: bytes) -> None:
        self._peer_head = head
        self._set_live(self._answered_each_other())
        self._memory.store64(self._peer_block, int.from_bytes(head, "little"))

    def _answered_each_other(self) -> bool:
        """True if the blocks in the card's memory hold each other's epoch."""
        (own, answered), (peer, answer) = _HEAD.unpack(self._own_head), _HEAD.unpack(self._peer_head)
        return bool(own and peer) and (answered, answer) == (peer, own)

    def _set_live(self, live: bool) -> None:
        self._live = live
        self.stats.state = "run" if live else "off"

    # --- indices and records ---------------------------------------------------------------------------

    def _restart(self) -> None:
        self.stats.tx.restart()
        self.stats.rx.restart()
        self._cons_since = None
        self._zero_peer_lines()
        if self._attached:
            self._card.write(self._tx_end.own, bytes(L.LINE))
            self._card.write(self._rx_end.own, bytes(L.LINE))

    def _zero_peer_lines(self) -> None:
        self._memory.store32(self._rx_end.peer, 0)
        self._memory.store32(self._tx_end.peer, 0)

    def _send(self) -> None:
        """Copy new records, then their prod; then the cons that frees the card's records."""
        tx, rx, size = self.stats.tx, self.stats.rx, self._tx_end.ring.size
        prod = self._memory.load32(self._tx_end.own)
        if length := (prod - tx.moved) & MASK:
            if prod % L.LINE or length > size - ((tx.moved - tx.freed) & MASK):
                raise _Halt("BAD_PROD", f"prod {prod:#x} is impossible")
            length = min(length, BURST)
            for at, piece in pieces(tx.moved, length, size):
                here = self._tx_end.ring.offset + at
                self._card.write(here, self._spans[here : here + piece])
                tx.bursts += 1
            tx.moved = (tx.moved + length) & MASK
            tx.bytes += length
            tx.publications += 1
            self._put_index(self._tx_end.own, tx.moved)
        cons = self._memory.load32(self._rx_end.own)
        if freed := (cons - rx.freed) & MASK:
            if cons % L.LINE or freed > (rx.moved - rx.freed) & MASK:
                raise _Halt("BAD_CONS", f"cons {cons:#x} is impossible")
            if freed < self._rx_end.ring.size // 4 and not self._cons_has_waited():
                return
            rx.freed, self._cons_since = cons, None
            self._put_index(self._rx_end.own, cons)

    def _cons_has_waited(self) -> bool:
        now = self._clock()
        if self._cons_since is None:
            self._cons_since = now
        return now - self._cons_since >= CONS_AFTER

    def _put_index(self, line: int, index: int) -> None:
        self._card.write(line, index.to_bytes(4, "little") + self._memory.read(line, L.LINE)[4:])

    def _fetch(self) -> None:
        """Read the card's indices and records, and where these do not prove their generation, or in time, its block."""
        if not self._live:
            self._read_block()
            return
        tx, rx = self.stats.tx, self.stats.rx
        self.stats.polls += 1
        lines = self._card.read(self._lines_at, self._lines_bytes)
        prod, cons = (_word(lines, at - self._lines_at) for at in (self._rx_end.peer, self._tx_end.peer))
        length = (prod - rx.moved) & MASK
        good_prod = not prod % L.LINE and length <= self._rx_end.ring.size - ((rx.moved - rx.freed) & MASK)
        good_cons = not cons % L.LINE and (cons - tx.freed) & MASK <= (tx.moved - tx.freed) & MASK
        if good_prod:
            length = min(length, BURST)
            self._pull(length)
        proven = good_prod and good_cons and (prod or not length) and (cons or cons == tx.freed)
        if (not proven or self._clock() >= self._poll_at) and not self._read_block():
            return
        if not good_prod:
            raise _Halt("BAD_PROD", f"prod {prod:#x} is impossible")
        if not good_cons:
            raise _Halt("BAD_CONS", f"cons {cons:#x} is impossible")
        if length:
            rx.moved = (rx.moved + length) & MASK
            rx.bytes += length
            rx.publications += 1
            self._publish(self._rx_end.peer, rx.moved)
        if cons != tx.freed:
            tx.freed = cons
            self._publish(self._tx_end.peer, cons)

    def _pull(self, length: int) -> None:
        """Copy records into this side's ring, where no reader reads them before prod covers them."""
        for at, piece in pieces(self.stats.rx.moved, length, self._rx_end.ring.size):
            here = self._rx_end.ring.offset + at
            self._card.read_into(here, self._spans[here : here + piece])
            self.stats.rx.bursts += 1

    def _publish(self, offset: int, index: int) -> None:
        self._memory.store32(offset, index)
        self._wake(offset)


def _word(line: bytes, at: int) -> int:
    return int.from_bytes(line[at : at + 4], "little")
