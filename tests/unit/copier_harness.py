"""Two sides of a link whose host reaches the card's memory only by transfers: a ``LinkHarness`` with a DMA copier."""

from __future__ import annotations

import mmap
from collections.abc import Callable

from tests.unit.link_harness import GEOMETRY, MTU, WINDOW, Clock, LinkHarness, MortalMemory, Side
from vnetcard._core import Memory
from vnetcard.engine.transport import Doorbells
from vnetcard.link.types import Offer
from vnetcard.ring import layout as L
from vnetcard.x86_side.xdma.channel import CardMemory
from vnetcard.x86_side.xdma.dma_copier import DmaCopier

BASE = 0x8000_0000
LINE = {name: L.queue_offset(0) + at for name, at in L.QUEUE_LINES.items()}
RINGS = {name: ring for name, ring in zip(L.DIRECTIONS, GEOMETRY.rings[0], strict=True)}


def laid_out() -> mmap.mmap:
    """A card's memory with a window in it, as the card's agent leaves it."""
    mapped = mmap.mmap(-1, WINDOW)
    mapped[: L.LINE * 2] = GEOMETRY.encode()
    return mapped


class Transfers:
    """Both channels of a card whose memory is ``mapped``; ``before`` is called ahead of each transfer.

    ``answer`` may raise OSError or allow fewer bytes: it is asked with what is done, the address and the bytes.
    """

    name = "/dev/xdma0_test"

    def __init__(self, mapped: mmap.mmap) -> None:
        self._bytes = memoryview(mapped)
        self.before: Callable[[], object] = lambda: None
        self.answer: Callable[[str, int, int], int] = lambda what, address, count: count
        self.log: list[tuple[str, int, int]] = []
        self.to_card, self.from_card = _Direction(self, "write"), _Direction(self, "read")

    def move(self, what: str, span: memoryview, address: int) -> int:
        self.before()
        at = address - BASE
        assert at % L.LINE == 0 and len(span) % L.LINE == 0, "not every DMA core takes this"
        count = self.answer(what, address, len(span))
        self.log.append((what, at, count))
        if what == "write":
            self._bytes[at : at + count] = span[:count]
        else:
            span[:count] = self._bytes[at : at + count]
        return count


class _Direction:
    """One channel: ``vnetcard.x86_side.xdma.channel.Channel``."""

    def __init__(self, transfers: Transfers, what: str) -> None:
        self._transfers, self._what = transfers, what
        self.name = f"{transfers.name}_{what}"

    def move(self, span: memoryview, address: int, /) -> int:
        return self._transfers.move(self._what, span, address)


class SteppedCopier(DmaCopier):
    """A copier that the test calls step by step; its doorbells do nothing."""

    def doorbells(self) -> Doorbells:
        return (lambda prod: None), (lambda cons: None)


class CopierSide(Side):
    """A host whose stores cross when its copier carries them; ``mapped`` is its memory."""

    def __init__(self, mapped: mmap.mmap, clock: Clock, offer: Offer | None, transfers: Transfers) -> None:
        super().__init__(Memory(mapped), clock, L.HOST, offer)
        self._mapped, self.transfers = mapped, transfers
        self.format_any = False

    def _transport(self) -> SteppedCopier:  # type: ignore[override]
        mortal: MortalMemory = self.mortal
        to_card, from_card = self.transfers.to_card, self.transfers.from_card
        self.copier = SteppedCopier(
            mortal,  # type: ignore[arg-type]
            memoryview(self._mapped),
            GEOMETRY,
            CardMemory(to_card, from_card, base=BASE, size=WINDOW, clock=self.clock, sleep=self.pause),
            clock=self.clock,
            format_any=self.format_any,
        )
        return self.copier

    def pause(self, seconds: float) -> None:
        self.clock.now += seconds


class CopierHarness(LinkHarness):
    """A host with a copier, and a card for which the link is one through memory that both share."""

    def __init__(self, host: Offer | None = None, card: Offer | None = None, *, blank: bool = False) -> None:
        """``blank``: the card's memory holds no window yet."""
        super().__init__()
        self.card_map = mmap.mmap(-1, WINDOW) if blank else laid_out()
        self.transfers = Transfers(self.card_map)
        self.host: CopierSide = CopierSide(mmap.mmap(-1, WINDOW), self.clock, host, self.transfers)
        self.card = Side(Memory(self.card_map), self.clock, L.CARD, card)
        self.sides = (self.host, self.card)

    def carry(self) -> None:
        while self.host.link is not None and self.host.copier.step():
            pass


def used_link() -> CopierHarness:
    """A link that runs and has moved a packet in each direction."""
    harness = CopierHarness(Offer(L.FEATURES["CSUM"], MTU), Offer(L.FEATURES["CSUM"], MTU))
    harness.start()
    for side in harness.sides:
        assert side.send()
    harness.drain()
    harness.transfers.log.clear()
    return harness
