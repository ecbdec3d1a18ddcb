"""The mover in software: what the DMA engine does, over the channels of a card that has only a plain DMA driver.

The host's window is memory of its own; the card's is the card's memory, in which the host lays out a window of the
same shape, and which the card's agent has as any other window of device memory: the card knows nothing of this.
``DmaCopier`` is the link's ``Transport`` on the host's side, and between the calls its owner lets it ``step``.  One
thread at a time (``copier_thread.py``).

    host's memory                          card's memory
    own block      -- rest, then head -->  the copy of it         (head: epoch and answered, one beat)
    ring h2c       -- [moved, prod) ---->  ring h2c, then the prod line
    cons of c2h    -------------------->   its line
    the copy       <-- block -----------   the card's block
    ring c2h       <-- [moved, prod) ---   ring c2h, and then prod is published here
    cons of h2c    <-- its line --------

The card's stores come in no order that a reader could rely on unless it reads against it.  The card writes
``answered = 0``, a new epoch, its indices, then its answer; so here an index, and the records that it covers, are
read first and the block after them: while its head is still the one that was known, what was read belongs to that
generation.  Once a head is new nothing more is taken, until the link has reset this side and answered it.

Every access is whole 64-byte lines, as any configuration of a DMA core takes them.
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
"""Bytes of a ring that are moved before their index is published: the other side may start on them."""
LOOK_EVERY: Final = 0.02
"""Seconds between two looks at the card's block when nothing else asks for one."""
HEAD_BYTES: Final = 8
"""``epoch`` and ``answered``: what crosses last, in one beat."""
MASK: Final = 0xFFFF_FFFF
_HEAD: Final = struct.Struct("<II")
_NO_HEAD: Final = bytes(HEAD_BYTES)


class _Halt(Exception):
    """An impossible value in memory; ``cause`` is a name of ``engine.registers.CAUSES``."""

    def __init__(self, cause: str, why: str) -> None:
        super().__init__(f"{cause}, {why}")
        self.cause = cause


class DmaCopier:
    """Carries between ``memory``, this side's window, and ``card``; ``spans`` are the same bytes as ``memory``.

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
        name: str = "the software mover",
        format_any: bool = False,
        woken: Callable[[int], None] = lambda offset: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._memory, self._spans, self._card = memory, spans, card
        self._side, self.name = side, name
        self._woken, self._clock = woken, clock
        tx, rx = L.DIRECTIONS[side], L.DIRECTIONS[1 - side]
        self._tx_end, self._rx_end = locate(geometry, tx, "producer"), locate(geometry, rx, "consumer")
        self._own_block, self._peer_block = L.side_offset(side), L.side_offset(1 - side)
        theirs = (self._tx_end.peer, self._rx_end.peer)
        self._lines_at = min(theirs)
        self._lines_bytes = max(theirs) + L.LINE - self._lines_at
        self.figures = CopierStats(RingProgress(tx), RingProgress(rx))
        self.gone: str | None = None
        self._fault: Fault | None = None
        self._layout = RemoteWindow(card, geometry, clock=clock, format_any=format_any)
        self._books = LedgerMirror(memory, card, side)
        self._enabled = False
        self._there = False
        self._told = self._seen = _NO_HEAD
        self._live = False
        self._look_at = 0.0

    # --- what the link asks (vnetcard.engine.transport.Transport) -------------------------------------------------

    def attach(self) -> None:
        """Nothing of before is under way: each transfer ends before its call returns."""
        self._check_gone()
        self._enabled, self._fault = False, None
        self._lose_card()

    def announce(self) -> None:
        """As ``publish``; from the first one after ``attach`` on, everything moves."""
        self._enabled = True
        self._guarded(self._come_up)
        self.publish()

    def publish(self, *, wait: bool = True) -> None:
        """Take this side's block across; without a window there, its coming up will."""
        del wait
        self._check_gone()
        self._guarded(self._put_block)

    def reset_directions(self) -> None:
        """This side's lines in the card's memory say 0, and so do the card's lines here."""
        self._check_gone()
        self._guarded(self._restart)

    def not_ready(self) -> str | None:
        if not self._there:
            return "there is no window in the card's memory yet"
        return None if self._live else "the two sides have not answered each other in the card's memory"

    def fault(self) -> Fault | None:
        self._check_gone()
        return self._fault

    def detach(self) -> None:
        self._enabled = False
        self._set_live(False)

    # --- what it does --------------------------------------------------------------------------------

    def step(self) -> bool:
        """Everything that is due now; was there anything?"""
        if not self._enabled or self._fault or self.gone:
            return False
        before = self.figures.tx.publications, self.figures.rx.publications, self._seen
        self._guarded(self._carry if self._there else self._come_up)
        return before != (self.figures.tx.publications, self.figures.rx.publications, self._seen)

    def _carry(self) -> None:
        if self._live:
            self._send()
        self._fetch()
        if self._there:
            self._books.share(self._clock())

    def _check_gone(self) -> None:
        if self.gone:
            raise WindowUnavailable(self.gone)

    def _guarded(self, act: Callable[[], None]) -> None:
        """What fails in ``act`` becomes the fault; what is gone stays gone."""
        if self._fault or self.gone:
            return
        try:
            act()
        except (TransferFailed, _Halt) as error:
            self._halt(error.cause, str(error))
        except DeviceGone as error:
            self.gone = str(error)
            self._set_live(False)
        self.figures.retries = self._card.retries

    def _halt(self, cause: str, why: str) -> None:
        self._fault = Fault(f"{self.name} halted: {why}", cause)
        self.figures.halts += 1
        self._set_live(False)
        self.figures.state = "halt"

    # --- coming up -----------------------------------------------------------------------------------

    def _come_up(self) -> None:
        """Is there a window in the card's memory?  Then tell it who is here, and start from index 0."""
        if self._there or self._clock() < self._look_at:
            return
        self._look_at = self._clock() + LOOK_EVERY
        try:
            if not self._layout.ready():
                return
        except LayoutMismatch as error:
            raise _Halt("CONFIG", f"in the card's memory at {self._card.base:#x}: {error}") from None
        self._there = True
        self._told = self._card.read(self._own_block, L.LINE)[:HEAD_BYTES]
        self._put_block()
        self._restart()
        self._look_at = 0.0

    def _lose_card(self) -> None:
        """Here it looks as if the card had stopped; what was in flight is forgotten."""
        self._there, self._look_at = False, 0.0
        self._publish_head(_NO_HEAD)
        self._zero_peer_lines()
        self._told = _NO_HEAD

    # --- blocks --------------------------------------------------------------------------------------

    def _put_block(self) -> None:
        if not self._there:
            return
        line = self._memory.read(self._own_block, L.LINE)
        if line[:HEAD_BYTES] != self._told:
            self._card.write(self._own_block, self._told + line[HEAD_BYTES:])
        self._card.write(self._own_block, line)
        self._told = line[:HEAD_BYTES]
        self._set_live(self._answered_each_other())

    def _look(self) -> bool:
        """Is the card's block still of the generation that is known?  A new one is published step by step."""
        self._look_at = self._clock() + LOOK_EVERY
        line = self._card.read(self._peer_block, L.LINE)
        head = line[:HEAD_BYTES]
        if head != self._seen:
            self._follow(head)
            return False
        self._memory.write(self._peer_block + HEAD_BYTES, line[HEAD_BYTES:])
        return True

    def _follow(self, head: bytes) -> None:
        """A new head is published after a look at the rest that is at least as new."""
        line = self._card.read(self._peer_block, L.LINE)
        if self._layout.changed():
            self._lose_card()
            return
        self._memory.write(self._peer_block + HEAD_BYTES, line[HEAD_BYTES:])
        self._publish_head(head)

    def _publish_head(self, head: bytes) -> None:
        self._seen = head
        self._set_live(self._answered_each_other())
        self._memory.store64(self._peer_block, int.from_bytes(head, "little"))

    def _answered_each_other(self) -> bool:
        """In the blocks that either side can see there."""
        (own, answered), (peer, answer) = _HEAD.unpack(self._told), _HEAD.unpack(self._seen)
        return bool(own and peer) and (answered, answer) == (peer, own)

    def _set_live(self, live: bool) -> None:
        self._live = live
        self.figures.state = "run" if live else "off"

    # --- indices and records ---------------------------------------------------------------------------

    def _restart(self) -> None:
        self.figures.tx.restart()
        self.figures.rx.restart()
        self._zero_peer_lines()
        if self._there:
            self._card.write(self._tx_end.own, bytes(L.LINE))
            self._card.write(self._rx_end.own, bytes(L.LINE))

    def _zero_peer_lines(self) -> None:
        self._memory.store32(self._rx_end.peer, 0)
        self._memory.store32(self._tx_end.peer, 0)

    def _send(self) -> None:
        """New records, then their prod; then the cons that frees the card's."""
        tx, rx, size = self.figures.tx, self.figures.rx, self._tx_end.ring.size
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
        if cons != rx.freed:
            if cons % L.LINE or (cons - rx.freed) & MASK > (rx.moved - rx.freed) & MASK:
                raise _Halt("BAD_CONS", f"cons {cons:#x} is impossible")
            rx.freed = cons
            self._put_index(self._rx_end.own, cons)

    def _put_index(self, line: int, index: int) -> None:
        self._card.write(line, index.to_bytes(4, "little") + self._memory.read(line, L.LINE)[4:])

    def _fetch(self) -> None:
        """The card's indices and records, then its block: only if that is as it was do they count."""
        if not self._live:
            self._look()
            return
        tx, rx = self.figures.tx, self.figures.rx
        self.figures.looks += 1
        lines = self._card.read(self._lines_at, self._lines_bytes)
        prod, cons = (_word(lines, at - self._lines_at) for at in (self._rx_end.peer, self._tx_end.peer))
        length = (prod - rx.moved) & MASK
        good_prod = not prod % L.LINE and length <= self._rx_end.ring.size - ((rx.moved - rx.freed) & MASK)
        good_cons = not cons % L.LINE and (cons - tx.freed) & MASK <= (tx.moved - tx.freed) & MASK
        if not length and cons == tx.freed and self._clock() < self._look_at:
            return
        if good_prod:
            length = min(length, BURST)
            self._pull(length)
        if not self._look():
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
        """Records into their places in our ring, where nobody looks before prod covers them."""
        for at, piece in pieces(self.figures.rx.moved, length, self._rx_end.ring.size):
            here = self._rx_end.ring.offset + at
            self._card.read_into(here, self._spans[here : here + piece])
            self.figures.rx.bursts += 1

    def _publish(self, offset: int, index: int) -> None:
        self._memory.store32(offset, index)
        self._woken(offset)


def _word(line: bytes, at: int) -> int:
    return int.from_bytes(line[at : at + 4], "little")
